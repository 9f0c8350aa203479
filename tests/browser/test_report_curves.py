"""Curves, comparison and images of a report in a browser."""

from __future__ import annotations

import dataclasses
import re

import pytest
from polytropes import png
from selenium.webdriver.common.keys import Keys
from waves import BASES, advected, name, waves

from pytest_remex.report import Curve, Overlay, write_report


def tick(report, *rows):
    """Tick rows of the table by their places."""
    for row in rows:
        report.all(".tick input")[row].click()


@pytest.fixture
def pictured(tmp_path):
    """Return a page of experiments, each with a picture that is stored next to the page."""
    page = waves()
    rows = []
    for place, row in enumerate(page.rows):
        folder = tmp_path / "runs" / row.directory
        folder.mkdir(parents=True)
        (folder / "wave.png").write_bytes(png(0.5 + place / 12))
        images = () if place == 9 else (f"../runs/{row.directory}/wave.png",)
        rows.append(dataclasses.replace(row, images=images))
    return dataclasses.replace(page, rows=rows)


def test_curves_of_the_selected_are_laid_over_each_other(show):
    """The legend says the parameters that differ; what is not selected is not drawn."""
    report = show(waves())
    report.tab("Curves")
    assert len(report.series("line")) == 23
    report.search("scheme=lax-courant=0.4")
    lines = report.series("line")
    assert [one["name"] for one in lines] == [f"resolution={n}" for n in (16, 32, 64, 128)]
    assert len({one["color"] for one in lines}) == 4
    xs, ys = advected("lax", 0.4, 32)
    assert [point[0] for point in lines[1]["data"]] == pytest.approx(xs)
    assert [point[1] for point in lines[1]["data"]] == pytest.approx(ys)
    figure = report.figure()
    assert figure["xAxis"][0]["name"] == "x (cm)"
    assert figure["yAxis"][0]["name"] == "u (cm/s)"


def test_curves_take_the_colour_of_any_parameter(show):
    """Experiments of the same value have the same colour."""
    report = show(waves())
    report.tab("Curves")
    report.choose("Colour", "scheme")
    lines = report.series("line")
    colours = {(re.search("scheme=(\\w+)", one["name"]).group(1), one["color"]) for one in lines}
    assert len(colours) == 2


def test_curves_of_two_versions(show):
    """A point has a curve for each version, told apart by colour; with more points, by dashes."""
    page = waves()
    numbers = {"resolution": [16, 32, 64, 128], "courant": [0.2, 0.4, 0.8]}
    rows = [
        dataclasses.replace(
            row,
            node=row.node.partition("waves")[0] + "-".join(f"{k}={row.values[k]}" for k in numbers),
            values={
                "version": {"upwind": "today", "lax": "v1.2"}[row.values["scheme"]],
                **{name: value for name, value in row.values.items() if name != "scheme"},
            },
        )
        for row in page.rows
    ]
    report = show(waves(dimensions=("version", *numbers), rows=rows))
    report.tab("Curves")
    assert report.chosen()["Dashes"] == "version"
    report.search("resolution=64-courant=0.4")
    looks = [(one["name"], one["lineStyle"]["type"]) for one in report.series("line")]
    assert looks == [("version=today", "solid"), ("version=v1.2", "dashed")]
    assert len({one["color"] for one in report.series("line")}) == 2
    entries = report.figure()["legend"][0]["data"]
    assert [entry["name"] for entry in entries] == [name for name, _ in looks]
    assert entries[0]["icon"] != entries[1]["icon"]
    report.search("courant=0.4")
    lines = report.series("line")
    assert [one["lineStyle"]["type"] for one in lines] == ["solid"] * 4 + ["dashed"] * 4
    assert [one["color"] for one in lines[:4]] == [one["color"] for one in lines[4:]]
    report.choose("Dashes", "none")
    report.until(lambda: {one["lineStyle"]["type"] for one in report.series("line")} == {"solid"})


def test_a_curve_runs_as_its_sweep_says(show):
    """Of several curves one is chosen; a reversed axis is reversed; observed data lies over it."""
    curves = [
        Curve(name(place), "track", [4.2, 4.0, 3.6, 3.5], [1, 3, 2, place], "log Teff", "log L",
              x_reversed=True)
        for place in range(24)
    ]  # fmt: skip
    observed = Overlay("observed", [3.9, 4.1], [2, 2.5], curve="track")
    report = show(waves(curves=[*waves().curves, *curves], figures=[observed]))
    report.tab("Curves")
    report.choose("Curve", "track")
    report.until(lambda: report.figure()["xAxis"][0]["name"] == "log Teff")
    assert report.figure()["xAxis"][0]["inverse"] is True
    assert [one["name"] for one in report.series("scatter")] == ["observed"]


def test_curves_of_the_ticked_alone_on_logarithmic_axes(show):
    """Boxes leave the ticked experiments' curves, and turn the axes."""
    report = show(waves())
    tick(report, 2, 14)
    report.tab("Curves")
    report.check("only ticked")
    assert [one["name"] for one in report.series("line")] == ["scheme=upwind", "scheme=lax"]
    report.check("log x")
    figure = report.figure()
    assert (figure["xAxis"][0]["type"], figure["yAxis"][0]["type"]) == ("log", "value")


def test_the_ticked_are_compared(show):
    """Parameters that differ, measures with their difference, outcome, bases, patches."""
    report = show(waves())
    tick(report, 2, 15)
    report.press("Compare", "#ticks")
    report.until(lambda: report.all(".compare"))
    cells = [
        [cell.text for cell in line.find_elements("css selector", "th, td")]
        for line in report.all(".compare tbody tr")
    ]
    lines = {line[0]: line[1:] for line in cells}
    assert lines["scheme"] == ["upwind", "lax"]
    assert lines["resolution"] == ["64", "128"]
    assert "courant" not in lines
    assert lines["steps"] == ["320", "640\n+320 (+100 %)"]
    first, second = (waves().rows[place].values["l1"] for place in (2, 15))
    assert float(lines["l1"][0]) == pytest.approx(first, rel=1e-4)
    percent = re.search(r"\((.*) %\)", lines["l1"][1]).group(1)
    assert float(percent) == pytest.approx(100 * (second - first) / first, rel=1e-2)
    assert lines["Base"] == [base[:12] for base in BASES]
    diff = report.one("#view .diff").text
    assert "-+nx = 64" in diff
    assert "++nx = 128" in diff


def test_the_ticked_curves_are_compared_with_their_residual(show):
    """The residual is the second curve, at the first one's places, less the first."""
    report = show(waves())
    tick(report, 2, 14)
    report.press("Compare", "#ticks")
    report.until(lambda: len(report.all("#compared-curves canvas")) == 2)
    residual = report.figure(1)["series"][0]["data"]
    _, first = advected("upwind", 0.2, 64)
    _, second = advected("lax", 0.2, 64)
    expected = [b - a for a, b in zip(first, second, strict=True)]
    assert [point[1] for point in residual] == pytest.approx(expected, abs=1e-6)


def test_the_compared_are_named_by_what_differs(show):
    """Heads and legends say the parameters that differ; replicates are told apart by their base."""
    report = show(waves())
    tick(report, 2, 14)
    report.press("Compare", "#ticks")
    report.until(lambda: len(report.all("#compared-curves canvas")) == 2)
    assert [cell.text for cell in report.all(".compare thead th")][1:] == [
        "scheme=upwind\N{MULTIPLICATION SIGN}", "scheme=lax\N{MULTIPLICATION SIGN}",
    ]  # fmt: skip
    assert [one["name"] for one in report.figure()["series"]] == ["scheme=upwind", "scheme=lax"]
    page = waves()
    other = dataclasses.replace(page.rows[2], parent=BASES[1], directory="other", job="7")
    report = show(dataclasses.replace(page, rows=[*page.rows, other]))
    tick(report, 2, 24)
    report.press("Compare", "#ticks")
    report.until(lambda: report.all(".compare"))
    assert [cell.text[:17] for cell in report.all(".compare thead th")][1:] == [
        f"Base={base[:12]}" for base in BASES
    ]


def test_all_figures_of_a_comparison_are_saved(show, downloads):
    """Curves and their residual are separate files."""
    report = show(waves())
    tick(report, 2, 14)
    report.press("Compare", "#ticks")
    report.until(lambda: len(report.all("#compared-curves canvas")) == 2)
    report.menu("Save", "Figure as SVG")
    paths = [downloads / "waves.svg", downloads / "waves-2.svg"]
    report.until(lambda: all(path.exists() for path in paths))
    report.until(lambda: "difference from the first" in paths[1].read_text())


def test_curves_that_turn_back_have_no_residual(show):
    """A track through a diagram is compared by eye, and the page says why."""
    curves = [Curve(name(place), "loop", [0, 1, 0], [0, 1, 2]) for place in (2, 14)]
    report = show(waves(curves=curves))
    tick(report, 2, 14)
    report.press("Compare", "#ticks")
    report.until(lambda: "No residual" in report.one("#view").text)


def test_the_gallery_lies_on_the_grid(show, pictured):
    """Two dimensions make a matrix; what is selected is shown."""
    report = show(pictured)
    report.tab("Images")
    heads = [cell.text for cell in report.all(".matrix thead th")]
    assert heads == [
        "courant \N{DOWNWARDS ARROW} resolution \N{RIGHTWARDS ARROW}",
        "16",
        "32",
        "64",
        "128",
    ]
    assert len(report.all(".matrix img")) == 23
    report.search("scheme=lax-courant=0.8")
    assert [caption.text for caption in report.all(".strip figcaption")] == [
        f"scheme=lax, courant=0.8, resolution={n}" for n in (16, 32, 64, 128)
    ]


def test_any_image_is_chosen_and_sliced(show, pictured, tmp_path):
    """Another of the experiments' images is laid out, for one value of a further dimension."""
    other = tmp_path / "runs" / "other.png"
    other.write_bytes(png(3))
    first = pictured.rows[0]
    rows = [dataclasses.replace(first, images=(*first.images, "../runs/other.png"))]
    report = show(dataclasses.replace(pictured, rows=[*rows, *pictured.rows[1:]]))
    report.tab("Images")
    report.choose("Image", "other.png")
    report.until(lambda: len(report.all(".matrix img")) == 1)
    report.choose("Image", next(name for name in report.options("Image") if name != "other.png"))
    report.choose("Slice", "scheme")
    report.until(lambda: report.all(".choices [type=range]"))
    report.one(".choices [type=range]").send_keys(Keys.ARROW_RIGHT)
    report.until(lambda: len(report.all(".matrix img")) == 11)


def test_an_image_is_enlarged_and_turned_by_key(show, pictured):
    """A click enlarges, the arrow keys show the next and the previous one, Escape closes."""
    report = show(pictured)
    report.tab("Images")
    report.all(".matrix a")[0].click()
    caption = lambda: report.one(".pswp__caption").text  # noqa: E731 - asked again and again
    report.until(lambda: "resolution=16" in caption())
    first = caption()
    body = report.one("body")
    body.send_keys(Keys.ARROW_RIGHT)
    report.until(lambda: caption() != first)
    body.send_keys(Keys.ARROW_LEFT)
    report.until(lambda: caption() == first)
    image = "[...document.querySelectorAll('.pswp__img')].some((i) => i.naturalWidth === 240)"
    report.until(lambda: report.run(f"return {image}"))
    body.send_keys(Keys.ESCAPE)
    report.until(lambda: not report.all(".pswp"))


def test_images_are_inside_the_page(show, pictured, tmp_path):
    """Without its folder, the page still shows small images, and says what it contains."""
    write_report(tmp_path / "polytropes" / "report.html", pictured)
    report = show(pictured)
    assert "23 small images are inside this page" in report.one("#images-note").text
    for path in (tmp_path / "runs").rglob("*.png"):
        path.unlink()
    report.driver.refresh()
    report.wait("figures")
    report.tab("Images")
    loaded = "return [...document.querySelectorAll('.matrix img')].every((i) => i.naturalWidth > 0)"
    report.until(lambda: report.run(loaded))


def test_the_ticked_images_stand_beside_each_other(show, pictured):
    """Compare shows the same image of each experiment."""
    report = show(pictured)
    tick(report, 0, 3)
    report.press("Compare", "#ticks")
    report.until(lambda: len(report.all("#view .strip img")) == 2)
