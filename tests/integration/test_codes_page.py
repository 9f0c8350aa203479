"""docs/codes.md: each code's five lines patch its file, and the config is read back."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

from pytest_remex.experiment import Experiment
from pytest_remex.extensions.mesa.plugin import MesaHooks
from pytest_remex.launch.preparation import check_config
from pytest_remex.sweep import SweepCall, expand, sweep_of
from pytest_remex.tables.readers import hooks_of

PAGE = Path(__file__).parents[2] / "docs" / "codes.md"
SECTION = re.compile(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(
    r"<!-- (file: \S+|sweep|conftest) -->\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL
)
SECTIONS = {name: dict(BLOCK.findall(text)) for name, text in SECTION.findall(PAGE.read_text())}


def loaded(text, name):
    """Return a block of the page as a module."""
    module = ModuleType(name)
    exec(compile(text, str(PAGE), "exec"), module.__dict__)  # noqa: S102 - the page's own code
    return module


@pytest.mark.parametrize("code", SECTIONS)
def test_five_lines(tmp_path, code):
    """Every point's patch applies, changes only its file, and its config is read back."""
    blocks = SECTIONS[code]
    module = loaded(blocks["sweep"], "sweeps")
    ((plan, function),) = [
        (plan, each) for each in vars(module).values() if (plan := sweep_of(each))
    ]
    ((file, text),) = [(name[6:], text) for name, text in blocks.items() if name.startswith("file")]
    results = set()
    for number, point in enumerate(expand(plan)):
        folder = tmp_path / str(number)
        (folder / file).parent.mkdir(parents=True)
        (folder / file).write_text(text)
        config = {**plan.base_config, **point}
        experiment = Experiment(plan, str(number), point, config, folder)
        SweepCall(lambda experiment=experiment: function(experiment), "x").patch(folder)
        assert [path for path in folder.rglob("*") if path.is_file()] == [folder / file]
        results.add((folder / file).read_text())
        plugins = [loaded(blocks["conftest"], "conftest")] if "conftest" in blocks else []
        hooks = hooks_of([*plugins, MesaHooks()])
        if plan.config_files:
            assert list(check_config(experiment, hooks)) == []
    assert len(results) == len(expand(plan))


def test_table():
    """The table has a row for each section, and each section a sweep."""
    rows = re.findall(r"^\| \[(.+?)\]\(#", PAGE.read_text(), re.MULTILINE)
    assert [name.startswith(row) for row, name in zip(rows, SECTIONS, strict=True)] == [True] * len(
        rows
    )
    assert all("sweep" in blocks for blocks in SECTIONS.values())
