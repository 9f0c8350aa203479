"""The mode collect: fetch all outputs at once, judge each experiment, then publish."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pluggy
import pytest
from rich import filesize

from pytest_remex.collect.failure import causes_of, oversized
from pytest_remex.collect.hooks import GuardedHooks
from pytest_remex.collect.judge import JudgedRun, RunJudge, RunPendingError
from pytest_remex.collect.kept import KeptVerdict, VerdictKeeper, Watch
from pytest_remex.collect.pipeline import (
    CollectedRun,
    FetchOptions,
    WantedRun,
    collect,
    collect_offline,
    wanted_upstreams,
    was_cleaned,
    with_upstreams,
)
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.errors import RemexError
from pytest_remex.interaction import clean, counted
from pytest_remex.model import Remote, Repo, Sweep
from pytest_remex.names import CHANGED
from pytest_remex.pytest_plugin import preparation
from pytest_remex.pytest_plugin.anchor import node_of
from pytest_remex.pytest_plugin.facts import note_facts, run_facts
from pytest_remex.pytest_plugin.failures import ExamplesOfFailures
from pytest_remex.pytest_plugin.items import (
    FIXTURE,
    experiment_of,
    failing_plainly,
    is_experiment,
    parameters_of,
    places_of,
    reason_of,
    say,
    skip,
    sweep_for,
    use_recipe,
    variant_of,
)
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.pytest_plugin.preparation import body_of
from pytest_remex.pytest_plugin.selection import NOT_ENDED, RecordedRunsMode
from pytest_remex.records.index import RecordedRun
from pytest_remex.repo.workspace import Workspaces
from pytest_remex.tables.merge import ZIP
from pytest_remex.tables.publish import Published, publish
from pytest_remex.tables.readers import BuiltInReaders
from pytest_remex.tables.recorded import RecordedRows, Target, measures_of_upstream

SHOWN = 5
"""The most left-out outputs that a message names."""


class CollectMode(RecordedRunsMode):
    """The plugin of the mode collect."""

    def __init__(
        self, session: pytest.Session, settings: Settings, items: Sequence[pytest.Function]
    ) -> None:
        super().__init__(session, settings, items)
        self._workspaces = Workspaces(kept=False)
        self._collected: dict[str, CollectedRun] = {}
        self._judges: dict[str, RunJudge] = {}
        self._keeper = VerdictKeeper(_ini_texts(session.config))
        self._kept: dict[str, KeptVerdict] = {}
        self._watches: dict[str, Watch] = {}
        self._others: Sequence[CollectedRun] = ()
        self._recorded_rows = RecordedRows(settings.output, settings.launch, self._terminal.note)
        self._sweeps: dict[str, Sweep] = {}
        self._adopt(items)
        readers = BuiltInReaders(lambda: session.config.hook)
        session.config.pluginmanager.register(readers, "remex-readers")
        self._examples = ExamplesOfFailures(session.config, self._causes)
        session.config.pluginmanager.register(self._examples, "remex-failures")

    def _adopt(self, items: Sequence[pytest.Function]) -> None:
        self._sweeps |= {item.nodeid: sweep_for(item) for item in items}

    @contextmanager
    def checkout(self, item: pytest.Function, repo: Repo, remote: Remote) -> Iterator[Path]:
        """Yield a checkout of the base commit of the experiment's launch, if it will be judged."""
        with failing_plainly(item.session):
            self._collect_with(item, repo, remote)
        collected = self._collected.get(item.nodeid)
        if collected is None:
            self._skip_unsubmitted(item)
        judge = self._judge(item, collected)
        if collected.job.state is not JobState.COMPLETED or self._still_holds(item, judge):
            yield collected.folder
            return
        base = collected.launch.base
        with preparation.checkout(partial(self._workspaces.at, repo, base)) as path:
            yield path

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Judge a run instead of running a test: its job, outputs, config and own check."""
        __tracebackhide__ = True
        if not is_experiment(pyfuncitem):
            return None
        judge = self._judges[pyfuncitem.nodeid]
        collected = judge.collected
        outputs = str(collected.folder) if collected.outputs.files else None
        note_facts(pyfuncitem, **run_facts(collected.recorded, collected.job), outputs=outputs)
        with failing_plainly():
            _check_job(judge, pyfuncitem)
            if kept := self._kept.get(pyfuncitem.nodeid):
                judge.take(kept)
                return _passed(judge, pyfuncitem)
            base = judge.collected.launch.base
            workspace = self._workspaces.at(places_of(pyfuncitem)[0], base)
            recipe = judge.collected.run.recipe
            use_recipe(pyfuncitem, workspace.scratch.path, recipe)
            experiment = experiment_of(pyfuncitem, workspace.scratch.path, recipe)
            judge.check(experiment, body_of(pyfuncitem), workspace, self._hooks(pyfuncitem.ihook))
        return _passed(judge, pyfuncitem)

    def _judge(self, item: pytest.Function, collected: CollectedRun) -> RunJudge:
        watch = self._watches[item.nodeid] = Watch(doubtful=_depends_on_more(item))

        def keep(result: JudgedRun) -> None:
            with watch.off():
                self._recorded_rows.keep(result)

        node, parameters = node_of(item), parameters_of(item)
        judge = RunJudge(node, parameters, collected, keep, watch.on)
        judged = (each.result for each in self._judges.values())
        output, variant = self._settings.output, variant_of(item)
        before = measures_of_upstream(collected.upstream, judged, output, variant)
        judge.result = replace(judge.result, before=before, variant=variant)
        self._judges[item.nodeid] = judge
        return judge

    def _still_holds(self, item: pytest.Function, judge: RunJudge) -> bool:
        """Return whether the verdict of an earlier collect is taken."""
        experiment = experiment_of(item, judge.collected.folder, judge.collected.run.recipe)
        # a check may read what the run before left, which is not watched
        is_alone = judge.collected.run.upstream is None
        is_asked = not self._settings.fresh and judge.collected.outputs.complete and is_alone
        kept = self._keeper.find(judge.result, experiment) if is_asked else None
        if kept is not None:
            self._kept[item.nodeid] = kept
        return kept is not None

    def _keep(self, item: pytest.Function, judge: RunJudge, *, passed: bool) -> None:
        """Keep a verdict for the next collect, or forget the one that was kept."""
        collected = judge.collected
        if not passed:
            self._keeper.drop(collected.folder)
        elif collected.run.upstream is not None:
            return
        elif collected.outputs.complete and item.nodeid not in self._kept:
            workspace = self._workspaces.at(places_of(item)[0], collected.launch.base)
            experiment = experiment_of(item, workspace.scratch.path, collected.run.recipe)
            try:
                self._keeper.keep(judge.result, experiment, self._watches[item.nodeid])
            except RemexError as error:
                self._terminal.note(f"verdicts are not kept: {error}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, Any]:
        """Store each verdict for the results."""
        judge = self._judges.get(item.nodeid)
        if judge and call.excinfo and _is_about_output(judge, call.excinfo.value):
            item.add_report_section("call", "job output, last lines", clean(judge.result.note.log))
        report: pytest.TestReport = yield
        if judge is not None and (call.when == "call" or report.failed):
            error = call.excinfo.value if call.excinfo else None
            judge.conclude(report.outcome, reason_of(report), error)
            result = judge.result
            note_facts(
                item, verdict=result.verdict, cause=result.note.cause, measures=result.measures
            )
            if isinstance(item, pytest.Function):
                self._keep(item, judge, passed=report.passed)
        return report

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Publish the results, and close all connections after the last fixture."""
        try:
            published = self._publish()
            if session.exitstatus == pytest.ExitCode.OK and not published:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
            if session.exitstatus == pytest.ExitCode.OK and self._pending():
                session.exitstatus = NOT_ENDED
            return (yield)
        finally:
            self._connections.close()
            self._workspaces.close()

    def pytest_terminal_summary(self) -> None:
        """Group failures by cause, and say what has not ended and where the results are."""
        self._examples.show_all()
        failed = self._causes()
        for cause, count in Counter(failed.values()).most_common():
            self._terminal.say(f"{count} failed: {cause}", red=True)
        self._say_oversized()
        if self._kept:
            what = counted(len(self._kept), "verdict")
            self._terminal.say(
                f"{what} kept, as nothing changed that the checks were made of: --remex-fresh "
                f"judges all"
            )
        for each in self._others:
            where = f"{each.run.node} {each.job.state} job {each.job.id}"
            self._terminal.say(f"upstream, not judged: {where}")
        for state, count in sorted(self._pending().items()):
            self._terminal.say(f"{count} {state}", yellow=True)
        if next_command := self._next_command(failed=bool(failed)):
            self._terminal.say_next(next_command)
        self._terminal.summary("remex collect")

    def _causes(self) -> dict[str, str]:
        """Return the cause of each failure by node id."""
        judged = {node: judge.result for node, judge in self._judges.items()}
        failed = {node: each for node, each in judged.items() if each.verdict == "FAILED"}
        causes = causes_of([(each.note.cause, each.reason) for each in failed.values()])
        return dict(zip(failed, causes, strict=True))

    def _say_oversized(self) -> None:
        large = [
            f"{judge.collected.run.directory}/{name}"
            for judge in self._judges.values()
            for name in oversized(judge.collected)
        ]
        if large:
            names = ", ".join(large[:SHOWN]) + (", ..." if large[SHOWN:] else "")
            self._terminal.say(
                f"outputs above remex_max_file stay on the cluster: {len(large)}: {names}",
                yellow=True,
            )

    def _next_command(self, *, failed: bool) -> str:
        if failed:
            jobs = [judge.collected.job for judge in self._judges.values()]
            if any(job.state.failed for job in jobs):
                return "--remex-submit --remex-retry sends what failed once more"
            return (
                "--remex-collect again where the check was wrong, without running anything; "
                "--remex-submit --remex-retry=check sends what failed once more"
            )
        if self._unsubmitted:
            return "--remex-submit sends what was not submitted"
        if self._pending():
            return "--remex-status --remex-wait waits until all have ended"
        names = list(dict.fromkeys(judge.result.sweep.name for judge in self._judges.values()))
        return f"pytest_remex.results({names[0]!r}) in Python gives the table" if names else ""

    def _publish(self) -> bool:
        """Publish, and report where, or why not; return whether everything was written."""
        settings = self._settings
        # a run that was removed after a collect keeps its row
        judges = [each for each in self._judges.values() if not was_cleaned(each.collected)]
        results = [judge.result for judge in judges]
        target = Target(
            settings.output,
            settings.launch,
            settings.layout,
            portable=settings.portable,
            added=self._added_to((each.sweep, each.variant) for each in results),
        )
        try:
            published = publish(results, target, self._hooks(self._config.hook))
        except RemexError as error:
            self._terminal.say(str(error), red=True)
            return False
        for each in published:
            self._say_published(each)
        return True

    def _say_published(self, each: Published) -> None:
        if len(each.bases) > 1:
            rows = ", ".join(f"{count} on {base[:12]}" for base, count in each.bases.most_common())
            told = f"the results of {each.sweep} have rows of {len(each.bases)} bases: {rows}"
            self._terminal.say(told, yellow=True)
        for name, counts in each.mixed.items():
            shown = ", ".join(f"{count} with {value}" for value, count in counts.most_common())
            self._terminal.say(f"{each.sweep} mixes several {name}: {shown}", yellow=True)
        self._terminal.say(f"report:  {each.folder / 'report.html'}", green=True)
        self._terminal.say(f"results: {each.folder / 'results.csv'}", green=True)
        if each.portable is not None:
            size = filesize.decimal(each.portable.size)
            files = f"{each.portable.files} files, {size} of outputs"
            self._terminal.say(f"zip:     {each.folder / ZIP} ({files})", green=True)
            if left_out := each.portable.left_out:
                names = ", ".join(left_out[:SHOWN]) + (", ..." if left_out[SHOWN:] else "")
                self._terminal.say(f"left out of the zip: {len(left_out)}: {names}", yellow=True)

    def _hooks(self, relay: pluggy.HookRelay) -> GuardedHooks:
        return GuardedHooks(relay, self._terminal.note)

    def _collect_with(self, item: pytest.Function, repo: Repo, remote: Remote) -> None:
        """Collect, the first time, the runs of all items that run where this one does."""
        runs = self._find_runs_with(item, repo, remote)
        if runs is None:
            return
        if self._settings.wait is not None:
            self._wait(runs)
        wanted = [WantedRun(run, self._sweeps[node]) for node, run in runs.items()]
        self._collected |= zip(runs, self._fetch_all(wanted), strict=True)

    def _fetch_all(self, runs: Sequence[WantedRun]) -> list[CollectedRun]:
        """Fetch runs, and what they came after, which is not judged where it was not selected."""
        selected = {each.recorded.run.directory for each in runs}
        others = [
            each
            for each in wanted_upstreams(runs, self._index)
            if each.recorded.run.directory not in selected
        ]
        fetched = self._fetch([*runs, *others])
        self._others = [*self._others, *fetched[len(runs) :]]
        return with_upstreams(fetched[: len(runs)], fetched[len(runs) :])

    def _fetch(self, runs: Sequence[WantedRun]) -> list[CollectedRun]:
        if self._settings.offline:
            return collect_offline(runs, self._settings.runs)
        with self._terminal.progress() as progress:
            return collect(
                runs,
                self._connections.to,
                self._settings.runs,
                progress,
                FetchOptions(self._settings.partial, self._settings.largest, self._settings.most),
            )

    def _wait(self, runs: Mapping[str, RecordedRun]) -> None:
        jobs: Mapping[str, Job] = {}
        try:
            with self._terminal.progress() as progress:
                for jobs in self._polled(list(runs.values())):
                    progress("waiting", sum(job.state.ended for job in jobs.values()), len(jobs))
        except KeyboardInterrupt:
            pytest.exit("remex: stopped waiting: the jobs go on", pytest.ExitCode.INTERRUPTED)
        if jobs and not any(job.state.live for job in jobs.values()):
            self._tell_end({node: jobs[each.run.directory] for node, each in runs.items()})

    def _pending(self) -> Counter[str]:
        jobs = [judge.collected.job for judge in self._judges.values()]
        pending = Counter(str(job.state) for job in jobs if not job.state.ended)
        if self._unsubmitted:
            pending["NOT SUBMITTED"] = self._unsubmitted
        return pending


def _ini_texts(config: pytest.Config) -> list[str]:
    """Return what the ini file and -o say."""
    path = config.inipath
    text = path.read_text("utf-8", "replace") if path is not None else ""
    return [text, *map(str, config.option.override_ini or ())]


def _depends_on_more(item: pytest.Function) -> bool:
    """Return whether a check may depend on more than its run and its code: on other fixtures."""
    known = {FIXTURE, "repo", "remote", *item.callspec.params}
    return bool(set(item.fixturenames) - known) or item.get_closest_marker("xfail") is not None


def _passed(judge: RunJudge, item: pytest.Function) -> bool:
    if judge.result.note.changed:
        say(item, f"PASSED, {CHANGED}", yellow=True)
    return True


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
