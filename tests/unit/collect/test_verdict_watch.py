"""What a check opens is seen, what is ours is not, and watching never ends what is watched."""

import os
import subprocess
from pathlib import Path

from pytest_remex.collect.kept import Watch


def test_what_is_opened_is_noted(tmp_path, monkeypatch):
    """Files and folders that are opened are noted, by relative names too; what is ours is not."""
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
    """Where a name cannot be made out, as in a folder that is gone, it is a doubt and no error."""
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
