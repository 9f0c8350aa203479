"""Files that a check opens are noted, ours are not, and watching never fails the check."""

import os
import subprocess
from pathlib import Path

from pytest_remex.collect.kept import Watch


def test_what_is_opened_is_noted(tmp_path, monkeypatch):
    """Opened files and folders are noted, also by relative names; ours are not."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "ours").write_text("x")
    monkeypatch.chdir(tmp_path)
    watch = Watch()
    with watch.on():
        Path("file").read_text()
        list(tmp_path.glob("*"))
        assert not Path("none").exists()
        with watch.off():
            (tmp_path / "ours").read_text()
    (tmp_path / "ours").read_text()
    assert watch.opened == {str(tmp_path / "file"), str(tmp_path)}
    assert not watch.doubtful


def test_a_program_is_a_doubt():
    """A program that is started leaves a doubt, one that was started outside does not."""
    watch = Watch()
    subprocess.run(["true"], check=True)
    with watch.on():
        assert not watch.doubtful
        subprocess.run(["true"], check=True)
    assert watch.doubtful


def test_watching_ends_nothing(tmp_path, monkeypatch):
    """A name that cannot be resolved, as in a removed folder, makes the verdict doubtful."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    watch = Watch()
    with watch.on(), (tmp_path / "file").open("w") as file:
        file.write("x")
    os.chdir(tmp_path)
    assert watch.doubtful
    assert (tmp_path / "file").read_text() == "x"
