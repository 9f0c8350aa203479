"""docs/tutorial.md: its files and commands, one after the other, in a fresh folder."""

from __future__ import annotations

import fnmatch
import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"(?:^<!-- (.*?) -->\n)?^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def steps():
    """Return each block of the page: its mark, and its text."""
    return [(mark, kind, text) for mark, kind, text in BLOCK.findall(PAGE.read_text())]


def run(command, folder):
    """Run a command as a reader does, with this Python's programs first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    names = {"GIT_AUTHOR_NAME": "A Reader", "GIT_AUTHOR_EMAIL": "reader@example.org"}
    names |= {key.replace("AUTHOR", "COMMITTER"): value for key, value in names.items()}
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, **names, "PATH": path, "HOME": str(folder.parent), "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_tutorial_as_it_stands(tmp_path):
    """Each command ends as the page says, and its output has the lines that the page shows."""
    folder = tmp_path / "pendulum"
    folder.mkdir()
    commands = 0
    for mark, kind, text in steps():
        if mark.startswith("file: "):
            (folder / mark.removeprefix("file: ")).write_text(text)
        if mark.startswith("edit: "):
            _, name, before, after = mark.split(": ")
            old = (folder / name).read_text()
            assert old.count(before) == 1
            (folder / name).write_text(old.replace(before, after))
        if kind != "console" or mark == "installs":
            continue
        for part in text.split("$ ")[1:]:
            command, *shown = part.splitlines()
            done = run(command, folder)
            assert (done.returncode != 0) == (mark == "fails"), done.stdout
            for line in shown:
                wanted = fnmatch.translate(line.replace("...", "*"))
                assert any(re.match(wanted, each) for each in done.stdout.splitlines()), (
                    f"{command}: {line!r} is not in\n{done.stdout}"
                )
            commands += 1
    assert commands > 10
    assert (folder / "remex-output" / "swings" / "report.html").is_file()
