"""Time checks that read a MESA history: by one process and by several, and where verdicts are kept.

They need pytest-xdist, and memory or disk for a copy of each history.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from collect import OUTPUTS, SMALL, finished
from figures import Figures
from loopback import Loopback
from measured import Ran
from tables import write_history

SWEEP = """\
from pytest_remex import sweep
from pytest_remex.extensions.mesa import patch_inlist


@sweep({{"initial_mass": [1 + n / 1000 for n in range({count})]}}, fetch=["LOGS/history.data"])
def star(experiment):
    patch_inlist(experiment.path / "inlist_project", experiment.config)
    run = yield
    history = run.read("LOGS/history.data")
    run.record(age=history.star_age.iloc[-1])
    assert len(history) > 1
"""
ONE = "one process judges all"
SEVERAL = "{} processes judge all"
QUICK = {"count": 10, "kept": 10}
KEPT = "no check runs: all verdicts are kept"


def measure(
    runs: int, count: int = 300, kept: int = 1000, megabytes: int = 5, processes: int = 2
) -> list[Figures]:
    """Time checks that read histories, and a collect of runs whose verdicts are kept."""
    together = ("--remex-fresh", "-p", "xdist", "-n", str(processes))
    several = SEVERAL.format(processes)
    figures = Figures(f"checks of {count} runs that read {megabytes} MB each", "s", {ONE: "one"})
    with _collected(count, megabytes) as site:
        figures.measure(
            {
                ONE: lambda: _collect(site, "--remex-fresh").seconds,
                several: lambda: _collect(site, *together).seconds,
            },
            runs,
        )
    figures.target(f"{processes} processes / one", figures.ratio(several, ONE), 0.62)
    again = Figures(f"a second collect of {kept} runs, {megabytes} MB each", "s")
    with _collected(kept, megabytes) as site:
        again.measure({KEPT: lambda: _collect_kept(site, kept)}, runs)
    again.target("seconds", again.median(KEPT), 4.0)
    return [figures, again]


@contextmanager
def _collected(count: int, megabytes: int) -> Iterator[Loopback]:
    """Return a cluster whose runs have been collected once; their histories are links to one."""
    with finished(count, SMALL) as site:
        (site.project.repository / "sweeps.py").write_text(SWEEP.format(count=count))
        made = site.home / "history.data"
        write_history(made, megabytes)
        for run in site.project.run_directories():
            (run / OUTPUTS[0]).unlink()
            (run / OUTPUTS[0]).hardlink_to(made)
        site.pytest("--remex-collect", "--remex-yes")
        yield site


def _collect_kept(site: Loopback, count: int) -> float:
    ran = _collect(site)
    assert f"{count} verdicts kept" in ran.output, ran.output[-2000:]
    return ran.seconds


def _collect(site: Loopback, *words: str) -> Ran:
    return site.pytest("--remex-collect", *words)
