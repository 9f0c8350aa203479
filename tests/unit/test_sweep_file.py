"""Sweep files are looked at without importing them."""

import os

import pytest

from pytest_remex.sweep_file import SweepFiles

TEXT = """
from elsewhere import grid as imported
raise SystemExit("imported")
class TestGrid:
    def inner(self, experiment): yield
def outer(experiment): yield
"""


@pytest.mark.parametrize(
    ("node", "there"),
    [
        ("grids/sweeps.py::outer[a=1]", True),
        ("grids/sweeps.py::outer", True),
        ("grids/sweeps.py::TestGrid::inner[a=b::c]", True),
        ("grids/sweeps.py::TestRenamed::inner", False),
        ("grids/sweeps.py::imported[a=1]", True),
        ("grids/sweeps.py::gone[outer]", False),
        ("grids/broken.py::outer[a=1]", False),
        ("grids/none.py::outer[a=1]", False),
        ("grids/pipe.py::outer[a=1]", False),
        ("../sweeps.py::outer[a=1]", False),
        ("/dev/zero::outer[a=1]", False),
        ("grids::outer", False),
        ("", False),
    ],
)
def test_a_function_of_a_recorded_node_is_found_in_its_file(tmp_path, node, there):
    """Whatever a record names, only Python files below the folder are read."""
    (tmp_path / "top/grids").mkdir(parents=True)
    for name in ("sweeps.py", "top/grids/sweeps.py"):
        (tmp_path / name).write_text(TEXT)
    (tmp_path / "top/grids/broken.py").write_text("def outer(\n")
    os.mkfifo(tmp_path / "top/grids/pipe.py")
    assert SweepFiles(tmp_path / "top").have(node) is there
