"""The names of links: file names of any text, and templates that evaluate nothing."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.errors import SweepError
from pytest_remex.tables.link_names import by_template, marked, safe


@given(st.text(), st.text())
def test_safe(text, other):
    """Any text makes a file name: one component, visible, of at most 255 bytes."""
    for name in (safe(text), marked(safe(text), other)):
        assert "/" not in name
        assert "\0" not in name
        assert name.isprintable()
        assert not name.startswith((".", "-"))
        assert 0 < len(os.fsencode(name)) <= 255


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{years}_{output}", r"'years'.*output, mass"),
        ("{mass.__class__}", "mass.__class__"),
        ("{mass[0]}", r"mass\[0\]"),
        ("{}", "''"),
        ("{mass:d}", "correct the format"),
        ("{mass:{mass}}", "correct the format"),
        ("{mass", "correct the format"),
    ],
)
def test_bad_template(template, words):
    """A template that cannot be filled is refused; nothing in it is evaluated."""
    with pytest.raises(SweepError, match=words):
        by_template(template, {"mass": 1.5}, "out")
