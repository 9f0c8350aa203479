"""The entry point: options, sweep files, and the mode's plugin where there are experiments.

Installed but unused it costs a few milliseconds: all else is imported when it is needed.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from pytest_remex.errors import RemexError
from pytest_remex.pytest_plugin import garbage, hookspecs, options
from pytest_remex.pytest_plugin.fixtures import ITEM, MODE, fixtures_of
from pytest_remex.pytest_plugin.items import FIXTURE, WORD, experiments, is_experiment
from pytest_remex.pytest_plugin.options import Mode
from pytest_remex.sweep import SWEEP_FILES, expand, point_id, sweep_of


def pytest_addoption(parser: pytest.Parser) -> None:
    """See pytest."""
    options.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """See pytest; the fixtures come this early so that any other plugin's win over them."""
    pluginmanager.add_hookspecs(hookspecs)
    config = pluginmanager.get_plugin("pytestconfig")
    if isinstance(config, pytest.Config):
        pluginmanager.register(fixtures_of(config))


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Keep the modes in one process: they batch by themselves, over one connection."""
    if options.mode(config) is not Mode.DRY and config.pluginmanager.has_plugin("xdist"):
        config.option.dist = "no"
        config.option.numprocesses = None
        config.option.tx = []


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Check the options, and make a mode find sweep files as pytest finds tests."""
    garbage.spare_until_end_of(config)
    config.addinivalue_line("markers", "sweep: an experiment of a sweep, put there by @sweep")
    chosen = options.settings(config)
    if "=" in config.option.keyword:
        # `=` is not in the grammar of -k: experiments also answer to `:`.
        config.option.keyword = config.option.keyword.replace("=", ":")
    if chosen.mode is Mode.DRY:
        return
    for pattern in SWEEP_FILES:
        # This also has pytest rewrite the asserts in them.
        config.addinivalue_line("python_files", pattern)
    sweeps = config.getini("remex_sweeps")
    if sweeps and config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args[:] = [str(config.rootpath / path) for path in sweeps]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Keep pytest from walking through fetched outputs in search of tests."""
    output = config.rootpath / str(config.getini("remex_output"))
    return True if collection_path == output and output != config.rootpath else None


def pytest_pycollect_makeitem(obj: object) -> None:
    """Give every sweep its fixture, also one that does not ask for it by name."""
    if sweep_of(obj) is not None:
        function = getattr(obj, "__func__", obj)
        pytest.mark.sweep(pytest.mark.usefixtures(FIXTURE)(function))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one item for each point."""
    plan = sweep_of(metafunc.function)
    if plan is None:
        return
    points = expand(plan)
    ids = [point_id(point) or pytest.HIDDEN_PARAM for point in points]
    metafunc.parametrize(FIXTURE, points, ids=ids, indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave experiments alone with each other in a mode, and out of a walk without one."""
    wanted: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        if is_experiment(item):
            item.extra_keyword_matches.add(item.name.replace("=", ":"))
        in_place = item.session.isinitpath(item.path) or not is_experiment(item)
        keep = in_place if options.mode(config) is Mode.DRY else is_experiment(item)
        (wanted if keep else others).append(item)
    if others:
        items[:] = wanted
        config.hook.pytest_deselected(items=others)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Bring in the mode, where there is something for it to do."""
    chosen = experiments(session.items)
    if chosen and not session.config.option.collectonly:
        from pytest_remex.pytest_plugin.choice import plugin_for  # noqa: PLC0415 - only for those with sweeps

        try:
            mode = plugin_for(session, chosen)
        except RemexError as error:
            raise pytest.UsageError(str(error)) from error
        session.config.stash[MODE] = mode
        session.config.pluginmanager.register(mode, "remex-mode")
        garbage.spare()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Spare what the mode made as well."""
    if MODE in session.config.stash:
        garbage.spare()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Show a sweep that cannot be used by its place and the message, without a traceback."""
    report = yield
    call: pytest.CallInfo[object] | None = getattr(report, "call", None)
    excinfo = call.excinfo if call else None
    if excinfo is not None and isinstance(excinfo.value, RemexError):
        mine = [entry for entry in excinfo.traceback if entry.path == collector.path]
        line = f":{mine[-1].lineno + 1}" if mine else ""
        report.longrepr = f"{collector.nodeid}{line}: {excinfo.value}"
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tell the fixture `experiment` whose it is."""
    item.config.stash[ITEM] = item


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Let reports carry the outcome's word."""
    report: pytest.TestReport = yield
    vars(report)["remex_word"] = item.stash.get(WORD, None)
    return report


def pytest_report_teststatus(
    report: pytest.CollectReport | pytest.TestReport,
) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """Show an experiment's outcome in DESIGN's words."""
    word = getattr(report, "remex_word", None)
    if word is None or hasattr(report, "wasxfail"):
        return None
    text, look = word
    if report.passed and report.when == "call":
        return "passed", ".", (text, {"green": True, **look})
    if report.skipped:
        return "skipped", "s", (text, {"yellow": True, **look})
    return None
