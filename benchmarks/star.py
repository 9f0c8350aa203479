"""A stellar-evolution work directory of 11 files, and a sweep over the star's mass."""

from __future__ import annotations

from pathlib import Path

from loopback import Loopback

SWEEP = """\
from pytest_remex import sweep
from pytest_remex.extensions.mesa import patch_inlist


@sweep({{"initial_mass": [1 + n / 1000 for n in range({count})]}}, fetch={fetch!r})
def star(experiment):
    patch_inlist(experiment.path / "inlist_project", experiment.config)
    yield
"""

CONFTEST = """\
import pytest
from pytest_remex import Remote


@pytest.fixture(scope="session")
def remote():
    return Remote({host!r}, {clone!r}, {runs!r}, shared={shared!r})
"""


def write_sweep(repository: Path, count: int, fetch: tuple[str, ...] = ()) -> None:
    """Write a sweep over so many masses, which fetches these outputs."""
    (repository / "sweeps.py").write_text(SWEEP.format(count=count, fetch=fetch))


def share(site: Loopback, paths: tuple[str, ...]) -> None:
    """Let the run directories of a project share files and folders."""
    clone, runs = str(site.project.clone), str(site.project.runs)
    text = CONFTEST.format(host=site.host, clone=clone, runs=runs, shared=paths)
    (site.project.repository / "conftest.py").write_text(text)


def more_files() -> dict[str, str]:
    """Return what the tests' project lacks: 8 files, as large as such a directory's usually are."""
    return {
        "inlist": "&star_job\n  read_extra_star_job_inlist(1) = .true.\n/\n",
        "inlist_plot": _lines("  plot_setting_{0} = 0.5 ! the size of part {0}\n", 80),
        "make/makefile": _lines("OBJECT_{0} = part_{0}.o\n", 30),
        "mk": "#!/bin/sh\ncd make && make\n",
        "clean": "#!/bin/sh\ncd make && make clean\n",
        "rn": "#!/bin/sh\n./star\n",
        "src/run.f90": _lines("  call part_{0}(ierr) ! step {0}\n", 20),
        "src/extras.f90": _lines("  x_{0} = s% x_ctrl({0}) * 2d0 ! as the paper has it\n", 250),
    }


def _lines(pattern: str, count: int) -> str:
    return "".join(pattern.format(number) for number in range(1, count + 1))
