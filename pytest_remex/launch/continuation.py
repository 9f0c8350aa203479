"""Continue runs whose jobs were ended early: list their files, and let extensions decide how."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pluggy

from pytest_remex.collect.runs import CollectedRun, WantedRun, collect_offline
from pytest_remex.common.grouping import grouped
from pytest_remex.common.jobs import JobState
from pytest_remex.common.parts import ListedRun
from pytest_remex.common.paths import leads_out
from pytest_remex.common.protocol import ListOutputs, Outputs
from pytest_remex.display import counted
from pytest_remex.errors import RemexError, SweepError
from pytest_remex.experiment import Experiment
from pytest_remex.hooks import naming_hook
from pytest_remex.hookspecs import Continuation, ContinueProbe, RunFile
from pytest_remex.launch.candidate import Candidate, FailedProbe
from pytest_remex.records.index import RecordedRun, reached_by

if TYPE_CHECKING:
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
