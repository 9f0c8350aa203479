"""The file that a report is: whole, equal for equal pages, inert, and of pinned libraries."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import sys
from html.parser import HTMLParser
from importlib.resources import files

import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.report import IndexedSweep, Page, ReportRow, write_index, write_report
from pytest_remex.report.write import CHUNK, LIBRARIES, script_json

PAGE = Page("polytropes", {"cluster": "ada@login"}, ("n",), ("xi",), [
    ReportRow(
        "sweeps.py::t[n=1]", "PASSED", values={"n": 1, "xi": 3.14159265}, diff="+n = 1", log="done"
    )
])  # fmt: skip
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class Scripts(HTMLParser):
    """The texts of a page's scripts and styles, by their id or tag."""

    def __init__(self, text):
        super().__init__()
        self.found, self._at = {}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Begin a script or a style."""
        self._at = dict(attrs).get("id", tag) if tag in {"script", "style"} else None

    def handle_endtag(self, tag):
        """End it."""
        self._at = self._at if tag not in {"script", "style"} else None

    def handle_data(self, data):
        """Keep what is in it."""
        if self._at:
            self.found.setdefault(self._at, []).append(data)


def written(folder, page):
    """Return the text of a page's report."""
    write_report(folder / "report.html", page)
    return (folder / "report.html").read_text("utf-8")


def unpacked(text):
    """Return what a packed text of the page holds."""
    return gzip.decompress(base64.b64decode(text)).decode()


@given(JSON)
def test_json_in_a_script_reads_back(value):
    """An HTML parser returns the script's whole text, and JSON the same value."""
    parsed = Scripts(f'<script type="application/json">{script_json(value)}</script><p></p>')
    assert json.loads("".join(parsed.found["script"])) == value


def test_the_file_takes_the_place_of_the_old_one(tmp_path):
    """The new page is there whole, and nothing else is left in the folder."""
    (tmp_path / "report.html").write_text("old")
    assert written(tmp_path, PAGE).rstrip().endswith("</html>")
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    """If the page cannot be written, the old one stays, and no draft is left."""
    path = tmp_path / "report.html"
    path.mkdir()
    with pytest.raises(OSError, match=r"report\.html"):
        write_report(path, PAGE)
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]


def test_equal_pages_are_equal_files(tmp_path):
    """A report depends on its page only, not on when it was written."""
    assert written(tmp_path, PAGE) == written(tmp_path, PAGE)


def test_the_page_needs_no_package(tmp_path, monkeypatch):
    """Plotly is needed only if a sweep has its own figures."""
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    monkeypatch.setitem(sys.modules, "itables", None)
    assert "<script" in written(tmp_path, PAGE)
    assert len(written(tmp_path, PAGE)) < 1_000_000


def rules(text):
    """Return the page's policy."""
    policy = re.search('Content-Security-Policy" content="([^"]*)"', text).group(1)
    return dict(rule.strip().split(" ", 1) for rule in policy.replace("&#39;", "'").split(";"))


def test_the_policy_admits_the_pages_own_code_and_no_other(tmp_path):
    """Every script, packed or not, and every style is admitted by its hash; nothing else is."""
    text = written(tmp_path, PAGE)
    found = Scripts(text).found
    assert rules(text)["default-src"] == "'none'"
    codes = found["script"] + [unpacked(found[f"{name}-code"][0]) for name in LIBRARIES]
    for rule, texts in (("script-src", codes), ("style-src", [*found["style"], ""])):
        hashes = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in texts]
        assert rules(text)[rule].split() == [f"'sha256-{one}'" for one in hashes]
    assert " on" not in {handler[:3] for handler in re.findall(r"<\w+( on\w+=)", text)}


@pytest.mark.parametrize(("figure", "compiled"), [(go.Bar(), False), (go.Scattergl(), True)])
def test_only_figures_that_compile_are_let_to(tmp_path, figure, compiled):
    """The policy allows `eval` only if a sweep's own figure needs it."""
    text = written(tmp_path, Page("p", figures=[go.Figure(figure)]))
    assert ("'unsafe-eval'" in rules(text)["script-src"]) == compiled


def test_details_are_packed_in_order(tmp_path):
    """The details of row i are in chunk i // size, at i % size."""
    rows = [ReportRow(f"node {i}", "PASSED", diff=f"+{i}") for i in range(2 * CHUNK + 1)]
    data = json.loads(Scripts(written(tmp_path, Page("sweep", rows=rows))).found["details-data"][0])
    read = [json.loads(unpacked(chunk)) for chunk in data["chunks"]]
    assert [len(chunk) for chunk in read] == [CHUNK, CHUNK, 1]
    assert read[1][3]["diff"] == f"+{CHUNK + 3}"


def test_libraries_are_pinned_with_their_licences():
    """Each library has its origin, and all its files are here."""
    vendor = files("pytest_remex.report") / "vendor"
    libraries = json.loads((vendor / "libraries.json").read_text("utf-8"))
    named = {target for library in libraries for target in library["files"].values()}
    assert {name for names in LIBRARIES.values() for name in names} <= named
    for library in libraries:
        assert re.fullmatch(r"sha512-[\w+/]{86}==", library["integrity"])
        assert re.fullmatch(r"\d+\.\d+\.\d+", library["version"])
    for name in named:
        assert (vendor / name).read_bytes()
    assert {name for name in named if name.startswith("licences/")} == {
        f"licences/{one.name}" for one in (vendor / "licences").iterdir()
    }


SWEEPS = [
    IndexedSweep("tams", "2031-05-04 10:11", "9f31c2ab5d7e40668a1b", {"PASSED": 10, "FAILED": 2}, 3,
          (("report", "tams/report.html"), ("results", "tams/results.csv"))),
    IndexedSweep("<b>&", links=(("report", "javascript:alert(1)"), ("away", "//example.org/"))),
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
