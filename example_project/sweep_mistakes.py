"""What a report shows of mistakes: a model that is too coarse, and one that the program refuses."""

import math

import pytest

from pytest_remex import sweep
from pytest_remex.config import patch_config


@sweep(
    {("polytropic_index", "step_size"): [(1.0, 1e-3), (1.0, 0.2), (-1.0, 1e-3)]},
    fetch=["LOGS/history.data"],
    config_file="inlist_project",
)
def mistakes(experiment):
    """Find the radius of the polytrope of index 1, which is pi: only the first model does."""
    patch_config("inlist_project", experiment.config)
    run = yield
    surface = run.read("LOGS/history.data").iloc[-1]
    run.record(radius=surface.xi)
    assert surface.xi == pytest.approx(math.pi, abs=1e-8), "a smaller step_size is needed"
