"""Retry runs: which ones, by which recipe, and whether they continue in their run directories.

A run continues if its job was ended early and an extension says how, from the files that it left.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pluggy

from pytest_remex.collect.fetch import fetch_outputs
from pytest_remex.collect.query import QueryOptions, query
from pytest_remex.collect.runs import CollectedRun, WantedRun, collect_offline
from pytest_remex.common.grouping import grouped
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.common.parts import ListedRun
from pytest_remex.common.paths import leads_out
from pytest_remex.common.protocol import ListOutputs, Outputs
from pytest_remex.display import Progress, counted
from pytest_remex.errors import RemexError, SweepError
from pytest_remex.experiment import Experiment
from pytest_remex.hooks import naming_hook
from pytest_remex.hookspecs import Continuation, ContinueProbe, RunFile
from pytest_remex.launch.candidate import Candidate, FailedProbe, Outcome
from pytest_remex.launch.decision import KnownRuns, decide
from pytest_remex.launch.options import LaunchOptions
from pytest_remex.records.index import RecordedRun, reached_by

if TYPE_CHECKING:
    from pytest_remex.launch.launcher import Launcher
    from pytest_remex.transport.connection import Connect

ENDED_EARLY = frozenset({JobState.TIMEOUT, JobState.PREEMPTED, JobState.NODE_FAIL})
"""The states of a job that was ended by something other than its program."""
MOST_LISTED = 2000
"""The most files that are listed for a run, the newest ones."""
_GONE = Continuation(reason="its run directory is gone")


class EndedEarly(NamedTuple):
    """A run whose job was ended early: its fetched outputs, and what matches its probe there.

    `fault` says why no extension can decide how it continues.
    """

    collected: CollectedRun
    listing: Outputs | None = None
    memo: object = None
    fault: str = ""


def probe_of(hooks: pluggy.HookRelay, experiment: Experiment) -> ContinueProbe | FailedProbe | None:
    """Ask extensions what to list for an experiment, whose path is its patched checkout.

    Raises `RemexError` for a pattern that leaves the run directory.
    """
    caller = hooks.pytest_remex_continue_probe
    try:
        with naming_hook(caller):
            probe: ContinueProbe | None = caller(experiment=experiment)
    except SweepError as error:  # reported only if the experiment is retried
        return FailedProbe(str(error))
    for pattern in probe.patterns if probe else ():
        if leads_out(pattern):
            raise RemexError(
                f"pytest_remex_continue_probe asks for {pattern!r}, which leaves the run "
                f"directory: make it relative"
            )
    return probe


def list_files(
    collected: Iterable[CollectedRun],
    probes: Mapping[str, ContinueProbe | FailedProbe],
    connect: Connect,
) -> list[EndedEarly]:
    """List the files that match the probes of runs, with one request per remote.

    Args:
        collected: The runs.
        probes: The probes, by run directory; a run without one is not listed.
        connect: Returns the connection to a remote.

    Raises:
        RemoteError: A remote cannot be queried.

    """
    runs = list(collected)
    wanted = grouped(
        (
            each.launch.remote,
            ListedRun(each.run.directory, list(probe.patterns), through_links=True),
        )
        for each in runs
        if isinstance(probe := probes.get(each.run.directory), ContinueProbe)
    )
    found: dict[str, Outputs] = {}
    for remote, group in wanted.items():
        request = ListOutputs(remote.runs, group, newest=MOST_LISTED)
        for event in connect(remote).ask(request):
            if isinstance(event, Outputs):
                found[event.directory] = event
    return [
        _ended_early(each, probes.get(each.run.directory), found.get(each.run.directory))
        for each in runs
    ]


def _ended_early(
    collected: CollectedRun, probe: ContinueProbe | FailedProbe | None, listing: Outputs | None
) -> EndedEarly:
    if isinstance(probe, FailedProbe):
        return EndedEarly(collected, fault=probe.why)
    return EndedEarly(collected, listing, probe.memo if probe else None)


def continuation_of(
    hooks: pluggy.HookRelay, ended: EndedEarly, experiment: Experiment
) -> Continuation:
    """Let extensions decide how a run continues; without a command it starts from scratch.

    Raises `SweepError` if one of their hooks raises.
    """
    if ended.fault:
        raise SweepError(ended.fault)
    listing = ended.listing
    if listing is not None and listing.gone:
        return _GONE
    if listing is not None and listing.refused:
        return Continuation(reason=listing.refused)
    from pytest_remex.collect.judge import make_run  # noqa: PLC0415 - few launches need it

    run, caller = make_run(ended.collected, experiment, hooks), hooks.pytest_remex_continue
    files = None
    if listing is not None:
        files = tuple(RunFile(e.path, e.size, e.mtime_ns / 1e9) for e in listing.files)
    with naming_hook(caller):
        answer: Continuation | Sequence[str] | None = caller(run=run, files=files, memo=ended.memo)
    if isinstance(answer, Continuation):
        return answer
    return Continuation(tuple(answer or ()))


class Retries:
    """The retries in a batch: one query for all, one fetch for runs that ended early.

    Args:
        candidates: The experiments of the batch, not all of them retries.
        connect: Returns the connection to a remote.
        folder: The folder of the fetched outputs.
        progress: Shows the progress of the fetch.
        certain: Whether a job counts as forgotten only if the controller itself was asked about it.

    Raises:
        RemoteError: A remote cannot be queried.
        RecordError: The answer cannot be recorded.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        connect: Connect,
        folder: Path,
        progress: Progress,
        *,
        certain: bool = False,
    ) -> None:
        retried = [(each.retried, each) for each in candidates if each.retried]
        self._candidates = [each for _, each in retried]
        runs = reached_by((run, each.remote) for run, each in retried)
        probes = {run.run.directory: each.probe for run, each in retried if each.probe}
        self._jobs = query(runs, connect, QueryOptions(certain=certain))
        early = [run for run in runs if self._jobs[run.run.directory].state in ENDED_EARLY]
        wanted = [WantedRun.as_launched(run) for run in early]
        fetched = fetch_outputs(wanted, connect, folder, progress) if early else []
        self._ended_early: Mapping[str, EndedEarly] = {
            each.collected.run.directory: each for each in list_files(fetched, probes, connect)
        }

    def settle(self, options: LaunchOptions) -> None:
        """Set the outcomes of those whose runs are alive, completed or unknown: no job for them."""
        for candidate in self._candidates:
            known, job = candidate.known, self._job(candidate.known)
            decision = decide(known, options, job)
            outcome = Outcome.unsent(known, decision)
            is_repeated = candidate.upstream_is_resent and job is not None and job.state.ended
            if outcome and not is_repeated:
                candidate.decision, candidate.outcome = decision, outcome

    def prepare(
        self, candidate: Candidate, launcher: Launcher, hooks: pluggy.HookRelay
    ) -> Continuation | None:
        """Choose the recipe of a retry, and whether its run continues in its directory.

        Returns:
            How the run continues; None if its job was not ended early, or it must start over.

        Raises:
            SweepError: The hook that decides raised.

        """
        run = candidate.retried
        if run is None:
            return None
        candidate.make_by(candidate.known.recipe_after(self._job(candidate.known)))
        ended = self._ended_early.get(run.run.directory)
        if ended is None or candidate.upstream_is_resent or candidate.is_on_new_base:
            return None
        how = continuation_of(hooks, ended, candidate.prepared.experiment)
        if how.command:
            words = shlex.join(how.command)
            candidate.resumed = launcher.prepare_continuation(run, words, candidate.prepared)
        return how

    def _job(self, known: KnownRuns) -> Job | None:
        run = known.decisive_run
        return self._jobs[run.run.directory] if run else None


class ContinuationPreview:
    """Find out how retried runs would continue, without fetching or submitting anything.

    `folder` is the folder of the fetched outputs.
    """

    def __init__(self, hooks: pluggy.HookRelay, folder: Path) -> None:
        self._hooks = hooks
        self._folder = folder
        self._probe: ContinueProbe | FailedProbe | None = None
        self._waiting: list[tuple[RecordedRun, Experiment, ContinueProbe | FailedProbe]] = []
        self._found: dict[str, Continuation] = {}

    def probe(self, experiment: Experiment) -> None:
        """Ask extensions what to list for an experiment, whose checkout is patched now.

        Raises `RemexError` for a pattern that leaves the run directory.
        """
        self._probe = probe_of(self._hooks, experiment)

    def add(self, planned: Candidate) -> None:
        """Add the run of the experiment that was probed last, if its job was ended early."""
        if planned.retried is None or self._probe is None:
            return
        (recorded,) = reached_by([(planned.retried, planned.remote)])
        final = recorded.run.final
        if final is not None and final.state in ENDED_EARLY:
            self._waiting.append((recorded, planned.prepared.experiment, self._probe))

    def determine(self, connect: Connect) -> list[str]:
        """List the requested files, if any, and let extensions decide.

        Returns:
            Messages on why it is unknown how some runs continue.
        """
        probes = {recorded.run.directory: probe for recorded, _, probe in self._waiting}
        runs = [WantedRun.as_launched(recorded) for recorded, _, _ in self._waiting]
        try:
            found = list_files(collect_offline(runs, self._folder), probes, connect)
        except RemexError as error:
            return [str(error)]
        problems: list[str] = []
        for (_, experiment, _), ended in zip(self._waiting, found, strict=True):
            directory = ended.collected.run.directory
            try:
                self._found[directory] = continuation_of(self._hooks, ended, experiment)
            except RemexError as error:
                problems.append(str(error))
            except Exception as error:  # noqa: BLE001 - an extension's hook, which may need outputs
                problems.append(f"{directory}: {type(error).__name__}: {error}")
        return problems

    def of(self, recorded: RecordedRun | None) -> Continuation | None:
        """Return how a run continues; None if that was not determined."""
        return self._found.get(recorded.run.directory) if recorded else None

    def counts(self) -> Counter[Continuation]:
        """Return the ways in which runs continue, with their numbers of runs."""
        return Counter(self._found.values())


def shown(how: Continuation) -> str:
    """Describe how a run continues, for a plan."""
    if how.command:
        reason = f" ({how.reason})" if how.reason else ""
        return f"continues with {shlex.join(how.command)}{reason}"
    return f"starts over: {how.reason or 'no extension says how it continues'}"


def continuation_summary(how: Continuation, count: int) -> str:
    """Return a line on how many runs continue in a way."""
    words = shown(how)
    if count > 1:
        words = words.replace("continues with", "continue with", 1).replace("starts", "start", 1)
    return f"{counted(count, 'experiment')} whose job was ended early {words}"
