"""The agent's answers among noise: a real program at the other end of real pipes."""

import sys
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_remex.common.framing import encode_event
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.common.parts import ListedRun, Placement, RunJob, Source, WantedSubmission
from pytest_remex.common.protocol import (
    CONVERSATION,
    SLURM,
    Beat,
    End,
    Error,
    Held,
    ListOutputs,
    ListTips,
    Outputs,
    Place,
    Placed,
    Query,
    Rejected,
    RunState,
    Submit,
    Tips,
)
from pytest_remex.errors import ConnectionLostError, RemoteError
from pytest_remex.transport.agent_client import WORK, AgentClient
from pytest_remex.transport.local import LocalChannel

AGENT = """
import json, os, sys, time
start = json.loads(sys.stdin.readline())
def send(line):
    os.write(1, start["nonce"].encode() + b" " + line)
for line in sys.stdin:
    exec(json.loads(line.partition(" ")[2])["clone"])
"""
"""An agent that runs the program in the request, which `ListTips.clone` holds."""


RUN = 'exec(json.loads(line.partition(" ")[2])["clone"])'


def sends(event, number=1):
    """Return a statement by which the agent sends an event."""
    return f"send({encode_event(number, event)!r})"


END = sends(End())


@pytest.fixture
def talk():
    """Return a function that asks a new agent to run a program, and returns its events."""
    clients = []

    def talk(program, idle_timeout=5.0, agent=AGENT, request=None):
        channel = LocalChannel([sys.executable, "-I", "-c", agent])
        clients.append(AgentClient(channel, "", place="there", idle_timeout=idle_timeout))
        return list(clients[-1].ask(request or ListTips(program)))

    yield talk
    for client in clients:
        client.close()


def test_events(talk):
    """Events come in order, without the one that ends them."""
    placed = [Placed(f"run{number}") for number in range(3)]
    assert talk("\n".join([*map(sends, placed), END])) == placed


@settings(max_examples=25, deadline=None)
@given(noise=st.lists(st.binary(max_size=200), max_size=5))
def test_noise(noise):
    """Any bytes before, between and in front of the agent's lines are skipped."""
    program = f"for n in {noise!r}: os.write(1, n); {sends(Tips([]))}\n{END}"
    channel = LocalChannel([sys.executable, "-I", "-c", AGENT])
    client = AgentClient(channel, "", place="there", idle_timeout=20)
    try:
        assert list(client.ask(ListTips(program))) == [Tips([])] * len(noise)
    finally:
        client.close()


@pytest.mark.parametrize("noise", [b".", b"\n", b'", "more": "'])
def test_noise_within_a_line(talk, noise):
    """An answer into which another program wrote is an error, never taken for the answer."""
    line = encode_event(1, Placed("a run")).replace(b"a run", b"a" + noise)
    with pytest.raises(ConnectionLostError, match=r"from there arrived incomplete"):
        talk(f"send({line!r})\n{END}")


@pytest.mark.parametrize("text", ["not JSON", '{"id": 1, "event": "Dance"}', '{"id": 1}'])
def test_line_that_is_no_event(talk, text):
    """A line that is not an event of the protocol ends the conversation, and is quoted."""
    line = b"%d %s\n" % (len(text), text.encode())
    with pytest.raises(ConnectionLostError, match=r"answer from there cannot be decoded \(.*"):
        talk(f"send({line!r})\n{END}")


PLACEMENT = Placement("mine", "a", "b", "c", {})
STRAYS = [
    RunState("other", Job("7", JobState.COMPLETED)),
    Outputs("../up", [], [], []),
    Placed(""),
    Held("key", "7", {"other": "7"}),
    Rejected("other", "no", limit=False, directories=[]),
]


@pytest.mark.parametrize("event", STRAYS, ids=lambda event: type(event).__name__)
def test_answer_about_something_else(talk, event):
    """An answer about a run directory or key that was not asked for is refused, and quoted."""
    asked = {
        RunState: Query("r", SLURM, [RunJob("mine", "7")]),
        Outputs: ListOutputs("r", [ListedRun("mine", [])]),
        Placed: Place("c", "r", "l", "t", "b", Source("here", "b"), [], [PLACEMENT]),
        Held: Submit("r", "l", "t", SLURM, [WantedSubmission("key", ["mine"])]),
        Rejected: Submit("r", "l", "t", SLURM, [WantedSubmission("key", ["mine"])]),
    }[type(event)]
    with pytest.raises(ConnectionLostError, match=r"there answered about .*not requested"):
        talk("", agent=AGENT.replace(RUN, sends(event)), request=asked)


def test_endless_noise_without_a_line_end(talk):
    """Noise without a line end is not kept."""
    noise = "for _ in range(300): os.write(1, b'n' * 1_000_000)\nos.write(1, b'\\n')"
    tracemalloc.start()
    try:
        assert talk(f"{noise}\n{END}") == []
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_answer_without_end(talk, monkeypatch):
    """An answer that never ends is given up after so many bytes."""
    monkeypatch.setattr("pytest_remex.transport.agent_client.LARGEST", 1 << 20)
    with pytest.raises(ConnectionLostError, match="an answer from there has over 1048576 bytes"):
        talk("send(b'9 {')\nwhile True: os.write(1, b'x' * 65536)")


def test_error(talk):
    """An error has its message with the place, and its detail as a note."""
    with pytest.raises(RemoteError, match="there: no such ref") as raised:
        talk(sends(Error("git", "no such ref", "a traceback")))
    assert raised.value.__notes__ == ["a traceback"]


def test_error_before_requests(talk):
    """An error that answers no request, such as a python that is too old, is raised as well."""
    too_old = sends(Error("python", "too old"), number=0)
    with pytest.raises(RemoteError, match="there: too old"):
        talk(END, agent=AGENT.replace("for line", f"{too_old}\nfor line"))


def test_death(talk):
    """An agent that dies in a request leaves the outcome unknown, and its last words are shown."""
    with pytest.raises(
        ConnectionLostError,
        match=r"there ended \(exit code 9, after 'out of memory'\) while .* listed: it is unknown",
    ):
        talk(f"{sends(Tips([]))}; os.write(2, b'out of memory'); os._exit(9)")


def test_never_started(talk):
    """A program that never answers is not a lost connection: nothing was requested."""
    with pytest.raises(RemoteError, match=r"did not start on there \(exit code 1.*boom") as raised:
        talk(END, agent="raise SystemExit('boom')")
    assert not isinstance(raised.value, ConnectionLostError)


def test_silence(talk):
    """A connection counts as lost if nothing comes for so many seconds."""
    with pytest.raises(ConnectionLostError, match=r"there sent nothing for 0.5 s"):
        talk("time.sleep(3)", idle_timeout=0.5)


def test_beats(talk):
    """Beats keep a request alive that takes longer than the idle timeout."""
    beats = f"for _ in range(12): time.sleep(0.3); {sends(Beat(), number=0)}"
    assert talk(f"{beats}\n{END}", idle_timeout=3.0) == []


def test_large_both_ways(talk):
    """Megabytes in a line, on stderr and back do not block each other."""
    tips = Tips(["o" * 3_000_000])
    program = f"sys.stderr.write('e' * 3_000_000); {sends(tips)}\n{END}\n#{'i' * 3_000_000}"
    assert talk(program) == [tips]


def test_answers_of_two_requests():
    """Events belong to the request that they answer, in any order of reading."""
    channel = LocalChannel([sys.executable, "-I", "-c", AGENT])
    client = AgentClient(channel, "", place="there", idle_timeout=5)
    try:
        first = client.ask(ListTips(f"{sends(Placed('a'), 1)}\n{sends(End(), 1)}"))
        second = client.ask(ListTips(f"{sends(Placed('b'), 2)}\n{sends(End(), 2)}"))
        assert list(second) == [Placed("b")]
        assert list(first) == [Placed("a")]
    finally:
        client.close()


def test_words_for_each_request():
    """A connection that is lost during any request is described in words."""
    assert set(WORK) == set(CONVERSATION)
