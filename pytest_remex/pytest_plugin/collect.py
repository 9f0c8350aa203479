"""The mode collect: fetch all outputs at once, judge each experiment, then publish."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich import filesize

from pytest_remex.collect.failure import causes_of, oversized
from pytest_remex.collect.fetch import FetchOptions, fetch_outputs
from pytest_remex.collect.manifest import is_only_elsewhere
from pytest_remex.collect.runs import (
    CollectedRun,
    WantedRun,
    collect_offline,
    wanted_upstreams,
    was_cleaned,
    with_upstreams,
)
from pytest_remex.common.jobs import Job
from pytest_remex.display import counted, some_of
from pytest_remex.errors import RemexError
from pytest_remex.model import Remote, Repo, Sweep
from pytest_remex.pytest_plugin.against import compare_with_reference
from pytest_remex.pytest_plugin.anchor import node_of
from pytest_remex.pytest_plugin.failures import ExamplesOfFailures
from pytest_remex.pytest_plugin.handover import DIED, detach, has_died, has_verdict
from pytest_remex.pytest_plugin.item_outcomes import failing_plainly
from pytest_remex.pytest_plugin.items import (
    PARAMETERS,
    WORKERS,
    FunctionParameters,
    experiments,
    is_experiment,
    stopped_after,
    sweep_for,
)
from pytest_remex.pytest_plugin.judging import Collect, Judging
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.pytest_plugin.selection import NOT_ENDED, RecordedRunsMode
from pytest_remex.pytest_plugin.terminal import PATHS
from pytest_remex.records.index import RecordedRun
from pytest_remex.tables.publish import Published, publish
from pytest_remex.tables.rows import INDEX, ZIP, PublishOptions

if TYPE_CHECKING:
    from pytest_remex.pytest_plugin.workers import JudgingProcesses

SHOWN = 5
"""The most left-out outputs that a message names."""


class CollectMode(RecordedRunsMode):
    """The plugin of the mode collect."""

    def __init__(
        self, session: pytest.Session, settings: Settings, items: Sequence[pytest.Function]
    ) -> None:
        super().__init__(session, settings, items)
        self._collected: dict[str, CollectedRun] = {}
        self._workers: JudgingProcesses | None = session.config.pluginmanager.get_plugin(WORKERS)
        collect = self._workers.collect if self._workers else Collect.new()
        self._judging = Judging(session.config, settings, self._terminal.note, collect)
        if self._workers is not None:
            self._workers.expect(session.items, self._terminal.note)
        self._reports: dict[str, Mapping[str | None, pytest.TestReport]] = {}
        """Other processes' reports on items that are set up here, by node id and phase."""
        self._others: Sequence[CollectedRun] = ()
        self._sweeps: dict[str, Sweep] = {}
        self._adopt(items)
        self._examples = ExamplesOfFailures(session.config, self._causes)
        session.config.pluginmanager.register(self._examples, "remex-failures")
        judges = self._judging.judges
        compare_with_reference(self._config, settings, self._terminal, items, judges)

    def _adopt(self, items: Sequence[pytest.Function]) -> None:
        self._sweeps |= {item.nodeid: sweep_for(item) for item in items}

    @contextmanager
    def checkout(self, item: pytest.Function, repo: Repo, remote: Remote) -> Iterator[Path]:
        """Yield a checkout of the base commit of the experiment's launch, if it will be judged."""
        with failing_plainly(item.session):
            runs = self._collect_with(item, repo, remote)
        if self._workers is not None and runs:
            self._share(self._workers, runs)
        collected = self._collected.get(item.nodeid)
        if collected is None:
            self._skip_unsubmitted(item)
        reports = self._workers.wait_for(item) if self._workers is not None else None
        if reports is not None:
            self._take(item, reports)
            self._reports[item.nodeid] = {report.when: report for report in reports}
            yield collected.folder
            return
        with self._judging.checkout(item, collected, repo) as path:
            yield path

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        """Report what another process judged, in the item's turn."""
        reports = self._workers.wait_for(item) if self._workers is not None else None
        if reports is None or not isinstance(item, pytest.Function):
            return None
        self._take(item, reports)
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        if error := _torn_down(item, nextitem):
            item.ihook.pytest_runtest_logreport(report=error)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Judge a run instead of running a test: its job, outputs, config and own check."""
        __tracebackhide__ = True
        if not is_experiment(pyfuncitem):
            return None
        if pyfuncitem.nodeid not in self._reports:
            self._judging.judge(pyfuncitem)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, Any]:
        """Store each verdict for the results."""
        self._judging.add_output(item, call)
        report: pytest.TestReport = yield
        if call.excinfo is None and (theirs := self._reports.get(item.nodeid)):
            return theirs.get(call.when, report)
        self._judging.conclude(item, call, report)
        return report

    def _share(self, workers: JudgingProcesses, runs: Mapping[str, CollectedRun]) -> None:
        """Have other processes judge all runs whose check has to run."""
        items = {each.nodeid: each for each in experiments(self._session.items)}
        checked = {
            node: each
            for node, each in runs.items()
            if workers.know(node) and self._judging.needs_check(items[node], each)
        }
        if checked:
            workers.add(checked)

    def _take(self, item: pytest.Function, reports: Sequence[pytest.TestReport]) -> None:
        """Take the verdict of another process, or that it died."""
        is_judged, is_dead = has_verdict(reports), has_died(reports)
        if not (is_judged or is_dead):
            return
        judge = self._judging.begin(item, self._collected[item.nodeid])
        for report in reports:
            judge.result, notes = detach(report, judge.result)
            for note in notes:
                self._terminal.note(note)
        if is_dead:
            self._judging.conclude_dead(item, DIED)
        self._judging.note(item)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Publish the results, and close all connections after the last fixture."""
        try:
            if self._workers is not None:
                self._end(self._workers)
            published = self._publish()
            if session.exitstatus == pytest.ExitCode.OK and not published:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
            if session.exitstatus == pytest.ExitCode.OK and self._pending():
                session.exitstatus = NOT_ENDED
            return (yield)
        finally:
            self._connections.close()
            self._judging.close()

    def _end(self, workers: JudgingProcesses) -> None:
        """End the processes that judge; what they judged past the first failure does not count."""
        workers.close()
        if self._session.shouldfail:
            left = {node_of(item) for item in workers.unfinished}
            for sweep in {each.name for each in self._sweeps.values()}:
                self._judging.rows.drop(sweep, self._settings.variant, left)

    def pytest_terminal_summary(self) -> None:
        """Group failures by cause, and name the runs that have not ended and the results."""
        self._examples.show_all()
        failed = self._causes()
        for cause, count in Counter(failed.values()).most_common():
            self._terminal.say(f"{count} failed: {cause}", red=True)
        self._say_oversized()
        if self._judging.kept:
            what = counted(len(self._judging.kept), "verdict")
            self._terminal.say(
                f"{what} kept, as nothing changed that the checks were made of: --remex-fresh "
                f"judges all"
            )
        for each in self._others:
            where = f"{each.run.node} {each.job.state} job {each.job.id}"
            self._terminal.say(f"upstream, not judged: {where}")
        for state, count in sorted(self._pending().items()):
            self._terminal.say(f"{count} {state}", yellow=True)
        stopped = stopped_after(len(self._judging.judges), self._session)
        self._say_elsewhere()
        if next_command := stopped or self._next_command(failed):
            self._terminal.say_next(next_command)
        self._terminal.summary("remex collect")

    def _causes(self) -> dict[str, str]:
        """Return the cause of each failure by node id."""
        judged = {node: judge.result for node, judge in self._judging.judges.items()}
        failed = {node: each for node, each in judged.items() if each.verdict == "FAILED"}
        if against := self._settings.against:
            failed = {node: each for node, each in failed.items() if each.variant != against}
        causes = causes_of([(each.note.cause, each.reason) for each in failed.values()])
        return dict(zip(failed, causes, strict=True))

    def _say_oversized(self) -> None:
        large = [
            f"{judge.collected.run.directory}/{name}"
            for judge in self._judging.judges.values()
            for name in oversized(judge.collected)
        ]
        if large:
            names = some_of(large, SHOWN)
            self._terminal.say(
                f"outputs above remex_max_file stay on the cluster: {len(large)}: {names}",
                yellow=True,
            )

    def _say_elsewhere(self) -> None:
        """Say who has outputs that are not here, and that their run directories are gone."""
        judged = [judge.collected for judge in self._judging.judges.values()]
        reasons = [e.job.reason for e in judged if is_only_elsewhere(e.run, e.outputs)]
        if reasons:
            text = f"{counted(len(reasons), 'run')} not here"
            example = ", for example" if reasons[1:] else ""
            self._terminal.say(f"{text}{example}: {reasons[0]}", yellow=True)

    def _next_command(self, failed: Collection[str]) -> str:
        if failed:
            judges = self._judging.judges.items()
            if any(each.collected.job.state.failed for node, each in judges if node in failed):
                return "--remex-submit --remex-retry sends failed experiments again"
            return (
                "--remex-collect again if the check was wrong, without running anything; "
                "--remex-submit --remex-retry=check sends failed experiments again"
            )
        if self._unsubmitted:
            return "--remex-submit sends what was not submitted"
        if self._pending():
            return "--remex-status --remex-wait waits until all have ended"
        results = [judge.result for judge in self._judging.judges.values()]
        # the first sweep that measured something: an upstream often only builds
        first = next((each for each in results if each.measures), next(iter(results), None))
        return _where_results_are(first.sweep.name, self._settings) if first else ""

    def _publish(self) -> bool:
        """Publish, and report where, or why not; return whether everything was written."""
        settings = self._settings
        # a run that was removed after a collect keeps its row
        judges = [each for each in self._judging.judges.values() if not was_cleaned(each.collected)]
        results = [judge.result for judge in judges]
        noted: FunctionParameters | None = self._config.pluginmanager.get_plugin(PARAMETERS)
        options = PublishOptions(
            settings.output,
            settings.launch,
            settings.layout,
            portable=settings.portable,
            added=self._added_to((each.sweep, each.variant) for each in results),
            parameters=noted.known if noted else {},
        )
        try:
            published = publish(results, options, self._judging.hooks(self._config.hook))
        except RemexError as error:
            self._terminal.say(str(error), red=True)
            return False
        for each in published:
            self._say_bases(each)
        if len(published) > PATHS and settings.launch is None:
            pages = settings.output / INDEX
            self._terminal.say(f"{len(published)} reports and results: {pages}", green=True)
        else:
            for each in published:
                self._terminal.say(f"report:  {each.folder / 'report.html'}", green=True)
                self._terminal.say(f"results: {each.folder / 'results.csv'}", green=True)
        for each in published:
            self._say_zip(each)
        return True

    def _say_bases(self, each: Published) -> None:
        if len(each.bases) > 1:
            rows = ", ".join(f"{count} on {base[:12]}" for base, count in each.bases.most_common())
            text = f"the results of {each.sweep} have rows of {len(each.bases)} bases: {rows}"
            self._terminal.say(text, yellow=True)
        if each.earlier:
            self._terminal.say(
                f"{each.earlier} of {each.sweep} have verdicts and measures of an earlier check: "
                f"--remex-collect --remex-offline without -k judges them again",
                yellow=True,
            )
        for name, counts in each.mixed.items():
            shown = ", ".join(f"{count} with {value}" for value, count in counts.most_common())
            self._terminal.say(f"{each.sweep} mixes several {name}: {shown}", yellow=True)

    def _say_zip(self, each: Published) -> None:
        if each.portable is not None:
            size = filesize.decimal(each.portable.size)
            files = f"{each.portable.files} files, {size} of outputs"
            self._terminal.say(f"zip:     {each.folder / ZIP} ({files})", green=True)
            if left_out := each.portable.left_out:
                names = some_of(left_out, SHOWN)
                self._terminal.say(f"left out of the zip: {len(left_out)}: {names}", yellow=True)

    def _collect_with(
        self, item: pytest.Function, repo: Repo, remote: Remote
    ) -> Mapping[str, CollectedRun]:
        """On the first call, collect the runs of all items on the same remote."""
        runs = self._find_runs_with(item, repo, remote)
        if runs is None:
            return {}
        if self._settings.wait is not None:
            self._wait(runs)
        wanted = [WantedRun(run, self._sweeps[node]) for node, run in runs.items()]
        collected = dict(zip(runs, self._fetch_all(wanted), strict=True))
        self._collected |= collected
        return collected

    def _fetch_all(self, runs: Sequence[WantedRun]) -> list[CollectedRun]:
        """Fetch runs, and what they came after, which is not judged unless it was selected."""
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
            return fetch_outputs(
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
            pytest.exit(
                "remex: stopped waiting: the jobs keep running", pytest.ExitCode.INTERRUPTED
            )
        if jobs and not any(job.state.live for job in jobs.values()):
            self._tell_end({node: jobs[each.run.directory] for node, each in runs.items()})

    def _pending(self) -> Counter[str]:
        jobs = [judge.collected.job for judge in self._judging.judges.values()]
        pending = Counter(str(job.state) for job in jobs if not job.state.ended)
        if self._unsubmitted:
            pending["NOT SUBMITTED"] = self._unsubmitted
        return pending


def _torn_down(item: pytest.Item, nextitem: pytest.Item | None) -> pytest.TestReport | None:
    """Tear down the fixtures that items judged here have left and the next item does not use.

    Return a report if that failed.
    """
    state = item.session._setupstate  # noqa: SLF001 - as pytest's own pytest_runtest_teardown does
    call = pytest.CallInfo.from_call(lambda: state.teardown_exact(nextitem), "teardown")
    return pytest.TestReport.from_item_and_call(item, call) if call.excinfo else None


def _where_results_are(sweep: str, settings: Settings) -> str:
    if settings.against is not None:
        return "the compared page has both sides in one table, and their curves in one figure"
    variant = settings.variant
    texts = [f"{sweep!r}"]
    texts += [f"base={variant.base!r}"] if variant.base else []
    texts += [f"remote={variant.remote!r}"] if variant.remote else []
    return f"pytest_remex.results({', '.join(texts)}) in Python gives the table"
