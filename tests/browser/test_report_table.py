"""The table of a report in a browser: sort, search, filter, open."""

from __future__ import annotations

import dataclasses

import pytest
from polytropes import polytropes
from selenium.webdriver.common.keys import Keys
from waves import waves

N = [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 10**-3, 0.25, 0.75]


def test_a_click_on_a_header_sorts_by_number(show):
    """Numbers are sorted as numbers, and again the other way round."""
    report = show(polytropes(n=N))
    title = report.header("n").find_element("css selector", ".dt-column-title")
    title.click()
    assert [float(text) for text in report.column("n")] == sorted(N)
    title.click()
    assert [float(text) for text in report.column("n")] == sorted(N, reverse=True)


def test_experiments_without_a_measure_sort_together(show):
    """Rows without a value come first or last, never between values."""
    report = show(polytropes(n=N))
    report.header("first_zero").find_element("css selector", ".dt-column-title").click()
    shown = report.column("first_zero")
    assert shown[:2] == ["", ""]
    assert "" not in shown[2:]


def test_search_finds_text_in_any_column(show):
    """The search box leaves the experiments that hold the text, also in columns not shown."""
    report = show(polytropes(n=N))
    report.search("TimeLimit")
    assert report.column("n") == ["3.5"]
    report.search("polytropes[n=0.25]")
    assert report.column("n") == ["0.25"]


def test_what_does_not_vary_is_told_once(show):
    """A parameter of one value is a fact above the table, no column."""
    report = show(waves())
    titles = [cell.text.strip() for cell in report.all("thead th")]
    assert "gamma" not in titles
    assert "Job" in titles
    facts = dict(fact.text.split("\n")[:2] for fact in report.all("#facts div"))
    assert facts["gamma"] == "1.4"


def test_a_fact_that_is_part_of_another(show):
    """A parameter of one value is shown, even where a launch's date has that number."""
    report = show(polytropes(n=N, month=[5]))
    assert dict(fact.text.split("\n")[:2] for fact in report.all("#facts div"))["month"] == "5"


@pytest.mark.parametrize("width", [1300, 1920])
def test_four_dimensions_and_four_measures_fit(show, width):
    """Nothing scrolls sideways, and the table takes the window's width."""
    page = waves()
    rows = [
        dataclasses.replace(row, values={**row.values, "gamma": 1 + place % 2 / 3})
        for place, row in enumerate(page.rows)
    ]
    report = show(dataclasses.replace(page, rows=rows))
    report.resize(width)
    inner, outer = report.run(
        "const box = document.querySelector('.dt-layout-table');"
        "return [document.querySelector('#table').offsetWidth, box.clientWidth]"
    )
    assert inner <= outer
    assert outer > 0.92 * min(width, 1800)
    assert report.run("return document.documentElement.scrollWidth") <= width


def test_a_long_name_keeps_clear_of_its_filter(show):
    """The title of a column is broken into lines where its name is very long."""
    name = "a_very_long_name_of_a_parameter_" * 3
    report = show(polytropes(**{name: [1, 2, 3]}))
    title = report.header(name).find_element("css selector", ".dt-column-title")
    assert report.run("return arguments[0].scrollWidth <= arguments[0].clientWidth", title)


def test_the_head_stays_in_view(show):
    """Down the rows, the columns' titles stay below the bar, and can be pressed."""
    report = show(waves())
    report.run("scrollTo(0, document.documentElement.scrollHeight)")
    title = report.header("l1").find_element("css selector", ".dt-column-title")
    top = "return arguments[0].getBoundingClientRect().top"
    report.until(lambda: 0 < report.run(top, title) < 100)
    title.click()
    assert report.column("l1")[:2] == ["", ""]


def test_numbers_have_the_digits_that_tell_them_apart(show):
    """A measure that varies in its ninth digit shows it; others are short."""
    report = show(waves())
    assert len(set(report.column("mass"))) == 23
    assert all(len(text) <= 10 for text in report.column("l1"))


def test_a_row_opens_to_its_patch_and_log(show):
    """The button of a row shows the reason, the patch and the end of the log."""
    report = show(polytropes(n=N))
    report.search("TimeLimit")
    report.one(".opener button").click()
    text = report.until(report.opened)[0].text
    assert "ran 1:00:00 of 1:00:00 allowed" in text
    assert "+  n = 3.5" in text
    assert "JOB CANCELLED DUE TO TIME LIMIT" in text
    assert report.one(".diff .added").text == "+  n = 3.5"
    report.one(".opener button").click()
    assert report.opened() == []


def test_a_row_opens_by_keyboard(show):
    """Tab reaches the button of a row; Enter opens it, and says so to a screen reader."""
    report = show(polytropes(n=N))
    button = report.one(".opener button")
    assert button.accessible_name == "Details of sweeps.py::polytropes[n=0]"
    report.run("arguments[0].focus()", button)
    button.send_keys(Keys.ENTER)
    report.until(report.opened)
    assert button.get_attribute("aria-expanded") == "true"


def test_a_column_is_sorted_and_filtered_by_keyboard(show):
    """Tab reaches a column's order and then its filter; Enter sorts, and opens the filter."""
    report = show(polytropes(n=N))
    active = report.driver.switch_to
    header = report.header("first_zero")
    before = report.header("n").find_element("css selector", ".filter-button")
    report.run("arguments[0].focus()", before)
    for _ in range(40):
        active.active_element.send_keys(Keys.TAB)
        if "first_zero: " in active.active_element.accessible_name:
            break
    active.active_element.send_keys(Keys.ENTER)
    report.until(lambda: header.get_attribute("aria-sort") == "ascending")
    assert report.column("first_zero")[:2] == ["", ""]
    active.active_element.send_keys(Keys.TAB)
    assert active.active_element.accessible_name == "Filter first_zero"
    active.active_element.send_keys(Keys.ENTER)
    report.until(lambda: active.active_element.accessible_name == "At least")
    assert header.get_attribute("aria-sort") == "ascending"


def test_columns_can_be_shown(show):
    """The commit, which the details hold, can be made a column."""
    report = show(polytropes(n=N))
    report.one("#columns summary").click()
    next(b for b in report.all("#columns label") if b.text.strip() == "Commit").click()
    assert report.column("Commit")[0] == "0" * 12


def test_one_experiment_is_open_from_the_start(show):
    """A page of one experiment shows all there is."""
    report = show(polytropes(n=[1.5]))
    assert len(report.opened()) == 1
    assert not report.one("#figures").is_displayed()


def test_no_experiments_are_a_page_too(show):
    """A sweep without any results has a report."""
    report = show(polytropes(n=[]))
    assert "No experiments" in report.one("#table tbody").text
