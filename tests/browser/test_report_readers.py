"""Who reads a report otherwise: without scripts, with a screen reader, on paper."""

from __future__ import annotations

import base64
import dataclasses

import pytest
from polytropes import png, polytropes
from selenium.webdriver.common.by import By

from pytest_remex.report import write_report

N = [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 0.25, 0.75, 1.25]
NAMED = {"button", "combobox", "searchbox", "link", "img", "table", "checkbox"}


@pytest.fixture
def without_scripts(chromium):
    """Switch scripts off."""
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    yield chromium
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_without_scripts_the_plain_table_is_shown(without_scripts, tmp_path):
    """Every experiment is readable where scripts are switched off."""
    write_report(tmp_path / "report.html", polytropes(n=N))
    without_scripts.get((tmp_path / "report.html").as_uri())
    rows = without_scripts.find_elements(By.CSS_SELECTOR, ".plain tbody tr")
    assert [row.text.split()[0] for row in rows] == ["PASSED"] * 7 + ["FAILED"] + ["PASSED"] * 3 + [
        "FAILED"
    ]
    assert "2.44972" in rows[0].text


def test_the_plain_page_is_whole(chromium, tmp_path, monkeypatch):
    """Without the libraries, the page has every experiment, its links, patch and log."""
    monkeypatch.setitem(__import__("sys").modules, "itables.options", None)
    write_report(tmp_path / "report.html", polytropes(n=N))
    chromium.get((tmp_path / "report.html").as_uri())
    rows = chromium.find_elements(By.CSS_SELECTOR, ".plain tbody tr")
    assert len(rows) == 12
    rows[7].find_element(By.TAG_NAME, "summary").click()
    assert "+  n = 3.5" in rows[7].text
    assert rows[7].find_elements(By.LINK_TEXT, "profile.csv")
    assert [line for line in chromium.get_log("browser") if line["level"] == "SEVERE"] == []


def test_everything_that_can_be_used_has_a_name(show):
    """A screen reader has words for every button, box, link and picture."""
    report = show(polytropes(n=N[:4], step=[0.01, 0.02]))
    report.one(".opener button").click()
    report.until(report.opened)
    tree = report.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    nameless = [
        node["role"]["value"]
        for node in tree
        if node.get("role", {}).get("value") in NAMED
        and not node.get("ignored")
        and not node.get("name", {}).get("value")
    ]
    assert nameless == []


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
    report.run("dispatchEvent(new Event('afterprint'))")
    assert len(report.all("#table tbody tr")) == 25
