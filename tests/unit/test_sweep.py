"""The decorator, its grid, and the call of a sweep function."""

import ast
import inspect
import json
import math
import re
from collections.abc import Hashable
from contextlib import suppress
from enum import Enum
from http import HTTPStatus
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex import optional, sweep
from pytest_remex.errors import SweepError
from pytest_remex.model import OptionalOutput
from pytest_remex.names import full_point_id as point_id
from pytest_remex.sweep import SweepCall, expand, sweep_of
from pytest_remex.sweep_arguments import plain

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


Network = Enum("Network", {"BASIC": "basic"}, type=str)
"""A choice that is text; its member is formatted as `Network.BASIC`."""


def plan(*arguments, **options):
    """Return the sweep of a decorated function."""
    return sweep_of(sweep(*arguments, **options)(lambda: None))


ODD = [0, 1.5, True, "", "\ud800", b"x", Path("x"), [], [None], {}, {1: 2}, {"": 1}, {"\ud800": 1}]
ODD += [{("a", 1): [1]}, {"a": object()}, object(), len, {"x"}, iter([1]), ("a",), "{x", ["[", "!"]]


@pytest.mark.parametrize("given", ODD, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    "name", [name for name in inspect.signature(sweep).parameters if name != "dimensions"]
)
def test_any_argument(name, given):
    """Whatever is given, it is accepted or refused as ours; names are text that files can hold."""
    with suppress(SweepError):
        plan({"a": [1]}, **{name: given})
    with suppress(SweepError):
        found = plan({given: [1]} if isinstance(given, Hashable) else given)
        assert all(name.encode() for each in found.dimensions for name in each.names)


def test_product_in_the_order_given():
    """The grid is the dimensions' product, the last one varying fastest."""
    points = expand(plan({"a": [1, 2], ("b", "c"): [(3, 4), (5, 6)]}, name="grid"))
    assert points == [
        {"a": 1, "b": 3, "c": 4},
        {"a": 1, "b": 5, "c": 6},
        {"a": 2, "b": 3, "c": 4},
        {"a": 2, "b": 5, "c": 6},
    ]
    assert point_id(points[1]) == "a=1-b=5-c=6"


def test_no_dimensions_are_one_experiment():
    """@sweep() is one experiment, whose point is empty."""
    assert expand(plan(name="one")) == [{}]
    assert point_id({}) == ""


def test_defaults():
    """The name is the function's, and the base HEAD."""

    @sweep()
    def star(experiment):
        """Shine."""

    found = sweep_of(star)
    assert (found.name, found.branch, found.fetch, found.config_file) == ("star", "HEAD", (), None)
    assert star.__doc__ == "Shine."
    assert sweep_of(print) is None


def test_generators_as_dimensions():
    """A dimension may be any iterable, also one that is used up."""
    assert len(expand(plan({"a": range(3), "b": (b for b in "xy")}, name="grid"))) == 6


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.5), 0.5),
        (np.int32(3), 3),
        (np.bool_(1), True),
        (np.array([1, 2]), [1, 2]),
        ((1, (2, 3)), [1, [2, 3]]),
        ({"a": np.float32(0.5)}, {"a": 0.5}),
        (Network.BASIC, "basic"),
        (HTTPStatus.OK, 200),
    ],
)
def test_plain_values(value, expected):
    """NumPy's values, tuples, and members of an enum of text or numbers become what JSON holds."""
    found = plain(value, "x")
    assert found == expected
    assert type(found) is type(expected)


@given(JSON)
def test_json_values_stay(value):
    """JSON values are kept unchanged, and are read back from JSON."""
    assert plain(value, "x") == value
    assert json.loads(json.dumps(plain(value, "x"))) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.nan])
def test_only_finite_numbers(value):
    """Infinities and nan are refused by name."""
    with pytest.raises(SweepError, match=r"mass = .*finite number"):
        plain(value, "mass")


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", 1j, print])
def test_only_what_json_holds(value):
    """Other objects are refused, with their type."""
    with pytest.raises(SweepError, match=f"mass = .*a {type(value).__name__} cannot be stored"):
        plain(value, "mass")


@given(st.lists(st.text(), min_size=1, unique=True))
def test_any_text_makes_points(texts):
    """Different texts are different points, whatever they contain."""
    points = expand(plan({"text": texts}, name="grid"))
    assert [point["text"] for point in points] == texts
    assert len({point_id(point) for point in points}) == len(texts)


@pytest.mark.parametrize("values", [[1, "1"], [None, "None"], [True, "True"], [1.0, "1.0"]])
def test_points_of_equal_ids(values):
    """Values that ids show alike are refused; the message names them, and its fix works."""
    text = f"two points are 'a={values[1]}', since ids show a = {values[0]} and {values[1]!r} alike"
    with pytest.raises(SweepError, match=re.escape(text)) as caught:
        plan({"a": values}, name="grid")
    fix = ast.literal_eval(str(caught.value).partition("as in ")[2])
    assert [point["a"] for point in expand(plan(fix, name="grid"))] == values


@pytest.mark.parametrize("values", [[1, True, 1.0], [0, False, 0.0, -0.0]])
def test_equal_values_of_other_types(values):
    """Values that are equal for Python but of other types are different points."""
    assert list(map(repr, (point["a"] for point in expand(plan({"a": values}))))) == list(
        map(repr, values)
    )


def test_script_and_inputs():
    """A sweep keeps its script and its declared inputs; by default run.sbatch and none."""
    found = plan(name="grid")
    assert (found.script, found.inputs, found.config_files) == ("run.sbatch", None, ())
    found = plan(name="grid", script="./jobs/long.sbatch", inputs=["src/**", "!src/x"])
    assert (found.script, found.inputs) == ("jobs/long.sbatch", ("src/**", "!src/x"))
    assert plan(name="grid", inputs=[]).inputs == ()


@pytest.mark.parametrize(
    ("config_file", "files"),
    [(None, ()), ("a", ("a",)), (["a", "b"], ("a", "b")), (("a",), ("a",)), ([], ())],
)
def test_config_files(config_file, files):
    """A config file may be one or a list; readers of a single one use the first."""
    found = plan(name="grid", config_file=config_file)
    assert found.config_files == files
    assert found.config_file == (files[0] if files else None)


def test_optional_outputs():
    """An optional output is marked, and is its pattern otherwise, also in JSON."""
    fetch = plan(name="grid", fetch=["a", optional("LOGS/*.png")]).fetch
    assert fetch == ("a", "LOGS/*.png")
    assert [isinstance(each, OptionalOutput) for each in fetch] == [False, True]
    assert json.dumps(fetch) == '["a", "LOGS/*.png"]'
    assert repr(fetch) == "('a', optional('LOGS/*.png'))"
    with pytest.raises(AttributeError):
        fetch[1].other = 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fetch": "a"}, r"fetch='a' is one string: write fetch=\['a'\]"),
        ({"fetch": 3}, "fetch=3: write a list of strings"),
        ({"fetch": ["a", ""]}, "fetch: '' must be a string, and not empty"),
        ({"fetch": [1]}, "fetch: 1 must be a string"),
        ({"inputs": "src"}, r"inputs='src' is one string"),
        ({"inputs": ["a\nb"]}, r"inputs: 'a\\nb' contains a line break or NUL"),
        ({"config_file": ["a", None]}, "config_file: None must be a string"),
        ({"script": ""}, "script: '' must be a string"),
        ({"script": None}, "script: None must be a string"),
        ({"script": "/run.sbatch"}, "script='/run.sbatch' must be the path of a file"),
        ({"script": "../run.sbatch"}, "such as 'run.sbatch'"),
        ({"script": "a/"}, "script='a/' must be"),
        ({"script": "."}, "script='.' must be"),
        ({"script": ".remex/x"}, "script='.remex/x' must be"),
    ],
)
def test_texts_that_cannot_be_meant(options, words):
    """Patterns and paths that cannot be meant are refused, with the value and the fix."""
    with pytest.raises(SweepError, match=words):
        plan(name="grid", **options)


@pytest.mark.parametrize("pattern", ["", "  ", None, 3, "a\0"])
def test_optional_takes_a_pattern(pattern):
    """`optional` refuses a text that is not a pattern."""
    with pytest.raises(SweepError, match=r"^optional: "):
        optional(pattern)


def called(function, *arguments):
    """Return a call that has run up to its yield."""
    made = SweepCall(lambda: function(*arguments), "star")
    made.patch(Path.cwd())
    return made


def test_yield_gives_the_run():
    """The code after yield gets the run, and returns the measures."""

    def star():
        run = yield
        return {"twice": 2 * run}

    assert called(star).check(21) == {"twice": 42}


def test_without_yield():
    """A function without yield only patches."""
    done = []
    assert called(lambda: done.append(1)).check(None) == {}
    assert done == [1]


def test_yield_that_is_not_reached():
    """A function that returns before its yield only patches."""

    def star(until):
        if until == "early":
            return
        yield

    assert called(star, "early").check(None) == {}


def test_close_runs_finally():
    """A paused call that is not checked is closed."""
    seen = []

    def star():
        try:
            yield
        finally:
            seen.append("closed")

    called(star).close()
    assert seen == ["closed"]


def test_check_raises_the_users_own():
    """A check raises the user's own exception."""

    def star():
        yield
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        called(star).check(None)


@pytest.mark.parametrize("value", [3, [1], "text"])
def test_measures_are_a_dict(value):
    """A return value that is not a dict is refused, and shown."""

    def star():
        yield
        return value

    with pytest.raises(SweepError, match=r"sweep star returns .*: return a dict of measures"):
        called(star).check(None)
