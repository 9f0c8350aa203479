"""The zip of a report and of what it links to."""

from __future__ import annotations

import dataclasses
from zipfile import ZipFile

import pytest

from pytest_remex.report import Page, Row, write_portable, write_report


@pytest.fixture
def output(tmp_path):
    """Return an output folder with a run and a report that links to it."""
    (tmp_path / "runs" / "a").mkdir(parents=True)
    (tmp_path / "runs" / "a" / "out.csv").write_text("x,y\n" * 1000)
    (tmp_path / "sweep").mkdir()
    write_report(tmp_path / "sweep" / "report.html", PAGE)
    return tmp_path


PAGE = Page("sweep", rows=[
    Row("a", "PASSED", outputs=(("out.csv", "../runs/a/out.csv"), ("gone", "../runs/a/gone")))
])  # fmt: skip


def test_links_lead_to_files_in_the_zip(output, tmp_path):
    """Unpacked anywhere, the page finds its outputs; what was missing is named."""
    archive = output / "sweep.zip"
    made = write_portable(archive, output / "sweep" / "report.html", PAGE, output)
    assert (made.files, made.size, made.left_out) == (2, 4000, ("../runs/a/gone",))
    with ZipFile(archive) as packed:
        packed.extractall(tmp_path / "there")
    assert (
        tmp_path / "there" / "sweep" / ".." / "runs" / "a" / "out.csv"
    ).read_text() == "x,y\n" * 1000
    assert (tmp_path / "there" / "sweep" / "report.html").stat().st_size > 100_000


def test_an_empty_output_goes_in(output):
    """A file of no bytes is a file."""
    (output / "runs" / "a" / "gone").write_text("")
    made = write_portable(output / "a.zip", output / "sweep" / "report.html", PAGE, output)
    assert (made.files, made.left_out) == (3, ())


def test_nothing_outside_goes_in(output):
    """A path or a link that leaves the output folder is left out, and so are absolute ones."""
    secret = output.parent / "secret"
    secret.write_text("secret")
    (output / "runs" / "a" / "link").symlink_to(secret)
    outputs = (("1", "../../secret"), ("2", "../runs/a/link"), ("3", str(secret)))
    page = dataclasses.replace(PAGE, rows=[Row("a", "PASSED", outputs=outputs)])
    made = write_portable(output / "a.zip", output / "sweep" / "report.html", page, output)
    assert made.files == 1
    assert ZipFile(output / "a.zip").namelist() == ["sweep/report.html"]
    secret.unlink()


def test_the_budget_is_kept(output):
    """What is beyond it is named."""
    report = output / "sweep" / "report.html"
    made = write_portable(output / "a.zip", report, PAGE, output, budget=3999)
    assert made.left_out == ("../runs/a/out.csv", "../runs/a/gone")


def test_a_failed_zip_leaves_the_old_one(output):
    """Where the report cannot be read, what was there stays, and no draft is left."""
    (output / "a.zip").write_text("old")
    with pytest.raises(OSError, match="none"):
        write_portable(output / "a.zip", output / "none.html", PAGE, output)
    assert (output / "a.zip").read_text() == "old"
    assert not list(output.glob(".a.zip*"))
