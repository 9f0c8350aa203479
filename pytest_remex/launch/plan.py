"""Plan what a submit would do with each experiment, from the launch records and job states.

A plan also says what that submit would ask for, and why it would be refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_remex.collect.query import query
from pytest_remex.common.grouping import grouped
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.display import counted
from pytest_remex.errors import RemexError
from pytest_remex.launch.candidate import Candidate, moved_bases, unjudged_text
from pytest_remex.launch.decision import Decision, KnownRuns, decide, recorded_job
from pytest_remex.launch.doctor import Fitness
from pytest_remex.launch.known import KnownLaunches
from pytest_remex.launch.options import Folders, LaunchOptions
from pytest_remex.launch.recognition import experiment_key
from pytest_remex.launch.retry import ContinuationPreview
from pytest_remex.launch.submissions import array_advice, cost_of, written
from pytest_remex.launch.upstreams import kept_back
from pytest_remex.model import Remote, Sweep
from pytest_remex.records.index import RecordedRun, RunIndex, reached_by
from pytest_remex.records.schema import Stage
from pytest_remex.repo.identity import Footprint
from pytest_remex.repo.workspace import Prepared, Workspaces
from pytest_remex.sbatch.options import format_duration

if TYPE_CHECKING:
    from pytest_remex.transport.connection import Connect


class Plan:
    """The plan of a submit: its experiments are planned one by one.

    `preview` finds out how retried runs would continue.
    """

    def __init__(
        self,
        folders: Folders,
        options: LaunchOptions,
        workspaces: Workspaces,
        connect: Connect,
        preview: ContinuationPreview,
    ) -> None:
        self.known = KnownLaunches(folders, workspaces, connect)
        self.preview = preview
        self.experiments: list[Candidate] = []
        self.refusals: list[str] = []
        """Why a submit would be refused, as far as the remotes were asked."""
        self._options = options
        self._connect = connect
        self._by_key: dict[object, Candidate] = {}
        self._same: dict[object, Prepared] = {}
        self._jobs = JobStates(self.known, connect)

    def decide(self, prepared: Prepared) -> Candidate:
        """Return an experiment with what a submit would do with it."""
        known = self.known.about(prepared, self.known.find(prepared), self._options.resubmit)
        known, decision = self._decide(known, prepared)
        upstream = self._by_key.get(prepared.upstream.key) if prepared.upstream else None
        if upstream is not None:
            decision = _decide_after(upstream, decision, recorded_job(known.run))
        title = title_of(decision, known, prepared)
        same = self._same.setdefault(experiment_key(prepared), prepared)
        if same is not prepared and decision.is_sent:
            decision, title = Decision.ALREADY, f"THE SAME AS {same.variant.title or 'today'}"
        planned = Candidate(prepared, known, decision, title, upstream)
        self._by_key[prepared.key] = planned
        return planned

    def _decide(self, known: KnownRuns, prepared: Prepared) -> tuple[KnownRuns, Decision]:
        """Return the decision on an experiment, and what is known then: jobs may be queried."""
        options = self._options.of_experiment(chosen=prepared.chosen)
        decision = decide(known, options, recorded_job(known.decisive_run))
        if decision is not Decision.ASK:
            return known, decision
        known, job = self._jobs.query_if_needed(known, prepared.remote)
        return known, decide(known, options, job)

    @property
    def sent(self) -> list[Candidate]:
        """The experiments that a submit would send."""
        return [each for each in self.experiments if each.decision.is_sent]

    def check_remotes(self, note: Callable[[str], None]) -> None:
        """Check whether the remotes can take what is planned, and how retried runs continue.

        `note` is called with what could not be determined, and with warnings.
        """
        connect, problems = self._connect, self._jobs.problems
        for place, problem in problems.items():
            note(f"{place.place} could not be asked about jobs: {problem}")
        for problem in self.preview.determine(connect):
            note(f"it is not known how a retried experiment continues: {problem}")
        unasked = {*self.known.unreachable, *problems}
        footprints = grouped(
            (each.remote, each.prepared.footprint)
            for each in self.sent
            if each.decision is not Decision.FINISH and each.remote not in unasked
        )
        fitness = Fitness(connect, self._options.grouping)
        for remote, sizes in footprints.items():
            try:
                connect(remote)
            except RemexError as error:
                note(f"{remote.place} could not be asked whether it takes this: {error}")
                continue
            try:
                fitness.refuse_unfit({remote: sizes})
            except RemexError as error:
                self.refusals.append(str(error))
        for warning in fitness.notes:
            note(warning)
        try:  # upstreams that are used as they are may keep experiments back
            self.refusals += kept_back(self.experiments, unasked, connect)
        except RemexError as error:
            note(f"whether upstreams ended well is not known: {error}")

    def advice(self) -> str:
        """Return the advice to use job arrays, if that would help."""
        on_clusters = (each for each in self.sent if each.remote.host is not None)
        return array_advice((each.prepared.header for each in on_clusters), self._options.grouping)

    def moved(self) -> list[str]:
        """Return what is not sent because it has a run on another base."""
        return moved_bases(self.experiments)

    def summary(self) -> str:
        """Return what a submit would request, and what it would not send."""
        return "; ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        sent = self.sent
        counts = Counter(each.decision for each in self.experiments)
        if sent:
            yield f"--remex-submit asks for {cost_of(sent)}"
        else:
            nothing = "sends what failed" if counts[Decision.ASK] else "has nothing to send"
            yield f"--remex-submit {nothing}"
        again = sum(count for each, count in counts.items() if each.is_sent_again)
        left = (Decision.ALREADY, Decision.ASK, Decision.UNJUDGED)
        submitted = again + sum(counts[each] for each in left)
        yield f"{submitted} already submitted" + (f", {again} of them again" if again else "")
        if self.experiments and not sent:
            total = Footprint.total(each.prepared.footprint for each in self.experiments)
            yield f"the run directories of all would take {written(total)}"
        options = Counter(" ".join(each.prepared.sbatch) for each in sent)
        yield from (f"{n} with sbatch {words}" for words, n in options.items() if words)
        if unknown := counts[Decision.ASK]:
            yield (
                f"whether the jobs of {unknown} failed could not be determined, and submit will "
                f"ask again"
            )
        if unjudged := counts[Decision.UNJUDGED]:
            yield unjudged_text(unjudged)

    def next_command(self, sbatch: str) -> str:
        """Return the next useful command, given the options for sbatch that the user chose."""
        if self.refusals:
            return "--remex-doctor checks what submit would refuse"
        launching, decisions = self._options, {each.decision for each in self.experiments}
        if self.sent or Decision.ASK in decisions:
            by_default = LaunchOptions(
                confirm=launching.confirm, note=launching.note, rate=launching.rate
            )
            is_changed = launching != by_default or bool(sbatch)
            once = ", once --remex-doctor finds no fault" * bool(self.known.unreachable)
            return f"--remex-submit {'with the same options ' if is_changed else ''}sends it{once}"
        if Decision.UNJUDGED in decisions:
            return "--remex-collect shows whose check failed"
        return "--remex-status shows the state of the experiments"


def _decide_after(upstream: Candidate, decision: Decision, job: Job | None) -> Decision:
    """Return the decision on an experiment that comes after another one.

    `decision` is the one without it, `job` the experiment's job as a query last saw it.
    """
    again = upstream.decision.is_sent_again and not upstream.known.is_only_purged
    again = again and decision is Decision.ALREADY
    return Decision.RETRY if again and job is not None and job.state.ended else decision


def recipe_of_retry(planned: Candidate) -> int:
    """Return the recipe by which a retry makes an experiment; 0 if it is not retried."""
    if planned.decision is not Decision.RETRY:
        return 0
    return planned.known.recipe_after(recorded_job(planned.retried))


class JobStates:
    """The states of jobs without a recorded end, for a plan: one query per remote."""

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
        ended = RecordedRun(decisive.record, decisive.run._replace(final=job))
        return known._replace(run=ended), job

    def _ask(self, place: Remote) -> None:
        runs = [
            (each, place)
            for each in self._known.index.newest_first()
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
        sent = [each for each in of_stage if each.decision.is_sent]
        asked = f"asks for {cost_of(sent)}" if sent else "has nothing to send"
        branch = "    " * _depth(sweep) + ("└── " if sweep.after else "")
        yield f"{branch}{name}: {counted(len(of_stage), 'experiment')}, {asked}"


def _depth(sweep: Sweep) -> int:
    """Return how many sweeps a sweep comes after, without the first."""
    return 0 if sweep.after is None or sweep.after.after is None else 1 + _depth(sweep.after)


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
