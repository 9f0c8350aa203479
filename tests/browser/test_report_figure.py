"""The figures of a report: what they open with, what they can show, and what they select."""

from __future__ import annotations

import dataclasses

import plotly.graph_objects as go
import pytest
from polytropes import polytropes
from selenium.webdriver.common.keys import Keys
from waves import waves

from pytest_remex.report import Curve, Overlay, Page, ReportRow

N = [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 0.25]
PLANE = polytropes(n=N[:5], step=[0.005, 0.01, 0.02, 0.03])


def test_a_convergence_study_opens_as_its_author_would_plot_it(show):
    """Error against resolution, both logarithmic, a line for each scheme, a panel for the rest."""
    report = show(waves())
    assert report.chosen() == {
        "Across": "resolution", "Up": "l1", "Colour": "scheme", "Symbol": "none",
        "Panels": "courant", "Slice": "none",
    }  # fmt: skip
    figure = report.figure()
    assert {axis["type"] for axis in figure["xAxis"]} == {"log"}
    assert {axis["type"] for axis in figure["yAxis"][:3]} == {"log"}
    lines = report.series("line")
    assert sorted({one["name"] for one in lines}) == ["lax", "upwind"]
    assert len(lines) == 6
    resolutions = [point[0] for point in lines[0]["data"]]
    assert resolutions == sorted(resolutions)
    assert [title["text"] for title in figure["title"]] == [
        "courant: 0.2", "courant: 0.4", "courant: 0.8", "scheme",
    ]  # fmt: skip


def test_a_grid_that_has_not_begun(show):
    """What is drawn is what the choices above it say."""
    page = polytropes(n=N[:3])
    rows = [
        dataclasses.replace(row, verdict="PENDING", state="PENDING", values={"n": n}, elapsed=None)
        for row, n in zip(page.rows, N, strict=False)
    ]
    report = show(dataclasses.replace(page, rows=rows, measures=()))
    assert report.chosen()["Up"] == report.figure()["yAxis"][0]["name"] == "Verdict"


@pytest.mark.parametrize(
    ("page", "tab", "kind"),
    [
        (polytropes(n=N), "Points", "line"),
        (polytropes(n=N[:4], step=[0.01, 0.02]), "Points", "line"),
        (PLANE, "Heat map", "heatmap"),
    ],
)
def test_the_shape_of_the_grid_chooses_the_figure(show, page, tab, kind):
    """One parameter that varies: a line; two of many values: a heat map."""
    report = show(page)
    assert report.one("#tabs [aria-selected=true]").text == tab
    assert report.series(kind)


def test_parameters_that_vary_together_are_one_axis(show):
    """Two parameters that always change together are drawn as one, and both are named."""
    page = polytropes(n=N)
    rows = [
        dataclasses.replace(r, values={**r.values, "gamma": 1 + r.values["n"]}) for r in page.rows
    ]
    report = show(dataclasses.replace(page, dimensions=("n", "gamma"), rows=rows))
    assert report.chosen()["Across"] == "n"
    assert report.chosen()["Colour"] == "none"
    report.run("document.querySelector('.figure').scrollIntoView()")
    report.click(report.pixel(1.5, page.rows[3].values["first_zero"]))
    report.until(report.opened)


def test_any_column_is_drawn_against_any_other(show):
    """Axes, colour and symbol take parameters, measures and outcomes."""
    report = show(waves())
    assert set(report.options("Across")) >= {"l1", "peak", "resolution", "Elapsed", "Verdict"}
    report.choose("Panels", "none")
    report.choose("Across", "peak")
    report.choose("Up", "steps")
    report.choose("Colour", "Verdict")
    report.choose("Symbol", "scheme")
    points = report.series("scatter")
    names = {one["name"] for one in points if one.get("name") not in {None, "no value"}}
    assert names == {"PASSED, upwind", "FAILED, upwind", "PASSED, lax"}
    assert {one["symbol"] for one in points if one.get("name") in names} == {"circle", "rect"}


def test_logarithmic_axes_can_be_chosen(show):
    """The boxes beside the axes turn them; a column with zero stays linear."""
    report = show(waves())
    report.check("log")
    assert report.figure()["xAxis"][0]["type"] == "value"
    report.check("log")
    assert report.figure()["xAxis"][0]["type"] == "log"
    zero = show(polytropes(n=N))
    zero.check("log")
    assert zero.figure()["xAxis"][0]["type"] == "value"


def test_failed_and_missing_are_told_apart(show):
    """Failed with a measure: a red ring; failed without and not ended: a red and a grey cross."""
    report = show(waves())
    series = report.series("scatter")
    rings = [point[2] for one in series if one["symbolSize"] == 15 for point in one["data"]]
    assert rings == [5]
    crosses = [one for one in series if one.get("name") == "no value"]
    colours = {one["data"][0][2]: one["itemStyle"]["color"] for one in crosses}
    assert set(colours) == {9, 17}
    assert colours[9] != colours[17]
    note = report.one("#view .note").text
    assert "Red rings: failed." in note
    assert "Red crosses: 1 failed without l1." in note
    assert "Grey crosses: 1 without l1 yet." in note


def test_a_slider_slices_a_further_dimension(show):
    """A slider goes through the values of a dimension, and the table follows."""
    report = show(waves())
    report.choose("Panels", "none")
    report.choose("Slice", "courant")
    slider = report.one(".choices [type=range]")
    slider.send_keys(Keys.ARROW_RIGHT)
    assert set(report.column("courant")) == {"0.2"}
    report.one(".choices [type=range]").send_keys(Keys.ARROW_RIGHT)
    assert set(report.column("courant")) == {"0.4"}
    assert report.one(".choices output").text == "0.4"
    assert len(report.series("line")) == 2


def test_what_is_not_selected_stays_faintly_in_place(show):
    """The axes do not jump while one selects, unless asked to zoom."""
    report = show(polytropes(n=N))
    before = report.figure()["yAxis"][0]["max"]
    report.search("n=1")
    assert report.figure()["yAxis"][0]["max"] == before
    report.check("zoom to the selection")
    assert report.figure()["yAxis"][0]["max"] < before


def test_panels_follow_the_window(show):
    """Panels are below each other in a narrow window, side by side in a wide one."""
    report = show(waves())
    lefts = {grid["left"] for grid in report.figure()["grid"]}
    assert len(lefts) == 3
    report.resize(420)
    report.until(lambda: len({grid["left"] for grid in report.figure()["grid"]}) == 1)
    assert all(grid["width"] < 420 for grid in report.figure()["grid"])
    report.resize(1300)
    report.until(lambda: len({grid["left"] for grid in report.figure()["grid"]}) == 3)


def test_reference_data_is_laid_over_the_figure(show):
    """The hook's points and lines are drawn where their columns are."""
    laid = Overlay("second order", [16, 128], [0.1, 0.1 / 64], x="resolution", y="l1", line=True)
    report = show(waves(figures=[laid]))
    assert len([one for one in report.series("line") if one["name"] == "second order"]) == 3
    report.choose("Up", "peak")
    assert not [one for one in report.series("line") if one["name"] == "second order"]


NAME = "a parameter with quite a long name"
LONG = "a rather long value that somebody chose for a parameter of words, number "


@pytest.mark.parametrize("width", [390, 1300])
def test_no_label_is_cut_off(show, downloads, width):
    """Long names of columns and values stay inside the figure, in every view, on a phone too."""
    rows = [
        ReportRow(
            f"node {n}{m}",
            "PASSED",
            values={
                NAME: LONG + str(n),
                "m": m * 1e-9,
                "y": n * 1e12 + m,
            },
        )
        for n in range(3)
        for m in range(5)
    ]  # fmt: skip
    curves = [Curve(row.node, "track", [0, 1], [0, 1], "a long label " * 3, "y") for row in rows]
    page = Page("long", {}, (NAME, "m"), ("y",), rows, curves=curves)
    report = show(page)
    report.resize(width)
    for tab in ("Points", "Heat map", "Parallel", "Curves"):
        report.tab(tab)
        report.menu("Save", "Figure as SVG")
        path = downloads / "long.svg"
        report.until(path.exists)
        report.until(lambda path=path: path.read_text().rstrip().endswith("</svg>"))
        report.driver.get(path.as_uri())
        outside = report.run(MEASURED)
        assert outside == [], tab
        report.driver.back()
        report.wait("figures")
        path.unlink()


MEASURED = """
    const frame = document.documentElement.getBoundingClientRect();
    return [...document.querySelectorAll("text")].filter((text) => {
        const { left, right, top, bottom } = text.getBoundingClientRect();
        const across = left < frame.left - 2 || right > frame.right + 2;
        return across || top < frame.top - 2 || bottom > frame.bottom + 2;
    }).map((text) => text.textContent);
"""


def test_a_heat_map_holds_the_measure_at_its_parameters(show):
    """A cell is at the levels of its two parameters."""
    report = show(PLANE)
    figure = report.figure()
    assert figure["xAxis"][0]["data"] == ["0", "0.5", "1", "1.5", "2"]
    assert figure["yAxis"][0]["data"] == ["0.005", "0.01", "0.02", "0.03"]
    (cells,) = report.series("heatmap")
    values = {
        (row.values["n"], row.values["step"]): row.values.get("first_zero") for row in PLANE.rows
    }
    levels = [[0, 0.5, 1, 1.5, 2], [0.005, 0.01, 0.02, 0.03]]
    found = {(levels[0][x], levels[1][y]): value for x, y, value, _ in cells["data"]}
    assert found == {place: value for place, value in values.items() if value is not None}


def test_levels_that_look_alike_stay_apart(show):
    """Parameters that differ in their tenth digit are different rows of a heat map."""
    report = show(polytropes(n=[1, 2], step=[0.01, 0.0100000001]))
    report.tab("Heat map")
    figure = report.figure()
    assert {*figure["yAxis"][0]["data"], *figure["xAxis"][0]["data"]} >= {"0.01", "0.0100000001"}


def test_a_click_on_a_cell_without_value_shows_its_row(show):
    """A failed experiment is reached from its cross in the heat map."""
    report = show(PLANE)
    row = next(row for row in PLANE.rows if row.verdict == "FAILED")
    x, y = (
        [0, 0.5, 1, 1.5, 2].index(row.values["n"]),
        [0.005, 0.01, 0.02, 0.03].index(row.values["step"]),
    )
    report.click(report.pixel(x, y))
    assert row.node in report.until(report.opened)[0].text


def test_a_brush_in_a_heat_map_selects_its_cells(show):
    """A rectangle over cells leaves their experiments."""
    report = show(PLANE)
    report.drag(report.pixel(1, 1), report.pixel(2, 2))
    report.until(lambda: "of 20" in report.count())
    assert set(report.column("n")) == {"0.5", "1"}
    assert set(report.column("step")) == {"0.01", "0.02"}


def test_a_click_on_a_cell_of_several_selects_them(show):
    """Experiments that share a cell because of a further dimension are selected together."""
    report = show(waves())
    report.tab("Heat map")
    assert "mean" in report.one("#view .note").text
    report.click(report.pixel(0, 0))
    report.until(lambda: report.count() == "2 of 24 experiments")
    assert set(report.column("scheme")) == {"upwind", "lax"}


def test_a_range_marked_on_an_axis_selects(show):
    """Parallel coordinates filter: what is in the range stays, and the range can be removed."""
    report = show(waves())
    report.tab("Parallel")
    report.drag(report.axis_pixel("resolution", 0.8), report.axis_pixel("resolution", 0.25))
    report.until(lambda: "of 24" in report.count())
    assert set(report.column("resolution")) == {"32", "64"}
    assert len(report.chips()) == 1
    report.one("#clear").click()
    assert report.count() == "24 experiments"


def test_marks_stay_on_their_axes(show):
    """All ranges that are set, by mark or otherwise, are marked on the axes, after a reload too."""
    fragment = '#{"v":{"tab":"parallel"},"f":{"resolution":{"min":30,"max":70},"l1":{"max":0.1},'
    report = show(waves(), fragment=f'{fragment}"scheme":{{"in":["lax"]}}}}}}')
    marks = """
        const chart = echarts.getInstanceByDom(document.querySelector(".figure"));
        const shapes = chart.getZr().storage.getDisplayList(true);
        return shapes.filter(({name}) => name === "main").map(({style}) => style.fillOpacity);
    """
    assert report.run(marks) == [0.25] * 3
    assert set(report.column("scheme")) == {"lax"}


def test_a_brush_never_loses_what_lies_in_it(show):
    """If values differ in their ninth digit, the range that is brushed is as fine."""
    report = show(waves())
    report.choose("Panels", "none")
    report.choose("Up", "mass")
    report.drag(report.pixel(17, 1 + 1.5e-9), report.pixel(140, 1 + 7.5e-9))
    report.until(lambda: "of 24" in report.count())
    assert report.column("mass") == [f"{1 + place * 1e-9:.9f}" for place in (2, 3, 5, 6, 7)]


def test_a_failed_cell_with_a_measure_is_marked(show):
    """A heat map rings what failed and has its value."""
    report = show(waves(), fragment='#{"v":{"tab":"heat"},"f":{"scheme":{"in":["upwind"]}}}')
    (ring,) = [one for one in report.series("scatter") if one["symbol"] == "circle"]
    assert [point[3] for point in ring["data"]] == [5]
    assert "Red rings: failed." in report.one("#view .note").text


def test_a_click_on_a_line_shows_its_row(show):
    """The line that is pointed at leads to its experiment."""
    report = show(waves())
    report.tab("Parallel")
    x, y = report.axis_pixel("resolution", 0.5)
    shift = iter(range(-160, 160, 2))

    def found():
        report.click((x + 50, y + next(shift)))
        return report.opened()

    assert "sweeps.py::waves[" in report.until(found)[0].text


def test_the_theme_recolours_the_figure(show):
    """The button turns page and figure dark, and back."""
    report = show(polytropes(n=N))
    light = report.figure()["textStyle"]["color"]
    report.one("#theme").click()
    report.until(lambda: report.figure()["textStyle"]["color"] != light)
    assert report.run("return getComputedStyle(document.body).colorScheme") == "dark"
    report.one("#theme").click()
    report.until(lambda: report.figure()["textStyle"]["color"] == light)


def test_no_webgl_is_used(show):
    """Nobody waits for WebGL in software: all is drawn on plain canvases."""
    report = show(waves())
    for tab in ("Heat map", "Parallel", "Points"):
        report.tab(tab)
        kinds = "return [...document.querySelectorAll('canvas')].map((c) => !!c.getContext('2d'))"
        assert all(report.run(kinds))


def test_own_figures_are_drawn(show):
    """Figures from a hook are in the page, and what is none is named."""
    own = go.Figure(go.Bar(x=["n = 1", "n = 2"], y=[3.14, 4.35]))
    report = show(dataclasses.replace(polytropes(n=[1.5]), figures=[own, object()]))
    report.until(lambda: len(report.all("#view .bars .point")) == 2)
    assert "builtins.object is no Plotly figure" in report.one("#view").text
    labels = {button.get_attribute("aria-label") for button in report.all(".modebar-btn")}
    assert not [label for label in labels if label and ("Share" in label or "Cloud" in label)]
