"""Members of enums of text or numbers: sweep functions get them, everything else plain values."""

import json

import pytest

from pytest_remex import results
from pytest_remex.scripting import collect

ENUMS = """
from enum import Enum, IntEnum

from pytest_remex import sweep
from pytest_remex.config import patch_config

class Solver(str, Enum):
    FAST = "fast"
    EXACT = "exact"

class Order(IntEnum):
    FIRST = 1

class Scale(float, Enum):
    HALF = 0.5

def is_as_written(config):
    return [config["solver"] in Solver, config["order"] is Order.FIRST,
            config["scale"] is Scale.HALF, config["mix"][0]["a"] is Solver.FAST]
"""
SWEEPS = """
@sweep({("solver", "order"): [(Solver.FAST, Order.FIRST), (Solver.EXACT, Order.FIRST)]},
       base_config={"scale": Scale.HALF, "mix": [{"a": Solver.FAST}]},
       recipes=[{"by": Order.FIRST}],
       fetch=["result.txt"], config_file="c.toml")
def first(experiment):
    assert isinstance(experiment.point["solver"], Solver)
    assert all(is_as_written(experiment.config)), experiment.config
    assert experiment.recipe["by"].name == "FIRST"
    patch_config("c.toml", experiment.config)
    run = yield
    assert all(is_as_written(run.experiment.config))
    return {"name": experiment.config["solver"].name, "used": experiment.config["solver"]}

@sweep({"last": [Solver.FAST]}, after=first, fetch=["result.txt"], config_file="c.toml")
def second(experiment):
    assert all(is_as_written(experiment.upstream.config))
    patch_config("c.toml", {"solver": experiment.config["last"], "order": 3})
    experiment.upstream.bring("result.txt", "begin.txt")
    run = yield
    assert all(is_as_written(run.upstream.experiment.config))
    return {"name": run.upstream.experiment.config["solver"].name}
"""
PLAIN = """
from pytest_remex import sweep
from pytest_remex.config import patch_config

@sweep({("solver", "order"): [("fast", 1), ("exact", 1)]},
       base_config={"scale": 0.5, "mix": [{"a": "fast"}]}, fetch=["result.txt"])
def first(experiment):
    patch_config("c.toml", experiment.config)
    yield
"""


@pytest.mark.parametrize(
    "dimensions",
    ['{("to", "n"): [(Solver.FAST, 1), (Speed.FAST, 2)]}', '{"to": [Solver.FAST], "n": [1]}'],
)
def test_two_members_of_one_value(empty_project, dimensions):
    """Two members with one value, of which the function would get one for both, are refused."""
    speed = 'class Speed(str, Enum):\n    FAST = "fast"\n\n'
    sweeps = f"@sweep({dimensions}, base_config={{'to': Speed.FAST}})\ndef two(experiment): ...\n"
    empty_project.sweeps(ENUMS + speed + sweeps)
    result = empty_project.pytest("sweeps.py")
    said = "*sweeps.py:*to is <Solver.FAST: 'fast'> and <Speed.FAST: 'fast'>, but*use one*"
    result.stdout.fnmatch_lines([said])


def test_members(empty_project):
    """Patch, check, upstream and recipe get what the user wrote; records and tables values."""
    project = empty_project
    project.commit(**{"c.toml": 'solver = ""\norder = 0\nscale = 0.0\nmix = []\n'})
    project.sweeps(ENUMS + SWEEPS)
    project.pytest("sweeps.py").assert_outcomes(passed=4)
    project.ran()
    assert list(collect("sweeps.py", names=["first"])["first"]["name"]) == ["FAST", "EXACT"]
    project.pytest("--remex-collect", "--remex-fresh").assert_outcomes(passed=4)
    table = results("first")
    assert list(table["solver"]) == ["fast", "exact"]
    assert list(table["id"]) == ["solver=fast-order=1", "solver=exact-order=1"]
    assert list(table["name"]) == list(results("second")["name"]) == ["FAST", "EXACT"]
    assert list(table["used"]) == ["fast", "exact"]
    points = [event["point"] for event in project.events() if "point" in event]
    assert {"solver": "fast", "order": 1} in points
    assert "Solver" not in json.dumps(project.events())
    project.sweeps(PLAIN)
    project.submit().assert_outcomes(skipped=2)
