"""The table of a report in a browser: sort, search, filter, open."""

from __future__ import annotations

from polytropes import polytropes
from selenium.webdriver.common.keys import Keys

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
    """What has no value comes first or last, never between values."""
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


def test_a_column_is_filtered_by_number(show):
    """The filter of a column compares numbers."""
    report = show(polytropes(n=N))
    report.header("n").find_element("css selector", ".dtcc-button").click()
    box = report.one(".dtcc-dropdown")
    box.find_element("css selector", "option[value=greater]").click()
    box.find_element("css selector", "input").send_keys("2")
    assert report.column("n") == ["2.5", "3", "3.5", "4"]


def test_a_verdict_narrows_the_table_down(show):
    """The count of a verdict is a button that filters, and can be pressed together with others."""
    report = show(polytropes(n=N))
    passed, failed = report.all("#verdicts button")
    assert [passed.text, failed.text] == ["PASSED\n10", "FAILED\n2"]
    failed.click()
    assert report.column("Verdict") == ["FAILED", "FAILED"]
    assert failed.get_attribute("aria-pressed") == "true"
    passed.click()
    assert len(report.column("Verdict")) == 12


def test_clear_filters_brings_every_experiment_back(show):
    """One button undoes search, column filters and verdicts."""
    report = show(polytropes(n=N))
    report.all("#verdicts button")[1].click()
    report.search("TimeLimit")
    clear = next(b for b in report.all(".dt-button") if b.text == "Clear filters")
    clear.click()
    assert report.info() == "Showing 1 to 12 of 12 experiments"
    assert report.one("#verdicts button[aria-pressed=false]")
    assert report.one(".dt-search input").get_attribute("value") == ""


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


def test_columns_can_be_shown(show):
    """The commit, which the details hold, can be made a column."""
    report = show(polytropes(n=N))
    next(b for b in report.all(".dt-button") if b.text.startswith("Columns")).click()
    next(b for b in report.all(".dt-button-collection .dt-button") if b.text == "Commit").click()
    assert report.column("Commit")[0] == "0" * 12


def test_one_experiment_is_open_from_the_start(show):
    """A page of one experiment shows all there is."""
    report = show(polytropes(n=[1.5]))
    assert len(report.opened()) == 1
    assert not report.one("#figures").is_displayed()


def test_no_experiments_are_a_page_too(show):
    """A sweep of which nothing is known yet has a report."""
    report = show(polytropes(n=[]))
    assert "No experiments" in report.one("#table tbody").text
