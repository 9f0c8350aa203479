"""The search for the commit that changed a result."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from pytest_remex.collect.bisection import Known, narrowed, next_round


@given(st.integers(2, 200), st.data())
def test_the_search_ends_at_the_change(count, data):
    """Rounds of any size end with the change suspected, and beside it only what was skipped."""
    change = data.draw(st.integers(1, count - 1))
    skipped = data.draw(st.sets(st.integers(1, max(1, count - 2)), max_size=count)) - {count - 1}
    most = data.draw(st.integers(1, 40))
    known = [Known.NOTHING] * count
    tried = 0
    while places := next_round(known, most):
        assert len(places) <= most + 2
        assert all(known[place] is Known.NOTHING for place in places)
        for place in places:
            is_same = Known.SAME if place < change else Known.CHANGED
            known[place] = Known.SKIPPED if place in skipped else is_same
        tried += 1
    found = narrowed(known)
    assert found is not None
    assert found.is_final
    assert change in found.suspects or known[change] is Known.SKIPPED
    assert all(place in skipped for place in [*found.suspects][:-1])
    if count <= most:
        assert tried == 1


@given(st.lists(st.sampled_from(Known), min_size=2, max_size=30), st.integers(1, 9))
@example([Known.SAME, Known.PENDING, Known.NOTHING, Known.CHANGED], 2)
def test_nothing_is_sent_beside_a_round(known, most):
    """While jobs of a round have not ended between the ends, no other is sent."""
    found = narrowed(known)
    if found is not None and found.pending:
        assert next_round(known, most) == []
