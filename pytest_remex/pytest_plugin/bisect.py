"""The mode bisect: find the commit that changed the result of an experiment.

Each round judges what has ended, and submits what is missing, by the modes collect and submit. What
they find is in the records, so that the same command continues where it stopped.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from pytest_remex.collect.bisection import Search, next_round
from pytest_remex.display import counted
from pytest_remex.model import Remote, Repo
from pytest_remex.pytest_plugin import options
from pytest_remex.pytest_plugin.collect import CollectMode
from pytest_remex.pytest_plugin.item_outcomes import WORD, reason_of, set_word
from pytest_remex.pytest_plugin.items import in_variant, point_of, sweep_for
from pytest_remex.pytest_plugin.mode import NOT_ENDED, Mode, ModeContext
from pytest_remex.pytest_plugin.project import node_of
from pytest_remex.pytest_plugin.stages import ADDED
from pytest_remex.pytest_plugin.submit import SubmitMode
from pytest_remex.records.copies import read_all
from pytest_remex.records.index import RunIndex
from pytest_remex.repo.git import Git
from pytest_remex.repo.history import history

_OPTION = "--remex-bisect"


class BisectMode(Mode):
    """The mode bisect: the modes collect and submit in turns, on other items in each round.

    Args:
        context: The context of the pytest run.
        items: The selected experiments, and those that they come after.

    Raises:
        RepositoryError: The commits of the option do not exist, or are in the wrong order.

    """

    def __init__(self, context: ModeContext, items: Sequence[pytest.Function]) -> None:
        super().__init__(context)
        good, bad = context.settings.bisect or ("", "")
        git = Git(options.default_repo(context.config).path)
        self._commits = history(git, good, bad, _OPTION)
        self._items = list(items)
        self._searches = {
            item.nodeid: Search(self._commits, sweep_for(item).tolerance)
            for item in items
            if ADDED not in item.stash
        }
        self._copies: dict[tuple[str, int], pytest.Function] = {}
        self._places: dict[str, tuple[str, int]] = {}
        self._round: CollectMode | SubmitMode
        self._sent = 0

    def checkout(
        self, item: pytest.Function, repo: Repo, remote: Remote
    ) -> AbstractContextManager[Path]:
        """Provide what the mode of the round does."""
        return self._round.checkout(item, repo, remote)

    def run(self, item: pytest.Function) -> None:
        """Do what the mode of the round does."""
        __tracebackhide__ = True
        self._round.run(item)

    def finish(self) -> None:
        """Set the exit code."""
        session, is_done = self.session, self._is_done
        if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            session.exitstatus = pytest.ExitCode.OK
        self.context.exit_with(pytest.ExitCode.OK if is_done else NOT_ENDED)

    def summarize(self) -> None:
        """Name the commits that made the change, or how far the search has come."""
        terminal = self.terminal
        if self._sent:
            terminal.say(f"{counted(self._sent, 'experiment')} submitted")
        for node, search in self._searches.items():
            for line in search.report():
                terminal.say(f"{node}: {line}", green=search.is_done)
        if not self._is_done:
            terminal.say("next: the same command continues; --remex-wait waits for all rounds")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Judge and submit in turns, until nothing is left to do now."""
        while not (session.shouldstop or session.shouldfail or session.testsfailed):
            self._judge()
            wanted = self._wanted()
            if not wanted or session.shouldstop:
                break
            self._send(wanted)
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Skip a commit whose patch does not apply; a verdict is no failure of the search."""
        report: pytest.TestReport = yield
        place = self._places.get(item.nodeid)
        if place is None or report.passed or self.session.shouldstop:
            return report
        if report.skipped:
            if self._is_sending and WORD not in item.stash:  # by the sweep, not by the submit
                self._search(place).skip(place[1], reason_of(report))
            return report
        if self._is_sending:
            self._search(place).skip(place[1], reason_of(report))
        report.outcome, report.longrepr = "passed", None
        word = "DOES NOT APPLY" if self._is_sending else "FAILED"
        set_word(report, word, counted="failed there")
        return report

    @property
    def _is_done(self) -> bool:
        return all(search.is_done for search in self._searches.values())

    @property
    def _is_sending(self) -> bool:
        return isinstance(self._round, SubmitMode)

    def _search(self, place: tuple[str, int]) -> Search:
        return self._searches.get(place[0]) or Search(self._commits, {})

    def _wanted(self) -> list[tuple[str, int]]:
        """Return the experiments of the next round, with those that they come after."""
        places: dict[int, list[str]] = {}
        for node, search in self._searches.items():
            for place in next_round(search.known, self.settings.round):
                places.setdefault(place, []).append(node)
        added = [item.nodeid for item in self._items if item.nodeid not in self._searches]
        return [(node, place) for place in sorted(places) for node in (*added, *places[place])]

    def _copy(self, node: str, place: int) -> pytest.Function:
        """Return the item for an experiment on a commit."""
        if (node, place) not in self._copies:
            item = next(item for item in self._items if item.nodeid == node)
            variant = self.settings.variant._replace(base=self._commits[place].sha)
            made = self._copies[node, place] = in_variant(item, variant)
            if ADDED in item.stash:
                made.stash[ADDED] = True
            self._places[made.nodeid] = node, place
        return self._copies[node, place]

    def _judge(self) -> None:
        """Judge what has a run and was not judged by this command."""
        index = RunIndex(read_all(self.settings.launches))
        items = []
        for node, search in self._searches.items():
            for place in search.open:
                item = self._copy(node, place)
                variant = self.settings.variant._replace(base=self._commits[place].sha)
                if index.newest(node_of(item), point_of(item), variant=variant):
                    items.append(item)
        if not items:
            return
        mode = CollectMode(self.context, items)
        self._run(mode, items)
        mode.close()
        for node, judged in mode.judged.items():
            self._search(self._places[node]).note(self._places[node][1], judged)

    def _send(self, wanted: Sequence[tuple[str, int]]) -> None:
        items = [self._copy(node, place) for node, place in wanted]
        mode = SubmitMode(self.context, items)
        self._run(mode, items)
        mode.finish()
        mode.close()
        self._sent += mode.submitted_count
        for node, place in wanted:
            if node in self._searches:
                self._searches[node].send(place)

    def _run(self, mode: CollectMode | SubmitMode, items: Sequence[pytest.Function]) -> None:
        """Run items by a mode, as pytest's own loop does."""
        session, manager = self.session, self.context.config.pluginmanager
        session.items[:] = items
        session.testscollected = len(self._copies)
        self._round = mode
        manager.register(mode, "remex-round")
        try:
            for number, item in enumerate(items):
                following = items[number + 1] if number + 1 < len(items) else None
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.shouldstop or session.shouldfail:
                    break
        finally:
            manager.unregister(mode)
