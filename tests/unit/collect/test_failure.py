"""Why runs failed, in words, and which failures have one cause."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.collect.failure import (
    assertion_of,
    causes_of,
    config_differences,
    ends_of,
    job_cause,
    job_failure,
    telling_line,
)
from pytest_remex.collect.manifest import FetchedOutputs
from pytest_remex.common.jobs import Job, JobState


@pytest.mark.parametrize(
    ("asked", "ran"),
    [
        ({"mass": 10}, {"mass": 10.0}),
        ({"mass": 10}, {"MASS": 10}),
        ({"name": "x"}, {"name": "x  "}),
        ({"mass": 10, "free": 1}, {"mass": 10}),
        ({"mass": 10}, {}),
        ({"flag": True}, {"flag": True}),
        ({"list": [1, 2]}, {"list": [1, 2]}),
        ({"list": [1]}, {"list": 1, "list(1)": 1}),
    ],
)
def test_no_difference(asked, ran):
    """Settings that are missing, or spelled differently, are no difference."""
    assert config_differences(asked, ran) == []


@pytest.mark.parametrize(
    ("asked", "ran", "shown"),
    [
        ({"mass": 10}, {"mass": 11}, "mass: asked for 10, ran with 11"),
        ({"flag": True}, {"flag": 1}, "flag: asked for True, ran with 1"),
        ({"name": "x"}, {"name": "y"}, "name: asked for 'x', ran with 'y'"),
        ({"z": 0.02}, {"z": None}, "z: asked for 0.02, ran with None"),
        ({"z": [1]}, {"z": 1}, "z: asked for [1], ran with 1"),
        ({"z": [1]}, {"z": 2, "z(1)": 2}, "z: asked for [1], ran with [2]"),
        ({"z": [1]}, {"z": [1, 2], "z(1)": 1}, "z: asked for [1], ran with [1, 2]"),
        ({"z": [True]}, {"z": [1]}, "z: asked for [True], ran with [1]"),
    ],
)
def test_difference(asked, ran, shown):
    """A difference shows both values."""
    assert config_differences(asked, ran) == [shown]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("step 1\nERROR: feed too large\nmore ERROR\n", "ERROR: feed too large"),
        ("relative error = 1e-3\nError: no mesh\n", "Error: no mesh"),
        ("l1 error 0.01\nall good\n", "all good"),
        ("At x.f90\nFortran runtime error: End of file\n", "Fortran runtime error: End of file"),
        ("step\n STOP 2\nbye", "STOP 2"),
        ("Traceback (most recent call last):\n  File\n    y\nValueError: 3\nend", "ValueError: 3"),
        ("x\nSegmentation fault (core dumped)\nsrun: out\n", "Segmentation fault (core dumped)"),
        ("some error occurred\nbye", "some error occurred"),
        ("slurmstepd: error: no cgroup\nERROR: feed too large\n", "ERROR: feed too large"),
        ("srun: error: n1: task 0: Exited\nTraceback (most recent call last):\nE: 3\n", "E: 3"),
        ("srun: job 5 queued\nno convergence\n", "no convergence"),
        ("step 7\nslurmstepd: error: oom-kill\n", "slurmstepd: error: oom-kill"),
        ("", ""),
    ],
)  # fmt: skip
def test_telling_line(text, line):
    """The first line that looks like an error is returned, not one with the size of an error."""
    assert telling_line(text) == line


def test_a_large_output_is_read_in_part(tmp_path):
    """Of a large file the start and the end are looked at, and a long line is cut."""
    path = tmp_path / "out"
    path.write_bytes(b"x" * 10_000_000 + b"\nERROR: " + b"y" * 1000)
    cause = job_cause(Job("1", JobState.FAILED, exit_code=3), ends_of(path))
    assert cause.startswith("exit 3: ERROR: yyy")
    assert len(cause) < 220
    assert job_cause(Job("1", JobState.TIMEOUT), "") == "TIMEOUT"
    assert job_cause(Job("1", JobState.OUT_OF_MEMORY, exit_code=0), "") == "OUT_OF_MEMORY"
    assert job_cause(Job("1", JobState.FAILED), "\x1b[31mERROR\x1b[0m: x") == "FAILED: ERROR: x"


def failing(function):
    """Return what a function raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the error is what is looked at
        function()
    return caught.value


def test_assertion():
    """An assertion is shown as in the source, without its message; other errors are not."""
    l1 = 0.5

    def check():
        assert l1 < (
            0.02
        ), "too large"  # fmt: skip

    assert assertion_of(failing(check)) == "assert l1 < 0.02"
    assert assertion_of(failing(lambda: 1 / 0)) == ""
    assert assertion_of(None) == ""


def test_causes():
    """Failures that differ in numbers have one cause: what is equal stays, values are a range."""
    asserted = [
        ("assert l1 < 0.02", f"assert np.float64({value}) < 0.02") for value in (0.09, 0.021)
    ]
    assert causes_of(asserted) == ["assert l1 < 0.02 (0.021 to 0.09)"] * 2
    assert causes_of(asserted[:1]) == ["assert l1 < 0.02 (0.09)"]
    long = [("assert l1 < 0.02", f"assert {value} < 0.02") for value in (0.0212345678, 0.09)]
    assert causes_of(long)[0] == "assert l1 < 0.02 (0.02123 to 0.09)"
    jobs = [("exit 3: ERROR: step 7 of 9", "job 1 ended"), ("exit 3: ERROR: step 8 of 9", "job 2")]
    assert causes_of(jobs) == ["exit 3: ERROR: step … of 9"] * 2
    other = [("", "job 1 ended TIMEOUT"), ("", "job 2 ended FAILED"), ("", "")]
    assert causes_of(other) == ["job 1 ended TIMEOUT", "job 2 ended FAILED", "no reason was given"]
    different = [("assert a == b", "assert 1 == 2"), ("assert a == b", "assert 3 == 4")]
    assert causes_of(different) == ["assert a == b"] * 2


@given(st.lists(st.tuples(st.text(), st.text())))
def test_any_text_has_a_cause(failures):
    """Whatever the texts, each failure gets a cause."""
    assert all(causes_of(failures))
    assert len(causes_of(failures)) == len(failures)


@pytest.mark.parametrize(
    ("job", "option"),
    [
        (Job("7", JobState.TIMEOUT), "--time=..."),
        (Job("7", JobState.OUT_OF_MEMORY), "--mem=..."),
        (Job("7", JobState.FAILED, memory=432, memory_limit=105), "--mem=..."),
    ],
)
def test_what_to_ask_for_more_of(tmp_path, job, option):
    """A job that reached a limit names the option that raises it for the retry."""
    remote = SimpleNamespace(host="box", runs="/runs")
    collected = SimpleNamespace(
        job=job,
        launch=SimpleNamespace(remote=remote),
        run=SimpleNamespace(directory="main_grid"),
        folder=tmp_path,
        logs=("job.out",),
        outputs=FetchedOutputs(),
    )
    message = job_failure(collected)
    assert f'--remex-submit --remex-retry --remex-sbatch="{option}"' in message
    assert "ssh box less '/runs/main_grid/job.out'" in message
