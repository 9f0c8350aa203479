"""Reports are readable without scripts, with a screen reader, and on paper."""

from __future__ import annotations

import base64
import dataclasses
from pathlib import Path
from urllib.parse import unquote, urlsplit
from zipfile import ZipFile

import pytest
from polytropes import BASE, png, polytropes
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from waves import waves

from pytest_remex.report import IndexedSweep, write_index, write_portable, write_report

N = [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 0.25, 0.75, 1.25]
NAMED = {"button", "tab", "slider", "combobox", "searchbox", "link", "img", "table", "checkbox"}


@pytest.fixture
def without_scripts(chromium):
    """Switch scripts off."""
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    yield chromium
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_without_scripts_the_plain_table_is_shown(without_scripts, tmp_path):
    """Every experiment is readable if scripts are switched off."""
    write_report(tmp_path / "report.html", polytropes(n=N))
    without_scripts.get((tmp_path / "report.html").as_uri())
    rows = without_scripts.find_elements(By.CSS_SELECTOR, ".plain tbody tr")
    assert [row.text.split()[0] for row in rows] == ["PASSED"] * 7 + ["FAILED"] + ["PASSED"] * 3 + [
        "FAILED"
    ]
    assert "2.44972" in rows[0].text


def test_a_page_that_a_browser_cannot_run_is_plain(chromium, tmp_path):
    """If a browser lacks features that the scripts need, the plain table is shown."""
    script = "delete globalThis.DecompressionStream"
    made = chromium.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    try:
        write_report(tmp_path / "report.html", polytropes(n=N))
        chromium.get((tmp_path / "report.html").as_uri())
        rows = chromium.find_elements(By.CSS_SELECTOR, ".plain tbody tr")
        assert len(rows) == 12
    finally:
        chromium.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", made)
        chromium.get_log("browser")


def test_everything_that_can_be_used_has_a_name(show):
    """A screen reader has words for every button, box, link and picture, in every view."""
    report = show(waves())
    report.one(".opener button").click()
    report.until(report.opened)
    for box in report.all(".tick input")[:2]:
        box.click()
    for tab in [button.text for button in report.all("#tabs button")]:
        report.tab(tab)
        tree = report.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        nameless = [
            node["role"]["value"]
            for node in tree
            if node.get("role", {}).get("value") in NAMED
            and not node.get("ignored")
            and not node.get("name", {}).get("value")
        ]
        assert nameless == [], tab


def test_the_views_are_reached_by_key(show):
    """The arrow keys go from tab to tab, and the shown one says so."""
    report = show(waves())
    first = report.one("#tabs [aria-selected=true]")
    first.send_keys(Keys.ARROW_RIGHT)
    report.until(lambda: report.one("#view").get_attribute("data-shown") == "heat")
    assert report.driver.switch_to.active_element.text == "Heat map"
    assert report.one("#tabs [aria-selected=true]").text == "Heat map"


def test_a_menu_closes_on_escape(show):
    """A menu opens and closes by key, and returns the focus."""
    report = show(waves())
    summary = report.all("#bar .menu summary")[0]
    summary.send_keys(Keys.ENTER)
    assert report.one("#bar .menu-items").is_displayed()
    summary.send_keys(Keys.TAB)
    report.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not report.one("#bar .menu-items").is_displayed()
    assert report.driver.switch_to.active_element == summary


def test_a_phone_shows_everything_without_scrolling_the_page_sideways(show):
    """On 390 pixels only the table scrolls, in its own frame."""
    report = show(waves())
    report.resize(390)
    for tab in [button.text for button in report.all("#tabs button")]:
        report.tab(tab)
        assert report.run("return document.documentElement.scrollWidth") <= 390, tab
    report.one(".opener button").click()
    (details,) = report.until(report.opened)
    assert details.rect["x"] + details.rect["width"] <= 390


def test_a_picture_is_shown_in_its_row(show, tmp_path):
    """An image output is the picture of its row, and larger in the details."""
    page = polytropes(n=[1.5, 3])
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/profile 1.png").write_bytes(png(1.5))
    row = dataclasses.replace(page.rows[0], images=("../runs/profile 1.png",))
    report = show(dataclasses.replace(page, rows=[row, page.rows[1]]))
    width = "return arguments[0].complete && arguments[0].naturalWidth"
    assert report.until(lambda: report.run(width, report.one("td.picture img"))) == 240
    report.one(".opener button").click()
    report.until(report.opened)
    image = report.one(".pictures img")
    assert report.until(lambda: report.run(width, image)) == 240
    assert image.accessible_name == "profile 1.png"


def test_every_experiment_is_printed(show):
    """Paper has no pages to turn: it holds all rows that the filters leave."""
    page = polytropes(n=[round(i / 20, 2) for i in range(60)])
    report = show(page)
    pdf = report.driver.execute_cdp_cmd("Page.printToPDF", {})["data"]
    assert base64.b64decode(pdf).startswith(b"%PDF")
    report.run("dispatchEvent(new Event('beforeprint'))")
    assert len(report.all("#table tbody tr")) == 60
    report.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    place = "return getComputedStyle(document.querySelector('thead th')).position"
    assert report.run(place) == "static"
    report.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    report.run("dispatchEvent(new Event('afterprint'))")
    assert len(report.all("#table tbody tr")) == 25


def test_the_index_leads_to_every_sweep(show, chromium):
    """The index has no script: it shows each sweep's name, a link to its page, and its counts."""
    report = show(waves())
    links = (("waves", "waves/report.html"), ("results.csv", "waves/results.csv"))
    (report.folder / "waves").mkdir()
    write_report(report.folder / "waves" / "report.html", waves())
    write_index(
        report.folder / "index.html",
        [IndexedSweep("waves", "2031-05-02 10:11", BASE, {"PASSED": 9970, "FAILED": 30}, 2, links)],
    )
    chromium.get((report.folder / "index.html").as_uri())
    cells = [cell.text for cell in report.all(".sweeps tbody :is(th, td)")]
    assert cells == [
        "waves", "PASSED 9,970\nFAILED 30", "10,000", "2", "2031-05-02 10:11", BASE[:12],
        "results.csv",
    ]  # fmt: skip
    report.one(".sweeps a").click()
    report.wait("figures")
    assert report.count() == "24 experiments"


def test_a_mailed_zip_holds_what_the_page_links_to(show, chromium, tmp_path):
    """Unpacked on another machine, the page's links to outputs lead to them."""
    page = polytropes(n=[1.5])
    output = tmp_path / page.rows[0].outputs[0][1].removeprefix("../")
    output.parent.mkdir(parents=True)
    output.write_text("xi,theta\n0,1\n")
    report = show(page)
    archive = tmp_path / "report.zip"
    write_portable(archive, report.folder / "report.html", page, tmp_path)
    with ZipFile(archive) as file:
        file.extractall(tmp_path / "elsewhere")
    output.unlink()
    chromium.get((tmp_path / "elsewhere" / "polytropes" / "report.html").as_uri())
    report.wait("table").until(report.opened)
    link = next(one for one in report.all(".outputs a") if one.text == "profile.csv")
    target = Path(unquote(urlsplit(link.get_attribute("href")).path))
    assert target.is_relative_to(tmp_path / "elsewhere")
    assert target.read_text().startswith("xi,theta")
