"""The figure of a report in a browser: its kind, its measure, and the way from it to a row."""

from __future__ import annotations

import dataclasses

import plotly.graph_objects as go
import pytest
from polytropes import polytropes
from selenium.webdriver import ActionChains

N = [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 0.25]
CUBE = polytropes(n=[0, 1, 2, 3], step=[0.01, 0.02, 0.03], rotation=[0, 0.1, 0.2])


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        (polytropes(n=N), "scatter"),
        (polytropes(n=N, step=[0.01]), "scatter"),
        (polytropes(n=N[:4], step=[0.01, 0.02]), "heatmap"),
        (CUBE, "parcoords"),
    ],
)
def test_the_shape_of_the_grid_chooses_the_figure(show, page, kind):
    """One varying parameter: points; two: a heat map; more: parallel coordinates."""
    report = show(page)
    traces, _ = report.figure()
    assert traces[0]["type"] == kind


def test_parameters_that_vary_together_are_one_axis(show):
    """A pair of parameters that always change together is drawn as one."""
    page = polytropes(n=N)
    rows = [
        dataclasses.replace(r, values={**r.values, "gamma": 1 + r.values["n"]}) for r in page.rows
    ]
    report = show(dataclasses.replace(page, dimensions=("n", "gamma"), rows=rows))
    traces, layout = report.figure()
    assert traces[0]["type"] == "scatter"
    assert layout["xaxis"]["title"]["text"] == "n"
    assert "gamma: 1.5" in " ".join(traces[0]["text"])


def test_every_measure_can_be_chosen(show):
    """The list of measures holds what the sweep returned, then the elapsed time and the verdict."""
    report = show(polytropes(n=N))
    assert report.options("Measure") == [
        "first_zero", "surface_mass", "concentration", "steps", "Elapsed", "Verdict",
    ]  # fmt: skip
    for measure in report.options("Measure"):
        report.choose("Measure", measure)
        traces, layout = report.figure()
        assert layout["yaxis"]["title"]["text"].startswith(measure)
        assert len(traces[0]["y"]) == 10 if measure in {"Verdict", "Elapsed"} else 9


def test_a_heat_map_holds_the_measure_at_its_parameters(show):
    """A cell lies at its two parameters' levels."""
    page = polytropes(n=[2, 0, 1], step=[0.02, 0.01])
    (trace,), _ = show(page).figure()
    assert trace["x"] == ["0", "1", "2"]
    assert trace["y"] == ["0.01", "0.02"]
    values = {(r.values["n"], r.values["step"]): r.values["first_zero"] for r in page.rows}
    assert trace["z"] == [[values[n, step] for n in (0, 1, 2)] for step in (0.01, 0.02)]


def test_levels_that_look_alike_stay_apart(show):
    """Parameters that differ in their tenth digit are different rows of a heat map."""
    (trace,), _ = show(polytropes(n=[1, 2], step=[0.01, 0.0100000001])).figure()
    assert trace["y"] == ["0.01", "0.0100000001"]
    assert len(trace["z"]) == 2


def test_a_click_on_a_point_shows_its_row(show):
    """The row is opened, in view, and has the focus, whatever was filtered before."""
    report = show(polytropes(n=N))
    report.search("TimeLimit")
    report.click_at(report.all("#figure .point")[3])
    report.until(report.opened)
    assert "sweeps.py::polytropes[n=1]" in report.opened()[0].text
    focused = report.driver.switch_to.active_element
    assert focused.accessible_name == "Details of sweeps.py::polytropes[n=1]"


def test_a_click_on_a_cell_without_value_shows_its_row(show):
    """A failed experiment is reached from its gap in the heat map."""
    report = show(polytropes(n=N[:4], step=[0.01, 0.02]))
    plot = report.one("#figure .nsewdrag")
    right, up = plot.size["width"] * 3 / 8, plot.size["height"] / 4
    report.click_at(plot, round(right), -round(up))
    report.until(report.opened)
    assert "polytropes[n=1.5-step=0.02]" in report.opened()[0].text


def test_a_range_marked_on_an_axis_narrows_the_table_down(show):
    """Parallel coordinates filter: what lies in the range stays in the table."""
    report = show(CUBE)
    axis = report.one("#figure .axis-brush .background")
    length = axis.size["height"]
    drag = ActionChains(report.driver).move_to_element_with_offset(axis, 0, round(length / 4))
    drag.click_and_hold().move_by_offset(0, -round(length / 2)).pause(0.3).release().perform()
    report.until(lambda: "filtered" in report.info())
    assert set(report.column("n")) == {"1", "2"}
    next(b for b in report.all(".dt-button") if b.text == "Clear filters").click()
    assert "filtered" not in report.info()


def test_a_click_on_a_line_shows_its_row(show):
    """The line that is pointed at leads to its experiment."""
    report = show(CUBE)
    axis = report.one("#figure .axis-brush .background")
    down = iter(range(-100, 0))

    def found():
        report.click_at(axis, 100, next(down))
        return report.opened()

    assert "sweeps.py::polytropes[n=" in report.until(found)[0].text


def test_other_views_of_a_grid_can_be_chosen(show):
    """A grid of three parameters can be seen against each of them."""
    report = show(CUBE)
    assert report.options("View") == [
        "Parallel coordinates", "Against n", "Against step", "Against rotation",
    ]  # fmt: skip
    report.choose("View", "Against step")
    traces, layout = report.figure()
    assert traces[0]["type"] == "scatter"
    assert layout["xaxis"]["title"]["text"] == "step"


def test_the_theme_recolours_the_figure(show):
    """The button turns page and figure dark, and back."""
    report = show(polytropes(n=N))
    _, light = report.figure()
    report.one("#theme").click()
    _, dark = report.figure()
    assert dark["font"]["color"] != light["font"]["color"]
    assert report.run("return getComputedStyle(document.body).colorScheme") == "dark"
    report.one("#theme").click()
    assert report.figure()[1]["font"]["color"] == light["font"]["color"]


def test_no_button_sends_the_figure_away(show):
    """What can be done to a figure is done on this machine."""
    report = show(polytropes(n=N))
    labels = {button.get_attribute("aria-label") for button in report.all(".modebar-btn")}
    assert {"Zoom", "Download plot as a PNG"} <= labels
    assert not [label for label in labels if "Share" in label or "Cloud" in label]


def test_own_figures_are_drawn(show):
    """Figures from a hook are in the page, and what is none is named."""
    own = go.Figure(go.Bar(x=["n = 1", "n = 2"], y=[3.14, 4.35]))
    report = show(dataclasses.replace(polytropes(n=[1.5]), figures=[own, object()]))
    assert len(report.all("#own-figures .bars .point")) == 2
    assert "builtins.object is no Plotly figure" in report.one("#own-figures").text
