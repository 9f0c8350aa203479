"""A user's project for the tests: a repository with a MESA-like inlist, its origin, its clone."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

INLIST = """\
&star_job
   create_pre_main_sequence_model = .true. ! a comment with = and 'quotes
/ ! end of star_job

&controls
   ! initial_mass = 99
   initial_mass = 1.0   ! in solar masses
   initial_z = 2d-2
   mixing_length_alpha = 1.8
   xa_central_lower_limit_species(1) = 'h1'
/
"""

SCRIPT = """\
#!/bin/bash
#SBATCH --job-name=star
#SBATCH --output=slurm.out
#SBATCH --time=5
set -eu
value() { sed -n "s/^ *$1 *= *\\([^ !]*\\).*/\\1/p" inlist_project | tail -n 1; }
mass=$(value initial_mass)
echo "a star of mass $mass"
mkdir -p LOGS
awk -v mass="$mass" 'BEGIN {
  print "1 2"; print "version_number initial_mass"; print "r1 " mass; print ""
  print "1 2 3"; print "model_number star_age center_h1"
  for (n = 1; n <= 10; n++) print n, n * 1e9 * mass ^ -2.5, 0.7 * (10 - n) / 9
}' >LOGS/history.data
"""

FILES = {"inlist_project": INLIST, "run.sbatch": SCRIPT, "README": "A test's star.\n"}


@dataclass(frozen=True)
class Project:
    """The paths of a project: three repositories and the folder of run directories."""

    repository: Path
    origin: Path
    clone: Path
    runs: Path

    def commit(self, files: dict[str, str], message: str = "change") -> str:
        """Write files in the user's repository, commit and push them; return the sha."""
        for name, text in files.items():
            path = self.repository / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git(self.repository, "add", "--all")
        git(self.repository, "commit", "--quiet", "--message", message)
        git(self.repository, "push", "--quiet", "origin", "main")
        return git(self.repository, "rev-parse", "HEAD")

    def branches(self) -> dict[str, list[str]]:
        """Return the branches of each of the three repositories."""
        listing = ["for-each-ref", "--format=%(refname:short)", "refs/heads"]
        places = {"repository": self.repository, "origin": self.origin, "clone": self.clone}
        return {name: git(place, *listing).split() for name, place in places.items()}

    def run_directories(self) -> list[Path]:
        """List the run directories, by name."""
        return sorted(path for path in self.runs.iterdir() if not path.name.startswith("."))


def make_project(folder: Path) -> Project:
    """Make the four places below a folder, with FILES in a first commit on main."""
    project = Project(
        repository=folder / "repository",
        origin=folder / "origin.git",
        clone=folder / "cluster" / "clone",
        runs=folder / "cluster" / "runs",
    )
    project.runs.mkdir(parents=True)
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(project.origin))
    git(folder, "init", "--quiet", "--initial-branch=main", str(project.repository))
    git(project.repository, "config", "user.name", "A User")
    git(project.repository, "config", "user.email", "user@example.org")
    git(project.repository, "config", "commit.gpgsign", "false")
    git(project.repository, "remote", "add", "origin", str(project.origin))
    project.commit(FILES, "a star")
    git(folder, "clone", "--quiet", str(project.origin), str(project.clone))
    return project


def copy_project(project: Project, folder: Path) -> Project:
    """Copy a project's four places to a folder: faster than to make them."""
    source = project.repository.parent
    shutil.copytree(source, folder, dirs_exist_ok=True)
    places = [getattr(project, field.name) for field in fields(project)]
    copy = Project(*(folder / place.relative_to(source) for place in places))
    for repository in (copy.repository, copy.clone):
        git(repository, "remote", "set-url", "origin", str(copy.origin))
        git(repository, "update-index", "--refresh")  # the copied files' ids are in the index
    return copy


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and give its output, stripped; raise RuntimeError with git's words."""
    command = ["git", "-C", str(folder), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)}: {result.stderr}")
    return result.stdout.strip()


def shown_states(result: pytest.RunResult) -> dict[str, str]:
    """Return the state that pytest's verbose output shows of each experiment, by its id."""
    pattern = r"^sweeps\.py::(\S+(?: on \S+)?) ([A-Z][A-Z ]+[A-Z])"
    shown = re.findall(pattern, result.stdout.str(), re.MULTILINE)
    return {name: state.removesuffix(" job") for name, state in shown}


def plain_text(result: pytest.RunResult) -> str:
    """Return a run's output, which shows none of the plugin's own lines."""
    text = result.stdout.str() + result.stderr.str()
    assert "Traceback" not in text, text
    assert "pytest_remex/" not in text, text
    return text
