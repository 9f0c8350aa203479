"""The mode clean: remove run directories, fetched outputs, or both, of the selected experiments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from rich import filesize

from pytest_remex.collect.query import query
from pytest_remex.collect.removal import RunRemoval, clean, total
from pytest_remex.common.jobs import Job
from pytest_remex.common.protocol import Removed
from pytest_remex.display import counted
from pytest_remex.model import Remote, Repo
from pytest_remex.pytest_plugin.facts import note_facts, run_facts
from pytest_remex.pytest_plugin.item_outcomes import fail, say, skip
from pytest_remex.pytest_plugin.mode import STOPPED, ModeContext, was_stopped
from pytest_remex.pytest_plugin.query_mode import QueryMode
from pytest_remex.pytest_plugin.selection import FoundRuns, query_options
from pytest_remex.records.index import RecordedRun


class CleanMode(QueryMode):
    """The mode clean: remove what ended; without `--remex-yes` only say what that would be."""

    def __init__(self, context: ModeContext, items: Sequence[pytest.Function]) -> None:
        super().__init__(context, items)
        self._jobs: dict[str, Job] = {}
        self._directories: dict[str, Removed] = {}
        self._outputs: dict[str, tuple[int, int]] = {}
        self._needed_by: dict[str, str] = {}
        self._uncollected = self._elsewhere = self._large = 0

    def begin(self, found: FoundRuns, _repo: Repo, _remote: Remote) -> None:
        """Measure what can be removed, and remove it if the user agreed."""
        settings, connect = self.settings, self.context.connections.to
        runs = {each.run.directory: each for each in found.runs.values()}  # variants may share one
        options = replace(query_options(self.context), release=False)
        self._jobs |= query(runs.values(), connect, options)
        ended = {name: each for name, each in runs.items() if self._jobs[name].state.ended}
        removal = RunRemoval(
            directories=settings.only != "outputs",
            outputs=settings.only != "runs",
            measure=not settings.yes,
        )
        cleaned = clean(ended, found.index, connect, settings.runs, removal)
        self._directories |= cleaned.directories
        self._outputs |= cleaned.outputs
        self._needed_by |= cleaned.needed_by
        self._uncollected += cleaned.uncollected
        self._elsewhere += cleaned.elsewhere
        self._large += cleaned.large

    def show(self, item: pytest.Function, recorded: RecordedRun) -> None:
        """Show what was removed of a run, or why it was left."""
        __tracebackhide__ = True
        directory, job = recorded.run.directory, self._jobs[recorded.run.directory]
        note_facts(item, **run_facts(recorded, job))
        if not job.state.ended:
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
        if not self.settings.yes:
            say(item, f"WOULD REMOVE {_size(files, size)}")
            skip("--remex-yes removes it")
        note_facts(item, removed={"files": files, "bytes": size})
        say(item, f"REMOVED {_size(files, size)}", counted="removed")

    def summarize(self) -> None:
        """Say what was removed, or what would be removed."""
        terminal, is_done = self.terminal, self.settings.yes
        done = "removed" if is_done else "would be removed"
        many, files, size = total(self._directories)
        if many:
            what = f"{many} run director{'y' if many == 1 else 'ies'}"
            terminal.say(f"{done}: {what}, {_size(files, size)}")
        if self._outputs:
            files, size = (sum(each) for each in zip(*self._outputs.values(), strict=True))
            what = f"outputs here of {counted(len(self._outputs), 'run')}"
            terminal.say(f"{done}: {what}, {_size(files, size)}")
        is_something = bool(many or self._outputs)
        is_stopped = not is_something and was_stopped(self.session)
        if not is_something and not is_stopped:
            terminal.say("there is nothing to remove")
        for count, text, advice in (
            (self._uncollected, "not collected yet", "--remex-collect fetches the outputs first"),
            (self._elsewhere, "collected by others only", "--remex-collect fetches them here too"),
            (self._large, "lacking outputs above remex_max_file", "raise it, and collect"),
        ):
            if count:
                end = "" if is_done else f": {advice}"
                terminal.say(f"{counted(count, 'run')} {text}{end}", yellow=True)
        removes = "--remex-clean --remex-yes removes that"
        left = STOPPED if is_stopped else "--remex-status shows what is left"
        terminal.say_next(removes if is_something and not is_done else left)


def _size(files: int, size: int) -> str:
    return f"{filesize.decimal(size)} in {counted(files, 'file')}"
