"""Dry run and plan: try every patch, and send nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import pytest

from pytest_remex.experiment import Experiment
from pytest_remex.hooks import GuardedHooks
from pytest_remex.launch.candidate import Candidate
from pytest_remex.launch.continuation import ContinuationPreview, continuation_summary, shown
from pytest_remex.launch.plan import Plan, recipe_of_retry, tree
from pytest_remex.launch.preparation import CheckoutCopies, differing_files
from pytest_remex.pytest_plugin.facts import note_facts, prepared_facts
from pytest_remex.pytest_plugin.item_outcomes import Markup, failing_plainly, say
from pytest_remex.pytest_plugin.items import places_of, stopped_after, was_stopped
from pytest_remex.pytest_plugin.mode import Mode, ModeContext
from pytest_remex.pytest_plugin.preparation import (
    ConfigChecks,
    Preparer,
    refuse_without_upstream,
)
from pytest_remex.pytest_plugin.replicates import AskedReplicates
from pytest_remex.records.store import read_records
from pytest_remex.repo.workspace import Prepared, Workspaces

SHOWN = 20
"""How many diffs a plan shows without -v."""
NEXT = "--remex-plan shows what a submit would send"


class DryRun(Mode):
    """The dry run: run every patch."""

    def __init__(self, context: ModeContext, _items: Sequence[pytest.Function]) -> None:
        super().__init__(context)
        read_records(self.settings.launches)  # one that cannot be read is refused in each mode
        self._workspaces = Workspaces(kept=False)
        self._trials = Trials(context, self._workspaces)
        self.patch_checkout = self._trials.preparer.checkout
        self._tried = 0

    def run(self, item: pytest.Function) -> None:
        """Run the patch."""
        __tracebackhide__ = True
        self.terminal.target(places_of(item)[1])
        prepared = self._trials.prepare(item)
        self._trials.prepare_recipes(item, prepared)
        note_facts(item, **prepared_facts(prepared))
        self._tried += 1

    def close(self) -> None:
        """Remove the scratch checkouts."""
        self._workspaces.close()
        super().close()

    def summarize(self) -> None:
        """Say what to do next."""
        has_failed = bool(self.session.testsfailed) and not self._tried
        following = stopped_after(self._tried, self.session) or _next(NEXT, has_failed=has_failed)
        self.terminal.say_next(following, "nothing was sent")


class PlanMode(Mode):
    """The mode plan: run every patch, and show what a submit would do."""

    def __init__(self, context: ModeContext, items: Sequence[pytest.Function]) -> None:
        super().__init__(context)
        settings, hook, connect = self.settings, context.config.hook, context.connections.to
        self._workspaces = Workspaces(kept=False, shows=self._shows_next)
        preview = ContinuationPreview(hook, settings.runs)
        self._copies = CheckoutCopies(settings.checkout) if settings.checkout else None
        probe = preview.probe if settings.launching.resubmit.is_retry else None
        self._trials = Trials(context, self._workspaces, self._copies, probe)
        self.patch_checkout = self._trials.preparer.checkout
        self._replicates = AskedReplicates(self.session, items, again=settings.launching.again)
        self._plan = Plan(context.folders, settings.launching, self._workspaces, connect, preview)

    def run(self, item: pytest.Function) -> None:
        """Run the patch, and plan what a submit does with the experiment."""
        __tracebackhide__ = True
        repo, remote = places_of(item)
        self.terminal.target(remote)
        prepared = self._trials.prepare(item)
        refuse_without_upstream(prepared)
        with failing_plainly(item.session):
            for message in self._plan.known.read_if_reachable(repo, remote):
                self.terminal.note(message)
            runs, local = self._plan.known.runs, remote.host is None
            self._replicates.add_items(item, runs, local=local)
        self._replicates.skip_unknown(item)
        planned = self._plan.decide(prepared)
        self._use_recipe(item, planned)
        self._plan.experiments.append(planned)
        self._plan.preview.add(planned)
        note_facts(item, **prepared_facts(prepared), plan=planned.title)
        say(item, planned.title)

    def close(self) -> None:
        """Remove the scratch checkouts, and check the remotes."""
        self._workspaces.close()
        try:
            if not was_stopped(self.session):
                self._plan.check_remotes(self.terminal.note)
        finally:
            super().close()
        if self._plan.refusals:
            self.context.exit_with(pytest.ExitCode.TESTS_FAILED)

    def summarize(self) -> None:
        """Show the plan."""
        if not was_stopped(self.session):
            self._show_diffs()
            self._show_plan()
        if self._copies:
            self.terminal.say(f"patched checkouts: {self._copies.folder}")
        plan, settings = self._plan, self.settings
        has_failed = bool(self.session.testsfailed) and not plan.experiments
        command = plan.next_command(settings.sbatch.text)
        stopped = stopped_after(len(plan.experiments), self.session)
        self.terminal.say_next(stopped or _next(command, has_failed=has_failed), "nothing was sent")

    def _use_recipe(self, item: pytest.Function, planned: Candidate) -> None:
        """Plan what a retry would submit for an experiment whose sweep has recipes."""
        __tracebackhide__ = True
        number = recipe_of_retry(planned)
        made = self._trials.prepare_recipes(item, planned.prepared, number).get(number)
        if made is not None:
            planned.prepared = made
            planned.title += f", with recipe {number}"

    def _shows_next(self) -> bool:
        """Return whether the diff of the next experiment is shown."""
        return self._is_verbose or len(self._plan.experiments) < SHOWN

    @property
    def _is_verbose(self) -> bool:
        return bool(self.context.config.getoption("verbose", default=0) > 0)  # 0: -p no:terminal

    def _show_diffs(self) -> None:
        planned = self._plan.experiments
        listed = planned if self._is_verbose else planned[:SHOWN]
        for each in listed:
            how = self._plan.preview.of(each.retried)
            title = f"{each.title}, {shown(how)}" if how else each.title
            self.terminal.say(f"{each.prepared.node}  {title}", bold=True)
            for line in each.prepared.diff.splitlines() or ["(no change: this is the base itself)"]:
                self.terminal.say(f"    {line}", **_markup(line))
        if hidden := len(planned) - len(listed):
            self.terminal.say(f"and {hidden} more: -v shows them all")

    def _show_plan(self) -> None:
        plan, say_line = self._plan, self.terminal.say
        for line in tree(plan.experiments):
            say_line(line)
        say_line(plan.summary(), green=True)
        if advice := plan.advice():
            say_line(advice, yellow=True)
        for how, count in plan.preview.counts().items():
            say_line(continuation_summary(how, count), yellow=not how.command)
        for message in plan.moved():
            say_line(message, yellow=True)
        for refusal in plan.refusals:
            say_line(f"submit would be refused: {refusal}", red=True)


class Trials:
    """Runs patches to see whether they apply, and make the same files each time.

    Args:
        context: The context of the pytest run.
        workspaces: The workspaces in which to prepare experiments.
        copies: Copies patched checkouts for the user, if any.
        probe: Called with each experiment while its checkout is patched.

    """

    def __init__(
        self,
        context: ModeContext,
        workspaces: Workspaces,
        copies: CheckoutCopies | None = None,
        probe: Callable[[Experiment], None] | None = None,
    ) -> None:
        self.preparer = Preparer(context, workspaces)
        self._checks = ConfigChecks(context)
        self._copies = copies
        self._probe = probe
        self._note = context.terminal.note
        self._hooks = GuardedHooks(context.config.hook, self._note)
        self._repeated: set[str] = set()
        self._with_recipes: set[str] = set()

    def prepare(self, item: pytest.Function) -> Prepared:
        """Run an experiment's patch; that of a sweep's first experiment once more."""
        __tracebackhide__ = True
        prepared = self.preparer.prepare(item, self._inspect)
        if self._copies:
            self._copies.leave_out(prepared)
        sweep = prepared.experiment.sweep.name
        if sweep not in self._repeated:
            self._repeated.add(sweep)
            self._repeat(item, prepared)
        return prepared

    def _inspect(self, prepared: Prepared, originals: Mapping[str, bytes]) -> None:
        experiment = prepared.experiment
        self._checks.check(prepared, originals)
        if self._probe:
            self._probe(experiment)
        facts = {"experiment": experiment, "originals": originals}
        for warning in self._hooks.flat("pytest_remex_inspect", **facts):
            self._note(warning)
        if self._copies:
            self._copies.copy(experiment)

    def _repeat(self, item: pytest.Function, prepared: Prepared) -> None:
        """Note it if the patch makes other files when it runs once more."""
        __tracebackhide__ = True
        again = self.preparer.repeat(item)
        if again is None:
            return  # it can only run once, for example because it makes a folder elsewhere
        if differing := differing_files(prepared, again):
            experiment = prepared.experiment
            self._note(
                f"{experiment.sweep.name}: the patch of {experiment.id} made other files when it "
                f"ran again: {', '.join(differing)}; so each submit sends it again, as another "
                f"experiment: give random numbers a fixed seed, and write no time into files"
            )

    def prepare_recipes(
        self, item: pytest.Function, first: Prepared, retried: int = 0
    ) -> dict[int, Prepared]:
        """Return an experiment prepared by the recipe that a retry sends, if it is not the first.

        All recipes of a sweep's first experiment are tried, so that none fails at a retry.
        """
        __tracebackhide__ = True
        sweep, numbers = first.experiment.sweep, {retried} - {0}
        if sweep.name not in self._with_recipes:
            self._with_recipes.add(sweep.name)
            numbers |= set(range(1, len(sweep.recipes)))

        def inspect(number: int, made: Prepared, originals: Mapping[str, bytes]) -> None:
            self._checks.check(made, originals)
            if self._copies and number == retried:
                self._copies.copy(made.experiment)

        made = {
            number: self.preparer.prepare_again(first, item, partial(inspect, number), number)
            for number in sorted(numbers)
        }
        if self._copies and retried in made:
            self._copies.leave_out(made[retried])
        return made


def _next(command: str, *, has_failed: bool) -> str:
    """Return what to do next, if all experiments have failed (`has_failed`) or not."""
    return f"correct what failed, then {NEXT}" if has_failed else command


def _markup(line: str) -> Markup:
    if line.startswith(("+++", "---", "@@")):
        return {"light": True}
    return {"green": True} if line.startswith("+") else {"red": line.startswith("-")}
