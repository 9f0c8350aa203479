"""docs/designs.md: each design has the points that it says, and every patch applies."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

from pytest_remex.experiment import Experiment
from pytest_remex.names import point_id
from pytest_remex.sweep import SweepCall, expand, sweep_of

PAGE = Path(__file__).parents[2] / "docs" / "designs.md"
TEXT = PAGE.read_text()
CSV = re.search(r"<!-- file: points.csv -->\n```text\n(.*?)```", TEXT, re.DOTALL)[1]
DESIGNS = re.findall(
    r"<!-- points: (\d+) -->\n```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL
)
LONGEST_ID = 40


@pytest.mark.parametrize(
    ("count", "text"), DESIGNS, ids=[re.findall(r"def (\w+)", text)[0] for _, text in DESIGNS]
)
def test_design(tmp_path, count, text):
    """A design makes its points, with short ids that are the same when it is made again."""
    (tmp_path / "points.csv").write_text(CSV)
    ids = []
    for _ in range(2):
        module = ModuleType("sweeps")
        module.__file__ = str(tmp_path / "sweeps.py")
        exec(compile(text, str(PAGE), "exec"), module.__dict__)  # noqa: S102 - the page's own code
        ((plan, function),) = [
            (plan, each) for each in vars(module).values() if (plan := sweep_of(each))
        ]
        ids.append([point_id(plan, point) for point in expand(plan)])
    assert ids[0] == ids[1]
    assert len({*ids[0]}) == int(count)
    assert max(map(len, ids[0])) < LONGEST_ID
    patched = set()
    for point in expand(plan):
        (tmp_path / "config.yaml").write_text("mass: 1.0\nz: 0.02\ny: 0.28\n")
        (tmp_path / "run.sbatch").write_text("#!/bin/sh\n#SBATCH --cpus-per-task=1\n")
        experiment = Experiment(plan, "id", point, {**plan.base_config, **point}, tmp_path)
        SweepCall(lambda experiment=experiment: function(experiment), "x").patch(tmp_path)
        patched.add((tmp_path / "config.yaml").read_text() + (tmp_path / "run.sbatch").read_text())
    assert len(patched) == int(count)


def test_every_block_is_tested():
    """No block of Python on the page goes untested."""
    assert TEXT.count("```python") == len(DESIGNS)
