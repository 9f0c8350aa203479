"""Plan: try every patch as the dry run does, and show what a submit would do."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_remex.launch.candidate import Candidate
from pytest_remex.launch.plan import Plan, recipe_of_retry, tree
from pytest_remex.launch.retry import ContinuationPreview, continuation_summary, shown
from pytest_remex.pytest_plugin.dry_run import CheckoutCopies, Trials, next_step
from pytest_remex.pytest_plugin.facts import note_facts, prepared_facts
from pytest_remex.pytest_plugin.fixtures import places_of
from pytest_remex.pytest_plugin.item_outcomes import Markup, failing_plainly, say
from pytest_remex.pytest_plugin.mode import Mode, ModeContext, stopped_after, was_stopped
from pytest_remex.pytest_plugin.preparation import refuse_without_upstream
from pytest_remex.pytest_plugin.replicates import AskedReplicates
from pytest_remex.repo.workspace import Workspaces

SHOWN = 20
"""How many diffs a plan shows without -v."""


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
        self.checkout = self._trials.preparer.checkout
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
            index, local = self._plan.known.index, remote.host is None
            self._replicates.add_items(item, index, local=local)
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
        self.terminal.say_next(
            stopped or next_step(command, has_failed=has_failed), "nothing was sent"
        )

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


def _markup(line: str) -> Markup:
    if line.startswith(("+++", "---", "@@")):
        return {"light": True}
    return {"green": True} if line.startswith("+") else {"red": line.startswith("-")}
