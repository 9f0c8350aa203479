"""Job ids and states: one grammar, and what is not known is UNKNOWN."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.common.jobs import (
    TOGETHER,
    JobId,
    JobState,
    by_array,
    by_cluster,
    number_of,
    with_cluster,
)

IDS = ["123", "123_4", "123;east", "123_4;east"]


@pytest.mark.parametrize("text", IDS)
def test_ids_come_back_as_they_were(text):
    """Each form is read into its parts and written again."""
    job = JobId.parse(text)
    assert (str(job), job.number, number_of(text)) == (text, "123", "123")
    assert job.on_cluster == text.partition(";")[0]


def test_ids_by_cluster():
    """Ids are grouped by cluster, and may be given another."""
    assert by_cluster(IDS) == {"": ["123", "123_4"], "east": ["123", "123_4"]}
    assert with_cluster("123_4", "west") == "123_4;west"
    assert with_cluster("123_4;east", "") == "123_4"


def test_ids_by_array():
    """An array's tasks are named by one word, in any order, up to a limit."""
    assert by_array(["12_5", "7", "12_0", "12_1", "13_4"]) == {
        "7": ["7"],
        "12_[0-1,5]": ["12_0", "12_1", "12_5"],
        "13_4": ["13_4"],
    }
    assert list(by_array(f"1_{task}" for task in range(TOGETHER))) == [f"1_[0-{TOGETHER - 1}]"]
    many = by_array(f"1_{task}" for task in range(0, 4 * TOGETHER, 2))
    assert [len(ids) for ids in many.values()] == [TOGETHER, TOGETHER]


@given(st.text())
def test_an_unknown_word_is_unknown(word):
    """An unknown word never counts as an end."""
    state = JobState(word)
    assert state.value == word or (state is JobState.UNKNOWN and not state.ended)
