"""The index of all sweeps."""

from __future__ import annotations

from html.parser import HTMLParser

from pytest_remex.report import Sweep, write_index

SWEEPS = [
    Sweep("tams", "2031-05-04 10:11", "9f31c2ab5d7e40668a1b", {"PASSED": 10, "FAILED": 2}, 3,
          (("report", "tams/report.html"), ("results", "tams/results.csv"))),
    Sweep("<b>&", links=(("report", "javascript:alert(1)"), ("away", "//example.org/"))),
]  # fmt: skip


class Parsed(HTMLParser):
    """The text and the links of a page."""

    def __init__(self, text):
        super().__init__()
        self.words, self.links, self.tags = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Keep a tag."""
        self.tags.add(tag)
        if tag == "a":
            self.links.append(dict(attrs)["href"])

    def handle_data(self, data):
        """Keep text."""
        self.words.append(data.strip())


def test_every_sweep_is_listed_with_its_counts_and_links(tmp_path):
    """Name, number, verdicts, when, base, launches, files; nothing hostile comes alive."""
    write_index(tmp_path / "index.html", SWEEPS)
    parsed = Parsed((tmp_path / "index.html").read_text("utf-8"))
    for word in ("tams", "12", "PASSED", "FAILED", "2031-05-04 10:11", "9f31c2ab5d7e", "3", "<b>&"):
        assert word in parsed.words
    assert parsed.links == ["tams/report.html", "tams/results.csv", "javascript%3Aalert%281%29"]
    assert not parsed.tags & {"b", "script"}


def test_no_sweeps_are_an_index_too(tmp_path):
    """An empty folder has an index that says so."""
    write_index(tmp_path / "index.html", [])
    assert "No sweeps yet." in (tmp_path / "index.html").read_text("utf-8")
