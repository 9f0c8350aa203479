"""The entry point: options, sweep files, and the mode's plugin if there are experiments.

Installed but unused it costs a few milliseconds: everything else is imported when needed.
"""

from __future__ import annotations

import gc
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_remex import hookspecs
from pytest_remex.errors import RemexError, SweepError
from pytest_remex.names import point_id
from pytest_remex.pytest_plugin import options
from pytest_remex.pytest_plugin.command_line import PREPARING, ModeName
from pytest_remex.pytest_plugin.endings import PlainEnd, remember_failed_checks
from pytest_remex.pytest_plugin.fixtures import (
    ITEM,
    fixtures_of,
    refuse_own_remote,
    refuse_test_cases,
)
from pytest_remex.pytest_plugin.item_outcomes import (
    WORD,
    forget_xfail,
    set_word,
    shorten_reason,
    word_of,
)
from pytest_remex.pytest_plugin.items import (
    FIXTURE,
    PARAMETERS,
    PROCESSES,
    WORKERS,
    FunctionParameters,
    experiments,
    has_mode,
    is_experiment,
    judges_for_another,
    put_variants,
    share_locations,
)
from pytest_remex.pytest_plugin.memory import PeriodicFreeze, ReportsNotShown, freeze
from pytest_remex.pytest_plugin.project import (
    project_folders,
    read_conftests_above,
    refuse_unread_conftests,
)
from pytest_remex.pytest_plugin.remotes import remotes_of
from pytest_remex.pytest_plugin.stages import (
    COLLECTED,
    in_order,
    is_imported,
    note_left_out,
    refuse_hidden_sweep,
    refuse_shared_names,
    warn_if_not_collected,
)
from pytest_remex.sweep import SWEEP_FILES, sweep_of

_DOING = {
    ModeName.DRY: "patching",
    ModeName.PLAN: "planning",
    ModeName.SUBMIT: "preparing",
    ModeName.COLLECT: "judging",
}
"""What each mode does with the experiments one by one."""
ENDED_WELL = frozenset({"passed", "completed"})
"""The outcomes that are shown as a dot in pytest's short output."""
JUDGING = frozenset({ModeName.COLLECT, ModeName.BISECT})
"""The modes that call checks."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """See pytest."""
    options.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """See pytest; the fixtures are registered this early so that any plugin can override them."""
    pluginmanager.add_hookspecs(hookspecs)
    config = pluginmanager.get_plugin("pytestconfig")
    if isinstance(config, pytest.Config):
        pluginmanager.register(fixtures_of(config))
    pluginmanager.register(PlainEnd())


def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """Have pytest read those of the repository above the folder in which it is started."""
    read_conftests_above(early_config, args)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Handle --remex-init; keep the modes in one process, because they share a connection.

    With -n of pytest-xdist a collect has its checks run by other processes: see `workers`.
    """
    if config.option.remex_init:
        from pytest_remex.pytest_plugin.init import init  # noqa: PLC0415 - start-up

        return init(config)
    # the plugin's name depends on how it is loaded: -p xdist, -p xdist.plugin
    if options.mode(config) is not ModeName.DRY and hasattr(config.option, "numprocesses"):
        if getattr(config.option, "looponfail", None):
            raise pytest.UsageError(
                "-f of pytest-xdist starts pytest again for each change of a file, but a mode is "
                "for one run: leave out -f"
            )
        # a comparison with another base needs the other side's measures at hand
        is_alone = config.option.remex_against or config.option.remex_bisect
        config.stash[PROCESSES] = 1 if is_alone else options.processes(config)
        config.option.dist = "no"
        config.option.distload = False  # -d, which sets `dist`
        config.option.numprocesses = None
        config.option.tx = []
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Check the options, and make pytest collect sweep files in a mode."""
    # first, as cleanups run in reverse order, and one of them collects garbage
    config.add_cleanup(gc.unfreeze)
    config.addinivalue_line("markers", "sweep: an experiment of a sweep, put there by @sweep")
    chosen = options.settings(config)
    if "=" in config.option.keyword:
        # the grammar of -k has no `=`: `:` works instead
        config.option.keyword = config.option.keyword.replace("=", ":")
    if chosen.mode is ModeName.DRY:
        return
    gc.freeze()  # the garbage collector would visit pytest's own objects with each module imported
    from pytest_remex.pytest_plugin.terminal import NothingBegun  # noqa: PLC0415 - start-up

    config.pluginmanager.register(NothingBegun(config), "remex-nothing-begun")
    if chosen.mode is ModeName.COLLECT:
        config.pluginmanager.register(FunctionParameters(), PARAMETERS)
    # with folding, -rs would show the first one's word, with its job, for all
    config.option.fold_skipped = False
    for pattern in SWEEP_FILES:
        # this also makes pytest rewrite the asserts in them
        config.addinivalue_line("python_files", pattern)
    sweeps = config.getini("remex_sweeps")
    if sweeps and config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args[:] = [str(config.rootpath / path) for path in sweeps]


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the processes that judge for a collect: they collect items while this one does."""
    config = session.config
    number = config.stash.get(PROCESSES, 1)
    if number <= 1 or options.mode(config) is not ModeName.COLLECT or config.option.collectonly:
        return
    from pytest_remex.collect.kept import has_kept  # noqa: PLC0415 - start-up
    from pytest_remex.pytest_plugin.workers import JudgingProcesses  # noqa: PLC0415 - pytest-xdist

    workers = JudgingProcesses(config, number)
    config.pluginmanager.register(workers, WORKERS)
    settings = options.settings(config)
    if settings.fresh or not has_kept(settings.runs):
        workers.start()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Keep pytest from searching the fetched outputs for tests."""
    output = project_folders(config).output
    return True if collection_path == output and output != config.rootpath else None


def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> list[pytest.Item] | None:
    """Make every sweep use the fixture `experiment`, even without an argument of that name.

    A sweep that a file imports is collected only where it is defined.
    """
    refuse_hidden_sweep(name, obj)
    if (sweep := sweep_of(obj)) is not None:
        if is_imported(collector, obj):
            warn_if_not_collected(collector, sweep)
            return []
        function = getattr(obj, "__func__", obj)
        pytest.mark.sweep(pytest.mark.usefixtures(FIXTURE)(function))
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one item for each point."""
    sweep = sweep_of(metafunc.function)
    if sweep is None:
        return
    from pytest_remex.pytest_plugin.replicates import points_of  # noqa: PLC0415 - start-up

    points = points_of(metafunc.config, sweep)
    ids = [point_id(sweep, point) or pytest.HIDDEN_PARAM for point in points]
    metafunc.parametrize(FIXTURE, points, ids=ids, indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep only experiments in a mode; without a mode, only those whose file was given."""
    kept: list[pytest.Item] = []
    others: list[pytest.Item] = []
    dry = options.mode(config) is ModeName.DRY
    if items:
        items[0].session.stash.setdefault(COLLECTED, []).extend(experiments(items))
    for item in items:
        found = is_experiment(item)
        if found and config.option.keyword:
            item.extra_keyword_matches.add(item.name.replace("=", ":"))
        keep = not found or item.session.isinitpath(item.path) if dry else found
        (kept if keep else others).append(item)
    if others:
        items[:] = kept
        config.hook.pytest_deselected(items=others)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the mode if there are experiments."""
    config = session.config
    _put_in_order(session)
    if experiments(session.items):
        chosen = options.settings(config)
        put_variants(session, chosen.variant, chosen.against)
    items = experiments(session.items)
    if len(items) == len(session.items) and hasattr(config.option, "forked"):
        config.option.forked = False  # of pytest-forked: experiments share a connection
    if not items or config.option.collectonly:
        return
    from pytest_remex.pytest_plugin.mode import start  # noqa: PLC0415 - start-up

    refuse_unread_conftests(config)
    try:
        remotes_of(config)
        refuse_test_cases(items)
        refuse_shared_names(session)
        refuse_own_remote(items)
        start(session, items)
    except RemexError as error:
        raise pytest.UsageError(str(error)) from error
    share_locations(items)
    if not judges_for_another(config):
        _keep_track(session, items)
    if reporter := config.pluginmanager.get_plugin("terminalreporter"):
        config.pluginmanager.register(ReportsNotShown(reporter.stats), "remex-reports")
    freeze()
    config.pluginmanager.register(PeriodicFreeze(), "remex-freeze")


def _keep_track(session: pytest.Session, items: Sequence[pytest.Function]) -> None:
    """Show a large grid's progress, and keep the outcomes for --lf and --remex-json."""
    config, mode = session.config, options.mode(session.config)
    if config.pluginmanager.has_plugin("terminalreporter"):
        from pytest_remex.pytest_plugin.terminal import ItemsProgress  # noqa: PLC0415 - Rich

        progress = ItemsProgress(session, _DOING.get(mode, "querying"))
        config.pluginmanager.register(progress, "remex-progress")
    remember_failed_checks(config, mode, items)
    if (path := config.option.remex_json) is not None:
        from pytest_remex.pytest_plugin.facts import FactsFile  # noqa: PLC0415 - few ask for it

        config.pluginmanager.register(FactsFile(path.absolute()), "remex-facts")


def _put_in_order(session: pytest.Session) -> None:
    """Put each experiment after its upstream, which is added if experiments are to be made."""
    complete = options.mode(session.config) in PREPARING | {ModeName.BISECT}
    try:
        ordered = in_order(session, complete=complete)
    except SweepError as error:
        raise pytest.UsageError(str(error)) from error
    if ordered is not None:
        session.items[:] = [*(each for each in session.items if not is_experiment(each)), *ordered]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Exclude the mode's objects from garbage collection too."""
    if has_mode(session.config):
        freeze()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Report an invalid sweep with its location and the message, without a traceback."""
    report = yield
    call: pytest.CallInfo[object] | None = getattr(report, "call", None)
    excinfo = call.excinfo if call else None
    if excinfo is not None and isinstance(excinfo.value, RemexError):
        in_file = [frame for frame in excinfo.traceback if frame.path == collector.path]
        line = f":{in_file[-1].lineno + 1}" if in_file else ""
        report.longrepr = f"{collector.nodeid}{line}: {excinfo.value}"
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Store the current item for the fixture `experiment`."""
    item.config.stash[ITEM] = item


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item) -> bool | None:
    """Keep pytest-timeout from ending an experiment in a mode, where it may wait for a cluster."""
    return True if is_experiment(item) and options.mode(item.config) is not ModeName.DRY else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, Any]:
    """Add the outcome's word to reports, and one line on why an experiment failed."""
    report: pytest.TestReport = yield
    if is_experiment(item):
        if call.excinfo is None and options.mode(item.config) not in JUDGING:
            forget_xfail(report)
        shorten_reason(report)
        note_left_out(item, report)
    if word := item.stash.get(WORD, None):
        set_word(report, word.text, counted=word.counted, **word.markup)
    return report


def pytest_report_teststatus(
    report: pytest.CollectReport | pytest.TestReport,
) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """Show an experiment's outcome by the word that was set."""
    word = word_of(report)
    if word is None or hasattr(report, "wasxfail"):
        return None
    if report.passed and report.when == "call":
        counted = word.counted or "passed"
        letter = "." if counted in ENDED_WELL else counted[0]
        return counted, letter, (word.text, {"green": True, **word.markup})
    if report.skipped:
        return "skipped", "s", (word.text, {"yellow": True, **word.markup})
    if report.failed and report.when == "call":
        return "failed", "F", (word.text, {"red": True})
    return None
