"""How runs go on whose jobs were ended early: what is listed, and what extensions decide."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pluggy

from pytest_remex.collect.hooks import naming_hook
from pytest_remex.collect.judge import make_run
from pytest_remex.collect.pipeline import CollectedRun, WantedRun, collect_offline
from pytest_remex.collect.query import Connect
from pytest_remex.common.jobs import JobState
from pytest_remex.common.parts import ListedRun
from pytest_remex.common.protocol import ListOutputs, Outputs
from pytest_remex.errors import RemexError, SweepError
from pytest_remex.hookspecs import Continuation, ContinueProbe, RunFile
from pytest_remex.interaction import counted
from pytest_remex.model import Experiment, Remote
from pytest_remex.records.index import RecordedRun

ENDED_EARLY = frozenset({JobState.TIMEOUT, JobState.PREEMPTED, JobState.NODE_FAIL})
"""States of a job that was ended by something else than its program."""
MOST_LISTED = 2000
"""Files listed of a run: the newest decide how it goes on."""
_GONE = Continuation(reason="its run directory is gone")


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a run directory that a probe asks for; `refused` says why there are none."""

    files: tuple[RunFile, ...] = ()
    gone: bool = False
    refused: str = ""


@dataclass(frozen=True, slots=True)
class FailedProbe:
    """A hook that should have said what is to be listed, and raised; `why` names it."""

    why: str


@dataclass(frozen=True, slots=True)
class EndedEarly:
    """A run whose job was ended early: what is here of it, and what was listed on the cluster.

    `fault` is why no extension can say how it goes on.
    """

    collected: CollectedRun
    listing: Listing | None = None
    memo: object = None
    fault: str = ""


def probe_of(hooks: pluggy.HookRelay, experiment: Experiment) -> ContinueProbe | FailedProbe | None:
    """Return what extensions ask for of an experiment, whose path is its patched checkout.

    Raises `RemexError` for a pattern that leaves the run directory.
    """
    caller = hooks.pytest_remex_continue_probe
    try:
        with naming_hook(caller):
            probe: ContinueProbe | None = caller(experiment=experiment)
    except SweepError as error:  # told where the experiment is retried
        return FailedProbe(str(error))
    for pattern in probe.patterns if probe else ():
        if pattern.startswith("/") or ".." in pattern.split("/"):
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
    """List what the probes of runs ask for, with one request for each remote.

    Args:
        collected: The runs.
        probes: The probes, by run directory; a run without one is not listed.
        connect: Returns the connection to a remote.

    Raises:
        RemoteError: A remote cannot be asked.

    """
    runs = list(collected)
    wanted: dict[Remote, list[ListedRun]] = {}
    for each in runs:
        probe = probes.get(each.run.directory)
        if isinstance(probe, ContinueProbe):
            listed = ListedRun(each.run.directory, list(probe.patterns))
            wanted.setdefault(each.launch.remote, []).append(listed)
    found: dict[str, Listing] = {}
    for remote, group in wanted.items():
        request = ListOutputs(remote.runs, group, newest=MOST_LISTED)
        for event in connect(remote).ask(request):
            if isinstance(event, Outputs):
                found[event.directory] = _listing(event)
    return [
        _ended_early(each, probes.get(each.run.directory), found.get(each.run.directory))
        for each in runs
    ]


def _ended_early(
    collected: CollectedRun, probe: ContinueProbe | FailedProbe | None, listing: Listing | None
) -> EndedEarly:
    if isinstance(probe, FailedProbe):
        return EndedEarly(collected, fault=probe.why)
    return EndedEarly(collected, listing, probe.memo if probe else None)


def continuation_of(
    hooks: pluggy.HookRelay, ended: EndedEarly, experiment: Experiment
) -> Continuation:
    """Return how a run goes on, as extensions decide; without a command it starts afresh.

    Raises `SweepError` where a hook of theirs raises.
    """
    if ended.fault:
        raise SweepError(ended.fault)
    listing = ended.listing
    if listing is not None and listing.gone:
        return _GONE
    if listing is not None and listing.refused:
        return Continuation(reason=listing.refused)
    run, caller = make_run(ended.collected, experiment, hooks), hooks.pytest_remex_continue
    with naming_hook(caller):
        answer: Continuation | Sequence[str] | None = caller(
            run=run, files=listing.files if listing is not None else None, memo=ended.memo
        )
    if isinstance(answer, Continuation):
        return answer
    return Continuation(tuple(answer or ()))


class LookAhead:
    """Looks how runs that are to be retried go on, without fetching or sending anything.

    `folder` is where outputs were fetched to.
    """

    def __init__(self, hooks: pluggy.HookRelay, folder: Path) -> None:
        self._hooks = hooks
        self._folder = folder
        self._probe: ContinueProbe | FailedProbe | None = None
        self._waiting: list[tuple[RecordedRun, Experiment, ContinueProbe | FailedProbe]] = []
        self._found: dict[str, Continuation] = {}

    def probe(self, experiment: Experiment) -> None:
        """Ask extensions what they want to know of an experiment, which is patched now.

        Raises `RemexError` for a pattern that leaves the run directory.
        """
        self._probe = probe_of(self._hooks, experiment)

    def add(self, recorded: RecordedRun, experiment: Experiment) -> None:
        """Take the run of the experiment probed last, where its job was ended early."""
        final = recorded.run.final
        if final is not None and final.state in ENDED_EARLY and self._probe is not None:
            self._waiting.append((recorded, experiment, self._probe))

    def look(self, connect: Connect) -> list[str]:
        """List what is asked for, where anything is, and have extensions decide.

        Returns:
            Why it is not known how some go on.
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
        """Return how a run goes on; None where it was not looked at."""
        return self._found.get(recorded.run.directory) if recorded else None

    def counts(self) -> Counter[Continuation]:
        """Return how runs go on, and how many of them."""
        return Counter(self._found.values())


def shown(how: Continuation) -> str:
    """Return what a plan shows of how a run goes on."""
    if how.command:
        reason = f" ({how.reason})" if how.reason else ""
        return f"goes on with {shlex.join(how.command)}{reason}"
    return f"starts afresh: {how.reason or 'no extension says how it goes on'}"


def told(how: Continuation, count: int) -> str:
    """Return the line that tells how many runs go on in a way."""
    words = shown(how)
    if count > 1:
        words = words.replace("goes on with", "go on with", 1).replace("starts", "start", 1)
    return f"{counted(count, 'experiment')} whose job was ended early {words}"


def _listing(event: Outputs) -> Listing:
    files = (RunFile(each.path, each.size, each.mtime_ns / 1e9) for each in event.files)
    return Listing(tuple(files), event.gone, event.refused)
