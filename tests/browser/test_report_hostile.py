"""Reports of hostile text: shown as it is, never run."""

from __future__ import annotations

import dataclasses

import pytest
from polytropes import polytropes

from pytest_remex.report import Page, Row

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
    """Give a report in which every text is hostile."""
    rows = [
        Row(
            node=text,
            verdict=text,
            state=text,
            reason=text,
            values={text: n, "measure": n * 2.0, "word": text},
            job=text,
            commit=text,
            parent=text,
            directory=text,
            diff=f"+{text}",
            log=text,
            outputs=((text, text),),
        )
        for n in range(3)
    ]
    return Page(text, {text: text}, (text,), ("measure", "word", text + " "), rows)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_inert(show, text):
    """Whatever is opened, sorted, searched and drawn, no text runs, and no tag comes to life."""
    report = show(hostile(text))
    report.one(".opener button").click()
    report.until(report.opened)
    for measure in report.options("Measure"):
        report.choose("Measure", measure)
    report.click_at(report.all("#figure .point")[1])
    for button in report.all("thead .dtcc-button"):
        button.click()
    report.search("b")
    next(b for b in report.all(".dt-button") if b.text.startswith("Columns")).click()
    assert report.run("return window.hacked") is None
    assert report.all("#experiments b, #experiments img, td script, header script") == []


def test_text_is_shown_letter_by_letter(show):
    """What a job wrote is what the reader sees."""
    text = HOSTILE[0] + HOSTILE[2]
    report = show(hostile(text))
    report.one(".opener button").click()
    report.until(report.opened)
    assert report.one("h1").text == text
    assert report.one(".diff").text == f"+{text}"
    assert report.column("word")[0] == text


def test_search_finds_hostile_text(show):
    """Tags in text are letters to the search."""
    report = show(hostile(HOSTILE[2]))
    report.search("<svg onload")
    assert report.info().startswith("Showing 1 to 3 of 3")


def test_links_lead_to_files_beside_the_page_only(show):
    """A colon is part of a name, never a scheme; what is not relative is no link."""
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
