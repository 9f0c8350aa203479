"""Causes: the telling line of a job's output, the assertion that failed, and what is common."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.collect.causes import assertion_of, causes_of, job_cause, telling_line


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
        ("", ""),
    ],
)  # fmt: skip
def test_telling_line(text, line):
    """The first line that reads like an error tells; a number that is an error does not."""
    assert telling_line(text) == line


def test_a_large_output_is_read_in_part(tmp_path):
    """Of a large file the start and the end are looked at, and a long line is cut."""
    path = tmp_path / "out"
    path.write_bytes(b"x" * 10_000_000 + b"\nERROR: " + b"y" * 1000)
    cause = job_cause([path], 3, "FAILED")
    assert cause.startswith("exit 3: ERROR: yyy")
    assert len(cause) < 220
    assert job_cause([], None, "TIMEOUT") == "TIMEOUT"
    assert job_cause([], 0, "OUT_OF_MEMORY") == "OUT_OF_MEMORY"


def failing(function):
    """Return what a function raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the error is what is looked at
        function()
    return caught.value


def test_assertion():
    """An assertion is told as it is written, without its message; other errors are none."""
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
