"""The mode collect: fetch all outputs at once, judge each experiment, then publish."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from rich import filesize

from pytest_remex.collect.failure import causes_of, oversized
from pytest_remex.collect.fetch import FETCHING, FetchOptions, fetch_outputs
from pytest_remex.collect.judge import JudgedRun
from pytest_remex.collect.manifest import is_only_elsewhere
from pytest_remex.collect.runs import (
    CollectedRun,
    WantedRun,
    collect_offline,
    collect_with_upstreams,
    was_cleaned,
)
from pytest_remex.common.jobs import Job
from pytest_remex.display import counted, some_of
from pytest_remex.errors import RemexError
from pytest_remex.model import Remote, Repo
from pytest_remex.names import function_of
from pytest_remex.pytest_plugin import handover
from pytest_remex.pytest_plugin.against import AgainstReference
from pytest_remex.pytest_plugin.item_outcomes import failing_plainly, log_reports
from pytest_remex.pytest_plugin.items import (
    PARAMETERS,
    WORKERS,
    FunctionParameters,
    experiments,
    sweep_for,
)
from pytest_remex.pytest_plugin.judging import Judging
from pytest_remex.pytest_plugin.mode import (
    NOT_ENDED,
    Mode,
    ModeContext,
    results_step,
    stopped_after,
    wait_step,
)
from pytest_remex.pytest_plugin.project import node_of
from pytest_remex.pytest_plugin.selection import FoundRuns, RecordedRuns, polled, tell_end
from pytest_remex.pytest_plugin.terminal import PATHS
from pytest_remex.records.index import RecordedRun
from pytest_remex.tables.publish import Published, publish
from pytest_remex.tables.rows import INDEX, ZIP, PublishOptions, read_old

SHOWN = 5
"""The most left-out outputs that a message names."""


class CollectMode(Mode):
    """The mode collect."""

    def __init__(self, context: ModeContext, items: Sequence[pytest.Function]) -> None:
        super().__init__(context)
        config, settings, terminal = context.config, context.settings, context.terminal
        self._recorded = RecordedRuns(context, items)
        self._collected: dict[str, CollectedRun] = {}
        self._others: list[CollectedRun] = []
        """The runs that those came after, and that were not selected."""
        noted: FunctionParameters | None = config.pluginmanager.get_plugin(PARAMETERS)
        self._noted = noted or FunctionParameters()
        workers: handover.OtherProcesses | None = config.pluginmanager.get_plugin(WORKERS)
        self._processes = workers or handover.NoOtherProcesses()
        self._processes.expect(context.session.items, terminal.note)
        self._judging = Judging(config, settings, terminal.note, self._processes.collect)
        self._reports: dict[str, Mapping[str | None, pytest.TestReport]] = {}
        """Other processes' reports on items that are set up here, by node id and phase."""
        if settings.against is not None:
            compared = AgainstReference(context, settings.against, items, self._judging.judges)
            config.pluginmanager.register(compared, "remex-against")

    @contextmanager
    def checkout(self, item: pytest.Function, repo: Repo, remote: Remote) -> Iterator[Path]:
        """Yield a checkout of the base commit of the experiment's launch, if it will be judged."""
        with failing_plainly(item.session):
            if found := self._recorded.find_with(item, (repo, remote)):
                self._fetch(found)
        collected = self._collected.get(item.nodeid)
        if collected is None:
            self._recorded.skip_unsubmitted(item)
        reports = self._processes.wait_for(item)
        if reports is not None:
            self._take(item, reports)
            self._reports[item.nodeid] = {report.when: report for report in reports}
            yield collected.folder
            return
        with self._judging.checkout(item, collected, repo) as path:
            yield path

    def run(self, item: pytest.Function) -> None:
        """Judge a run: its job, outputs, config and own check."""
        __tracebackhide__ = True
        if item.nodeid not in self._reports:
            self._judging.judge(item)

    @property
    def judged(self) -> dict[str, JudgedRun]:
        """What was judged, by node id."""
        return {node: judge.result for node, judge in self._judging.judges.items()}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        """Report what needs no fixtures here: another process judged it, or its verdict is kept."""
        if not isinstance(item, pytest.Function):
            return None
        collected = self._collected.get(item.nodeid)
        if (theirs := self._processes.wait_for(item)) is not None:
            self._take(item, theirs)
            log_reports(item, itertools.chain(theirs, _torn_down(item, nextitem)))
        elif collected is not None and self._judging.needs_nothing(item, collected):
            self._judging.begin(item, collected)
            log_reports(item, _without_fixtures(item, nextitem, self._judging.judge))
        else:
            return None
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

    def _fetch(self, found: FoundRuns) -> None:
        """Fetch all runs in a place; other processes judge those whose check has to run."""
        runs = found.runs
        if self.settings.wait is not None:
            self._wait(runs)
        wanted = [WantedRun(run, sweep_for(found.items[node])) for node, run in runs.items()]
        collected, others = collect_with_upstreams(wanted, found.index, self._fetch_outputs)
        here = dict(zip(runs, collected, strict=True))
        self._collected |= here
        self._others += others
        self._processes.add(
            here, lambda node: self._judging.needs_check(found.items[node], here[node])
        )

    def _fetch_outputs(self, runs: Sequence[WantedRun]) -> list[CollectedRun]:
        settings = self.settings
        if settings.offline:
            return collect_offline(runs, settings.runs)
        options = FetchOptions(settings.partial, settings.fresh, settings.largest, settings.most)
        with self.terminal.progress() as progress:
            told = self._processes.tables.during(FETCHING, progress)
            return fetch_outputs(runs, self.context.connections.to, settings.runs, told, options)

    def _wait(self, runs: Mapping[str, RecordedRun]) -> None:
        jobs: Mapping[str, Job] = {}
        try:
            with self.terminal.progress() as progress:
                for jobs in polled(self.context, runs.values()):
                    progress("waiting", sum(job.state.ended for job in jobs.values()), len(jobs))
        except KeyboardInterrupt:
            pytest.exit(
                "remex: stopped waiting: the jobs keep running", pytest.ExitCode.INTERRUPTED
            )
        tell_end(self.context, {node: jobs[each.run.directory] for node, each in runs.items()})

    def _take(self, item: pytest.Function, reports: Sequence[pytest.TestReport]) -> None:
        """Take the verdict of another process, or that it died."""
        is_judged, is_dead = handover.has_verdict(reports), handover.has_died(reports)
        if not (is_judged or is_dead):
            return
        judge = self._judging.begin(item, self._collected[item.nodeid])
        for report in reports:
            judge.result, notes = handover.detach(report, judge.result)
            for note in notes:
                self.terminal.note(note)
        if judge.result.note_changed:  # so the tables will be written, and others judge meanwhile
            self._processes.tables.begin()
        if is_dead:
            self._judging.conclude_dead(item, handover.DIED)
        self._judging.note(item)

    def finish(self) -> None:
        """Publish the results."""
        self._end_processes()
        if not self._publish():
            self.context.exit_with(pytest.ExitCode.TESTS_FAILED)
        if self._pending():
            self.context.exit_with(NOT_ENDED)

    def _end_processes(self) -> None:
        """End the processes that judge; what they judged past the first failure does not count."""
        left = {node_of(item) for item in self._processes.close()}
        if left and self.session.shouldfail:
            for sweep in {sweep_for(item).name for item in experiments(self.session.items)}:
                self._judging.rows.drop(sweep, self.settings.variant, left)

    def close(self) -> None:
        """Close all connections, and remove the scratch checkouts."""
        super().close()
        self._judging.close()

    def summarize(self) -> None:
        """Group failures by cause, and name the runs that have not ended and the results."""
        failed = self.causes()
        for cause, count in Counter(failed.values()).most_common():
            self.terminal.say(f"{count} failed: {cause}", red=True)
        self._say_oversized()
        if self._judging.kept:
            what = counted(len(self._judging.kept), "verdict")
            self.terminal.say(
                f"{what} kept, as nothing changed that the checks depend on: --remex-fresh "
                f"judges all"
            )
        if removed := sum(was_cleaned(judge.collected) for judge in self._judging.judges.values()):
            what = counted(removed, "run")
            self.terminal.say(f"{what} removed with --remex-clean: the results keep what they had")
        for each in self._others:
            where = f"{each.run.node} {each.job.state} job {each.job.id}"
            self.terminal.say(f"upstream, not judged: {where}")
        for state, count in sorted(self._pending().items()):
            self.terminal.say(f"{count} {state}", yellow=True)
        stopped = stopped_after(len(self._judging.judges), self.session)
        self._say_elsewhere()
        if next_command := stopped or self._next_command(failed):
            self.terminal.say_next(next_command)

    def causes(self) -> dict[str, str]:
        """Return the cause of each failure by node id."""
        failed = {node: each for node, each in self.judged.items() if each.verdict == "FAILED"}
        if against := self.settings.against:
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
            self.terminal.say(
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
            self.terminal.say(f"{text}{example}: {reasons[0]}", yellow=True)

    def _next_command(self, failed: Collection[str]) -> str:
        if failed:
            judges = self._judging.judges.items()
            ran = [each.collected for node, each in judges if node in failed]
            if any(each.job.state.failed or each.outputs.gone for each in ran):
                return "--remex-submit --remex-retry sends failed experiments again"
            return (
                "--remex-collect again if the check was wrong, without running anything; "
                "--remex-submit --remex-retry=check sends failed experiments again"
            )
        if self._recorded.unsubmitted:
            return "--remex-submit sends what was not submitted"
        if pending := self._pending():
            return wait_step(pending)
        results = [judge.result for judge in self._judging.judges.values()]
        # the first sweep that measured something: an upstream often only builds
        first = next((each for each in results if each.measures), next(iter(results), None))
        return results_step(first.sweep.name, self.settings) if first else ""

    def _publish(self) -> bool:
        """Publish, and report where, or why not; return whether everything was written."""
        settings = self.settings
        # a run that was removed after a collect keeps its row
        judges = [each for each in self._judging.judges.values() if not was_cleaned(each.collected)]
        results = [judge.result for judge in judges]
        options = PublishOptions(
            settings.output,
            settings.launch,
            settings.layout,
            portable=settings.portable,
            added=self._recorded.added_to((each.sweep, each.variant) for each in results),
            parameters=self._noted.known,
            has=self._has,
        )
        try:
            published = publish(results, options, self._judging.hooks(self.context.config.hook))
        except RemexError as error:
            self.terminal.say(str(error), red=True)
            return False
        for each in published:
            self._say_mixed(each)
        if len(published) > PATHS and settings.launch is None:
            pages = settings.output / INDEX
            self.terminal.say(f"{len(published)} reports and results: {pages}", green=True)
        else:
            for each in published:
                self.terminal.say(f"report:  {each.folder / 'report.html'}", green=True)
                self.terminal.say(f"results: {each.folder / 'results.csv'}", green=True)
        for each in published:
            self._say_zip(each)
        return True

    def _has(self, sweep: str, node: str) -> bool:
        """Return whether a sweep has the function of a node id, as far as its file says."""
        known = self._noted.sweeps.get(function_of(node))
        return self._recorded.files.have(node) if known is None else known == sweep

    def _say_mixed(self, each: Published) -> None:
        table = each.table or read_old(each.folder)
        bases = table.counts("base") if table else {}
        if len(bases) > 1:
            rows = ", ".join(f"{count} on {base[:12]}" for base, count in bases.items())
            text = f"the results of {each.sweep} have rows of {len(bases)} bases: {rows}"
            self.terminal.say(text, yellow=True)
        nodes = [str(row["node"]) for row in table.rows] if table else []
        files = {node.partition("::")[0]: node for node in nodes}
        if len(there := [file for file, node in files.items() if self._has(each.sweep, node)]) > 1:
            text = f"the results of {each.sweep} have rows of {' and '.join(there)}: give one"
            self.terminal.say(
                f"{text} of the sweeps another name=...; its runs are kept", yellow=True
            )
        if each.earlier:
            self.terminal.say(
                f"{each.earlier} of {each.sweep} have verdicts and measures of an earlier check: "
                f"--remex-collect --remex-offline without -k judges them again",
                yellow=True,
            )
        for name, counts in table.mixed(each.uniform).items() if table else ():
            shown = ", ".join(f"{count} with {value}" for value, count in counts.most_common())
            self.terminal.say(f"{each.sweep} mixes several {name}: {shown}", yellow=True)

    def _say_zip(self, each: Published) -> None:
        if each.portable is not None:
            size = filesize.decimal(each.portable.size)
            files = f"{each.portable.files} files, {size} of outputs"
            self.terminal.say(f"zip:     {each.folder / ZIP} ({files})", green=True)
            if left_out := each.portable.left_out:
                names = some_of(left_out, SHOWN)
                self.terminal.say(f"left out of the zip: {len(left_out)}: {names}", yellow=True)

    def _pending(self) -> Counter[str]:
        jobs = [judge.collected.job for judge in self._judging.judges.values()]
        pending = Counter(str(job.state) for job in jobs if not job.state.ended)
        if self._recorded.unsubmitted:
            pending[self._recorded.unsubmitted_state] += self._recorded.unsubmitted
        return pending


def _without_fixtures(
    item: pytest.Function, nextitem: pytest.Item | None, judge: Callable[[pytest.Function], None]
) -> Iterator[pytest.TestReport]:
    """Judge an item without its fixtures, and yield its reports."""
    yield _report_of(item, "setup", lambda: None)
    yield _report_of(item, "call", lambda: judge(item))
    yield _report_of(item, "teardown", lambda: _tear_down(item, nextitem))


def _report_of(
    item: pytest.Item, when: Literal["setup", "call", "teardown"], step: Callable[[], None]
) -> pytest.TestReport:
    passed_on = (pytest.exit.Exception, KeyboardInterrupt)
    call = pytest.CallInfo.from_call(step, when, reraise=passed_on)
    report: pytest.TestReport = item.ihook.pytest_runtest_makereport(item=item, call=call)
    return report


def _torn_down(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[pytest.TestReport]:
    """Tear down the fixtures that items judged here have left and the next item does not use.

    Yield a report if that failed.
    """
    call = pytest.CallInfo.from_call(lambda: _tear_down(item, nextitem), "teardown")
    if call.excinfo:
        yield pytest.TestReport.from_item_and_call(item, call)


def _tear_down(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    state = item.session._setupstate  # noqa: SLF001 - as pytest's own pytest_runtest_teardown does
    state.teardown_exact(nextitem)
