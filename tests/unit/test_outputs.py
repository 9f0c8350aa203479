"""The note beside fetched outputs."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.collect.manifest import NOTE, Outputs, first_present, read_outputs, write_outputs

NAMES = st.text(min_size=1) | st.binary(min_size=1).map(os.fsdecode)


@given(
    files=st.dictionaries(NAMES, st.tuples(st.integers(0), st.integers())),
    missing=st.lists(NAMES),
    complete=st.booleans(),
)
def test_round_trip(tmp_path_factory, files, missing, complete):
    """What is noted comes back, whatever the files' names."""
    folder = tmp_path_factory.mktemp("run")
    outputs = Outputs(files=files, patterns=("*",), missing=tuple(missing), complete=complete)
    write_outputs(folder, outputs)
    assert read_outputs(folder) == outputs


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"files": 3}', "\x00"])
def test_damaged_note(tmp_path, text):
    """A note that cannot be read stands for nothing fetched."""
    (tmp_path / NOTE).parent.mkdir()
    (tmp_path / NOTE).write_text(text)
    assert read_outputs(tmp_path) == Outputs()


def test_lacking():
    """What is new, or of another size or time, is fetched again."""
    here = Outputs({"same": (1, 2), "size": (1, 2), "time": (1, 2), "gone": (1, 2)})
    assert here.lacking({"same": (1, 2), "size": (3, 2), "time": (1, 3), "new": (0, 0)}) == [
        "size", "time", "new",
    ]  # fmt: skip


def test_first_present(tmp_path):
    """The first pattern that finds a plain file counts; links do not."""
    (tmp_path / "b.out").write_text("")
    (tmp_path / "a.out").symlink_to("b.out")
    assert first_present(tmp_path, ["x*", "*.out"]) == tmp_path / "b.out"
    assert first_present(tmp_path, ["nothing"]) is None
