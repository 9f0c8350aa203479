"""Time the report of 10,000 experiments, to write and to open, against its data as bare JSON.

It is opened where chromium and chromedriver are installed.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from figures import Figures
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from pytest_remex.report import Page, ReportRow, write_report

WRITE = "write the report"
FLOOR = "floor: json.dumps of the same rows, written"
PAINT = "open it in chromium, until something is seen"
TABLE = "open it in chromium, until the table can be used"
FIGURES = "open it in chromium, until the figure is drawn"
FILTER = "filter by a verdict, table and heat map drawn"
BRUSH = "filter by a range of both axes, as a brush does"
MOST = {WRITE: 10.0, PAINT: 2.0, FIGURES: 5.0, FILTER: 0.3, BRUSH: 0.3}
QUICK = {"count": 500}
ANSWER = "return performance.getEntriesByName('answer').at(-1).duration"
PRESS_FAILED = "document.querySelectorAll('#verdicts button')[1].click()"
BRUSHED = """
const chart = echarts.getInstanceByDom(document.querySelector(".figure"));
const areas = [{ brushType: "rect", panelId: "grid--0", coordRange: [[10, 60], [10, 60]] }];
chart.dispatchAction({ type: "brushEnd", areas })
"""
SWITCHES = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run")


def measure(runs: int, count: int = 10_000) -> list[Figures]:
    """Write and open the report of so many experiments."""
    page = make_page(count)
    figures = Figures(f"the report of {count} experiments", "s", {FLOOR: "json"})
    sizes = Figures(f"the report of {count} experiments, its size", "MB", {FLOOR: "json"})
    with tempfile.TemporaryDirectory() as folder:
        report, bare = Path(folder, "report.html"), Path(folder, "bare.json")
        ways = {
            WRITE: lambda: timed(lambda: write_report(report, page)),
            FLOOR: lambda: timed(lambda: bare.write_text(as_json(page))),
            PAINT: lambda: load(report, "first-contentful-paint"),
            TABLE: lambda: load(report, "table"),
            FIGURES: lambda: load(report, "figures"),
            FILTER: lambda: load(report, "figures", PRESS_FAILED),
            BRUSH: lambda: load(report, "figures", BRUSHED),
        }
        figures.measure(ways if has_browser() else dict(list(ways.items())[:2]), runs)
        for name, path in ((WRITE, report), (FLOOR, bare)):
            sizes.add(name, path.stat().st_size / 1e6)
    for name, most in MOST.items():
        if name in figures.rounds:
            figures.target(name, figures.median(name), most)
    sizes.target("MB", sizes.median(WRITE), 20)
    return [figures, sizes]


def as_json(page: Page) -> str:
    """Return the rows as JSON: the floor, for a page cannot do with less than to write its data."""
    return json.dumps([asdict(row) for row in page.rows])


def make_page(experiments: int) -> Page:
    """Return a page of rows with a patch of 9 lines and a log of 30."""
    return Page(
        title="polytropes",
        facts={"base commit": "9f31c2ab5d7e (main)", "cluster": "ada@login.cluster.example"},
        dimensions=("n", "rotation"),
        measures=("first_zero", "surface_mass", "concentration", "steps"),
        rows=[make_row(place) for place in range(experiments)],
    )


def make_row(place: int) -> ReportRow:
    """Return an experiment of a grid of 100 values of n; one in ten fails."""
    n, rotation = (place % 100) / 25, place // 100 / 100
    failed = place % 10 == 7  # noqa: PLR2004 - any one in ten
    measures = {"first_zero": 2.45 + n**2 / 3, "surface_mass": 4.9 / (1 + n), "steps": 246 + place}
    log = [
        f"{line:6d}  xi = {place * 1e-3 + line:12.7f}  theta = {1 / (line + 1):12.8f}"
        for line in range(30)
    ]
    directory = f"main_polytropes_time_2031_05_04_10_11_12_sha_{place:012x}"
    return ReportRow(
        node=f"sweeps.py::polytropes[n={n}-rotation={rotation}]",
        verdict="FAILED" if failed else "PASSED",
        state="TIMEOUT" if failed else "COMPLETED",
        reason=f"job {898024 + place} ended TIMEOUT (TimeLimit)" if failed else "",
        values={"n": n, "rotation": rotation, **({} if failed else measures)},
        job=str(898024 + place),
        elapsed=61.5 + place,
        commit=f"{place:040x}",
        parent=f"{0:040x}",
        directory=directory,
        diff=(
            "diff --git a/inlist b/inlist\n--- a/inlist\n+++ b/inlist\n -2,4 +2,4  &polytrope\n"
            f"-  n = 1.0\n+  n = {n}\n-  rotation = 0.0\n+  rotation = {rotation}\n /\n"
        ),
        log="\n".join(log),
        outputs=tuple(
            (name, f"../runs/{directory}/{name}") for name in ("profile.csv", "slurm.out")
        ),
    )


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def has_browser() -> bool:
    """Say whether a browser and its driver are here."""
    return all(shutil.which(name) for name in ("chromium", "chromedriver"))


def load(report: Path, stage: str, script: str = "") -> float:
    """Return the seconds until a stage of the page is reached, or that a script's change takes."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    mark = f"return performance.getEntriesByName('{stage}')[0]?.startTime"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for switch in (*SWITCHES, f"--user-data-dir={profile}"):
            options.add_argument(switch)
        service = Service(shutil.which("chromedriver"))
        with webdriver.Chrome(options=options, service=service) as chrome:
            chrome.get(report.as_uri())
            found = WebDriverWait(chrome, 60).until(lambda _: chrome.execute_script(mark))
            if script:
                found = chrome.execute_script(f"{script}; {ANSWER}")
    return float(found) / 1000
