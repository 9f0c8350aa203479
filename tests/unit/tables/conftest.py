"""A sweep `tams` whose results a test writes."""

import pytest

from pytest_remex.common.jobs import JobState
from pytest_remex.tables.rows import Row, write_results


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return the folder of the sweep `tams` in the output folder here."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "remex-output" / "tams"


@pytest.fixture
def row():
    """Return a function that makes a row of an experiment of `tams`, by its point."""

    def make(node, *, launch="tams_2026_01_01_00_00_00", measures=None, **point):
        return Row(
            node=f"sweeps.py::tams[{node}]",
            id=str(node),
            point=point,
            launch=launch,
            state=JobState.COMPLETED,
            verdict="PASSED",
            measures={} if measures is None else measures,
            elapsed=12.5,
            job="123",
            run_directory=f"main_tams_{node}",
        )

    return make


@pytest.fixture
def write():
    """Return a function that writes rows into a sweep's folder, its dimension being the mass."""

    def write(folder, *rows, dimensions=(("mass",),), **options):
        write_results(folder, rows, dimensions=dimensions, **options)

    return write
