"""Judge a run: its job's state, its outputs, the config that ran, and its own check.

This does not need pytest. The hooks are a pluggy relay, pytest's or a script's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pluggy

from pytest_remex.collect.failure import (
    assertion_of,
    config_differences,
    job_cause,
    job_failure,
    last_lines,
    missing_outputs,
    output_of,
)
from pytest_remex.collect.manifest import (
    JudgedNote,
    first_present,
    has_notes,
    patch_digest,
    read_judged,
)
from pytest_remex.collect.recorder import RunRecorder
from pytest_remex.collect.runs import CollectedRun
from pytest_remex.common.jobs import JobState
from pytest_remex.errors import RemexError, RemoteError
from pytest_remex.experiment import Experiment, Run, Upstream, as_written
from pytest_remex.hooks import GuardedHooks, naming_hook
from pytest_remex.model import Config, Scalar, Sweep
from pytest_remex.repo.git_process import without_git_variables
from pytest_remex.repo.workspace import Workspace
from pytest_remex.sweep import SweepCall
from pytest_remex.variant import GRID, Variant


class RunPendingError(RemexError):
    """A run cannot be judged: its job has not ended, is unknown, or its outputs are elsewhere."""


class RunFailedError(RemexError):
    """A run failed before its own check: its job, its outputs or its config are wrong."""


class JudgedRun(NamedTuple):
    """An experiment and its outcome: a row of the results.

    `verdict` names the outcome, empty if the run was not judged; `reason` is one line that says
    why. `note` is what the next collect and the report need; `note_changed` means that it differs
    from the one on the disk. `curves` are digests of the recorded curves, by name.
    """

    node: str
    parameters: Config
    collected: CollectedRun
    verdict: str = ""
    reason: str = ""
    measures: Mapping[str, Scalar] = {}
    note: JudgedNote = JudgedNote()
    note_changed: bool = False
    curves: Mapping[str, str] = {}
    before: Mapping[str, Scalar] = {}
    """The measures of what it came after, each as `<sweep>.<name>`."""
    variant: Variant = GRID
    """The variant of the grid that it is judged for."""
    check: str = ""
    """The digest of the sweep function's check."""

    @property
    def sweep(self) -> Sweep:
        """The current sweep."""
        return self.collected.sweep


class RunJudge:
    """Judge one run; `result` is what is known about it so far, also after a step has failed.

    `begun` is what is known at the start.
    `keep` is called with it each time that something was recorded; `watch` is on while the sweep
    function and hooks read.
    """

    def __init__(
        self,
        begun: JudgedRun,
        keep: Callable[[JudgedRun], None] = lambda _result: None,
        watch: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.collected = begun.collected
        self._keep = keep
        self._watch = watch
        self.result = begun

    def check(
        self, experiment: Experiment, call: SweepCall, workspace: Workspace, hooks: GuardedHooks
    ) -> None:
        """Judge the run of a completed job, up to its sweep function's own check.

        Args:
            experiment: The experiment; its path is the checkout that `call` patches.
            call: The call of the sweep function, not yet started.
            workspace: The repository at the base commit of the launch.
            hooks: The hooks that read outputs and configs, and add measures.

        Raises:
            RunFailedError: An output is missing, or the config that ran is not the requested one.
            Exception: What the sweep function raises: an AssertionError if its check fails.

        """
        __tracebackhide__ = True
        if why := missing_outputs(self.collected):
            raise RunFailedError(why)
        with without_git_variables(), self._watch():
            call.patch(workspace.scratch.path)
        self._compare_patch(workspace)
        there = as_written(replace(experiment, path=self.collected.folder))
        with self._watch():
            run = make_run(self.collected, there, hooks.relay)
        if wrong := config_differences(experiment.asked, run.config or {}):
            call.close()
            raise RunFailedError(
                f"the config that ran is not the config asked for: {'; '.join(wrong)} (if the "
                f"sweep says it wrongly, correct it and collect again)"
            )
        with self._watch():
            self._check_by_function(run, call, hooks)

    def take(self, measures: Mapping[str, Scalar], curves: Mapping[str, str]) -> None:
        """Take what an earlier check recorded, which holds still."""
        self.result = self.result._replace(measures=measures, curves=curves)

    def check_job(self) -> None:
        """Note the last lines of the job's output, and check that the job completed.

        Raises:
            RunPendingError: The job has not ended, its state is unknown, or another user has
                collected the run, whose directory no longer exists.
            RunFailedError: The job ended without success.

        """
        __tracebackhide__ = True
        kept = read_judged(self.collected.folder)
        self._note(kept, kept if self._is_still_valid(kept) else self._new_note())
        job = self.collected.job
        if job.state is JobState.UNKNOWN or job.state.live:
            raise RunPendingError(job.reason or f"the job is {job.state}")
        if job.state is JobState.PURGED and self.collected.run.collected is not None:
            raise RunPendingError(job.reason)
        if job.state is not JobState.COMPLETED:
            raise RunFailedError(job_failure(self.collected))

    def conclude(self, outcome: str, reason: str, error: BaseException | None = None) -> None:
        """Set the verdict, and note the cause of a failure.

        Args:
            outcome: passed, failed or skipped.
            reason: One line that says why; empty if it passed.
            error: The exception, if it failed.

        """
        note, verdict = self.result.note, _verdict(outcome, self.collected)
        cause = self._cause(error) if outcome == "failed" else ""
        files = self.collected.sweep.config_files
        ran = self.collected.job.state is JobState.COMPLETED
        check = self.result.check if ran else ""
        judged = note._replace(cause=cause, verdict=verdict, config_files=files, check=check)
        changed = self._changes(note, judged)
        self.result = self.result._replace(
            verdict=verdict, reason=reason, note=judged, note_changed=changed
        )
        if self.result.measures:
            self._keep(self.result)

    def _check_by_function(self, run: Run, call: SweepCall, hooks: GuardedHooks) -> None:
        """Run the sweep function's own check; what it recorded is kept even if it fails."""
        __tracebackhide__ = True
        parameters = {**run.experiment.point, **self.result.parameters}
        added = _added_measures(run, hooks)

        def note() -> None:
            measures = {**added, **recorder.measures}
            self.result = self.result._replace(measures=measures, curves=recorder.curves)

        def keep() -> None:
            note()
            self._keep(self.result)

        recorder = RunRecorder(self.collected.folder, parameters, keep)
        try:
            recorder.record(call.check(replace(run, recorder=recorder)))
        finally:
            note()

    def _compare_patch(self, workspace: Workspace) -> None:
        """Note whether the current patch makes what ran: another message does not count."""
        commit, note = self.collected.run.commit, self.result.note
        edits = workspace.scratch.patch().edits
        digest = patch_digest(commit.sha, edits)
        if note.patch == digest:
            return
        changed = (workspace.base, workspace.committer.tree(edits)) != commit.identity
        diff = workspace.diff(edits)
        self._note(note, note._replace(patch=digest, changed=changed, diff=diff))

    def _cause(self, error: BaseException | None) -> str:
        job = self.collected.job
        if job.state is JobState.COMPLETED:
            return assertion_of(error)
        if job.state is JobState.REJECTED:
            return ""  # the scheduler's reason is enough
        return job_cause(job, output_of(self.collected))

    def _is_still_valid(self, kept: JudgedNote) -> bool:
        # Once all outputs of a job are here, the job's last lines do not change.
        return self.collected.outputs.complete and kept.job == self.collected.job.id

    def _new_note(self) -> JudgedNote:
        return JudgedNote(job=self.collected.job.id, log=last_lines(self.collected))

    @cached_property
    def _has_notes(self) -> bool:
        return has_notes(self.collected.folder)

    def _note(self, kept: JudgedNote, note: JudgedNote) -> None:
        self.result = self.result._replace(note=note, note_changed=self._changes(kept, note))

    def _changes(self, kept: JudgedNote, note: JudgedNote) -> bool:
        """Return whether a note that replaces another one has to be written."""
        return self.result.note_changed or (note != kept and self._has_notes)


def make_run(collected: CollectedRun, experiment: Experiment, hook: pluggy.HookRelay) -> Run:
    """Return the run for its sweep function; the hooks read its config and its files."""

    def read(path: Path, options: Mapping[str, object]) -> object:
        with naming_hook(hook.pytest_remex_read):
            content = hook.pytest_remex_read(path=path, options=options)
        if content is None:
            raise RemoteError(
                f"no reader knows {path.name}: read run.path / {path.name!r} yourself, or "
                f"implement the hook pytest_remex_read in conftest.py"
            )
        return content

    before, upstream = collected.upstream, experiment.comes_after
    return Run(
        path=collected.folder,
        config=read_back_config(collected.folder, experiment.sweep, hook),
        job=collected.job,
        output=first_present(collected.folder, collected.logs),
        experiment=experiment,
        reader=read,
        upstream=make_run(before, _experiment_of(upstream, before.folder), hook)
        if before and upstream
        else None,
    )


def _experiment_of(upstream: Upstream, folder: Path) -> Experiment:
    sweep, point, config = upstream.sweep, upstream.point, upstream.config
    return Experiment(sweep, upstream.id, point, config, folder, comes_after=upstream.comes_after)


def read_back_config(folder: Path, sweep: Sweep, hook: pluggy.HookRelay) -> Config | None:
    """Read the config from a sweep's config files in a folder; None if no hook reads it."""
    files = sweep.config_files
    named = list(files) if len(files) > 1 else sweep.config_file
    with naming_hook(hook.pytest_remex_config):
        config: Config | None = hook.pytest_remex_config(path=folder, config_file=named)
    return config


def _added_measures(run: Run, hooks: GuardedHooks) -> dict[str, Scalar]:
    added: dict[str, Scalar] = {}
    for measures in reversed(hooks.call("pytest_remex_measures", run=run)):
        added.update(measures)
    return added


def _verdict(outcome: str, collected: CollectedRun) -> str:
    """Return the name of the outcome, or the state of a job that has not ended."""
    job = collected.job
    if outcome != "skipped" or job.state is JobState.COMPLETED:
        return outcome.upper()
    return f"{job.state}, PARTIAL" if collected.outputs.files else str(job.state)
