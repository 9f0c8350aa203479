"""Plan what a submit would do with each experiment, from the launch records and job states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from pytest_remex.collect.query import query
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.display import counted
from pytest_remex.errors import RemexError
from pytest_remex.launch.candidate import Candidate
from pytest_remex.launch.decision import Decision, KnownRuns, decide, recorded_job
from pytest_remex.launch.known import KnownLaunches
from pytest_remex.launch.options import Folders, LaunchOptions
from pytest_remex.launch.recognition import experiment_key
from pytest_remex.launch.submissions import Cost
from pytest_remex.launch.upstreams import APART, missing_files
from pytest_remex.model import Remote, Repo, Sweep
from pytest_remex.records.index import RecordedRun, RunIndex, reached_by
from pytest_remex.records.schema import Stage
from pytest_remex.repo.workspace import Prepared, Workspaces
from pytest_remex.sbatch.options import format_duration
from pytest_remex.transport import Connect

SENT = frozenset({Decision.NEW, Decision.FINISH, Decision.AGAIN, Decision.RETRY})
SENT_ONCE_MORE = frozenset({Decision.AGAIN, Decision.RETRY})


class Planner:
    """Plan what a submit does with each experiment.

    Args:
        folders: The folders of launch records and fetched outputs.
        options: The user's choices for the launch.
        workspaces: The workspaces of the experiments.
        connect: Returns the connection to a remote.

    """

    def __init__(
        self, folders: Folders, options: LaunchOptions, workspaces: Workspaces, connect: Connect
    ) -> None:
        self.known = KnownLaunches(folders, workspaces, connect)
        self._options = options
        self._connect = connect
        self._by_key: dict[object, Candidate] = {}
        self._same: dict[object, Prepared] = {}
        self._jobs = JobStates(self.known, connect)

    @property
    def problems(self) -> Mapping[Remote, str]:
        """Why remotes could not be queried about jobs."""
        return self._jobs.problems

    def plan(self, prepared: Prepared, repo: Repo, remote: Remote) -> Candidate:
        """Return an experiment with what a submit would do with it."""
        run = self.known.find(prepared, repo, remote)
        known = self.known.about(prepared, run, repo, remote, self._options.resubmit)
        known, decision = self._decide(known, prepared, remote)
        upstream = self._by_key.get(prepared.upstream.key) if prepared.upstream else None
        if upstream is not None:
            decision = _decide_after(upstream, decision, recorded_job(known.run))
        title = title_of(decision, known, prepared)
        same = self._same.setdefault(experiment_key(prepared, remote), prepared)
        if same is not prepared and decision in SENT:
            decision, title = Decision.ALREADY, f"THE SAME AS {same.variant.title or 'today'}"
        planned = Candidate(prepared, repo, remote, known, decision, title, upstream)
        self._by_key[prepared.key] = planned
        return planned

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


def _decide_after(upstream: Candidate, decision: Decision, job: Job | None) -> Decision:
    """Return the decision on an experiment that comes after another one.

    Args:
        upstream: The other one.
        decision: The decision without it.
        job: The experiment's job as a query last saw it.

    """
    again = upstream.decision in SENT_ONCE_MORE and not upstream.known.is_only_purged
    again = again and decision is Decision.ALREADY
    return Decision.RETRY if again and job is not None and job.state.ended else decision


def recipe_of_retry(planned: Candidate) -> int:
    """Return the recipe by which a retry makes an experiment; 0 if it is not retried."""
    if planned.decision is not Decision.RETRY:
        return 0
    return planned.known.recipe_after(recorded_job(planned.retried))


class JobStates:
    """The states of jobs without a recorded end, for a plan: one query per remote.

    Args:
        known: The launch records.
        connect: Returns the connection to a remote.

    """

    def __init__(self, known: KnownLaunches, connect: Connect) -> None:
        self._known = known
        self._connect = connect
        self._jobs: dict[str, Job] = {}
        self._asked: dict[Remote, RunIndex] = {}
        self.problems: dict[Remote, str] = {}
        """Why a remote could not be queried."""

    def query_if_needed(self, known: KnownRuns, remote: Remote) -> tuple[KnownRuns, Job | None]:
        """Return what is known about an experiment, and its last job, queried if needed.

        The first call queries all runs of that remote. The job is None if that failed.
        """
        decisive = known.decisive_run
        if decisive is None or decisive.run.final is not None:
            return known, recorded_job(decisive)
        place = decisive.launch.remote
        if place.is_same_place(remote):
            place = remote
        is_new = self._asked.get(place) is not self._known.index
        if is_new and place not in self._known.unreachable:
            self._asked[place] = self._known.index
            self._ask(place)
        job = self._jobs.get(decisive.run.directory)
        if known.run is None or job is None or not job.state.ended:
            return known, job
        ended = RecordedRun(decisive.record, replace(decisive.run, final=job))
        return replace(known, run=ended), job

    def _ask(self, place: Remote) -> None:
        runs = [
            (each, place)
            for each in self._known.runs()
            if each.run.stage is Stage.RELEASED
            and each.run.final is None
            and each.launch.remote.is_same_place(place)
        ]
        self.problems.pop(place, None)
        try:
            self._jobs |= query(reached_by(runs), self._connect)
        except RemexError as error:
            self.problems[place] = str(error)


def tree(planned: Sequence[Candidate]) -> Iterator[str]:
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
    planned: Iterable[Candidate], unreachable: Collection[Remote], connect: Connect
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
        (each, each.upstream.known.run)
        for each in after
        if each.upstream is not None
        and each.upstream.known.run is not None
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


def _why(planned: Candidate, before: RecordedRun, job: Job, missing: dict[str, str]) -> str:
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
