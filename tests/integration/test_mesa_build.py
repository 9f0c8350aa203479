"""The stages of docs/mesa.md: one run compiles, and those of the grid bring its program."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "mesa.md"
INLIST = "&controls\n  initial_mass = 15\n/\n"
MK = "#!/bin/sh\necho compiled >> ../count\ncp src/star.sh star\nchmod +x star\n"
STAR = "#!/bin/sh\nmkdir LOGS\ngrep initial_mass inlist_project > LOGS/history.data\n"


def block(name):
    """Return the text of a code block of the page."""
    pattern = rf"<!-- tested: {re.escape(name)} -->\n```\w+\n(.*?)```"
    return re.search(pattern, PAGE.read_text(), re.DOTALL)[1]


def test_compile_once(empty_project):
    """Three runs bring the program of one build; another inlist does not rebuild."""
    project = empty_project
    files = {"mk": MK, "rn": "#!/bin/sh\n./star\n", "src/star.sh": STAR, "make/makefile": "all:\n"}
    for name, text in {**files, "inlist_project": INLIST}.items():
        project.write(name, text).chmod(0o755)
    project.commit(run_sbatch=block("run.sbatch"), build_sbatch=block("build.sbatch"))
    project.sweeps(block("stages.py"))
    project.ran()
    project.pytest("--remex-collect").assert_outcomes(passed=4)
    runs = [path for path in project.run_directories() if "_evolve_" in path.name]
    assert [path.joinpath("star").is_symlink() for path in runs] == [True] * 3
    project.commit(inlist_project=INLIST.replace("15", "16  ! solar masses"))
    again = project.submit("-v", "--remex-new-base").stdout.str()
    assert re.search(r"build ALREADY", again)
    assert again.count(" SUBMITTED job") - again.count("ALREADY SUBMITTED job") == 3
    project.wait()
    assert (project.runs / "count").read_text() == "compiled\n"
