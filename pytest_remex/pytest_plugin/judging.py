"""Judge runs in the items of a pytest run, in this process or for the one that started it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import pluggy
import pytest

from pytest_remex.collect.judge import JudgedRun, RunJudge, RunPendingError
from pytest_remex.collect.kept import KeptVerdict, VerdictKeeper, Watch, read_kept
from pytest_remex.collect.manifest import check_digest
from pytest_remex.collect.runs import CollectedRun, was_cleaned
from pytest_remex.common.jobs import JobState
from pytest_remex.display import clean
from pytest_remex.errors import RemexError
from pytest_remex.hooks import OURS, GuardedHooks, modules_of
from pytest_remex.model import Repo
from pytest_remex.names import CHANGED
from pytest_remex.pytest_plugin import preparation
from pytest_remex.pytest_plugin.facts import note_facts, run_facts
from pytest_remex.pytest_plugin.fixtures import PLACES, places_of
from pytest_remex.pytest_plugin.handover import Collect
from pytest_remex.pytest_plugin.item_outcomes import failing_plainly, reason_of, say, skip
from pytest_remex.pytest_plugin.items import (
    FIXTURE,
    experiment_of,
    parameters_of,
    use_recipe,
    variant_of,
)
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.pytest_plugin.preparation import body_of
from pytest_remex.pytest_plugin.project import node_of
from pytest_remex.repo.workspace import Workspaces
from pytest_remex.tables.stored import RecordedRows, UpstreamMeasures

_Verdict: TypeAlias = tuple[str, str, BaseException | None]
"""An outcome, the reason for it, and the exception, if there was one."""

PLAIN_MARKS = frozenset({"parametrize", "sweep", "usefixtures"})
"""The marks with which an item's outcome is that of its check."""


class Judging:
    """Judges the runs of a pytest run's items, and keeps verdicts for the next collect."""

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        tell: Callable[[str], None],
        collect: Collect,
    ) -> None:
        self._settings = settings
        self._tell = tell
        self._is_plain = _runs_items_plainly(config)
        self._workspaces = Workspaces(kept=False)
        self._keeper = VerdictKeeper(_ini_texts(config), collect.code)
        self._found: dict[str, KeptVerdict | None] = {}
        self._watches: dict[str, Watch] = {}
        self._running: set[str] = set()
        """The node ids of the items whose check runs."""
        self._failures: dict[str, _Verdict] = {}
        """The verdict of the last failed subtest of an item's check, by node id."""
        self.rows = RecordedRows(settings.output, settings.launch, tell, collect.id)
        self._upstreams = UpstreamMeasures(settings.output, settings.variant)
        self.judges: dict[str, RunJudge] = {}
        """The judges of the items that have had their turn, by node id."""
        self.kept: dict[str, KeptVerdict] = {}
        """The verdicts of an earlier collect that were taken, by node id."""
        preparation.use_built_in_readers(config)

    def begin(self, item: pytest.Function, collected: CollectedRun) -> RunJudge:
        """Return a new judge of an item's run."""
        watch = self._watches[item.nodeid] = Watch(doubtful=_depends_on_more(item))

        def keep(result: JudgedRun) -> None:
            with watch.off():
                self.rows.keep(result)

        begun = JudgedRun(
            node_of(item),
            parameters_of(item),
            collected,
            before=self._upstreams.of(collected.upstream),
            variant=variant_of(item),
            check=check_digest(item.function),
        )
        judge = self.judges[item.nodeid] = RunJudge(begun, keep, watch.on)
        outputs = str(collected.folder) if collected.outputs.files else None
        note_facts(item, **run_facts(collected.recorded, collected.job), outputs=outputs)
        return judge

    def needs_check(self, item: pytest.Function, collected: CollectedRun) -> bool:
        """Return whether an item's own check has to run."""
        is_completed = collected.job.state is JobState.COMPLETED
        return is_completed and self._find(item, collected) is None

    def needs_nothing(self, item: pytest.Function, collected: CollectedRun) -> bool:
        """Return whether an item's verdict is kept, and nothing else has a part in its outcome."""
        is_completed = collected.job.state is JobState.COMPLETED
        is_plain = self._is_plain and _has_plain_marks(item) and not _depends_on_more(item)
        return is_completed and is_plain and self._find(item, collected) is not None

    @contextmanager
    def checkout(
        self, item: pytest.Function, collected: CollectedRun, repo: Repo
    ) -> Iterator[Path]:
        """Yield a checkout of the base commit of an item's launch, if its check has to run."""
        if not self.needs_check(item, collected):
            self.begin(item, collected)
            yield collected.folder
            return
        base = collected.launch.base
        with preparation.checkout(partial(self._workspaces.at, repo, base)) as path:
            self.begin(item, collected)  # a checkout that cannot be made says nothing about the run
            yield path

    def judge(self, item: pytest.Function) -> None:
        """Judge an item's run: its job, outputs, config and own check."""
        __tracebackhide__ = True
        judge = self.judges[item.nodeid]
        self._failures.pop(item.nodeid, None)
        with failing_plainly(), self._checking(item):
            _check_job(judge, item)
            if kept := self._find(item, judge.collected):
                self.kept[item.nodeid] = kept
                judge.take(kept.measures, kept.curves)
            else:
                base, recipe = judge.collected.launch.base, judge.collected.run.recipe
                workspace = self._workspaces.at(places_of(item)[0], base)
                use_recipe(item, workspace.scratch.path, recipe)
                experiment = experiment_of(item, workspace.scratch.path, recipe)
                judge.check(experiment, body_of(item), workspace, self.hooks(item.ihook))
        if judge.result.note.changed:
            say(item, f"PASSED, {CHANGED}", yellow=True)

    def add_output(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Add a job's last lines to an item's report, if they may explain its failure."""
        judge = self.judges.get(item.nodeid)
        if judge and call.excinfo and _is_about_output(judge, call.excinfo.value):
            item.add_report_section("call", "job output, last lines", clean(judge.result.note.log))

    def conclude(
        self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
    ) -> RunJudge | None:
        """Set the verdict if a report decides it, and return the judge then."""
        judge = self.judges.get(item.nodeid)
        if judge is None or not (call.when == "call" or report.failed):
            return None
        error = call.excinfo.value if call.excinfo else None
        found: _Verdict = (report.outcome, reason_of(report), error)
        if item.nodeid in self._running:  # a subtest reports within the call, which passes
            if not report.failed:
                return None
            self._failures[item.nodeid] = found
        elif report.passed:
            found = self._failures.get(item.nodeid, found)
        judge.conclude(*found)
        self.note(item)
        if isinstance(item, pytest.Function):
            self._keep(item, judge, passed=found[0] == "passed")
        return judge

    def note(self, item: pytest.Item) -> None:
        """Note an item's verdict for the JSON file, and for what comes after its run."""
        result = self.judges[item.nodeid].result
        self._upstreams.add(result)
        note_facts(item, verdict=result.verdict, cause=result.note.cause, measures=result.measures)

    def conclude_dead(self, item: pytest.Function, why: str) -> None:
        """Set the verdict of a run whose check ended the process that ran it."""
        judge = self.judges[item.nodeid]
        judge.check_job()
        recorded = self.rows.measures(judge.result)
        judge.result = judge.result._replace(measures=recorded)
        judge.conclude("failed", why)
        self._keeper.drop(judge.collected.folder)

    def hooks(self, relay: pluggy.HookRelay) -> GuardedHooks:
        """Return hooks whose failures are reported and ignored."""
        return GuardedHooks(relay, self._tell)

    def close(self) -> None:
        """Remove the scratch checkouts."""
        self._workspaces.close()

    @contextmanager
    def _checking(self, item: pytest.Item) -> Iterator[None]:
        self._running.add(item.nodeid)
        try:
            yield
        finally:
            self._running.discard(item.nodeid)

    def _find(self, item: pytest.Function, collected: CollectedRun) -> KeptVerdict | None:
        """Return the verdict of an earlier collect, if it still holds."""
        if item.nodeid not in self._found:
            # a check may read what the run before left, which is not watched
            is_alone = collected.run.upstream is None
            is_asked = not self._settings.fresh and collected.outputs.complete and is_alone
            kept = read_kept(collected.folder) if is_asked else None
            if kept is not None:
                experiment = experiment_of(item, collected.folder, collected.run.recipe)
                run = JudgedRun(node_of(item), parameters_of(item), collected)
                kept = kept if self._keeper.confirms(kept, run, experiment) else None
            self._found[item.nodeid] = kept
        return self._found[item.nodeid]

    def _keep(self, item: pytest.Function, judge: RunJudge, *, passed: bool) -> None:
        """Keep a verdict for the next collect, or forget the one that was kept."""
        collected = judge.collected
        if not passed:
            self._keeper.drop(collected.folder)
        elif collected.run.upstream is not None:
            return
        elif collected.outputs.complete and item.nodeid not in self.kept:
            workspace = self._workspaces.at(places_of(item)[0], collected.launch.base)
            experiment = experiment_of(item, workspace.scratch.path, collected.run.recipe)
            try:
                self._keeper.keep(judge.result, experiment, self._watches[item.nodeid])
            except RemexError as error:
                self._tell(f"verdicts are not kept: {error}")


def _ini_texts(config: pytest.Config) -> list[str]:
    """Return what the ini file, -o and -W say: a check fails at a warning that is an error."""
    path = config.inipath
    text = path.read_text("utf-8", "replace") if path is not None else ""
    options = (*(config.option.override_ini or ()), *(config.option.pythonwarnings or ()))
    return [text, *map(str, options)]


def _depends_on_more(item: pytest.Function) -> bool:
    """Return whether a check may depend on more than its run and its code: on other fixtures."""
    known = {FIXTURE, *PLACES, *filter(partial(_is_value, item), item.callspec.params)}
    return bool(set(item.fixturenames) - known) or item.get_closest_marker("xfail") is not None


def _is_value(item: pytest.Function, parameter: str) -> bool:
    """Return whether a parameter is a value itself, and not one for a fixture of the user."""
    definitions = item._fixtureinfo.name2fixturedefs  # noqa: SLF001 - as in `items.arguments`
    return all(each.func.__module__ == "_pytest.python" for each in definitions.get(parameter, ()))


def _runs_items_plainly(config: pytest.Config) -> bool:
    """Return whether only pytest and this package have a part in setting up and running items."""
    hook = config.hook
    callers = (hook.pytest_runtest_setup, hook.pytest_runtest_call, hook.pytest_runtest_teardown)
    known = all(name.startswith((OURS, "_pytest.")) for name in modules_of(callers))
    return known and not config.option.setupshow


def _has_plain_marks(item: pytest.Function) -> bool:
    """Return whether no mark of an item, such as skipif, may decide on its outcome."""
    return PLAIN_MARKS.issuperset(mark.name for mark in item.iter_markers())


def _is_about_output(judge: RunJudge, error: BaseException) -> bool:
    """Return whether a job's last lines may explain a failure: not if an assertion failed."""
    has_completed = judge.collected.job.state is JobState.COMPLETED
    return has_completed and bool(judge.result.note.log) and not isinstance(error, AssertionError)


def _check_job(judge: RunJudge, item: pytest.Function) -> None:
    """Skip an experiment whose job has not ended."""
    __tracebackhide__ = True
    if was_cleaned(judge.collected):
        say(item, "PURGED")
        skip(judge.collected.job.reason)
    try:
        judge.check_job()
    except RunPendingError as pending:
        job = judge.collected.job
        partial = ", PARTIAL outputs" if judge.collected.outputs.files else ""
        say(item, f"{job.state} job {job.id}".strip() + partial)
        skip(str(pending))
