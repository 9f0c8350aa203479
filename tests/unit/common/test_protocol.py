"""Each message is one line that is read whole or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.common import framing
from pytest_remex.common.claims import Claim
from pytest_remex.common.parts import Placement
from pytest_remex.common.protocol import CONVERSATION
from pytest_remex.common.records import RunFacts
from pytest_remex.common.typed_json import LARGEST

st.register_type_strategy(int, st.integers(-LARGEST, LARGEST))
st.register_type_strategy(float, st.floats(-LARGEST, LARGEST))
META = st.dictionaries(st.text(), st.none() | st.integers() | st.text())
st.register_type_strategy(Placement, st.builds(Placement, meta=META))
st.register_type_strategy(Claim, st.builds(Claim, point=META))
st.register_type_strategy(RunFacts, st.builds(RunFacts, point=META, config=META))
REQUESTS = st.one_of(st.from_type(kind) for kind in CONVERSATION)
EVENTS = st.one_of(
    st.from_type(kind) for kind in {event for events in CONVERSATION.values() for event in events}
)


@given(st.integers(0), REQUESTS)
def test_requests_come_back_as_they_were(number, request):
    """Every request survives its line."""
    line = framing.encode_request(number, request)
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert framing.decode_request(framing.whole(line)) == (number, request)


@given(st.integers(0), EVENTS)
def test_events_come_back_as_they_were(number, event):
    """Every event survives its line."""
    line = framing.encode_event(number, event)
    number_read, read = framing.decode_event(framing.whole(line))
    assert (number_read, framing.encode_event(number, read)) == (number, line)


@given(REQUESTS, st.data())
def test_a_line_of_which_a_part_is_missing_is_not_read(request, data):
    """Wherever a byte is missing, or the end, the line is refused."""
    line = framing.encode_request(1, request)
    cut = data.draw(st.integers(0, len(line) - 1))
    for damaged in (line[:cut] + line[cut + 1 :], line[:cut]):
        with pytest.raises(framing.CutLineError):
            framing.whole(damaged)
