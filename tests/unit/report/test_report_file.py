"""The file that a report is."""

from __future__ import annotations

import re
import sys

import pytest

from pytest_remex.report import Page, Row, write_report
from pytest_remex.report.vendor import classic, libraries

PAGE = Page("polytropes", {"cluster": "ada@login"}, ("n",), ("xi",), [
    Row("sweeps.py::t[n=1]", "PASSED", values={"n": 1, "xi": 3.14159265}, diff="+n = 1", log="done")
])  # fmt: skip


@pytest.fixture(params=["plotly.offline", "itables.options"])
def without(request, monkeypatch):
    """Take one of the libraries away."""
    monkeypatch.setitem(sys.modules, request.param, None)


def test_the_file_takes_the_place_of_the_old_one(tmp_path):
    """The new page is there whole, and nothing else is left in the folder."""
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(path, PAGE)
    assert path.read_text("utf-8").rstrip().endswith("</html>")
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    """Where the page cannot be put in place, what was there stays, and no draft is left."""
    path = tmp_path / "report.html"
    path.mkdir()
    with pytest.raises(OSError, match=r"report\.html"):
        write_report(path, PAGE)
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]


def test_equal_pages_are_equal_files(tmp_path):
    """A report depends on its page only, not on when it was written."""
    for name in ("a.html", "b.html"):
        write_report(tmp_path / name, PAGE)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


@pytest.mark.usefixtures("without")
def test_without_libraries_the_page_is_plain(tmp_path):
    """Where Plotly or itables is missing, the page has everything in a table, and no script."""
    write_report(tmp_path / "report.html", PAGE)
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "<script" not in text
    for part in ("sweeps.py::t[n=1]", "3.14159", "+n = 1", "done", "ada@login", "PASSED"):
        assert part in text


def test_the_policy_admits_no_inline_code(tmp_path):
    """Scripts and styles are admitted by their hashes; the grid of one parameter needs no eval."""
    write_report(tmp_path / "report.html", PAGE)
    text = (tmp_path / "report.html").read_text("utf-8")
    policy = re.search('Content-Security-Policy" content="([^"]*)"', text).group(1)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.replace("&#39;", "'").split(";"))
    assert rules["default-src"] == "'none'"
    for name in ("script-src", "style-src"):
        assert all(source.startswith("'sha256-") for source in rules[name].split())
    assert " on" not in {found[:3] for found in re.findall(r"<\w+( on\w+=)", text)}


def test_the_bundle_of_the_table_becomes_a_script():
    """The exports of a module become the members of a global."""
    script = classic("var a=1,b=2;export{a as default,b};", "made")
    assert script.startswith("globalThis.made=")
    assert "return {default:a,b:b}" in script


def test_the_libraries_are_found():
    """The packages still hold what the page needs of them."""
    found = libraries()
    assert "return {" in found.table
    assert "export{" not in found.table
    assert found.styled
