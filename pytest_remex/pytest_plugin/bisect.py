"""The mode bisect: find the commit that changed the result of an experiment.

Each round judges what has ended, and submits what is missing, by the modes collect and submit. What
they find is in the records, so that the same command continues where it stopped.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_remex.collect.bisection import Search, next_round
from pytest_remex.collect.judge import JudgedRun
from pytest_remex.display import counted
from pytest_remex.launch.outcomes import State
from pytest_remex.model import Remote, Repo
from pytest_remex.pytest_plugin import options
from pytest_remex.pytest_plugin.anchor import node_of
from pytest_remex.pytest_plugin.collect import CollectMode
from pytest_remex.pytest_plugin.item_outcomes import WORD, Word, reason_of, set_word
from pytest_remex.pytest_plugin.items import MODE, point_of, sweep_for
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.pytest_plugin.selection import NOT_ENDED
from pytest_remex.pytest_plugin.stages import ADDED
from pytest_remex.pytest_plugin.submit import SubmitMode
from pytest_remex.pytest_plugin.terminal import Terminal
from pytest_remex.pytest_plugin.variants import in_variant
from pytest_remex.records.copies import read_all_copies
from pytest_remex.records.index import RunIndex
from pytest_remex.records.merge import merged
from pytest_remex.records.store import read_records
from pytest_remex.repo.git import Git
from pytest_remex.repo.history import history

_OPTION = "--remex-bisect"
_OF_A_ROUND = ("remex-readers", "remex-failures")
"""What a mode registers, and another one registers again."""


class _Judging(CollectMode):
    """A collect of a round, which writes no tables: each commit would have its own."""

    def end(self) -> dict[str, JudgedRun]:
        """Close it, and return what was judged, by node id."""
        self._connections.close()
        self._judging.close()
        return {node: judge.result for node, judge in self._judging.judges.items()}

    @property
    def terminal(self) -> Terminal:
        """Its terminal."""
        return self._terminal


class _Sending(SubmitMode):
    """A submit of a round."""

    def end(self) -> int:
        """Send what is left, close it, and return how many experiments were submitted."""
        ending = self.pytest_sessionfinish()
        next(ending)
        with suppress(StopIteration):
            ending.send(None)
        return self._submitter.count(State.SUBMITTED)

    @property
    def terminal(self) -> Terminal:
        """Its terminal."""
        return self._terminal


class BisectMode:
    """The plugin of the mode bisect.

    Args:
        session: The session.
        settings: What the command line says.
        items: The selected experiments, and those that they come after.

    Raises:
        RepositoryError: The commits of the option do not exist, or are in the wrong order.

    """

    def __init__(
        self, session: pytest.Session, settings: Settings, items: Sequence[pytest.Function]
    ) -> None:
        self._session = session
        self._config = session.config
        self._settings = settings
        self._terminal = Terminal(session.config)
        good, bad = settings.bisect or ("", "")
        git = Git(options.default_repo(session.config).path)
        self._commits = history(git, good, bad, _OPTION)
        self._items = list(items)
        self._searches = {
            item.nodeid: Search(self._commits, sweep_for(item).tolerance)
            for item in items
            if ADDED not in item.stash
        }
        self._copies: dict[tuple[str, int], pytest.Function] = {}
        self._places: dict[str, tuple[str, int]] = {}
        self._is_sending = False
        self._sent = 0

    @contextmanager
    def checkout(self, item: pytest.Function, repo: Repo, remote: Remote) -> Iterator[Path]:
        """See `CheckoutMode`; a round has its own."""
        with self._config.stash[MODE].checkout(item, repo, remote) as path:
            yield path

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
        if place is None or report.passed or self._session.shouldstop:
            return report
        if report.skipped:
            if self._is_sending and WORD not in item.stash:  # by the sweep, not by the submit
                self._search(place).skip(place[1], reason_of(report))
            return report
        if self._is_sending:
            self._search(place).skip(place[1], reason_of(report))
        report.outcome, report.longrepr = "passed", None
        set_word(
            report, Word("DOES NOT APPLY" if self._is_sending else "FAILED", {}, "failed there")
        )
        return report

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Set the exit code."""
        if session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            done = all(search.is_done for search in self._searches.values())
            session.exitstatus = pytest.ExitCode.OK if done else NOT_ENDED

    def pytest_terminal_summary(self) -> None:
        """Name the commits that made the change, or how far the search has come."""
        if self._sent:
            self._terminal.say(f"{counted(self._sent, 'experiment')} submitted")
        for node, search in self._searches.items():
            for line in search.report():
                self._terminal.say(f"{node}: {line}", green=search.is_done)
        if not all(search.is_done for search in self._searches.values()):
            self._terminal.say(
                "next: the same command continues; --remex-wait waits for all rounds"
            )
        self._terminal.summary("remex bisect")

    def _search(self, place: tuple[str, int]) -> Search:
        return self._searches.get(place[0]) or Search(self._commits, {})

    def _wanted(self) -> list[tuple[str, int]]:
        """Return the experiments of the next round, with those that they come after."""
        places: dict[int, list[str]] = {}
        for node, search in self._searches.items():
            for place in next_round(search.known, self._settings.round):
                places.setdefault(place, []).append(node)
        added = [item.nodeid for item in self._items if item.nodeid not in self._searches]
        return [(node, place) for place in sorted(places) for node in (*added, *places[place])]

    def _copy(self, node: str, place: int) -> pytest.Function:
        """Return the item for an experiment on a commit."""
        if (node, place) not in self._copies:
            item = next(item for item in self._items if item.nodeid == node)
            variant = replace(self._settings.variant, base=self._commits[place].sha)
            made = self._copies[node, place] = in_variant(item, variant)
            if ADDED in item.stash:
                made.stash[ADDED] = True
            self._places[made.nodeid] = node, place
        return self._copies[node, place]

    def _judge(self) -> None:
        """Judge what has a run and was not judged by this command."""
        launches = self._settings.launches
        index = RunIndex(merged([*read_records(launches), *read_all_copies(launches)]))
        items = []
        for node, search in self._searches.items():
            for place in search.open:
                item = self._copy(node, place)
                variant = replace(self._settings.variant, base=self._commits[place].sha)
                if index.newest(node_of(item), point_of(item), variant=variant):
                    items.append(item)
        if not items:
            return
        mode = _Judging(self._session, self._settings, items)
        self._run(mode, items)
        for node, judged in mode.end().items():
            self._search(self._places[node]).note(self._places[node][1], judged)
        self._terminal.take(mode.terminal)

    def _send(self, wanted: Sequence[tuple[str, int]]) -> None:
        items = [self._copy(node, place) for node, place in wanted]
        mode = _Sending(self._session, self._settings, items)
        self._is_sending = True
        self._run(mode, items)
        self._sent += mode.end()
        self._is_sending = False
        self._terminal.take(mode.terminal)
        for node, place in wanted:
            if node in self._searches:
                self._searches[node].send(place)

    def _run(self, mode: CollectMode | SubmitMode, items: Sequence[pytest.Function]) -> None:
        """Run items by a mode, as pytest's own loop does."""
        session, manager = self._session, self._config.pluginmanager
        session.items[:] = items
        session.testscollected = len(self._copies)
        self._config.stash[MODE] = mode
        manager.register(mode, "remex-round")
        try:
            for number, item in enumerate(items):
                following = items[number + 1] if number + 1 < len(items) else None
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.shouldstop or session.shouldfail:
                    break
        finally:
            manager.unregister(mode)
            for name in _OF_A_ROUND:
                if manager.has_plugin(name):
                    manager.unregister(name=name)
