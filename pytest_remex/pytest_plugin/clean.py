"""The mode clean: remove run directories, fetched outputs, or both, of the selected experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from rich import filesize

from pytest_remex.collect.manifest import read_outputs
from pytest_remex.collect.query import QueryOptions, query
from pytest_remex.collect.removal import (
    measure_directories,
    measure_outputs,
    remove_directories,
    remove_outputs,
    total,
)
from pytest_remex.common.jobs import Job
from pytest_remex.common.protocol import Removed
from pytest_remex.display import counted
from pytest_remex.pytest_plugin.facts import note_facts, run_facts
from pytest_remex.pytest_plugin.item_outcomes import fail, say, skip
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.pytest_plugin.selection import QueryMode
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.schema import MAY_HAVE_JOB


class CleanMode(QueryMode):
    """The plugin of the mode clean; without `--remex-yes` it only says what it would remove."""

    def __init__(
        self, session: pytest.Session, settings: Settings, items: Sequence[pytest.Function]
    ) -> None:
        super().__init__(session, settings, items)
        self._jobs: dict[str, Job] = {}
        self._directories: dict[str, Removed] = {}
        self._outputs: dict[str, tuple[int, int]] = {}
        self._uncollected = 0
        self._needed_by: dict[str, str] = {}

    def pytest_sessionfinish(self) -> None:
        """Close the connections."""
        self._connections.close()

    def pytest_terminal_summary(self) -> None:
        """Say what was removed, or what would be removed."""
        done = "removed" if self._settings.yes else "would be removed"
        many, files, size = total(self._directories)
        if many:
            what = f"{many} run director{'y' if many == 1 else 'ies'}"
            self._terminal.say(f"{done}: {what}, {_size(files, size)}")
        if self._outputs:
            files, size = (sum(each) for each in zip(*self._outputs.values(), strict=True))
            what = f"outputs here of {counted(len(self._outputs), 'run')}"
            self._terminal.say(f"{done}: {what}, {_size(files, size)}")
        if not many and not self._outputs:
            self._terminal.say("there is nothing to remove")
        elif self._uncollected and self._settings.only != "outputs":
            text = f"{counted(self._uncollected, 'run')} not collected yet"
            advice = "" if self._settings.yes else ": --remex-collect fetches the outputs first"
            self._terminal.say(text + advice, yellow=True)
        self._terminal.say_next(self._next_command(found=bool(many or self._outputs)))
        self._terminal.summary("remex clean")

    def _next_command(self, *, found: bool) -> str:
        if found and not self._settings.yes:
            return "--remex-clean --remex-yes removes that"
        return "--remex-status shows what is left"

    def _begin(self, runs: Mapping[str, RecordedRun]) -> None:
        """Measure what can be removed, and remove it if the user agreed."""
        options = replace(self._query_options, release=False)
        self._jobs |= query(runs.values(), self._connections.to, options)
        by_name = {each.run.directory: each for each in runs.values()}  # variants may share a run
        ended = [each for each in by_name.values() if self._has_ended(each)]
        if self._settings.only != "outputs":
            self._needed_by |= self._needed(ended)
        ended = [each for each in ended if each.run.directory not in self._needed_by]
        folder, names = self._settings.runs, [each.run.directory for each in ended]
        if self._settings.only != "runs":
            measured = {name: measure_outputs(folder / name) for name in names}
            self._outputs |= {name: found for name, found in measured.items() if found[0]}
        complete = {name for name in names if read_outputs(folder / name).complete}
        if self._settings.only != "outputs":
            if self._settings.yes:
                self._directories |= remove_directories(ended, self._connections.to, folder)
            else:
                self._directories |= measure_directories(ended, self._connections.to)
        removed = {name: self._directories[name] for name in names if name in self._directories}
        there = {name for name, each in removed.items() if not (each.gone or each.refused)}
        self._uncollected += len(there - complete)
        if self._settings.yes:
            for name in self._outputs.keys() & set(names):
                remove_outputs(folder / name)

    def _needed(self, runs: Sequence[RecordedRun]) -> dict[str, str]:
        """Return the nodes that may still need files of runs, by run directory."""
        after = {each.run.directory: self._unended_after(each) for each in runs}
        asked = {each.run.directory: each for some in after.values() for each in some}
        options = QueryOptions(release=False, explain=False)
        jobs = query(asked.values(), self._connections.to, options)
        return {
            directory: needing[0].run.node
            for directory, some in after.items()
            if (needing := [each for each in some if not jobs[each.run.directory].state.ended])
        }

    def _unended_after(self, recorded: RecordedRun) -> list[RecordedRun]:
        after = self._index.all_downstream_of(recorded.run.directory)
        return [each for each in after if not each.run.final and each.run.stage in MAY_HAVE_JOB]

    def _show(self, item: pytest.Function, recorded: RecordedRun) -> None:
        __tracebackhide__ = True
        directory, job = recorded.run.directory, self._jobs[recorded.run.directory]
        note_facts(item, **run_facts(recorded, job))
        if not self._has_ended(recorded):
            say(item, f"LEFT, {job.state} job {job.id}")
            skip("its job has not ended, or its state is unknown")
        if (node := self._needed_by.get(directory)) is not None:
            say(item, f"LEFT, needed by {node}")
            skip(f"{node}, which comes after it, has not ended and may need its files")
        reply = self._directories.get(directory)
        if reply is not None and reply.refused:
            fail(f"the run directory {directory} was not removed: {reply.refused}")
        is_there = reply is not None and not reply.gone
        files, size = self._outputs.get(directory, (0, 0))
        if not is_there and not files:
            say(item, "NOTHING TO REMOVE")
            skip("there is nothing to remove")
        files, size = files + (reply.files if reply else 0), size + (reply.bytes if reply else 0)
        if not self._settings.yes:
            say(item, f"WOULD REMOVE {_size(files, size)}")
            skip("--remex-yes removes it")
        note_facts(item, removed={"files": files, "bytes": size})
        say(item, f"REMOVED {_size(files, size)}", counted="removed")

    def _has_ended(self, recorded: RecordedRun) -> bool:
        return self._jobs[recorded.run.directory].state.ended


def _size(files: int, size: int) -> str:
    return f"{filesize.decimal(size)} in {counted(files, 'file')}"
