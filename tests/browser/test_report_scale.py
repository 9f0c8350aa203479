"""A report of 10,000 experiments in a browser."""

from __future__ import annotations

import time

import pytest
from polytropes import polytropes
from selenium.webdriver.common.keys import Keys

LOADED = 5  # seconds until the table can be used


@pytest.fixture(scope="module")
def many():
    """Give the report of 10,000 experiments, with patches and logs."""
    return polytropes(n=[round(i * 0.02, 2) for i in range(200)], rotation=range(50))


def test_ten_thousand_experiments_load_and_stay_usable(show, many):
    """The table is there in 5 s, and sorting, searching and opening are answered in one."""
    report = show(many, stage="table")
    assert report.run("return performance.getEntriesByName('table')[0].startTime") < LOADED * 1000
    report.wait("figures")
    assert report.info() == "Showing 1 to 25 of 10,000 experiments"

    start = time.monotonic()
    report.header("n").find_element("css selector", ".dt-column-title").click()
    assert report.column("n")[0] == "0"
    report.search("polytropes[n=3.98-rotation=49]")
    assert report.column("n") == ["3.98"]
    report.one(".opener button").send_keys(Keys.ENTER)
    assert "rotation = 49" in report.until(report.opened)[0].text
    assert time.monotonic() - start < LOADED


def test_ten_thousand_experiments_are_a_file_of_20_megabytes_at_most(show, many):
    """Patches and logs are packed: they are most of the text and little of the file."""
    report = show(many, stage="table")
    assert (report.folder / "report.html").stat().st_size < 20e6
    report.wait("figures")
