"""Watch runs that are not fetched yet: why some failed, how far others are, what is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from pytest_remex.collect.failure import TAIL_LINES, job_cause, telling_line
from pytest_remex.collect.logs import last_line, read_ends, text_of
from pytest_remex.collect.manifest import JudgedNote, read_judged, write_judged
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.display import counted
from pytest_remex.io import writing
from pytest_remex.records.index import RecordedRun
from pytest_remex.transport import Connect

MOST = 500
"""The most running jobs, and the most failed jobs, whose output is read."""
_SEEN = "seen "
"""Prefix of the job id in a note that was made by status, before any collect."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_STARTED = frozenset({JobState.RUNNING, JobState.COMPLETING, JobState.SUSPENDED})


@dataclass(frozen=True, slots=True)
class OutputSummary:
    """What a job's output says: its end, the most important line, and the cause if it failed."""

    text: str = ""
    line: str = ""
    cause: str = ""


class OutputWatcher:
    """Read the output of jobs: of running jobs every time, of failed jobs once.

    Args:
        folder: The folder for outputs; notes on failed jobs are stored in the runs' folders.
        connect: Returns the connection to a remote.

    """

    def __init__(self, folder: Path, connect: Connect) -> None:
        self._folder = folder
        self._connect = connect
        self._summaries: dict[str, OutputSummary] = {}

    def of(self, recorded: RecordedRun) -> OutputSummary:
        """Return what is known about a run's output."""
        return self._summaries.get(recorded.run.directory, OutputSummary())

    def read(self, watched: Sequence[tuple[RecordedRun, Job]]) -> None:
        """Read the output of runs with their jobs; one request per remote.

        Raises:
            RemoteError: A remote cannot be queried.
            RecordError: A note cannot be written; by then everything was read.

        """
        failed = [pair for pair in watched if pair[1].state.failed and not self._is_known(*pair)]
        asked = [pair for pair in failed if pair[1].state not in _WITHOUT_OUTPUT][:MOST]
        running = [pair for pair in watched if pair[1].state in _STARTED][:MOST]
        ends = read_ends([recorded for recorded, _ in [*asked, *running]], self._connect)
        texts = {name: text_of(pieces) for name, pieces in ends.items()}
        for recorded, _ in running:
            text = texts.get(recorded.run.directory, "")
            self._summaries[recorded.run.directory] = OutputSummary(text, last_line(text))
        for recorded, job in failed:
            text = texts.get(recorded.run.directory, "")
            cause = "" if job.state in _WITHOUT_OUTPUT else job_cause(job, text)
            self._summaries[recorded.run.directory] = OutputSummary(text, telling_line(text), cause)
        for recorded, job in failed:
            self._keep(recorded, job, self._summaries[recorded.run.directory])

    def _is_known(self, recorded: RecordedRun, job: Job) -> bool:
        directory = recorded.run.directory
        if directory in self._summaries and self._summaries[directory].cause:
            return True
        note = read_judged(self._folder / directory)
        if not note.cause or note.job not in {job.id, _SEEN + job.id}:
            return False
        self._summaries[directory] = OutputSummary(
            note.log, note.cause.partition(": ")[2], note.cause
        )
        return True

    def _keep(self, recorded: RecordedRun, job: Job, summary: OutputSummary) -> None:
        if not summary.text:
            return
        folder = self._folder / recorded.run.directory
        log = "\n".join(summary.text.splitlines()[-TAIL_LINES:])
        with writing(folder):
            (folder / ".remex").mkdir(parents=True, exist_ok=True)
        write_judged(folder, JudgedNote(job=_SEEN + job.id, log=log, cause=summary.cause))


_WITHOUT_OUTPUT = frozenset({JobState.REJECTED, JobState.LOST, JobState.PURGED})


def estimate(jobs: Sequence[tuple[Job, float | None]]) -> str:
    """Return a sentence on what is left; empty if all have ended.

    Args:
        jobs: The jobs, each with its progress from 0 to 1, if known.

    """
    live = [(job, progress) for job, progress in jobs if job.state.live]
    if not live:
        return ""
    running = [(job, progress) for job, progress in live if job.state in _STARTED]
    left = f"{counted(len(live), 'job')} left, {len(running)} of them running"
    whole = _whole_times(jobs)
    if not whole:
        return f"{left}: no estimate before one has completed"
    mean = fmean(whole)
    known = f"{counted(len(whole), 'job')} of {readable(mean)}" + (" on average" * (len(whole) > 1))
    if not running:
        return f"{left}: about {readable(mean)} each, by {known}"
    if any(not progress and (job.elapsed or 0.0) > mean for job, progress in running):
        return f"{left}: no estimate, as one runs longer than {known}"
    rest = [_rest(job, progress, mean) for job, progress in running]
    waiting = mean * (len(live) - len(running))
    seconds = max(*rest, (sum(rest) + waiting) / len(running))
    return f"{left}: about {readable(seconds)} to go, by {known}"


def _whole_times(jobs: Sequence[tuple[Job, float | None]]) -> list[float]:
    """Return how long jobs took, or will probably take, judging by their progress."""
    return [
        job.elapsed / (1.0 if job.state is JobState.COMPLETED else progress or 1.0)
        for job, progress in jobs
        if job.elapsed and (job.state is JobState.COMPLETED or (job.state.live and progress))
    ]


def _rest(job: Job, progress: float | None, mean: float) -> float:
    elapsed = job.elapsed or 0.0
    rest = elapsed * (1 - progress) / progress if progress else mean - elapsed
    return max(0.0, rest)


def readable(seconds: float) -> str:
    """Format a duration for people: `40 s`, `12 min`, `3 h`, `2 days`."""
    if seconds < 1.5 * _MINUTE:
        return f"{seconds:.0f} s" if seconds >= 1 else "1 s"
    if seconds < 1.5 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < 2 * _DAY:
        return f"{seconds / _HOUR:.0f} h"
    return f"{seconds / _DAY:.0f} days"
