"""A user's project in a scratch folder: real git, real pytest runs, jobs on this machine."""

from __future__ import annotations

import csv
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import git  # noqa: F401 - as the modules below
import pytest
from support.daemons import wait_until

# A pytest run in pytest forgets what it imported: what can be imported only once comes before,
# and what each would import again.
import pytest_remex.extensions.mesa.chains
import pytest_remex.extensions.mesa.roots
import pytest_remex.pytest_plugin.cancel
import pytest_remex.pytest_plugin.clean
import pytest_remex.pytest_plugin.collect
import pytest_remex.pytest_plugin.dry_run
import pytest_remex.pytest_plugin.log
import pytest_remex.pytest_plugin.plan
import pytest_remex.pytest_plugin.status
import pytest_remex.pytest_plugin.submit
import pytest_remex.report
import pytest_remex.tables.sweep_files  # noqa: F401 - see above
from pytest_remex.agent.local.store import Store, lock

PLUGINS = ("-p", "pytest_remex.plugin", "-p", "pytest_remex.extensions.mesa.plugin")

SCRIPT = """\
#!/bin/sh
#SBATCH -J tiny
#SBATCH -o job.out
#SBATCH -t 5
cat input.txt
while grep -q wait input.txt && ! test -e ../go; do sleep 0.05; done
if grep -q fail input.txt; then echo "no convergence"; exit 3; fi
grep -q empty input.txt || cp input.txt result.txt
"""

FILES = {
    "run.sbatch": SCRIPT,
    "input.txt": "base\n",
    "notes/about": "a tiny simulation\n",
    "pytest.ini": "[pytest]\nfilterwarnings = error\n",
    ".gitignore": "remex-output/\n__pycache__/\n.pytest_cache/\n*.log\n/sweeps.py\n/conftest.py\n",
}

GRID = """
from pytest_remex import sweep

@sweep({"a": [1, 2, 3]}, fetch=["result.txt"])
def grid(experiment):
    (experiment.path / "input.txt").write_text(f"a = {experiment.config['a']}\\n")
    run = yield
    text = (run.path / "result.txt").read_text()
    assert text == f"a = {experiment.config['a']}\\n"
    return {"double": 2 * experiment.config["a"]}
"""


class Project:
    """A user's project, and what a user does with it."""

    def __init__(self, pytester):
        self.pytester = pytester
        self.path = pytester.path
        self.output = self.path / "remex-output"
        self.runs = self.output / "local"

    def write(self, name, text):
        """Write a file; the text may be indented as a whole."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def sweeps(self, text=GRID):
        """Write sweeps.py, which git ignores."""
        return self.write("sweeps.py", text)

    def edit(self, name, before, after):
        """Replace text in a file."""
        path = self.path / name
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after))

    def commit(self, message="change", **files):
        """Commit all that is not ignored."""
        for name, text in files.items():
            self.write(name.replace("_sbatch", ".sbatch").replace("_txt", ".txt"), text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def git(self, *arguments, folder=None):
        """Run git and give its output, stripped."""
        command = ["git", "-C", str(folder or self.path), *arguments]
        done = subprocess.run(command, check=True, capture_output=True)
        return done.stdout.decode(errors="surrogateescape").strip()

    def pytest(self, *arguments):
        """Run pytest in this process."""
        return self.pytester.runpytest_inprocess(*PLUGINS, *map(str, arguments))

    def pytest_alone(self, *arguments):
        """Run pytest in a process of its own."""
        return self.pytester.runpytest_subprocess(*PLUGINS, *map(str, arguments))

    def start(self, *arguments, **variables):
        """Start pytest in a process of its own, and do not wait for it."""
        command = [sys.executable, "-m", "pytest", *PLUGINS, *map(str, arguments)]
        return subprocess.Popen(
            command,
            # A shell's background job ignores interrupts, and so would this one.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
            cwd=self.path,
            env={**os.environ, "HOME": str(self.path), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def submit(self, *arguments):
        """Submit, and return the result of a run that must succeed."""
        result = self.pytest("--remex-submit", *arguments)
        assert result.ret == 0
        return result

    def ran(self, *arguments):
        """Submit and wait until all jobs have ended."""
        self.submit(*arguments)
        self.wait()

    def wait(self, seconds=30):
        """Wait until no job waits or runs."""
        wait_until(
            lambda: not Store(str(self.runs)).marked("released"), "all jobs have ended", seconds
        )

    def until(self, *, ended=(), says=(), seconds=60):
        """Wait until these jobs have ended, and others' output has the text `wait`."""
        store = Store(str(self.runs))

        def are_that_far():
            states = [store.state(job) for job in ended]
            return all(each and each.state.ended for each in states) and all(
                "wait" in self._output(store.spec(job)) for job in says
            )

        wait_until(are_that_far, "jobs have come that far", seconds)

    def _output(self, spec):
        path = Path(spec.directories[0]) / "job.out"
        return path.read_text() if path.exists() else ""

    def release_waiting(self):
        """Let waiting jobs continue."""
        (self.runs / "go").touch()

    def jobs(self):
        """Return the ids of all jobs that were ever submitted."""
        folder = self.runs / ".remex" / "local" / "jobs"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def run_directories(self):
        """Return the run directories."""
        found = self.runs.iterdir() if self.runs.is_dir() else ()
        return sorted(path for path in found if path.is_dir() and path.name != ".remex")

    def record_paths(self):
        """Return the launch records, oldest first."""
        return sorted((self.output / "launches").glob("*.jsonl"), key=lambda path: path.stem[-19:])

    def events(self):
        """Return the lines of all launch records."""
        lines = [line for path in self.record_paths() for line in path.read_text().splitlines()]
        return [json.loads(line) for line in lines]

    def committed(self):
        """Return the commits of each launch, in order; a line may be written again when claimed."""
        shas = []
        for path in self.record_paths():
            events = map(json.loads, path.read_text().splitlines())
            made = [event["commit"] for event in events if event.get("state") == "COMMITTED"]
            shas += dict.fromkeys(made)
        return shas

    def rows(self, name="grid"):
        """Return the results of a sweep by experiment id."""
        with (self.output / name / "results.csv").open(newline="") as file:
            return {row["id"]: row for row in csv.DictReader(file)}

    def refs(self):
        """Return all refs with what they point to."""
        return dict(
            line.split()
            for line in self.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        )


@pytest.fixture(scope="session")
def _template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("template") / "project"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for command in (
        ("init", "--quiet", "--initial-branch=main"),
        ("config", "user.name", "A User"),
        ("config", "user.email", "user@example.org"),
        ("add", "--all"),
        ("commit", "--quiet", "--message", "a tiny simulation", "--date=2026-01-01T00:00:00Z"),
    ):
        subprocess.run(["git", "-C", str(folder), *command], check=True)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _frozen():
    """Keep what is loaded by now out of the garbage collections that end each run of pytest."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def _queues():
    """Wait at the end for the queues of this machine, which outlive a pytest run by seconds."""
    folders: list[Path] = []
    yield folders
    for folder in folders:
        _wait_for_queue(folder)


@pytest.fixture
def empty_project(_template, _queues, pytester, monkeypatch):
    """Return a project without sweeps; its jobs are cancelled at the end."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setattr(sys, "__stdout__", None)  # no progress bars, also at a terminal
    shutil.copytree(_template, pytester.path, dirs_exist_ok=True)
    made = Project(pytester)
    yield made
    for keep in pytester.path.rglob(".remex/local"):
        runs = keep.parents[1]
        for job in Store(str(runs)).marked("released"):
            Store(str(runs)).mark("cancelled", job)
        _queues.append(runs)


@pytest.fixture
def project(empty_project):
    """Return a project with a sweep of three experiments."""
    empty_project.sweeps()
    return empty_project


def _wait_for_queue(runs):
    path = runs / ".remex" / "local" / "queue.lock"

    def has_ended():
        held = lock(str(path)) if path.exists() else None
        if held is not None:
            held.close()
        return held is not None or not path.exists()

    wait_until(has_ended, f"the queue of {runs} has ended", seconds=30)
