"""Typed objects become JSON and come back as they were; what does not fit is named."""

# ruff: noqa: UP006, UP035, UP045 - types as Python 3.6 has them
from typing import Any, Dict, List, NamedTuple, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.common.jobs import Job, JobState
from pytest_remex.common.typed_json import (
    NewerFormatError,
    TypedJsonError,
    dumps,
    from_json,
    loads,
)


class Inner(NamedTuple):
    """A part."""

    state: JobState
    words: List[str]


class Outer(NamedTuple):
    """Each kind of field."""

    name: str
    inner: Inner
    flag: bool = False
    number: Optional[float] = None
    facts: Dict[str, int] = {}  # noqa: RUF012 - never changed
    rest: Any = None


OUTER = {"name": "x", "inner": {"state": "FAILED", "words": ["a"]}, "number": 3, "later": 1}


def test_what_is_read():
    """Numbers may be whole, enums are made, unknown fields ignored, missing ones default."""
    assert from_json(Outer, OUTER) == Outer("x", Inner(JobState.FAILED, ["a"]), number=3)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": 1}, "'name' is 1, not text"),
        ({"name": None}, "'name' is None, not text"),
        ({"inner": []}, r"'inner' is \[\], not an object"),
        ({"inner": {"state": "FAILED"}}, "'inner' has no 'words'"),
        ({"inner": {"state": 1, "words": []}}, "'state' is 1, not text"),
        ({"inner": {"state": "FAILED", "words": [1]}}, "'words' is 1, not text"),
        ({"flag": 1}, "'flag' is 1, not true or false"),
        ({"number": True}, "'number' is True, not a number"),
        ({"facts": {"a": "b"}}, "'facts' is 'b', not a whole number"),
        ({"facts": [1]}, "not an object"),
        ({"facts": {"a": 10**400}}, "'facts' is not a number that can be meant"),
        ({"number": 10**400}, "'number' is not a number that can be meant"),
        ({"number": float("nan")}, "'number' is not a number that can be meant"),
        ({"number": float("inf")}, "'number' is not a number that can be meant"),
    ],
)
def test_what_does_not_fit_is_named(changed, words):
    """A field of another type is an error that names it."""
    with pytest.raises(TypedJsonError, match=words):
        from_json(Outer, {**OUTER, **changed})


def test_versions():
    """A missing version means 1; a newer one is refused, whatever the file contains."""
    job = Job("1", JobState.FAILED)
    assert loads(Job, '{"id": "1", "state": "FAILED"}', 1) == job
    assert loads(Job, dumps(job, 1), 1) == job
    with pytest.raises(NewerFormatError, match=r"of format 3.* reads up to 2: upgrade"):
        loads(Job, '{"format": 3}', 2)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON | st.fixed_dictionaries({"name": JSON, "inner": JSON}, optional={"facts": JSON}))
def test_any_json_is_read_or_refused(data):
    """Whatever comes, it is an object of the type, or a `TypedJsonError`."""
    try:
        assert isinstance(from_json(Outer, data), Outer)
    except TypedJsonError as error:
        assert str(error)  # noqa: PT017 - both ends are right
