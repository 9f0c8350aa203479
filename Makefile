PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := .venv-lowest

# most of the tests' processes import the package, and may not write its bytecode
COMPILE = $(BIN)/python -m compileall -q pytest_remex

.PHONY: demo test test-fast test-lowest faults check docs picture corpus bench clean

demo: $(VENV)/.demo  ## run the example's sweep on this machine and show where its report lies
	sh tools/demo.sh $(BIN)

test: $(VENV)/.test  ## run all tests, on a real Slurm where one can be had
	sh tools/install_test_system.sh
	$(COMPILE)
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n 5 --dist loadfile --no-loadscope-reorder --durations=5

test-fast: $(VENV)/.test  ## run the tests that need no Slurm, sshd or browser
	$(COMPILE)
	$(BIN)/python -m pytest -n auto --dist loadfile tests/unit tests/integration

test-lowest:  ## run the unit and integration tests with the oldest versions that pyproject.toml allows
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet "uv~=0.13.9"
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct \
		--reinstall-package pytest-remex ".[test]"
	$(LOWEST)/bin/pytest -n auto --dist loadfile tests/unit tests/integration

faults: $(VENV)/.test  ## run the long campaigns of faults: REMEX_FAULTS=60 of each kind, REMEX_SEED=... repeats
	sh tools/install_test_system.sh
	$(BIN)/python -m pytest tests/faults
	REMEX_EXAMPLES=$${REMEX_EXAMPLES:-100} $(BIN)/python -m pytest tests/integration/test_any_text.py

check: $(VENV)/.check  ## lint, format, types, imports, the page's scripts, and the agent's Python 3.6
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/lint_scripts.py
	$(BIN)/python tools/draw_packages.py --check
	$(BIN)/vermin --quiet --no-tips --violations -t=3.6- pytest_remex/agent pytest_remex/common

docs: $(VENV)/.check $(VENV)/.docs  ## draw the packages into docs/architecture.md, and build the site into docs/_build/html
	$(BIN)/python tools/draw_packages.py
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "open this file: docs/_build/html/index.html"

picture: $(VENV)/.demo  ## make docs/report.png anew, with Chromium
	sh tools/picture.sh $(BIN)

corpus: $(VENV)/.test  ## read and patch every inlist below DIR, against the oracles
	PYTHONPATH=tools $(BIN)/python -m mesa_corpus "$(DIR)"

bench: $(VENV)/.test  ## measure against floors; BENCH="--quick --json FILE" for few and small
	sh tools/install_test_system.sh
	$(BIN)/python -m pip install --quiet -e ".[mesa]"
	$(BIN)/python benchmarks/run.py $(BENCH)

clean:
	rm -rf $(VENV) $(LOWEST) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e ".[report]"
	touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e ".[test]"
	touch $@ $(VENV)/.demo

$(VENV)/.docs: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e ".[docs,config]"
	touch $@

$(VENV)/.check: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e ".[test,check]"
	touch $@
