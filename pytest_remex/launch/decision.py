"""Decide what submit does with an experiment: plan shows it, submit does it.

A retry depends on the state of the last job, which one query determines for a whole batch.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from pytest_remex.collect.manifest import is_only_elsewhere, read_judged, read_outputs
from pytest_remex.collect.removal import removal_of
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.launch.options import LaunchOptions, Resubmit
from pytest_remex.launch.recognition import EarlierRun
from pytest_remex.records.index import RecordedRun
from pytest_remex.repo.workspace import Prepared


class Decision(StrEnum):
    """The decision of submit on an experiment."""

    NEW = "submit: it has no run"
    FINISH = "finish the launch that was interrupted"
    AGAIN = "submit again, whatever the state of its run"
    RETRY = "submit again: its job or its check failed"
    ASK = "look at its job's state, which decides"
    UNJUDGED = "nothing: whether its check passed is not recorded"
    ELSEWHERE = "nothing: another client or user is submitting it"
    OTHER_BASE = "nothing: it has a run on another base"
    ALREADY = "nothing: it has a run"

    @property
    def is_sent(self) -> bool:
        """Whether the experiment gets a job."""
        return self.is_sent_again or self in {Decision.NEW, Decision.FINISH}

    @property
    def is_sent_again(self) -> bool:
        """Whether the experiment gets a job besides one that it had."""
        return self in {Decision.AGAIN, Decision.RETRY}


class KnownRuns(NamedTuple):
    """What the records say about an experiment: its own run, and its point's on another base.

    `purged` means that the outputs of its own run are gone without having been fetched: see
    `is_purged`. `verdict` is that of the run that a retry depends on: see `recorded_verdict`.
    `recipes` is the sweep's number of recipes. `is_incomplete` means that a run after it did not
    find the files that it brings.
    """

    run: RecordedRun | None = None
    earlier: EarlierRun | None = None
    purged: bool = False
    verdict: str = ""
    recipes: int = 0
    is_incomplete: bool = False

    @property
    def is_useless(self) -> bool:
        """Whether the outputs of its own run are missing, or not what the downstream needs."""
        return self.purged or self.is_incomplete

    def with_notes(self, folder: Path) -> KnownRuns:
        """Include what collects recorded in the folder of the fetched outputs."""
        verdict = recorded_verdict(self.decisive_run, folder)
        return self._replace(purged=is_purged(self.run, folder), verdict=verdict)

    def shared_with(self, prepared: Prepared) -> Prepared:
        """Return an experiment with those objects of its run's record that are equal to its own."""
        run = self.run.run if self.run else None
        if run is None or (prepared.commit, prepared.identity) != (run.commit, run.identity):
            return prepared
        return replace(prepared, commit=run.commit, identity=run.identity or prepared.identity)

    @property
    def is_only_purged(self) -> bool:
        """Whether its own run completed well, and only its outputs are missing.

        What comes after it had these outputs, so a retry restores them for its own sake.
        """
        final = self.run.run.final if self.run else None
        is_well = final is not None and final.state is JobState.COMPLETED
        return self.purged and is_well and not self.is_incomplete and self.verdict != "FAILED"

    @property
    def decisive_run(self) -> RecordedRun | None:
        """The run that a retry depends on: its own, if it has one."""
        return self.run or (self.earlier.recorded if self.earlier else None)

    @property
    def has_next_recipe(self) -> bool:
        """Whether the sweep has a recipe after that of its run."""
        return self.run is not None and self.run.run.recipe + 1 < self.recipes

    def recipe_after(self, job: Job | None) -> int:
        """Return the recipe for a retry.

        It is the next one if the program or its check failed, and the same one if something else
        ended the job, or if no other is left.
        """
        if self.run is None:
            return 0
        failed = job is not None and job.state in {JobState.FAILED, JobState.COMPLETED}
        return self.run.run.recipe + (failed and self.has_next_recipe)


def decide(known: KnownRuns, options: LaunchOptions, job: Job | None = None) -> Decision:
    """Return what a submit does with an experiment.

    Args:
        known: The runs that the experiment has.
        options: The user's choices.
        job: The job that a retry depends on, if its state is known.

    Returns:
        The decision; `ASK` only if it depends on `job` and that is None.
    """
    if known.run is None:
        return _decide_by_earlier(known, options, job)
    if not known.run.run.settled:
        return _decide_unfinished(known.run, options)
    match options.resubmit:
        case Resubmit.ALWAYS:
            return Decision.AGAIN
        case Resubmit.NEVER:
            return Decision.ALREADY
    return _decide_by_run(known, options, job)


def _decide_unfinished(run: RecordedRun, options: LaunchOptions) -> Decision:
    if not run.record.owner and not is_continued_elsewhere(run):
        return Decision.FINISH
    return Decision.AGAIN if options.resubmit is Resubmit.ALWAYS else Decision.ELSEWHERE


def is_continued_elsewhere(recorded: RecordedRun) -> bool:
    """Return whether another client was continuing a run: its command is not taken from a copy."""
    run = recorded.run
    return run.job_number > 1 and not run.command and not run.settled


def _decide_by_run(known: KnownRuns, options: LaunchOptions, job: Job | None) -> Decision:
    if known.is_useless:
        return Decision.RETRY
    completed_elsewhere = known.earlier is not None and known.earlier.completed
    if completed_elsewhere and not options.new_base and not _may_fail_check(known, options, job):
        return Decision.ALREADY
    return _decide_by_job(known, options, job, Decision.ALREADY)


def _decide_by_earlier(known: KnownRuns, options: LaunchOptions, job: Job | None) -> Decision:
    if known.earlier is None or options.new_base:
        return Decision.NEW
    if options.resubmit.is_retry and known.earlier.recorded.run.settled:
        return _decide_by_job(known, options, job, Decision.OTHER_BASE)
    return Decision.OTHER_BASE


def _may_fail_check(known: KnownRuns, options: LaunchOptions, job: Job | None) -> bool:
    """Return whether a retry depends on the verdict of the run's check, not on its job alone."""
    has_completed = job is None or job.state is JobState.COMPLETED
    return has_completed and (options.resubmit is Resubmit.CHECK or known.has_next_recipe)


def _decide_by_job(
    known: KnownRuns, options: LaunchOptions, job: Job | None, otherwise: Decision
) -> Decision:
    if job is None:
        return Decision.ASK
    if job.state.failed or (options.resubmit is Resubmit.FORGOTTEN and job.is_forgotten):
        return Decision.RETRY
    if _may_fail_check(known, options, job):
        by_verdict = {"": Decision.UNJUDGED, "FAILED": Decision.RETRY}
        return by_verdict.get(known.verdict, otherwise)
    return otherwise


def is_purged(recorded: RecordedRun | None, folder: Path) -> bool:
    """Return whether a run was removed, or its directory disappeared, before it was collected.

    `folder` is the folder of the fetched outputs.
    """
    if recorded is None or not recorded.run.settled:
        return False
    here = folder / recorded.run.directory
    outputs = read_outputs(here)
    is_lost = outputs.gone and not is_only_elsewhere(recorded.run, outputs)
    removal = removal_of(recorded.run, here)
    return is_lost or (removal.purged and not removal.collected)


def recorded_verdict(recorded: RecordedRun | None, folder: Path) -> str:
    """Return the last collect's verdict on a run's job; empty if no collect judged that job.

    `folder` is the folder of the fetched outputs.
    """
    if recorded is None or not recorded.run.job:
        return ""
    note = read_judged(folder / recorded.run.directory)
    return note.verdict if note.job == recorded.run.job else ""


def recorded_job(recorded: RecordedRun | None) -> Job | None:
    """Return a run's job from its record; None if no status or collect has seen its end."""
    return recorded.run.final if recorded else None
