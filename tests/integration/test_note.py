"""--remex-note: why a launch was submitted, wherever its runs are shown."""

import json

from pytest_remex import results

WHY = "does a finer mesh help?"


def test_note(project, monkeypatch):
    """A launch's note is in its record, in status, in the results and in the report."""
    project.ran(f"--remex-note={WHY}")
    head = project.events()[0]
    assert head["note"] == WHY
    status = project.pytest("--remex-status", "--remex-json=status.json")
    status.stdout.fnmatch_lines([f"{head['launch']}: {WHY}"])
    rows = json.loads((project.path / "status.json").read_text())
    assert {row["note"] for row in rows} == {WHY}
    project.pytest("--remex-collect")
    monkeypatch.chdir(project.path)
    assert set(results("grid").note) == {WHY}
    assert f"{head['launch']} ({WHY})" in (project.output / "grid" / "report.html").read_text()


def test_notes_of_two_launches(project, monkeypatch):
    """Each row has the note of its own launch; a launch without one has none."""
    project.ran("-k", "a=1")
    project.ran(f"--remex-note={WHY}")
    project.pytest("--remex-collect")
    monkeypatch.chdir(project.path)
    table = results("grid").set_index("a")
    assert table.note[1] == ""
    assert list(table.note[[2, 3]]) == [WHY, WHY]


def test_note_of_hostile_text(project):
    """A note is shown as one line of printable text, and is no markup in the report."""
    project.ran("--remex-note=<b>one\n\x1b[31mtwo[red]")
    status = project.pytest("--remex-status")
    status.stdout.fnmatch_lines(["grid_*: <b>one [[]31mtwo[[]red]"])
    project.pytest("--remex-collect")
    report = (project.output / "grid" / "report.html").read_text()
    assert "&lt;b&gt;one" in report
    assert "<b>one" not in report


def test_note_that_is_not_kept(project):
    """If no launch begins, a message says that the note was not stored."""
    project.ran()
    result = project.submit(f"--remex-note={WHY}")
    result.stdout.fnmatch_lines(["the note was not stored: no launch was begun, *"])
    assert "note" not in project.events()[0]


def test_note_goes_with_submit(project):
    """A note says why something was submitted: no other mode takes one."""
    result = project.pytest("--remex-collect", "--remex-note=x")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--remex-note can only be used with * or --remex-submit"])
