"""The two notes stored with fetched outputs."""

import os
from types import FunctionType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.collect.manifest import (
    JUDGED_NOTE,
    OUTPUTS_NOTE,
    FetchedOutputs,
    JudgedNote,
    check_digest,
    first_present,
    read_judged,
    read_outputs,
    write_judged,
    write_outputs,
)

NAMES = st.text(min_size=1) | st.binary(min_size=1).map(os.fsdecode)


@given(
    files=st.dictionaries(NAMES, st.tuples(st.integers(0), st.integers())),
    missing=st.lists(NAMES),
    complete=st.booleans(),
)
def test_round_trip(tmp_path_factory, files, missing, complete):
    """Notes are read back unchanged, for any file names."""
    folder = tmp_path_factory.mktemp("run")
    outputs = FetchedOutputs(
        files=files, patterns=("*",), missing=tuple(missing), complete=complete
    )
    write_outputs(folder, outputs)
    assert read_outputs(folder) == outputs


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"files": 3}', "\x00"])
def test_damaged_note(tmp_path, text):
    """A note of outputs that cannot be read means that nothing is fetched."""
    (tmp_path / OUTPUTS_NOTE).parent.mkdir()
    (tmp_path / OUTPUTS_NOTE).write_text(text)
    assert read_outputs(tmp_path) == FetchedOutputs()


def test_stale():
    """Files that are new, or have another size or time, are fetched again."""
    here = FetchedOutputs({"same": (1, 2), "size": (1, 2), "time": (1, 2), "gone": (1, 2)})
    assert here.stale({"same": (1, 2), "size": (3, 2), "time": (1, 3), "new": (0, 0)}) == [
        "size", "time", "new",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"job": 3}', "\x00"])
def test_damaged_judged_note(tmp_path, text):
    """A note of a judgement that cannot be read means that nothing is judged yet."""
    (tmp_path / JUDGED_NOTE).parent.mkdir()
    (tmp_path / JUDGED_NOTE).write_text(text)
    assert read_judged(tmp_path) == JudgedNote()


@given(log=st.text(), diff=st.text())
def test_judged_note_returns(tmp_path_factory, log, diff):
    """Notes of a judged run are read back, for any text, and no draft is left."""
    folder = tmp_path_factory.mktemp("run")
    (folder / ".remex").mkdir()
    note = JudgedNote("7", "digest", changed=True, diff=diff, log=log)
    write_judged(folder, note)
    assert read_judged(folder) == note
    assert [path.name for path in (folder / ".remex").iterdir()] == ["judged.json"]


def test_first_present(tmp_path):
    """The first pattern that finds a plain file counts; links do not."""
    (tmp_path / "b.out").write_text("")
    (tmp_path / "a.out").symlink_to("b.out")
    assert first_present(tmp_path, ["x*", "*.out"]) == tmp_path / "b.out"
    assert first_present(tmp_path, ["nothing"]) is None


def first(experiment):
    experiment.path.touch()
    run = yield
    assert run.path.exists()  # it ran


def same(experiment):
    """Another patch."""
    run = yield
    assert run.path.exists()


def other(_experiment):
    run = yield
    assert not run.path.exists()


def without(_experiment):
    pass


def test_the_digest_of_a_check():
    """It depends on the code after the yield, not on the patch, comments and layout."""
    assert check_digest(first) == check_digest(same)
    assert len({check_digest(each) for each in (first, other, without)}) == 3
    nowhere = FunctionType(compile("1", "no file", "eval"), {})
    assert check_digest(without) == check_digest(nowhere) == ""
