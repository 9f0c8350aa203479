"""Images inside the page and the zip to mail: taken from the output folder, within a budget."""

from __future__ import annotations

import base64
import dataclasses
import io
import os
from zipfile import ZipFile

import pytest

from pytest_remex.report import Page, ReportRow, write_portable, write_report
from pytest_remex.report.outputs import BUDGET, SIDE, SMALL, read_inside, thumbnails

image = pytest.importorskip("PIL.Image")


@pytest.fixture
def folder(tmp_path):
    """Return the folder of a page, next to one of outputs."""
    (tmp_path / "sweep").mkdir()
    (tmp_path / "runs").mkdir()
    return tmp_path / "sweep"


def draw(path, size=(1200, 900)):
    """Draw an image of noise, which compresses badly."""
    image.frombytes("RGB", size, os.urandom(size[0] * size[1] * 3)).save(path)


def page(*images):
    """Return a page of rows that each have one image."""
    return Page(
        "sweep", rows=[ReportRow(str(n), "PASSED", images=(path,)) for n, path in enumerate(images)]
    )


def test_a_large_image_is_made_small(folder):
    """The copy inside the page has the shape of the image and at most so many pixels."""
    draw(folder.parent / "runs" / "a b.png")
    small = thumbnails(folder, page("../runs/a b.png"), folder.parent)
    (link, address), *_ = small.inside.items()
    assert link == "../runs/a%20b.png"
    content = base64.b64decode(address.removeprefix("data:image/webp;base64,"))
    assert image.open(io.BytesIO(content)).size == (SIDE, SIDE * 3 // 4)
    assert "1 small images are inside" in small.note


def test_the_budget_is_kept_and_said(folder):
    """Images above the budget are only linked; the first image of each row comes first."""
    for n in range(6):
        draw(folder.parent / "runs" / f"{n}.png", (400, 300))
    made = page(*(f"../runs/{n}.png" for n in range(6)))
    one = len(next(iter(thumbnails(folder, made, folder.parent).inside.values())))
    small = thumbnails(folder, made, folder.parent, budget=int(2.5 * one))
    assert list(small.inside) == ["../runs/0.png", "../runs/1.png"]
    assert small.left_out == 4
    assert "4 more are only linked" in small.note
    assert f"at most {BUDGET / 1e6:.0f} MB" in small.note


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + bytes(100)])
def test_what_is_no_image_is_left_out(folder, content):
    """A broken file costs nothing but its place."""
    (folder.parent / "runs" / "a.png").write_bytes(content)
    small = thumbnails(folder, page("../runs/a.png"), folder.parent)
    assert (dict(small.inside), small.left_out) == ({}, 1)


def test_a_bomb_is_not_unpacked(folder):
    """An image of more pixels than any screen has is not decoded."""
    huge = image.new("1", (40_000, 40_000))
    huge.save(folder.parent / "runs" / "a.png")
    assert thumbnails(folder, page("../runs/a.png"), folder.parent).left_out == 1


def test_a_drawing_goes_in_as_it_is(folder):
    """SVG is text: small ones are inside, large ones linked."""
    for name, size in (("a.svg", 100), ("b.svg", SMALL + 1)):
        (folder.parent / "runs" / name).write_text("<svg>" + " " * size)
    small = thumbnails(folder, page("../runs/a.svg", "../runs/b.svg"), folder.parent)
    assert list(small.inside) == ["../runs/a.svg"]


def test_nothing_outside_of_the_outputs_is_read(folder, tmp_path):
    """Links, pipes and paths that leave the folder hold no image of this page."""
    secret = tmp_path.parent / "secret.png"
    secret.write_bytes(b"secret")
    inside = folder.parent / "runs"
    (inside / "link.png").symlink_to(secret)
    (inside / "folder").symlink_to(tmp_path.parent)
    os.mkfifo(inside / "pipe.png")
    root = folder.parent.resolve()
    for path in (
        "link.png",
        "folder/secret.png",
        "pipe.png",
        "../../secret.png",
        "none.png",
        "a\0b",
    ):
        assert read_inside(inside / path, root) == b""
    secret.unlink()


@pytest.fixture
def output(tmp_path):
    """Return an output folder with a run and a report that links to it."""
    (tmp_path / "runs" / "a").mkdir(parents=True)
    (tmp_path / "runs" / "a" / "out.csv").write_text("x,y\n" * 1000)
    (tmp_path / "sweep").mkdir()
    write_report(tmp_path / "sweep" / "report.html", PAGE)
    return tmp_path


PAGE = Page("sweep", rows=[
    ReportRow("a", "PASSED", outputs=(("out.csv", "../runs/a/out.csv"), ("gone", "../runs/a/gone")))
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
    page = dataclasses.replace(PAGE, rows=[ReportRow("a", "PASSED", outputs=outputs)])
    made = write_portable(output / "a.zip", output / "sweep" / "report.html", page, output)
    assert made.files == 1
    assert ZipFile(output / "a.zip").namelist() == ["sweep/report.html"]
    secret.unlink()


def test_the_budget_is_kept(output):
    """Images above it are named."""
    report = output / "sweep" / "report.html"
    made = write_portable(output / "a.zip", report, PAGE, output, budget=3999)
    assert made.left_out == ("../runs/a/out.csv", "../runs/a/gone")


def test_a_failed_zip_leaves_the_old_one(output):
    """If the report cannot be read, the old one stays, and no draft is left."""
    (output / "a.zip").write_text("old")
    with pytest.raises(OSError, match="none"):
        write_portable(output / "a.zip", output / "none.html", PAGE, output)
    assert (output / "a.zip").read_text() == "old"
    assert not list(output.glob(".a.zip*"))
