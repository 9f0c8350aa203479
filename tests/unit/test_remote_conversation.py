"""The agent's answers among noise: a real program at the other end of real pipes."""

import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_remex import Remote
from pytest_remex.errors import ConnectionLostError, RemoteError
from pytest_remex.transport import connect
from pytest_remex.transport.agent_client import AgentClient, Answer
from pytest_remex.transport.local import LocalChannel

AGENT = """
import json, os, sys, time
start = json.loads(sys.stdin.readline())
def tell(**message):
    text = json.dumps(message)
    os.write(1, ("%s %d %s\\n" % (start["nonce"], len(text), text)).encode())
for line in sys.stdin:
    request = json.loads(line.partition(" ")[2])
    exec(request["program"])
"""
"""An agent that does what the request says."""


@pytest.fixture
def talk():
    """Give a function that asks a new agent to run a program, and gives its events."""
    opened = []

    def talk(program, silence=5.0, agent=AGENT):
        channel = LocalChannel([sys.executable, "-I", "-c", agent])
        opened.append(AgentClient(channel, "", place="there", silence=silence))
        return [dict(event) for event in opened[-1].ask("work", {"program": program})]

    yield talk
    for conversation in opened:
        conversation.close()


END = "tell(id=request['id'], end=True)"


def test_events(talk):
    """Events come in order, without the line that ends them."""
    assert talk(f"for k in range(3): tell(id=1, event='x', k=k)\n{END}") == [
        {"id": 1, "event": "x", "k": k} for k in range(3)
    ]


@settings(max_examples=25, deadline=None)
@given(noise=st.lists(st.binary(max_size=200), max_size=5))
def test_noise(noise):
    """Any bytes before, between and in front of the agent's lines are skipped."""
    program = f"for n in {noise!r}: os.write(1, n); tell(id=1, event='x')\n{END}"
    channel = LocalChannel([sys.executable, "-I", "-c", AGENT])
    conversation = AgentClient(channel, "", place="there", silence=20)
    try:
        assert len(list(conversation.ask("work", {"program": program}))) == len(noise)
    finally:
        conversation.close()


@pytest.mark.parametrize("noise", [".", "\n", '", "more": "'])
def test_noise_within_a_line(talk, noise):
    """What another program writes into the middle of an answer is told, never taken for it."""
    words = (
        "text = json.dumps({'id': 1, 'event': 'a text'})\n"
        f"said = text.replace('a text', 'a' + {noise!r})\n"
        "said = '%s %d %s' % (start['nonce'], len(text), said)\n"
        "os.write(1, said.encode() + b'\\n')"
    )
    with pytest.raises(ConnectionLostError, match=r"from there did not arrive whole"):
        talk(f"{words}\n{END}")


def test_endless_noise_without_a_line_end(talk):
    """Noise without a line end is not kept."""
    noise = "for _ in range(300): os.write(1, b'n' * 1_000_000)\nos.write(1, b'\\n')"
    tracemalloc.start()
    try:
        assert talk(f"{noise}\n{END}") == []
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_error(talk):
    """An error gives its message with the place, and its detail as a note."""
    fault = {"kind": "git", "message": "no such ref", "detail": "a traceback"}
    with pytest.raises(RemoteError, match="there: no such ref") as raised:
        talk(f"tell(id=1, error={fault!r})")
    assert raised.value.__notes__ == ["a traceback"]


def test_error_before_requests(talk):
    """An error that answers no request, such as a python that is too old, is raised as well."""
    agent = AGENT.replace("for line", "tell(id=0, error={'message': 'too old'})\nfor line")
    with pytest.raises(RemoteError, match="there: too old"):
        talk(END, agent=agent)


def test_death(talk):
    """An agent that dies in a request leaves its outcome unknown, and its last words are told."""
    words = "tell(id=1, event='x'); os.write(2, b'out of memory'); os._exit(9)"
    with pytest.raises(
        ConnectionLostError, match=r"there ended \(9, after: out of memory\).*unknown"
    ):
        talk(words)


def test_never_started(talk):
    """A program that never answers is no lost connection: nothing was asked of it."""
    with pytest.raises(RemoteError, match=r"did not start on there \(exit code 1.*boom") as raised:
        talk(END, agent="raise SystemExit('boom')")
    assert not isinstance(raised.value, ConnectionLostError)


def test_silence(talk):
    """Nothing for so many seconds means that the link is lost."""
    with pytest.raises(ConnectionLostError, match=r"nothing came from there for 0.5 s"):
        talk("time.sleep(3)", silence=0.5)


def test_beats(talk):
    """Beats keep a request alive that takes longer than the silence allowed."""
    beats = "for _ in range(8): time.sleep(0.25); tell(beat=1)"
    assert talk(f"{beats}\n{END}", silence=1.0) == []


def test_large_both_ways(talk):
    """Megabytes in a line, on stderr and back do not block each other."""
    words = "sys.stderr.write('e' * 3_000_000); tell(id=1, event='x', text='o' * 3_000_000)"
    assert len(str(talk(f"{words}\n{END}\n#{'i' * 3_000_000}"))) > 3_000_000


def test_answers_of_two_requests():
    """Answers go to the request that they belong to, in whatever order they are read."""
    channel = LocalChannel([sys.executable, "-I", "-c", AGENT])
    conversation = AgentClient(channel, "", place="there", silence=5)
    program = f"tell(id=request['id'], event=request['id'])\n{END}"
    try:
        first = conversation.ask("work", {"program": program})
        second = conversation.ask("work", {"program": program})
        assert [event["event"] for event in second] == [2]
        assert [event["event"] for event in first] == [1]
    finally:
        conversation.close()


def test_field_of_another_kind():
    """A field that is not what it should be is told with the whole answer."""
    answer = Answer({"job": 3})
    assert answer.field("job", int) == 3
    with pytest.raises(RemoteError, match=r"\{'job': 3\} has no str 'job'"):
        answer.field("job", str)


def test_local_agent(tmp_path):
    """The local default asks the real agent, in a subprocess."""
    with connect(Remote(None, runs=str(tmp_path / "runs"))) as connection:
        assert connection.facts().field("cores", int) >= 1
        assert connection.facts() is connection.facts()
    assert connection.closed


def test_local_default_loads_no_ssh():
    """The local default loads neither Fabric nor paramiko: they take half a second."""
    program = (
        "import sys; from pytest_remex import Remote; from pytest_remex.transport import connect\n"
        "connect(Remote(None)).close(); print({'fabric', 'paramiko', 'invoke'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "set()"
