"""Judge experiments by their measures on another base: --remex-collect --remex-against=REF."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any

import pytest

from pytest_remex.collect.compare import Comparison, compare
from pytest_remex.collect.judge import JudgedRun, RunJudge
from pytest_remex.common.grouping import grouped
from pytest_remex.display import counted
from pytest_remex.errors import RemexError
from pytest_remex.model import REPLICATE
from pytest_remex.pytest_plugin.item_outcomes import fail_report, reason_of, set_word, skip_report
from pytest_remex.pytest_plugin.items import parameters_of, point_of, sweep_for, variant_of
from pytest_remex.pytest_plugin.mode import ModeContext
from pytest_remex.pytest_plugin.project import node_of
from pytest_remex.pytest_plugin.terminal import PATHS
from pytest_remex.tables.rows import INDEX
from pytest_remex.variant import Variant

SHOWN = 5
"""The most lines of one kind that the summary has."""


class AgainstReference:
    """The part of a collect that compares each experiment with the same one on another base.

    Args:
        context: The context of the pytest run.
        reference: The variant that experiments are compared with; its items come first.
        items: All items.
        judges: The collect's judges by node id, once they exist.

    """

    def __init__(
        self,
        context: ModeContext,
        reference: Variant,
        items: Sequence[pytest.Function],
        judges: Mapping[str, RunJudge],
    ) -> None:
        self._settings = context.settings
        self._reference = reference
        self._terminal = context.terminal
        self._judges = judges
        here = [item for item in items if variant_of(item) != reference]
        self._left = Counter(map(_point_key, here))
        self._late: list[pytest.Function] = []
        self._here: dict[str, list[JudgedRun]] = {}
        self._there: dict[str, list[JudgedRun]] = {}
        self._comparisons: dict[str, Comparison] = {}
        self._uncompared: dict[str, str] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, Any]:
        """Add the comparison to a verdict; on the other base a failed check is no failure."""
        report: pytest.TestReport = yield
        judge = self._judges.get(item.nodeid)
        judged = judge.result if judge else None
        if isinstance(item, pytest.Function) and (call.when == "call" or not report.passed):
            if self._left[_point_key(item)] <= 0:
                self._late.append(item)  # an added replicate that only the runs folder knew of
            if variant_of(item) == self._reference:
                self._take_reference(item, report, judged)
            else:
                self._judge(item, report, judged)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the tables and pages of both sides."""
        from pytest_remex.tables.sweep_files import write_comparison  # noqa: PLC0415 - pandas

        ours = [one for several in self._here.values() for one in several]
        others = [one for several in self._there.values() for one in several]
        folders = []
        for name, here in grouped((each.sweep.name, each) for each in ours).items():
            there = [each for each in others if each.sweep.name == name]
            if not any(each.measures for each in (*here, *there)):
                continue  # such as a build
            try:
                folders.append(
                    write_comparison(
                        here, there, self._comparisons, self._reference, self._settings.output
                    )
                )
            except RemexError as error:
                self._terminal.say(str(error), red=True)
                session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
        if len(folders) > PATHS:
            pages = self._settings.output / INDEX
            self._terminal.say(f"compared: {counted(len(folders), 'page')}: {pages}", green=True)
        else:
            for folder in folders:
                self._terminal.say(f"compared: {folder / 'report.html'}", green=True)

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self) -> None:
        """Say how many differ, what could not be compared, and what only one side has."""
        compared = list(self._comparisons.values())
        differ = sum(bool(each.failure) for each in compared)
        if compared:
            what = f"{counted(len(compared), 'experiment')} compared with {self._reference.base}"
            self._terminal.say(f"{what}: {differ} differ, {len(compared) - differ} do not")
        for why, count in Counter(self._uncompared.values()).most_common(SHOWN):
            self._terminal.say(f"{counted(count, 'experiment')} not compared: {why}", yellow=True)
        self._say_only("here", [name for each in compared for name in each.only_here])
        there = [name for each in compared for name in each.only_there]
        self._say_only(self._reference.title, there)
        self._say_sigmas()
        if self._late:
            what = counted(len(self._late), "added replicate")
            self._terminal.say(
                f"{what} became known only now: the same command again compares all", yellow=True
            )
        self._say_unknown_tolerances()

    def _say_only(self, side: str, names: Iterable[str]) -> None:
        if found := list(dict.fromkeys(names)):
            self._terminal.say(f"measures only {side}: {', '.join(found)}", yellow=True)

    def _say_sigmas(self) -> None:
        """Say of each measure with replicates by how much it differs at most."""
        largest: dict[str, tuple[float, str]] = {}
        for node, comparison in self._comparisons.items():
            for each in comparison.differences:
                size = abs(each.sigma or 0.0)
                if each.sigma is not None and size >= largest.get(each.name, (0.0, ""))[0]:
                    largest[each.name] = size, node
        for name, (sigma, node) in largest.items():
            self._terminal.say(f"{name} differs by {sigma:.1f} sigma at most, in {node}")

    def _say_unknown_tolerances(self) -> None:
        sides = [*self._here.values(), *self._there.values()]
        known = {name for several in sides for one in several for name in one.measures}
        named = {name for several in sides for one in several for name in one.sweep.tolerance}
        if known and (unknown := sorted(named - known - {""})):
            names = ", ".join(unknown)
            self._terminal.say(f"tolerance names what no run recorded: {names}", yellow=True)

    def _take_reference(
        self, item: pytest.Function, report: pytest.TestReport, judged: JudgedRun | None
    ) -> None:
        key = _point_key(item)
        if judged is not None and judged.collected.job.state.ended:
            self._there.setdefault(key, []).append(judged)
        if report.passed:
            set_word(report, "PASSED", counted=self._reference.title)
        elif report.failed:
            skip_report(item, report, f"failed {self._reference.title}: {reason_of(report)}")
            set_word(report, "FAILED")

    def _judge(
        self, item: pytest.Function, report: pytest.TestReport, judged: JudgedRun | None
    ) -> None:
        key, node = _point_key(item), node_of(item)
        self._left[key] -= 1
        if judged is not None:
            self._here.setdefault(key, []).append(judged)
        if self._left[key]:
            return  # the last replicate of a point is judged for all
        here = [each for each in self._here.get(key, []) if each.measures]
        there = [each.measures for each in self._there.get(key, []) if each.measures]
        if not here or not there:
            side = self._reference.title if here else self._settings.variant.title or "here"
            self._uncompared[node] = f"no measures {side}"
            return
        measures, tolerance = [each.measures for each in here], sweep_for(item).tolerance
        found = compare(measures, there, tolerance, self._reference.title)
        self._comparisons[here[-1].node] = found
        if found.failure and (report.passed or judged is None):
            fail_report(item, report, found.failure)
            if crash := getattr(report.longrepr, "reprcrash", None):
                crash.message = found.failure  # without the type of the exception
            if judged is None:  # a replicate that only the other side has: skipped in its setup
                report.when = "call"
                set_word(report, "FAILED")


def _point_key(item: pytest.Function) -> str:
    """Return what names a point of a sweep, with all of its replicates."""
    point = {name: value for name, value in point_of(item).items() if name != REPLICATE}
    about = [str(item.path), sweep_for(item).name, point, parameters_of(item)]
    return json.dumps(about, sort_keys=True)
