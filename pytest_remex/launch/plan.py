"""Plan what a submit would do with each experiment, from the launch records and job states."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_remex.collect.query import query
from pytest_remex.collect.sync import RemoteCommits, may_hold_records, sync
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.display import counted
from pytest_remex.errors import RemoteError
from pytest_remex.launch.decision import Decision, JobStates, KnownRuns, decide, recorded_job
from pytest_remex.launch.options import Folders, LaunchOptions
from pytest_remex.launch.recognition import EarlierRun, Recognizer, experiment_key
from pytest_remex.launch.submissions import Cost
from pytest_remex.launch.upstreams import APART, missing_files
from pytest_remex.model import Remote, Repo, Sweep
from pytest_remex.records.copies import Copies, additions_besides
from pytest_remex.records.index import RecordedRun, RunIndex, reached_by
from pytest_remex.records.store import read_records
from pytest_remex.repo.workspace import Prepared, Workspaces
from pytest_remex.sbatch.options import format_duration
from pytest_remex.sweep_file import SweepFiles
from pytest_remex.transport import Connect

SENT = frozenset({Decision.NEW, Decision.FINISH, Decision.AGAIN, Decision.RETRY})
SENT_ONCE_MORE = frozenset({Decision.AGAIN, Decision.RETRY})


@dataclass(frozen=True, slots=True)
class PlannedExperiment:
    """An experiment of a plan, what submit does with it, and its point's run on another base.

    `retried` is its own run, if that is to be run once more, and `recipe` the one that it is
    made by then. `run` is its own run, `upstream` the experiment that it comes after.
    `is_only_purged` is that of `KnownRuns`.
    """

    prepared: Prepared
    remote: Remote
    decision: Decision
    title: str
    earlier: EarlierRun | None
    retried: RecordedRun | None = None
    recipe: int = 0
    run: RecordedRun | None = None
    upstream: PlannedExperiment | None = None
    is_only_purged: bool = False

    def decide(self, decision: Decision, job: Job | None) -> Decision:
        """Return what submit does with an experiment that comes after this one.

        Args:
            decision: The decision on this experiment, without its upstream.
            job: That one's job as a query last saw it.

        """
        again = self.decision in SENT_ONCE_MORE and not self.is_only_purged
        again = again and decision is Decision.ALREADY
        return Decision.RETRY if again and job is not None and job.state.ended else decision


class Planner:
    """Plan what a submit does with each experiment; `read_records` comes before `plan`.

    Args:
        folders: The folders of launch records and fetched outputs.
        options: The user's choices for the launch.
        workspaces: The workspaces of the experiments.
        connect: Returns the connection to a remote.
        note: Shows the user a message.

    """

    def __init__(
        self,
        folders: Folders,
        options: LaunchOptions,
        workspaces: Workspaces,
        connect: Connect,
        note: Callable[[str], None],
    ) -> None:
        self._folders = folders
        self._options = options
        self._workspaces = workspaces
        self._connect = connect
        self._note = note
        self._sweeps = SweepFiles(folders.top)
        self._own = read_records(folders.launches)
        self._read: dict[tuple[Repo, Remote], None] = {}
        self._unreachable: set[Remote] = set()
        self._by_key: dict[object, PlannedExperiment] = {}
        self._same: dict[object, Prepared] = {}
        self._use(RunIndex(()))

    @property
    def unreachable(self) -> set[Remote]:
        """The remotes whose runs folder could not be read."""
        return self._unreachable

    @property
    def problems(self) -> Mapping[Remote, str]:
        """Why remotes could not be queried about jobs."""
        return self._jobs.problems

    def runs(self) -> Iterable[RecordedRun]:
        """Return the runs of all records that were read, the newest first."""
        return self._recognizer.runs()

    def read_records(self, repo: Repo, remote: Remote) -> None:
        """Read the launch records in a remote's runs folder, once, if it can be reached."""
        if (repo, remote) in self._read:
            return
        if may_hold_records(remote):
            try:
                sync(self._connect(remote), self._folders.launches)
            except RemoteError as error:
                self._note(f"planned only from the records on this machine: {error}")
                self._unreachable.add(remote)
        self._read[repo, remote] = None
        self._own += additions_besides(self._folders.launches, self._own)
        copies = [Copies(self._folders.launches, each) for _, each in self._read]
        self._use(RunIndex.of(self._own, copies, functools.cache(self._has_base)))

    def plan(self, prepared: Prepared, repo: Repo, remote: Remote) -> PlannedExperiment:
        """Return what a submit would do with an experiment."""
        known = self._known_runs(prepared, repo, remote)
        known, decision = self._decide(known, prepared, remote)
        upstream = self._by_key.get(prepared.upstream.key) if prepared.upstream else None
        if upstream is not None:
            decision = upstream.decide(decision, recorded_job(known.run))
        title = title_of(decision, known, prepared)
        same = self._same.setdefault(experiment_key(prepared, remote), prepared)
        if same is not prepared and decision in SENT:
            decision, title = Decision.ALREADY, f"THE SAME AS {same.variant.title or 'today'}"
        retried = known.run if decision is Decision.RETRY else None
        recipe = known.recipe_after(recorded_job(retried))
        if retried is not None:
            (retried,) = reached_by([(retried, remote)])
        planned = PlannedExperiment(
            prepared, remote, decision, title, known.earlier, retried, recipe, known.run, upstream,
            known.is_only_purged,
        )  # fmt: skip
        self._by_key[prepared.key] = planned
        return planned

    def _known_runs(self, prepared: Prepared, repo: Repo, remote: Remote) -> KnownRuns:
        git, local = self._workspaces.git(repo), remote.host is None
        run = self._recognizer.find(prepared, git, local=local)
        earlier = self._recognizer.find_elsewhere(prepared, git, local=local)
        if not self._options.resubmit.is_retry:
            return KnownRuns(run, earlier)
        recipes = len(prepared.experiment.sweep.recipes)
        is_incomplete = run is not None and self._recognizer.is_incomplete(run)
        known = KnownRuns(run, earlier, recipes=recipes, is_incomplete=is_incomplete)
        return known.with_notes(self._folders.runs)

    def _decide(
        self, known: KnownRuns, prepared: Prepared, remote: Remote
    ) -> tuple[KnownRuns, Decision]:
        """Return the decision on an experiment, and what is known then: jobs may be queried."""
        options = self._options.of_experiment(chosen=prepared.chosen)
        decision = decide(known, options, recorded_job(known.decisive_run))
        if decision is not Decision.ASK:
            return known, decision
        known, job = self._jobs.query_if_needed(known, remote)
        return known, decide(known, options, job)

    def _use(self, index: RunIndex) -> None:
        """Plan by the runs of an index."""
        met = {remote for _, remote in self._read} - self._unreachable
        commits = RemoteCommits(self._connect, met)
        self._recognizer = Recognizer(index, self._sweeps.have, commits)
        self._jobs = JobStates(index, self._connect)
        for each in self._unreachable:
            self._jobs.leave_out(each)
        for fault in index.faults:
            self._note(fault)

    def _has_base(self, base: str) -> bool:
        return any(self._workspaces.git(repo).has(base) for repo, _ in self._read)


def tree(planned: Sequence[PlannedExperiment]) -> Iterator[str]:
    """Return the stages, each with what is sent of it and what that costs; nothing without any."""
    sweeps = {
        each.prepared.experiment.sweep.name: each.prepared.experiment.sweep for each in planned
    }
    if not any(sweep.after for sweep in sweeps.values()):
        return
    yield "stages:"
    for name, sweep in sweeps.items():
        of_stage = [each for each in planned if each.prepared.experiment.sweep.name == name]
        sent = [
            (each.prepared.header, each.prepared.footprint)
            for each in of_stage
            if each.decision in SENT
        ]
        asked = f"asks for {Cost.of(sent)}" if sent else "has nothing to send"
        branch = "    " * _depth(sweep) + ("└── " if sweep.after else "")
        yield f"{branch}{name}: {counted(len(of_stage), 'experiment')}, {asked}"


def _depth(sweep: Sweep) -> int:
    """Return how many sweeps a sweep comes after, without the first."""
    return 0 if sweep.after is None or sweep.after.after is None else 1 + _depth(sweep.after)


def kept_back(
    planned: Iterable[PlannedExperiment], unreachable: Collection[Remote], connect: Connect
) -> list[str]:
    """Return why experiments would not be sent whose upstreams are used as they are.

    Args:
        planned: The experiments.
        unreachable: Remotes that are not asked.
        connect: Returns the connection to a remote.

    Raises:
        RemoteError: A remote cannot be asked.

    """
    after = [each for each in planned if each.decision in SENT and each.upstream is not None]
    apart = Counter(
        APART.format(node=each.upstream.prepared.node)
        for each in after
        if each.upstream is not None and each.upstream.remote != each.remote
    )
    pairs = [
        (each, each.upstream.run)
        for each in after
        if each.upstream is not None
        and each.upstream.run is not None
        and each.upstream.remote == each.remote
        and each.upstream.decision not in SENT
        and each.remote not in unreachable
    ]
    asked = {run.run.directory: (run, each.remote) for each, run in pairs}
    jobs = query(reached_by(asked.values()), connect)
    wanted: dict[Remote, dict[str, set[str]]] = {}
    for each, run in pairs:
        if jobs[run.run.directory].state is JobState.COMPLETED:
            files = wanted.setdefault(each.remote, {}).setdefault(run.run.directory, set())
            files.update(each.prepared.brought.values())
    missing = {
        directory: lacking
        for remote, directories in wanted.items()
        for directory, lacking in missing_files(directories, remote, connect).items()
    }
    whys = Counter(
        why
        for each, run in pairs
        if (why := _why(each, run, jobs[run.run.directory], missing.get(run.run.directory, {})))
    )
    return [
        *(f"{counted(count, 'experiment')}: {why}" for why, count in apart.items()),
        *(f"{counted(count, 'experiment')} UPSTREAM FAILED: {why}" for why, count in whys.items()),
    ]


def _why(planned: PlannedExperiment, before: RecordedRun, job: Job, missing: dict[str, str]) -> str:
    if job.state.failed:
        return f"{before.run.node} ended {job.state}: job {job.id}; --remex-retry sends it again"
    lacking = (missing[path] for path in planned.prepared.brought.values() if path in missing)
    why = next(lacking, "")
    return f"{before.run.node}: {why}" if why else ""


def title_of(decision: Decision, known: KnownRuns, prepared: Prepared) -> str:
    """Return an experiment's title in a plan."""
    run = known.decisive_run
    if run is None or decision is Decision.NEW:
        return "NEW"
    job = run.run.job
    titles = {
        Decision.FINISH: f"INTERRUPTED at {run.run.stage}",
        Decision.AGAIN: f"AGAIN after job {job}",
        Decision.RETRY: f"RETRY after job {job}{_why_retried(known, prepared)}",
        Decision.UNJUDGED: f"NOT JUDGED job {job}",
        Decision.ELSEWHERE: f"BEING SUBMITTED by {run.record.owner or 'another client'}",
        Decision.OTHER_BASE: f"ON ANOTHER BASE {run.launch.base[:7]} job {job}",
        Decision.ASK: f"RETRY if job {job} failed",
    }
    by = f" by {run.launch.by}" if run.launch.by and not run.record.own else ""
    return titles.get(decision, f"ALREADY SUBMITTED job {job}{by}")


def _why_retried(known: KnownRuns, prepared: Prepared) -> str:
    job = recorded_job(known.decisive_run)
    if job is None or known.decisive_run is None or known.purged:
        return ""
    if job.state is JobState.COMPLETED:
        return ", whose check failed"
    if job.state is not JobState.TIMEOUT:
        return f", {job.state}"
    limits = (known.decisive_run.run.header.time_limit, prepared.header.time_limit)
    before, now = ("no limit" if each is None else format_duration(each) for each in limits)
    again = "and again" if before == now else "now"
    return f", TIMEOUT after {before}, {again} {now}"
