"""An experiment on its way to a job: what is known of it, what is decided, and its outcome.

    Prepared          its patch was run and committed                      (`preparation`)
       |  look it up in the launch records here and in the runs folder     (`known`, `recognition`)
    KnownRuns         its run, and its point's run on another base
       |  decide: a plan shows it, and ends here                           (`decision`, `plan`)
    Decision          new, finish, again, retry; or why nothing is sent
       |  ask about the last job, if it decides, and about its upstream    (`retry`, `upstreams`)
       |  put it into a launch, claim it, commit, push, place, submit      (`launcher`, `pipeline`)
    RunRecord         its run, with its stage in the launch record
       |  release the job
    Outcome           the state that the user sees, with the job or the reason

A `Candidate` is one experiment through all of this; `submitter` lists the states of its outcome,
`pipeline` draws the stages of its run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from pytest_remex.display import some_of
from pytest_remex.launch.decision import Decision, KnownRuns, is_continued_elsewhere
from pytest_remex.launch.dependency import Dependency
from pytest_remex.launch.recognition import EarlierRun
from pytest_remex.model import Remote, Repo
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.schema import RunRecord, Stage
from pytest_remex.repo.workspace import Prepared

if TYPE_CHECKING:
    from pytest_remex.hookspecs import ContinueProbe


def unjudged_text(count: int) -> str:
    """Return a message on experiments whose retry depends on a verdict that is not recorded."""
    was, it = ("was", "it is") if count == 1 else ("were", "they are")
    return (
        f"{count} completed and {was} not judged by a collect here, so {it} not submitted: run "
        f"--remex-collect, then the same command again"
    )


class State(StrEnum):
    """The state of an experiment on its way to a job."""

    WAITING = "WAITING"
    """Its turn has not come."""
    SENDING = "SENDING"
    """On its way."""
    SUBMITTED = "SUBMITTED"
    """It has a job now, and `--remex-plan` would say that it is new."""
    ALREADY = "ALREADY SUBMITTED"
    """It had a run already, and none was made."""
    OTHER_BASE = "ON ANOTHER BASE"
    """Its point has a run on another base: `--remex-new-base` submits it."""
    UNJUDGED = "NOT JUDGED"
    """It completed, and no collect here has judged it: `--remex-retry=check` needs that."""
    UPSTREAM_FAILED = "UPSTREAM FAILED"
    """The run that it comes after failed, so it was not submitted."""
    NOT_SUBMITTED = "NOT SUBMITTED"
    """It has no job; the reason says why."""
    UNKNOWN = "UNKNOWN"
    """It is not known yet whether it has a job: run the same command again."""


class Outcome(NamedTuple):
    """An experiment's state, its job and launch if it has them, or why it has none.

    `by` is who launched it, as `user@machine`, if that was another client.
    """

    state: State
    job: str = ""
    launch: str = ""
    why: str = ""
    by: str = ""

    @classmethod
    def already(cls, run: RecordedRun) -> Outcome:
        """Return the outcome of an experiment that has this run and gets no other one."""
        launch = run.record.launch
        by = "" if run.record.own else launch.by
        return cls(State.ALREADY, run.run.job, launch.id, by=by)

    @classmethod
    def unfinished(cls, launch: str, who: str) -> Outcome:
        """Return the outcome of an experiment that another client has begun to submit."""
        why = (
            f"{who or 'another client'} began to submit it in launch {launch} and has not "
            f"finished: wait, or ask them to run --remex-submit again"
        )
        return cls(State.UNKNOWN, "", launch, why)

    @classmethod
    def unfinished_run(cls, run: RecordedRun) -> Outcome:
        """Return the outcome of an experiment whose run only another client can continue."""
        if not is_continued_elsewhere(run):
            return cls.unfinished(run.launch.id, run.record.owner)
        why = (
            f"another client of launch {run.launch.id} began to continue it and has not finished: "
            f"have --remex-submit run there again, or --remex-retry=all here, to start it over"
        )
        return cls(State.UNKNOWN, "", run.launch.id, why)

    @classmethod
    def on_other_base(cls, earlier: EarlierRun) -> Outcome:
        """Return the outcome of an experiment whose point has a run on another base."""
        run, launch = earlier.recorded.run, earlier.recorded.launch
        why = f"{'completed' if earlier.completed else 'submitted'} on base {launch.base[:7]}"
        if not earlier.changed:
            why += f", by commit {run.commit.sha[:7]}, which no longer exists"
        return cls(State.OTHER_BASE, run.job, launch.id, why)

    @classmethod
    def unsent(cls, known: KnownRuns, decision: Decision) -> Outcome | None:
        """Return the outcome of an experiment that gets no new run; None if it is submitted."""
        last = known.decisive_run
        if last is not None and decision is Decision.UNJUDGED:
            why = "completed, and no collect here has judged it: run --remex-collect first"
            return cls(State.UNJUDGED, last.run.job, last.launch.id, why)
        if known.run is not None and decision is Decision.ELSEWHERE:
            return cls.unfinished_run(known.run)
        if known.run is not None and decision is Decision.ALREADY:
            return cls.already(known.run)
        if known.earlier is not None and decision in {Decision.ALREADY, Decision.OTHER_BASE}:
            return cls.on_other_base(known.earlier)
        return None

    @classmethod
    def of_run(cls, run: RunRecord, launch: str) -> Outcome:
        """Return the outcome of an experiment from its run, which was just sent."""
        again = "run the same command again"
        match run.stage:
            case Stage.RELEASED if not run.why:
                return cls(State.SUBMITTED, run.job, launch)
            case Stage.HELD:
                why = f"job {run.job} is held and could not be released: {run.why}"
                return cls(State.UNKNOWN, run.job, launch, why)
            case Stage.INDOUBT:
                why = f"it is unknown whether its job was accepted ({run.why}): {again}"
                return cls(State.UNKNOWN, "", launch, why)
        why = run.why or f"it got as far as {run.stage}: {again}"
        return cls(State.NOT_SUBMITTED, "", launch, why)


_WAITING = Outcome(State.WAITING)


class FailedProbe(NamedTuple):
    """A hook that should have said what to list, but raised; `why` names it."""

    why: str


@dataclass(slots=True, eq=False)
class Candidate:
    """An experiment on its way to a job, in a plan or a submit; each step adds what it learns."""

    prepared: Prepared
    """The experiment as it is made; for a retry, by the recipe of that."""
    known: KnownRuns = field(default_factory=KnownRuns)
    """What the records say about it."""
    decision: Decision = Decision.NEW
    """What a submit does with it; ASK if its job's state decides when it is sent."""
    title: str = ""
    """The decision, as a plan shows it."""
    upstream: Candidate | None = None
    """The experiment that it comes after."""
    recipes: Mapping[int, Prepared] = field(default_factory=dict)
    """The experiment prepared for a retry, by recipe number."""
    probe: ContinueProbe | FailedProbe | None = None
    """What extensions want to list for its run, if that was ended early."""
    previous: RecordedRun | None = None
    """The newest run of the experiment, which the run that is made follows."""
    resumed: RecordedRun | None = None
    """The run to resume: its launch was interrupted, another client's too, or it is continued."""
    dependency: Dependency | None = None
    """The run that its run comes after, as known when it is sent."""
    rounds: int = 0
    """How often another client's run took its place."""
    outcome: Outcome = _WAITING

    @property
    def repo(self) -> Repo:
        """Its repository."""
        return self.prepared.repo

    @property
    def remote(self) -> Remote:
        """Where it will run."""
        return self.prepared.remote

    @property
    def sha(self) -> str:
        """The commit of the run that is submitted."""
        return self.resumed.run.commit.sha if self.resumed else self.prepared.commit.sha

    @property
    def retried(self) -> RecordedRun | None:
        """The run whose job must have failed for another to be submitted; it may be continued."""
        if self.rounds:
            return None
        if self.decision is Decision.ASK:
            return self.known.decisive_run
        is_usable = self.decision is Decision.RETRY and not self.known.is_useless
        return self.known.run if is_usable else None

    @property
    def is_on_new_base(self) -> bool:
        """Whether the retried run is on another base."""
        earlier = self.known.earlier
        return earlier is not None and self.retried is earlier.recorded

    def make_by(self, recipe: int) -> None:
        """Use the experiment as it was prepared by a recipe."""
        self.prepared = self.recipes.get(recipe, self.prepared)

    @property
    def is_ready(self) -> bool:
        """Whether the experiment that it comes after, if there is one, has an outcome."""
        way = {State.WAITING, State.SENDING}
        return self.upstream is None or self.upstream.outcome.state not in way

    @property
    def may_be_resent(self) -> bool:
        """Whether it will be sent again, as far as known, or comes after one that will."""
        waits = self.known.run is not None and self.outcome.state is State.WAITING
        return waits or (self.upstream is not None and self.upstream.may_be_resent)

    @property
    def upstream_is_resent(self) -> bool:
        """Whether this command sends its upstream again."""
        before, sent = self.upstream, {State.WAITING, State.SENDING, State.SUBMITTED}
        if before is None or before.known.run is None or before.known.is_only_purged:
            return False
        return before.outcome.state in sent

    @property
    def settled(self) -> bool:
        """Whether it can be reported; if many are lost for one reason, only the first is."""
        match self.outcome.state:
            case State.WAITING | State.SENDING:
                return False
            case State.UNKNOWN:
                return bool(self.outcome.why)
        return True


def moved_bases(candidates: Sequence[Candidate]) -> list[str]:
    """Return a message for each sweep and base that has runs of points which are not submitted."""
    totals = Counter(each.prepared.experiment.sweep.name for each in candidates)
    groups: dict[tuple[str, str, bool], list[tuple[Prepared, EarlierRun]]] = {}
    for each in candidates:
        earlier = each.known.earlier
        if earlier is None or each.decision is not Decision.OTHER_BASE:
            continue
        base, is_known = earlier.recorded.launch.base, bool(earlier.changed)
        key = each.prepared.experiment.sweep.name, base, is_known
        groups.setdefault(key, []).append((each.prepared, earlier))
    return [_message(totals[sweep], base, group) for (sweep, base, _), group in groups.items()]


def _message(total: int, base: str, group: Sequence[tuple[Prepared, EarlierRun]]) -> str:
    prepared, earlier = group[0]
    short, today = base[:7], prepared.commit.base[:7]
    those = "it" if len(group) == 1 else "them"
    if not earlier.changed:
        return (
            f"{_counts(group, total)} on base {short}, and {'its' if len(group) == 1 else 'their'} "
            f"commits no longer exist, here and there, so their inputs cannot be compared\n"
            f"not sent: --remex-new-base sends {those}"
        )
    has_failed = any(each.failed for _, each in group)
    retry = "--remex-retry sends what failed, " if has_failed else ""
    return (
        f"{_counts(group, total)} on base {short}; since then changed: {some_of(earlier.changed)}\n"
        f'not sent: {retry}--remex-new-base sends {those} on {today}; branch="{short}" in '
        f"@sweep(...) stays with that base; and if no job reads what changed, name it in the ini "
        f"key remex_control"
    )


def _counts(group: Sequence[tuple[Prepared, EarlierRun]], total: int) -> str:
    completed = sum(earlier.completed for _, earlier in group)
    failed = sum(earlier.failed for _, earlier in group)
    others = len(group) - completed - failed
    submitted = f"{'was' if others == 1 else 'were'} submitted"
    counts = [(completed, "completed"), (failed, "failed"), (others, submitted)]
    (first, verb), *more = [(number, each) for number, each in counts if number]
    text = f"{first} of these {total} {verb}"
    texts = [text, *(f"{number} more {each}" for number, each in more)]
    return f"{', '.join(texts[:-1])}, and {texts[-1]}," if more else text
