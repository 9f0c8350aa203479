"""A report has one selection: table, figure and address always show the same."""
# ruff: noqa: PD011 - a row's values are no array

from __future__ import annotations

import csv
import dataclasses
import json
import math
import subprocess
import sys
from urllib.parse import quote

import pandas as pd
import pytest
from polytropes import polytropes
from selenium.webdriver.common.by import By
from waves import waves

from pytest_remex.report import Page, ReportLaunch, ReportRow


def drawn(report):
    """Return the rows of the points that are drawn as selected."""
    return {
        point[2]
        for one in report.figure()["series"]
        if one["z"] == 3 and one["name"] != "no value"
        for point in one["data"]
    }


def pill(report, word):
    """Return the button of a verdict."""
    return next(b for b in report.all("#verdicts button") if b.text.startswith(word))


def filter_range(report, title, low, high):
    """Set the range of a column in its head."""
    report.header(title).find_element(By.CSS_SELECTOR, ".filter-button").click()
    for label, value in (("At least", low), ("At most", high)):
        report.one(f"#filter input[aria-label='{label}']").send_keys(str(value))
    report.run("document.querySelector('#filter').hidePopover()")


def test_a_verdict_selects_in_table_figure_and_address(show):
    """A pill narrows down all that is shown, and can be pressed together with others."""
    report = show(waves())
    pill(report, "FAILED").click()
    assert report.count() == "2 of 24 experiments"
    assert report.column("Verdict") == ["FAILED", "FAILED"]
    assert drawn(report) == {5}
    assert report.chips() == ["Verdict: FAILED"]
    assert "FAILED" in report.driver.current_url.split("#")[1]
    pill(report, "PASSED").click()
    assert report.count() == "23 of 24 experiments"
    assert pill(report, "PASSED").get_attribute("aria-pressed") == "true"


def test_a_brush_in_the_points_selects_their_ranges(show):
    """A rectangle drawn over points leaves those in it, of its panel, in the table."""
    report = show(waves())
    left, bottom = report.pixel(27, 0.03, panel=1)
    right, top = report.pixel(140, 0.9, panel=1)
    report.drag((left, bottom), (right, top))
    report.until(lambda: "of 24" in report.count())
    assert set(report.column("courant")) == {"0.4"}
    assert set(report.column("resolution")) <= {"32", "64", "128"}
    assert drawn(report) == {
        row for row in range(24)
        if waves().rows[row].values["courant"] == 0.4
        and waves().rows[row].values["resolution"] >= 32
        and waves().rows[row].values.get("l1", 0) > 0.03
    }  # fmt: skip
    assert len(report.chips()) == 3


def test_a_click_on_a_point_ticks_and_opens_its_row(show):
    """A click on a point shows its row, however the table is sorted, and marks the point."""
    report = show(waves())
    values = waves().rows[3].values
    report.click(report.pixel(values["resolution"], values["l1"]))
    report.until(report.opened)
    assert "scheme=upwind-courant=0.2-resolution=128" in report.opened()[0].text
    assert report.one("tr.ticked .tick input").is_selected()
    assert "1 ticked" in report.one("#ticks").text


def test_a_failed_point_without_measures_is_reached(show):
    """The cross at the foot of the figure leads to the experiment that failed."""
    report = show(waves())
    crosses = [one for one in report.series("scatter") if one.get("name") == "no value"]
    assert [[point[2] for point in one["data"]] for one in crosses] == [[17], [9]]
    x, _ = report.pixel(32, 0.1, panel=1)
    box = report.run(
        "const r = document.querySelector('.figure').getBoundingClientRect(); return r.bottom"
    )
    down = iter(range(40, 90, 3))

    def found():
        report.click((x, int(box) - next(down)))
        return report.opened()

    assert "feed too large" in report.until(found)[0].text


def test_search_and_ranges_and_levels_work_together(show):
    """Each filter is a chip that can be removed; one button removes all."""
    report = show(waves())
    report.search("scheme=lax")
    filter_range(report, "l1", 0.001, 0.1)
    report.header("resolution").find_element(By.CSS_SELECTOR, ".filter-button").click()
    next(b for b in report.all("#filter .check") if b.text == "64").click()
    report.run("document.querySelector('#filter').hidePopover()")
    found = [
        row
        for row in waves().rows
        if "scheme=lax" in row.node
        and 0.001 <= row.values.get("l1", -1) <= 0.1
        and row.values["resolution"] == 64
    ]
    assert len(report.column("l1")) == len(found) > 0
    assert report.chips() == ["l1 0.001 to 0.1", "resolution: 64"]
    report.all("#chips button")[1].click()
    assert len(report.column("l1")) > len(found)
    report.one("#clear").click()
    assert report.count() == "24 experiments"
    assert report.one("#search").get_attribute("value") == ""


def test_what_has_no_value_is_in_no_range(show):
    """Less than five does not hold of nothing."""
    report = show(waves())
    filter_range(report, "steps", "", 40)
    assert "" not in report.column("steps")
    assert all(int(steps) <= 40 for steps in report.column("steps"))


def test_a_link_or_a_reload_brings_everything_back(show):
    """The address holds filters, search, ticks, order, view and its settings."""
    report = show(waves())
    report.tab("Points")
    report.choose("Up", "peak")
    report.choose("Symbol", "courant")
    pill(report, "PASSED").click()
    report.all(".tick input")[2].click()
    report.header("l1").find_element(By.CSS_SELECTOR, ".dt-column-title").click()
    before = (report.count(), report.chips(), report.column("l1"), report.chosen())
    address = report.driver.current_url
    report.driver.refresh()
    report.wait("figures")
    assert (report.count(), report.chips(), report.column("l1"), report.chosen()) == before
    assert "1 ticked" in report.one("#ticks").text
    report.driver.get("about:blank")
    report.driver.get(address)
    report.wait("figures")
    assert (report.count(), report.chips(), report.column("l1"), report.chosen()) == before


@pytest.mark.parametrize(
    "fragment",
    ["#%", "#[1]", "#null", '#{"f":{"nothing":{"in":[1]},"l1":7},"v":7,"t":"x","o":[[1]]}',
     '#{"f":{"l1":{"has":5}},"v":{"x":"<b>","tab":"<b>","axes":[1],"show":5},"q":["x"]}'],
)  # fmt: skip
def test_an_address_of_another_page_does_no_harm(show, fragment):
    """Names in the address that this page does not know are ignored."""
    report = show(waves(), fragment=fragment)
    assert "24 experiments" in report.count()


def test_a_cause_selects_its_group(show):
    """Reasons are above the table, grouped; a click selects the experiments of that reason."""
    page = polytropes(n=[round(i / 20, 2) for i in range(60)])
    report = show(page)
    causes = report.all("#causes li button")
    assert [cause.text.split() for cause in causes] == [
        ["3", "job", "898031", "ended", "TIMEOUT", "(TimeLimit)"],
        ["3", "assert", "history.theta.iloc[-1]", "<", "1e-3"],
    ]
    causes[1].click()
    assert report.count() == "3 of 60 experiments"
    assert causes[1].get_attribute("aria-pressed") == "true"


def test_a_launch_is_chosen(show):
    """The page lists its launches; one that it holds selects its experiments, others are linked."""
    launches = [
        ReportLaunch("waves_2031_05_02", "2 May", "11aa22bb33cc", {"PASSED": 12}),
        ReportLaunch("waves_2031_05_01", "1 May", "9f31c2ab5d7e", {"PASSED": 9, "FAILED": 2}),
        ReportLaunch("waves_2031_04_01", "1 April", "0", {"PASSED": 1}, "launches/x/report.html"),
    ]
    report = show(waves(launches=launches))
    report.one("#launches summary").click()
    report.press("waves_2031_05_02", "#launches")
    assert report.count() == "12 of 24 experiments"
    (link,) = report.all("#launches a")
    assert link.get_dom_attribute("href") == "launches/x/report.html"


def test_the_selection_is_saved(show, downloads):
    """CSV and JSON hold the selected rows in full precision."""
    report = show(waves())
    pill(report, "FAILED").click()
    report.menu("Save", "CSV of the selection")
    report.menu("Save", "JSON of the selection")
    paths = [downloads / f"waves.{ending}" for ending in ("csv", "json")]
    report.until(lambda: all(path.exists() for path in paths))
    with paths[0].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["node"] for row in rows] == [waves().rows[5].node, waves().rows[17].node]
    assert float(rows[0]["l1"]) == waves().rows[5].values["l1"]
    assert rows[1]["l1"] == ""
    assert json.loads(paths[1].read_text())[0]["mass"] == 1 + 5e-9


def test_the_figure_is_saved(show, downloads):
    """PNG and SVG hold the figure that is shown."""
    report = show(waves())
    report.menu("Save", "Figure as PNG")
    report.menu("Save", "Figure as SVG")
    png, svg = (downloads / f"waves.{ending}" for ending in ("png", "svg"))
    report.until(lambda: png.exists() and svg.exists())
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "resolution" in svg.read_text()


def test_node_ids_and_a_pytest_command_are_copied(show, clipboard, tmp_path):
    """The command that is copied runs exactly the selected experiments."""
    report = show(waves())
    report.search("resolution=64")
    report.menu("Copy", "Node ids")
    nodes = clipboard().split("\n")
    assert nodes == [row.node for row in waves().rows if row.values["resolution"] == 64]
    report.menu("Copy", "pytest command")
    points = [row.node.split("[")[1].rstrip("]") for row in waves().rows]
    (tmp_path / "sweeps.py").write_text(
        f"import pytest\n@pytest.mark.parametrize('p', {points}, ids=str)\ndef waves(p): pass\n"
    )
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\npython_functions = waves\naddopts = -q --collect-only\n"
    )
    everything = [row.node for row in waves().rows]
    commands = [(clipboard(), nodes), (copied_of_all(report, clipboard), everything)]
    for command, expected in commands:
        words = f"alias pytest='{sys.executable} -m pytest -p no:remex'\n{command}"
        run = subprocess.run(
            ["bash", "-O", "expand_aliases", "-c", words],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stdout + run.stderr
        assert run.stdout.split("\n\n")[0].split("\n") == expected


def copied_of_all(report, clipboard):
    """Return the command for all experiments: too many for words."""
    report.one("#clear").click()
    report.menu("Copy", "pytest command")
    return clipboard()


def test_the_link_that_is_copied_brings_the_selection(show, clipboard):
    """The link shows the same selection to everyone."""
    report = show(waves())
    report.search("lax")
    report.menu("Copy", "Link to this view")
    link = clipboard()
    report.driver.get("about:blank")
    report.driver.get(link)
    report.wait("figures")
    assert report.count() == "12 of 24 experiments"


def test_a_pandas_query_is_copied(show, clipboard):
    """The query finds the selected rows in the results, by the filters or by node."""
    page = waves(title="a'b")
    frame = pd.DataFrame(
        [
            {**r.values, "node": r.node, "verdict": r.verdict, "elapsed": r.elapsed}
            for r in page.rows
        ]
    )
    asked = []
    report = show(page)

    def results(name):
        asked.append(name)
        return frame

    def found():
        report.menu("Copy", "pandas query")
        return list(eval(clipboard(), {"results": results})["node"])  # noqa: S307 - as a user would

    filter_range(report, "l1", "", 0.1)
    pill(report, "FAILED").click()
    pill(report, "PASSED").click()
    assert found() == report_nodes(report, page)
    assert "l1 <= 0.1" in clipboard()
    report.one("#clear").click()
    report.search("lax")
    assert found() == [row.node for row in page.rows if "lax" in row.node]
    assert set(asked) == {"a'b"}


def test_a_pandas_query_of_numbers_that_are_text(show, clipboard):
    """The page has nan, and numbers that JavaScript lacks, as text; the results do not."""
    rows = [
        ReportRow(f"s.py::p[{n}]", "PASSED", values={"seed": 2**60 + n, "error": error}, job=str(n))
        for n, error in enumerate([1.5, math.nan, 2.5])
    ]
    frame = pd.DataFrame([{**row.values, "node": row.node} for row in rows])
    for name, value, place in [("seed", str(2**60 + 1), 1), ("error", "nan", 1), ("error", 2.5, 2)]:
        chosen = f"#{quote(json.dumps({'f': {name: {'in': [value]}}}))}"
        report = show(Page("p", {}, ("seed",), ("error",), rows), fragment=chosen)
        assert report.count() == "1 of 3 experiments"
        report.menu("Copy", "pandas query")
        found = eval(clipboard(), {"results": lambda _: frame})  # noqa: S307 - as a user would
        assert list(found.node) == [rows[place].node]
        report.driver.get("about:blank")


def test_a_pandas_query_of_names_and_values_that_python_reads_otherwise(show, clipboard):
    """A parameter may be called as a word of Python, and a list is shown as text."""
    rows = [
        ReportRow(f"s.py::p[{n}]", "PASSED", values={"lambda": n, "a": str([n, 1])}, job=str(n))
        for n in range(3)
    ]
    given = [{"lambda": n, "a": [n, 1], "node": row.node} for n, row in enumerate(rows)]
    for chosen in ({"lambda": {"min": 2}}, {"a": {"in": ["[2, 1]"]}}):
        address = f"#{quote(json.dumps({'f': chosen}))}"
        report = show(Page("p", {}, ("lambda", "a"), (), rows), fragment=address)
        assert report.count() == "1 of 3 experiments"
        report.menu("Copy", "pandas query")
        found = eval(clipboard(), {"results": lambda _: pd.DataFrame(given)})  # noqa: S307 - as a user would
        assert list(found.node) == [rows[2].node]
        report.driver.get("about:blank")


def report_nodes(report, page):
    """Return the node ids of the rows that the table shows, by their jobs."""
    jobs = set(report.column("Job"))
    return [row.node for row in page.rows if row.job in jobs]


def test_only_the_ticked_are_kept(show):
    """Ticks become the selection, and go."""
    report = show(waves())
    for box in report.all(".tick input")[1:4]:
        box.click()
    report.press("Only these", "#ticks")
    assert report.count() == "3 of 24 experiments"
    report.press("Untick", "#ticks")
    assert report.count() == "24 experiments"


def test_rows_that_share_a_commit_are_ticked_apart(show):
    """A replicate has the commit and the node of another: each row stays its own."""
    page = waves()
    page = dataclasses.replace(page, rows=[page.rows[0], page.rows[0], page.rows[1]])
    report = show(page)
    report.all(".tick input")[1].click()
    report.driver.refresh()
    report.wait("figures")
    assert [box.is_selected() for box in report.all(".tick input")] == [False, True, False]
