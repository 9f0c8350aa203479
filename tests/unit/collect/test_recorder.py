"""A sweep function records measures and curves."""

import math
from enum import Enum

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.collect.recorder import CURVES, RunRecorder, read_curves
from pytest_remex.errors import RemexError, SweepError


@pytest.fixture
def recorder(tmp_path):
    """Return the recorder of a run with the parameter `mass`."""
    return RunRecorder(tmp_path, {"mass": 10})


def curve(recorder, name, x, y, *, x_reversed=False):
    """Record a curve as `run.curve` does."""
    recorder.curve(name, x, y, x_label="age", y_label="R", x_reversed=x_reversed)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (3, 3),
        (0.5, 0.5),
        (math.inf, math.inf),
        (True, True),
        ("text", "text"),
        (np.float32(0.5), 0.5),
        (np.array(7), 7),
        (np.bool_(0), False),
        (np.str_("a"), "a"),
        (Enum("Network", {"BASIC": "basic"}, type=str).BASIC, "basic"),
        (pd.Series([7]).iloc[0], 7),
    ],
)
def test_measures_are_plain(recorder, value, kept):
    """Numbers, texts and booleans are kept as Python's own, also from NumPy and pandas."""
    recorder.record({"L1 error": value})
    found = recorder.measures["L1 error"]
    assert found == kept
    assert type(found) is type(kept)


def test_nan_is_kept(recorder):
    """A measure that is not a number stays nan: it says that there was nothing to measure."""
    recorder.record({"age": float("nan")})
    assert math.isnan(recorder.measures["age"])


@pytest.mark.parametrize(
    "value", [None, [1, 2], {"a": 1}, 1j, b"x", np.array([1.0]), np.datetime64("2026-01-01"), max]
)
def test_another_type_is_refused(recorder, value):
    """A value that is not a number, text or boolean is refused by key; earlier ones stay."""
    with pytest.raises(SweepError, match=r"the measure 'age' is .*, of type \w+: "):
        recorder.record({"before": 1, "age": value})
    assert recorder.measures == {"before": 1}


@pytest.mark.parametrize(
    ("name", "why"),
    [("first", "recorded twice"), ("mass", "a parameter"), ("job", "a column"), ("", "not empty")],
)
def test_a_key_is_refused(recorder, name, why):
    """A key given twice, a parameter's, a bookkeeping column's and an empty one are refused."""
    recorder.record({"first": 1})
    with pytest.raises(SweepError, match=f"{name!r}.*{why}"):
        recorder.record({name: 2})
    assert recorder.measures == {"first": 1}


NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


@given(name=st.text(min_size=1), points=st.lists(st.tuples(NUMBERS, NUMBERS)))
def test_curves_return_whole(tmp_path_factory, name, points):
    """A curve of any name comes back as it was recorded, from a file inside its folder."""
    folder = tmp_path_factory.mktemp("run")
    x, y = [one for one, _ in points], [other for _, other in points]
    curve(RunRecorder(folder, {}), name, x, y, x_reversed=True)
    (found,) = read_curves(folder)
    assert (found.name, found.x_label, found.y_label, found.x_reversed) == (name, "age", "R", True)
    np.testing.assert_array_equal(found.x, x)
    np.testing.assert_array_equal(found.y, y)
    assert [path.parent for path in folder.rglob("*.npz")] == [folder / CURVES]


def test_curves_of_like_names_are_apart(recorder, tmp_path):
    """Names that a file system would take for one have a file each; a name twice is refused."""
    for name in ("radius", "Radius", "rad/ius", "../radius"):
        curve(recorder, name, pd.Series([1, 2]), np.array([3.0, 4.0]))
    assert len(read_curves(tmp_path)) == len(recorder.curves) == 4
    with pytest.raises(SweepError, match="'radius' is recorded twice"):
        curve(recorder, "radius", [1], [2])


@pytest.mark.parametrize(
    ("x", "y", "why"),
    [
        ([1, 2], [1], "has 2 x and 1 y"),
        (["a"], [1], "x of the curve 'c' must be a list of numbers"),
        ([1], ["none"], "y of the curve 'c' must be"),
        ([[1], [2, 3]], [1, 2], "x of the curve 'c' must be a list of numbers: "),
        ([[1, 2]], [1], "not 2-dimensional"),
        (np.array(["2026"], "M8[D]"), [1], "datetime64"),
        ([1j], [1], "complex"),
    ],
)
def test_what_is_no_curve_is_refused(recorder, tmp_path, x, y, why):
    """Unequal lengths, and what are no numbers, are refused with the curve's name."""
    with pytest.raises(SweepError, match=why):
        curve(recorder, "c", x, y)
    assert read_curves(tmp_path) == []


def test_none_makes_a_gap(recorder, tmp_path):
    """A coordinate that is None is a gap, as NaN is."""
    curve(recorder, "c", [1, 2, 3], [1.0, None, 3.0])
    (found,) = read_curves(tmp_path)
    assert np.isnan(found.y).tolist() == [False, True, False]


def test_a_curve_has_a_name(recorder):
    """A curve without a name is refused."""
    with pytest.raises(SweepError, match="a curve's name is '': it must be a string, not empty"):
        curve(recorder, "", [1], [2])


def test_a_new_judgement_forgets_old_curves(recorder, tmp_path):
    """Curves that the function does not record any more go."""
    curve(recorder, "old", [1], [2])
    curve(RunRecorder(tmp_path, {}), "new", [1], [2])
    assert [each.name for each in read_curves(tmp_path)] == ["new"]


def test_nothing_is_unpickled(recorder, tmp_path):
    """A file with pickled objects, or a damaged one, is an error that names it."""
    curve(recorder, "c", [1], [2])
    (path,) = (tmp_path / CURVES).iterdir()
    np.savez(path, x=np.array([print], dtype=object), y=[1], about="{}")
    with pytest.raises(RemexError, match=r"npz cannot be read as a curve .*remove it"):
        read_curves(tmp_path)
    path.write_bytes(b"PK")
    with pytest.raises(RemexError, match="cannot be read as a curve"):
        read_curves(tmp_path)
