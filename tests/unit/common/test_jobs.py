"""Job ids and states: one grammar, and what is not known is UNKNOWN."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.common.jobs import JobId, JobState, by_cluster, number_of, with_cluster

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


@given(st.text())
def test_an_unknown_word_is_unknown(word):
    """A word that is no state never counts as an end."""
    state = JobState(word)
    assert state.value == word or (state is JobState.UNKNOWN and not state.ended)
