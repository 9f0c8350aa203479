"""A user at a shell in a project's repository, who runs pytest against a test's cluster."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from subprocess import TimeoutExpired
from typing import TYPE_CHECKING, Any

from support.sshd import HOST, TRANSPORT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from support.forks import Fork, Forks
    from support.projects import Project

PLUGINS = ("-p", "remex", "-p", "remex_mesa", "-p", "no:cacheprovider")
LONGEST = 120.0
"""Seconds that a command may take before its test fails."""

SWEEP = """\
from pytest_remex import sweep
from pytest_remex.extensions.mesa import patch_inlist

@sweep(
    {{"initial_mass": {masses}}},
    fetch=["LOGS/history.data", "slurm.out"],
    config_file="inlist_project",
)
def {name}(experiment):
    patch_inlist(experiment.path / "inlist_project", experiment.config)
    run = yield
    history = run.read("LOGS/history.data")
    assert history.center_h1.iloc[-1] < 1e-3
    return {{"age": history.star_age.iloc[-1]}}
"""

SCRIPT = """\
#!/bin/bash
#SBATCH --job-name=star
#SBATCH --output=slurm.out
#SBATCH --time=5
{lines}set -eu
echo ran >>ran
mass=$(sed -n 's/^ *initial_mass *= *\\([^ !]*\\).*/\\1/p' inlist_project | tail -n 1)
echo "a star of mass $mass"
{body}
mkdir -p LOGS
printf '1 2\\nversion_number initial_mass\\nr1 %s\\n\\n1 2 3\\n' "$mass" >LOGS/history.data
printf 'model_number star_age center_h1\\n1 1e9 0.7\\n2 2e9 0.0\\n' >>LOGS/history.data
"""
"""A job that leaves one line in `ran` each time that it runs."""


def script(body: str = ":", lines: str = "") -> str:
    """Return run.sbatch; `body` runs once the mass is in $mass, `lines` go into the header."""
    return SCRIPT.format(body=body, lines=lines)


@dataclass(frozen=True)
class Done:
    """A command that has ended: its exit code, and what it showed."""

    code: int
    text: str

    def __contains__(self, words: str) -> bool:
        return words in self.text

    def without_traceback(self) -> Done:
        """Fail if the output has a traceback of the plugin or of pytest; return itself."""
        for sign in ("Traceback (most recent", "INTERNALERROR", "pytest_remex/", "Warning:"):
            assert sign not in self.text, self.text
        return self

    def succeeded(self) -> Done:
        """Fail if the command failed; return itself."""
        assert self.code == 0, self.text
        return self.without_traceback()

    def reported(self) -> Done:
        """Fail if a status could not report states, whatever they are; return itself."""
        assert self.code in {0, 1, 10}, self.text
        return self.without_traceback()

    def failed(self, *words: str) -> Done:
        """Fail unless the command failed and said these words plainly; return itself."""
        assert self.code not in {0, 3, 10}, self.text
        for each in words:
            assert each in self.text, self.text
        return self.without_traceback()


class User:
    """Runs pytest commands in a project's repository; `close` ends what still runs."""

    def __init__(self, project: Project, home: Path, forks: Forks) -> None:
        self.project = project
        self.home = home
        self.forks = forks
        self.repository = project.repository
        self.output = self.repository / "remex-output"
        self._started: list[Fork] = []
        self.ini()
        self.sweep(1.0, 2.0, 3.0)

    def ini(self, **keys: str) -> None:
        """Write pytest.ini; `keys` are added to the three that name the remote, or replace them."""
        table = {
            "filterwarnings": "error",
            "remex_host": HOST,
            "remex_clone": str(self.project.clone),
            "remex_runs": str(self.project.runs),
            "remex_poll": "1",
            "remex_transport": TRANSPORT,
        } | keys
        lines = [f"{key} = {value}" for key, value in table.items()]
        (self.repository / "pytest.ini").write_text("\n".join(["[pytest]", *lines, ""]))

    def remote(self, options: str) -> None:
        """Write a conftest.py whose remote has more options, as a call of Remote has them."""
        places = f"{HOST!r}, {str(self.project.clone)!r}, {str(self.project.runs)!r}"
        options += "" if "transport" in options else f", transport={TRANSPORT!r}"
        (self.repository / "conftest.py").write_text(
            "import pytest\nfrom pytest_remex import Remote\n\n\n"
            '@pytest.fixture(scope="session")\ndef remote():\n'
            f"    return Remote({places}, {options})\n"
        )

    def batches(self, size: int) -> None:
        """Write a conftest.py that makes each batch so many experiments."""
        (self.repository / "conftest.py").write_text(
            f"from pytest_remex.launch import submitter\n\nsubmitter.BATCH = {size}\n"
        )

    def sweep(self, *masses: float, name: str = "tams") -> None:
        """Write sweeps.py with one experiment for each mass."""
        (self.repository / "sweeps.py").write_text(SWEEP.format(masses=list(masses), name=name))

    def edit(self, old: str, new: str) -> None:
        """Replace text in sweeps.py."""
        path = self.repository / "sweeps.py"
        text = path.read_text()
        assert old in text, text
        path.write_text(text.replace(old, new))

    def script(self, body: str = ":", lines: str = "") -> None:
        """Commit run.sbatch: see `script`."""
        self.project.commit({"run.sbatch": script(body, lines)})

    def start(self, *arguments: str) -> Fork:
        """Start a pytest command."""
        command = [*PLUGINS, "sweeps.py", *arguments]
        process = self.forks.pytest(command, self.repository, self._environment())
        self._started.append(process)
        return process

    def pytest(self, *arguments: str, seconds: float = LONGEST) -> Done:
        """Run a pytest command to its end."""
        return finished(self.start(*arguments), seconds)

    def submit(self, *arguments: str) -> Done:
        """Submit, which must go well."""
        return self.pytest("--remex-submit", "-v", *arguments).succeeded()

    def collect(self, *arguments: str) -> Done:
        """Wait until all jobs have ended, and collect."""
        return self.pytest("--remex-collect", "-v", "--remex-wait=60", *arguments)

    def states(self, seconds: float = LONGEST) -> dict[str, dict[str, Any]]:
        """Query the experiments; return the contents of --remex-json, by run directory."""
        path = self.home / "status.json"
        self.pytest("--remex-status", f"--remex-json={path}", seconds=seconds).reported()
        return {row["directory"]: row for row in json.loads(path.read_text())}

    def events(self) -> list[dict[str, Any]]:
        """Return the events of all launch records, without a last line cut short."""
        records = sorted((self.output / "launches").glob("*.jsonl"))
        lines = [line for path in records for line in path.read_bytes().split(b"\n")[:-1]]
        return [json.loads(line) for line in lines]

    def has_reached(self, state: str) -> bool:
        """Return whether a launch record has an event of a state."""
        return any(event.get("state") == state for event in self.events())

    def kill(self) -> None:
        """End the commands that still run, as kill -9 does."""
        for process in self._started:
            process.kill()

    def close(self) -> None:
        """End the commands that still run, and wait for their ends."""
        self.kill()
        for process in self._started:
            if not process.stdout.closed:
                process.communicate(timeout=LONGEST)

    def _environment(self) -> dict[str, str]:
        taken = {"PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST", "SSH_AUTH_SOCK", "CI"}
        kept = {key: value for key, value in os.environ.items() if key not in taken}
        return kept | {
            "HOME": str(self.home),
            "COLUMNS": "240",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }


def finished(process: Fork, seconds: float = LONGEST) -> Done:
    """Wait for a command's end; TimeoutExpired after so many seconds, and the command is killed."""
    try:
        text, _ = process.communicate(timeout=seconds)
    except TimeoutExpired:
        process.kill()
        process.communicate(timeout=LONGEST)
        raise
    return Done(process.wait(), text)


def jobs_of(events: Iterable[dict[str, Any]]) -> list[str]:
    """Return the ids that a launch record says were released, in their order."""
    held = {event["commit"]: event["job"] for event in events if event.get("state") == "HELD"}
    return [held[event["commit"]] for event in events if event.get("state") == "RELEASED"]
