"""Any text as names, values, paths: it runs nothing, writes nowhere else, and comes back."""

import os
import tempfile
from pathlib import Path

import numpy  # noqa: F401, ICN001 - Hypothesis takes its random state, which a pytest in pytest forgets
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.hostile import file_names, hostile, tree

EXAMPLES = int(os.environ.get("REMEX_EXAMPLES", "4"))
ALWAYS_THE_SAME = "REMEX_EXAMPLES" not in os.environ

SWEEP = """
import pathlib
from pytest_remex import sweep

@sweep({grid}, fetch=["result.txt", "out/*"], name={name}, base_config={base})
def grid(experiment):
    config = experiment.config
    (experiment.path / "input.txt").write_bytes(ascii(config).encode())
    (experiment.path / "out").mkdir()
    (experiment.path / "out" / {file}).write_bytes(ascii(config[{key}]).encode())
    run = yield
    assert run.read("result.txt") == ascii(run.experiment.config)
    assert (run.path / "out" / {file}).read_bytes() == ascii(config[{key}]).encode()
    run.record(again=str(config[{key}]))
"""


@settings(
    max_examples=EXAMPLES,
    derandomize=ALWAYS_THE_SAME,
    database=None,
    phases=[Phase.generate],  # to make a failing example smaller takes minutes
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_any_text(empty_project, data):
    """Plan, submit, status and collect take any names, values and paths as they are."""
    project = empty_project
    canary = project.path / "canary"
    text = hostile(canary)
    key = data.draw(text.filter(bool), label="parameter")
    values = data.draw(st.lists(text, min_size=2, max_size=4, unique_by=ascii), label="values")
    words = {
        "grid": ascii({key: values}),
        "key": ascii(key),
        "name": ascii(data.draw(text.filter(bool), label="sweep")),
        "base": ascii(data.draw(st.dictionaries(text, text, max_size=2), label="base config")),
        "file": ascii(data.draw(file_names(canary), label="file")),
    }
    before = outside(project)
    project.sweeps(SWEEP.format(**words))
    ends = [project.pytest(f"--remex-{mode}") for mode in ("plan", "submit")]
    if ends[-1].ret == 0:
        project.wait()
        ends += [project.pytest(f"--remex-{mode}") for mode in ("status", "collect")]
    for end in ends:
        shown = end.stdout.str() + end.stderr.str()
        assert "Traceback" not in shown
        assert "INTERNALERROR" not in shown
    assert ends[0].ret == ends[1].ret
    assert {end.ret for end in ends[1:]} in ({0}, {1}, {2}, {4})
    assert not canary.exists()
    assert outside(project) ^ before == set()


def outside(project):
    """Return what lies outside of the output folder, with the runs in it, and git's objects."""
    objects = project.path / ".git" / "objects"
    refs = project.path / ".git" / "refs"
    ours = (project.output, project.path / "sweeps.py", objects, *refs.glob("remex*"))
    caches = (project.path / ".pytest_cache", *project.path.rglob("__pycache__"))
    places = (project.path.parent, Path(tempfile.gettempdir()))
    slots = f"remex-{os.getuid()}"  # of this machine's scheduler
    beside = {path.name for place in places for path in place.iterdir()} - {slots}
    return set(tree(project.path, *ours, *caches).items()) | beside
