"""Reports of hostile text: shown as it is, never run."""

from __future__ import annotations

import dataclasses

import pytest
from polytropes import polytropes
from selenium.webdriver import ActionChains

from pytest_remex.report import Curve, Overlay, Page, ReportLaunch, ReportRow

HOSTILE = [
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror=window.hacked=1>",
    "&lt;img src=x onerror=window.hacked=1&gt; & <svg onload=window.hacked=1>",
    "\"'><b onmouseover=window.hacked=1>bold</b>",
    "<!--<script>",
    "javascript:window.hacked=1",
    "{{ 7*7 }} {% raw %} ${window.hacked=1} %{x}",
    "a\u2028b\u2029c\x00d\ud800e\udc80f\x1b[31mg\u202eh",
    "]]></noscript><script>window.hacked=1</script>",
]


def hostile(text):
    """Return a report in which every text is hostile."""
    rows = [
        ReportRow(
            node=text,
            verdict=text,
            state=text,
            reason=text,
            values={text: n, "measure": n * 2.0, "word": text + str(n % 2), "other": text},
            job=text,
            commit=text,
            parent=text,
            directory=f"{text}{n}",
            diff=f"+{text}",
            log=text,
            outputs=((text, text),),
            cause=text,
            launch=text + str(n % 2),
        )
        for n in range(4)
    ]
    curves = [Curve(f"{text}{n}", text, [0, 1], [n, 1], text, text) for n in range(4)]
    launches = [ReportLaunch(text + str(n), text, text, {text: 1}, text) for n in range(2)]
    overlay = Overlay(text, [0, 1], [1, 2], text, "measure", text)
    return Page(
        text, {text: text}, (text, "word"), ("measure", "other", text + " "), rows,
        [overlay], curves, launches,
    )  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_inert(show, text):
    """Whatever is opened, searched, drawn and compared, no text runs, no tag comes alive."""
    report = show(hostile(text))
    report.one(".opener button").click()
    report.until(report.opened)
    for tab in [button.text for button in report.all("#tabs button")]:
        report.tab(tab)
    for box in report.all(".tick input")[:2]:
        box.click()
    report.press("Compare", "#ticks")
    report.until(lambda: report.all(".compare"))
    report.tab("Points")
    ActionChains(report.driver).move_to_element(report.one(".figure")).perform()
    for button in report.all(".filter-button"):
        report.run("arguments[0].click()", button)
    report.run("document.querySelector('#filter').hidePopover()")
    report.press(report.all("#verdicts button")[0].text, "#verdicts")
    report.search("b")
    assert report.run("return window.hacked") is None
    assert (
        report.all("#experiments b, header b, #view b, td script, header script, body > img") == []
    )


def test_text_is_shown_letter_by_letter(show):
    """What a job wrote is what the reader sees."""
    text = HOSTILE[0] + HOSTILE[2]
    report = show(hostile(text))
    report.one(".opener button").click()
    report.until(report.opened)
    assert report.one("h1").text == text
    assert report.one(".diff").text == f"+{text}"
    assert report.column("word")[0] == text + "0"


def test_search_finds_hostile_text(show):
    """Tags in text are letters to the search."""
    report = show(hostile(HOSTILE[2]))
    report.search("<svg onload")
    assert report.count() == "4 experiments"
    report.search("<svg onlod")
    assert report.count() == "0 of 4 experiments"


def test_links_lead_to_files_beside_the_page_only(show):
    """A colon is part of a name, never a scheme; only relative paths become links."""
    outputs = (
        ("odd", "../runs/a b/100%/ü?#.csv"),
        ("script", "javascript:window.hacked=1"),
        ("away", "//example.org/x"),
        ("absolute", "/etc/passwd"),
    )
    page = polytropes(n=[1.5])
    report = show(
        dataclasses.replace(page, rows=[dataclasses.replace(page.rows[0], outputs=outputs)])
    )
    links = report.all(".outputs a")
    assert [link.text for link in links] == ["odd", "script"]
    assert links[0].get_dom_attribute("href") == "../runs/a%20b/100%25/%C3%BC%3F%23.csv"
    assert links[1].get_attribute("href").startswith("file:///")
    links[1].click()
    assert report.run("return window.hacked") is None
    report.driver.back()
