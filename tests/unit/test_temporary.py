"""Temporary folders, and what a killed process leaves of them."""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pytest_remex import temporary

PURPOSES = ("scratch", "objects", "index", "judging", "output", "ssh")
MAKE = """
import os, sys, tempfile
from pytest_remex.temporary import prefix
for purpose in sys.argv[1:]:
    print(tempfile.mkdtemp(prefix=prefix(purpose)), flush=True)
sys.stdin.read()
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def area(tmp_path, monkeypatch):
    """Return an empty folder for temporary folders."""
    monkeypatch.setenv("TMPDIR", os.fspath(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", os.fspath(tmp_path))
    return tmp_path


def test_a_killed_process(area):
    """All of its folders are removed once it has ended, and none before."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", MAKE, *PURPOSES]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        made = [process.stdout.readline().strip() for _ in PURPOSES]
        (Path(made[0]) / "file").write_text("a patch's file")
        temporary.remove_abandoned()
        assert sorted(map(os.fspath, area.iterdir())) == sorted(made)
        process.stdin.close()
    temporary.remove_abandoned()
    assert list(area.iterdir()) == []


def test_folders_of_others(area, monkeypatch):
    """A folder of another machine, or with a similar name, is not touched."""
    with subprocess.Popen(["true"]) as ended:
        pass
    here = temporary.prefix("scratch").replace(f"-{os.getpid()}-", f"-{ended.pid}-")
    similar = ["remex-cases-0-4711", f"my-{here}abc", here, here.replace("scratch", "notes") + "a"]
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    there = temporary.prefix("scratch").replace(f"-{os.getpid()}-", f"-{ended.pid}-")
    monkeypatch.undo()
    monkeypatch.setattr("tempfile.tempdir", os.fspath(area))
    for name in (*similar, f"{there}abc"):
        (area / name).mkdir()
    temporary.remove_abandoned()
    assert len(list(area.iterdir())) == 5


def test_short_name(area):
    """A socket in such a folder has a short path, whatever the machine is called."""
    folder = tempfile.mkdtemp(prefix=temporary.prefix("ssh"), dir=area)
    assert len(Path(folder).name) < 40
