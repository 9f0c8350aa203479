"""The plan of a whole submit: what it asks for, and why it would be refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from pytest_remex.errors import RemexError
from pytest_remex.launch.candidate import Candidate, moved_bases, unjudged_text
from pytest_remex.launch.continuation import ContinuationPreview
from pytest_remex.launch.decision import Decision
from pytest_remex.launch.doctor import Fitness
from pytest_remex.launch.options import Grouping, LaunchOptions
from pytest_remex.launch.plan import SENT, SENT_ONCE_MORE, Planner, kept_back
from pytest_remex.launch.submissions import Cost, array_advice, written
from pytest_remex.model import Remote
from pytest_remex.repo.identity import Footprint
from pytest_remex.transport import Connect


class Plan:
    """The experiments of a plan, as they are planned one by one.

    Args:
        planner: Plans each of them.
        preview: Finds out how retried runs would continue.

    """

    def __init__(self, planner: Planner, preview: ContinuationPreview) -> None:
        self.planner = planner
        self.preview = preview
        self.experiments: list[Candidate] = []
        self.refusals: list[str] = []
        """Why a submit would be refused, as far as the remotes were asked."""

    @property
    def sent(self) -> list[Candidate]:
        """The experiments that a submit would send."""
        return [each for each in self.experiments if each.decision in SENT]

    def check_remotes(
        self, connect: Connect, grouping: Grouping, note: Callable[[str], None]
    ) -> None:
        """Check whether the remotes can take what is planned, and how retried runs continue.

        Args:
            connect: Returns the connection to a remote.
            grouping: How runs become jobs.
            note: Called with what could not be determined, and with warnings.

        """
        planner = self.planner
        for place, problem in planner.problems.items():
            note(f"{place.place} could not be asked about jobs: {problem}")
        for problem in self.preview.determine(connect):
            note(f"it is not known how a retried experiment continues: {problem}")
        unasked = {*planner.known.unreachable, *planner.problems}
        footprints: dict[Remote, list[Footprint]] = {}
        for each in self.sent:
            if each.decision is not Decision.FINISH and each.remote not in unasked:
                footprints.setdefault(each.remote, []).append(each.prepared.footprint)
        fitness = Fitness(connect, grouping)
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

    def advice(self, grouping: Grouping) -> str:
        """Return the advice to use job arrays, if that would help."""
        on_clusters = (each for each in self.sent if each.remote.host is not None)
        return array_advice((each.prepared.header for each in on_clusters), grouping)

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
            asked = Cost.of([(each.prepared.header, each.prepared.footprint) for each in sent])
            yield f"--remex-submit asks for {asked}"
        else:
            nothing = "sends what failed" if counts[Decision.ASK] else "has nothing to send"
            yield f"--remex-submit {nothing}"
        again = sum(counts[each] for each in SENT_ONCE_MORE)
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

    def next_command(self, launching: LaunchOptions, sbatch: str) -> str:
        """Return the next useful command, given the options that the user chose for the plan."""
        if self.refusals:
            return "--remex-doctor checks what submit would refuse"
        decisions = {each.decision for each in self.experiments}
        if decisions & {*SENT, Decision.ASK}:
            by_default = LaunchOptions(
                confirm=launching.confirm, note=launching.note, rate=launching.rate
            )
            is_changed = launching != by_default or bool(sbatch)
            once = ", once --remex-doctor finds no fault" * bool(self.planner.known.unreachable)
            return f"--remex-submit {'with the same options ' if is_changed else ''}sends it{once}"
        if Decision.UNJUDGED in decisions:
            return "--remex-collect shows whose check failed"
        return "--remex-status shows the state of the experiments"
