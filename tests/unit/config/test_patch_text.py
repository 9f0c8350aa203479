"""Templates: each placeholder is there exactly once, and gets its value."""

from enum import Enum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_remex.config import patch_text
from pytest_remex.errors import ConfigError

TEMPLATE = "variable T equal @T@   # @T\nrun {{ steps }}\n"


@pytest.fixture
def template(tmp_path):
    """Return a template's path."""
    path = tmp_path / "in.melt"
    path.write_text(TEMPLATE)
    return path


def test_values(template):
    """Each placeholder is replaced by its value, and values are not replaced again."""
    patch_text(template, {"@T@": "{{ steps }}", "{{ steps }}": 100})
    assert template.read_text() == "variable T equal {{ steps }}   # @T\nrun 100\n"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"@P@": 1}, "the placeholder '@P@' is not there"),
        ({"@T": 1}, "the placeholder '@T' appears 2 times"),
        ({"": 1}, "the placeholder '' is not there"),
        ({"@T@": 1, "equal @T": 2}, "overlaps another one"),
        ({"@T@": True}, "@T@ is True: give a number, or the text"),
        ({"@T@": [1]}, r"@T@ is \[1\]"),
        ({"@T@": None}, "@T@ is None"),
    ],
)
def test_refusals(template, values, message):
    """A placeholder that is missing, there twice or in another one is refused by name."""
    with pytest.raises(ConfigError, match=message):
        patch_text(template, values)
    assert template.read_text() == TEMPLATE


def test_values_as_numpy_has_them(template):
    """NumPy's numbers are written as Python's."""
    numpy = pytest.importorskip("numpy")
    patch_text(template, {"@T@": numpy.float64(0.1)})
    assert "equal 0.1 " in template.read_text()


def test_members_of_enums(template):
    """A member of an enum of text is written as its value, though `str` returns its name."""
    patch_text(template, {"@T@": Enum("Solver", {"FAST": "fast"}, type=str).FAST})
    assert "equal fast " in template.read_text()


@settings(max_examples=50)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=5))
def test_any_value(tmp_path_factory, values):
    """Any text can be inserted."""
    path = tmp_path_factory.mktemp("any") / "t"
    marks = {f"<{number}>": value for number, value in enumerate(values)}
    path.write_bytes("|".join(marks).encode())
    patch_text(path, marks)
    assert path.read_bytes().decode() == "|".join(values)
