"""Dry run and plan: try every patch, and send nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from pytest_remex.collect.hooks import GuardedHooks
from pytest_remex.errors import RemexError
from pytest_remex.launch.continuation import ContinuationPreview, continuation_summary
from pytest_remex.launch.continuation import shown as shown_continuation
from pytest_remex.launch.decision import (
    Decision,
)
from pytest_remex.launch.doctor import Fitness
from pytest_remex.launch.options import Folders, LaunchOptions
from pytest_remex.launch.outcomes import moved_bases, unjudged_text
from pytest_remex.launch.plan import (
    SENT,
    SENT_ONCE_MORE,
    PlannedExperiment,
    Planner,
    kept_back,
    tree,
)
from pytest_remex.launch.preparation import CheckoutCopies, Inspect, differing_files
from pytest_remex.launch.submissions import Cost, array_advice, written
from pytest_remex.model import Remote
from pytest_remex.pytest_plugin import preparation
from pytest_remex.pytest_plugin.anchor import anchor_of
from pytest_remex.pytest_plugin.command_line import Mode
from pytest_remex.pytest_plugin.facts import note_facts, prepared_facts
from pytest_remex.pytest_plugin.item_outcomes import Markup, failing_plainly, say, skip
from pytest_remex.pytest_plugin.items import (
    is_experiment,
    places_of,
    stopped_after,
    was_stopped,
)
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.pytest_plugin.preparation import PreparingMode
from pytest_remex.pytest_plugin.replicates import NOT_HERE
from pytest_remex.repo.identity import Footprint
from pytest_remex.repo.workspace import Prepared, Workspaces

SHOWN = 20
"""How many diffs a plan shows without -v."""


class DryRun(PreparingMode):
    """The plugin of the dry run and of the mode plan."""

    def __init__(
        self, session: pytest.Session, settings: Settings, items: Sequence[pytest.Function]
    ) -> None:
        workspaces = Workspaces(kept=False, shows=self._shows_next)
        super().__init__(session, settings, items, workspaces)
        self._planner = Planner(
            Folders(settings.launches, settings.runs, anchor_of(session.config).folder),
            settings.launching,
            workspaces,
            self._connections.to,
            self._terminal.note,
        )
        if settings.mode is Mode.DRY:
            self._planner.use_own_records()
        self._planned: list[PlannedExperiment] = []
        self._tried: set[str] = set()
        self._repeated: set[str] = set()
        self._refusals: list[str] = []
        self._hooks = GuardedHooks(session.config.hook, self._terminal.note)
        self._preview = ContinuationPreview(session.config.hook, settings.runs)
        self._copies = CheckoutCopies(settings.checkout) if settings.checkout else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Run the patch instead of a test."""
        __tracebackhide__ = True
        if not is_experiment(pyfuncitem):
            return None
        repo, remote = places_of(pyfuncitem)
        self._terminal.target(remote)
        prepared = self._preparer.prepare(pyfuncitem, self._inspect)
        if self._copies:
            self._copies.leave_out(prepared)
        self._repeat_first(pyfuncitem, prepared)
        if self._settings.mode is Mode.PLAN:
            preparation.refuse_without_upstream(prepared)
            with failing_plainly(pyfuncitem.session):
                self._planner.read_records(repo, remote)
                runs, local = self._planner.runs, remote.host is None
                self._replicates.add_items(pyfuncitem, runs, local=local)
            if not self._replicates.has(pyfuncitem):
                say(pyfuncitem, "NOT SUBMITTED")
                skip(NOT_HERE)
        planned = self._with_recipe(pyfuncitem, self._planner.plan(prepared, repo, remote))
        self._planned.append(planned)
        if planned.retried is not None:
            self._preview.add(planned.retried, prepared.experiment)
        note_facts(pyfuncitem, **prepared_facts(prepared), plan=planned.title)
        if self._settings.mode is Mode.PLAN:
            say(pyfuncitem, planned.title)
        return True

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Check the remotes, and remove the scratch checkouts, after the last fixture."""
        self._workspaces.close()
        try:
            if self._settings.mode is Mode.PLAN and not was_stopped(session):
                self._check_remotes()
        finally:
            self._connections.close()
        if self._refusals and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self) -> None:
        """Show the plan."""
        if self._settings.mode is Mode.PLAN and not was_stopped(self._session):
            self._show_diffs()
            for line in tree(self._planned):
                self._terminal.say(line)
            self._terminal.say(self._summary(), green=True)
            sent = [e for e in self._planned if e.decision in SENT and e.remote.host is not None]
            grouping = self._settings.launching.grouping
            if advice := array_advice((each.prepared.header for each in sent), grouping):
                self._terminal.say(advice, yellow=True)
            for how, count in self._preview.counts().items():
                self._terminal.say(continuation_summary(how, count), yellow=not how.command)
            for message in self._moved():
                self._terminal.say(message, yellow=True)
            for refusal in self._refusals:
                self._terminal.say(f"submit would be refused: {refusal}", red=True)
        if self._copies:
            self._terminal.say(f"patched checkouts: {self._copies.folder}")
        stopped = stopped_after(len(self._planned), self._session)
        self._terminal.say_next(stopped or self._next_command(), "nothing was sent")
        self._terminal.summary(f"remex {self._settings.mode}")

    def _check_remotes(self) -> None:
        """Check whether the remotes can take what is planned, and how retried runs continue."""
        for place, problem in self._planner.problems.items():
            self._terminal.note(f"{place.place} could not be asked about jobs: {problem}")
        for problem in self._preview.determine(self._connections.to):
            self._terminal.note(f"it is not known how a retried experiment continues: {problem}")
        footprints: dict[Remote, list[Footprint]] = {}
        for each in self._planned:
            if each.decision in SENT and each.decision is not Decision.FINISH:
                footprints.setdefault(each.remote, []).append(each.prepared.footprint)
        fitness = Fitness(self._connections.to, self._settings.launching.grouping)
        for remote, sizes in footprints.items():
            if remote in self._planner.unreachable or remote in self._planner.problems:
                continue
            try:
                self._connections.to(remote)
            except RemexError as error:
                problem = "could not be asked whether it takes this"
                self._terminal.note(f"{remote.place} {problem}: {error}")
                continue
            try:
                fitness.refuse_unfit({remote: sizes})
            except RemexError as error:
                self._refusals.append(str(error))
        for note in fitness.notes:
            self._terminal.note(note)
        self._check_upstreams()

    def _check_upstreams(self) -> None:
        """See whether upstreams that are used as they are keep experiments back."""
        problems = {*self._planner.unreachable, *self._planner.problems}
        try:
            self._refusals += kept_back(self._planned, problems, self._connections.to)
        except RemexError as error:
            self._terminal.note(f"whether upstreams ended well is not known: {error}")

    def _inspect(self, prepared: Prepared, originals: Mapping[str, bytes]) -> None:
        experiment = prepared.experiment
        self._checks.check(experiment, originals)
        if self._settings.launching.resubmit.is_retry:
            self._preview.probe(experiment)
        facts = {"experiment": experiment, "originals": originals}
        for warning in self._hooks.flat("pytest_remex_inspect", **facts):
            self._terminal.note(warning)
        if self._copies:
            self._copies.copy(experiment)

    def _repeat_first(self, item: pytest.Function, prepared: Prepared) -> None:
        """Run the patch of each sweep's first experiment once more: it must make the same files."""
        __tracebackhide__ = True
        experiment = prepared.experiment
        if experiment.sweep.name in self._repeated:
            return
        self._repeated.add(experiment.sweep.name)
        again = self._preparer.repeat(item)
        if again is None:
            return  # it can only run once, for example because it makes a folder elsewhere
        if differing := differing_files(prepared, again):
            self._terminal.note(
                f"{experiment.sweep.name}: the patch of {experiment.id} made other files when it "
                f"ran again: {', '.join(differing)}; so each submit sends it again, as another "
                f"experiment: give random numbers a fixed seed, and write no time into files"
            )

    def _with_recipe(self, item: pytest.Function, planned: PlannedExperiment) -> PlannedExperiment:
        """Return what a retry would submit for an experiment whose sweep has recipes.

        All recipes of a sweep's first experiment are tried, so that none fails at a retry.
        """
        __tracebackhide__ = True
        sweep, first = planned.prepared.experiment.sweep, planned.prepared
        numbers = {planned.recipe} - {0} if planned.retried else set()
        if sweep.name not in self._tried:
            self._tried.add(sweep.name)
            numbers |= set(range(1, len(sweep.recipes)))

        made = {
            number: self._preparer.prepare_again(
                first, item, self._inspect_recipe(number, planned), number
            )
            for number in sorted(numbers)
        }
        if not planned.retried or planned.recipe not in made:
            return planned
        if self._copies:
            self._copies.leave_out(made[planned.recipe])
        title = f"{planned.title}, with recipe {planned.recipe}"
        return replace(planned, prepared=made[planned.recipe], title=title)

    def _inspect_recipe(self, number: int, planned: PlannedExperiment) -> Inspect:
        """Return what checks a recipe, and copies the checkout of the one that a retry sends."""

        def inspect(made: Prepared, originals: Mapping[str, bytes]) -> None:
            self._checks.check(made.experiment, originals)
            if self._copies and planned.retried and number == planned.recipe:
                self._copies.copy(made.experiment)

        return inspect

    def _shows_next(self) -> bool:
        """Return whether the diff of the next experiment is shown."""
        planned = self._settings.mode is Mode.PLAN
        return planned and (self._is_verbose or len(self._planned) < SHOWN)

    @property
    def _is_verbose(self) -> bool:
        return bool(self._config.getoption("verbose", default=0) > 0)  # 0: -p no:terminal

    def _show_diffs(self) -> None:
        shown = self._planned if self._is_verbose else self._planned[:SHOWN]
        for each in shown:
            how = self._preview.of(each.retried)
            title = f"{each.title}, {shown_continuation(how)}" if how else each.title
            self._terminal.say(f"{each.prepared.node}  {title}", bold=True)
            for line in each.prepared.diff.splitlines() or ["(no change: this is the base itself)"]:
                self._terminal.say(f"    {line}", **_markup(line))
        if hidden := len(self._planned) - len(shown):
            self._terminal.say(f"and {hidden} more: -v shows them all")

    def _moved(self) -> list[str]:
        held = [
            (each.prepared, each.earlier)
            for each in self._planned
            if each.decision is Decision.OTHER_BASE and each.earlier is not None
        ]
        return moved_bases(held, [each.prepared for each in self._planned])

    def _next_command(self) -> str:
        if self._session.testsfailed and not self._planned:
            return "correct what failed, then --remex-plan shows what a submit would send"
        if self._settings.mode is Mode.DRY:
            return "--remex-plan shows what a submit would send"
        if self._refusals:
            return "--remex-doctor checks what submit would refuse"
        if any(each.decision in SENT | {Decision.ASK} for each in self._planned):
            launching = self._settings.launching
            asked = launching != LaunchOptions(
                confirm=launching.confirm, note=launching.note, rate=launching.rate
            )
            is_changed = asked or bool(self._settings.sbatch.text)
            is_alone = bool(self._planner.unreachable)
            once = ", once --remex-doctor finds no fault" * is_alone
            return f"--remex-submit {'with the same options ' if is_changed else ''}sends it{once}"
        if any(each.decision is Decision.UNJUDGED for each in self._planned):
            return "--remex-collect shows whose check failed"
        return "--remex-status shows the state of the experiments"

    def _summary(self) -> str:
        """Return what submit would request, and what it would not send."""
        sent = [
            (each.prepared.header, each.prepared.footprint)
            for each in self._planned
            if each.decision in SENT
        ]
        options = Counter(
            " ".join(each.prepared.sbatch) for each in self._planned if each.decision in SENT
        )
        counts = Counter(each.decision for each in self._planned)
        again = sum(counts[each] for each in SENT_ONCE_MORE)
        left = (Decision.ALREADY, Decision.ASK, Decision.UNJUDGED)
        submitted = again + sum(counts[each] for each in left)
        nothing = "sends what failed" if counts[Decision.ASK] else "has nothing to send"
        parts = [
            f"--remex-submit {f'asks for {Cost.of(sent)}' if sent else nothing}",
            f"{submitted} already submitted" + (f", {again} of them again" if again else ""),
        ]
        if self._planned and not sent:
            total = Footprint.total(each.prepared.footprint for each in self._planned)
            parts.append(f"the run directories of all would take {written(total)}")
        parts += [f"{n} with sbatch {words}" for words, n in options.items() if words]
        if unknown := counts[Decision.ASK]:
            parts.append(
                f"whether the jobs of {unknown} failed could not be determined, and submit will "
                f"ask again"
            )
        if unjudged := counts[Decision.UNJUDGED]:
            parts.append(unjudged_text(unjudged))
        return "; ".join(parts)


def _markup(line: str) -> Markup:
    if line.startswith(("+++", "---", "@@")):
        return {"light": True}
    return {"green": True} if line.startswith("+") else {"red": line.startswith("-")}
