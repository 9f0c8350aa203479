"""Connecting in a thread: what the user is asked, and when."""

import threading

import pytest
from support.daemons import wait_until

from pytest_remex import Remote
from pytest_remex.errors import RemoteError
from pytest_remex.transport.connection import connect
from pytest_remex.transport.connections import BackgroundConnection, Connections


def asking(folder, *questions):
    """Return a connector to this machine that first asks the user; and the answers it got."""
    answers = []

    def to_here(*, prompt, notify):
        notify("this takes long")
        answers.extend(prompt(question, echo=False) for question in questions)
        return connect(Remote(None, runs=str(folder)))

    return to_here, answers


def test_the_one_who_waits_is_asked(tmp_path):
    """Notes and questions wait for the caller, in their order, and reach the caller's thread."""
    seen = []

    def prompt(text, *, echo):
        seen.append((text, threading.current_thread()))
        return f"answer to {text}"

    connector, answers = asking(tmp_path, "one", "two")
    begun = BackgroundConnection(connector, prompt, lambda text: seen.append((text, None)))
    assert not seen
    with begun.result() as connection:
        assert connection.runs() == str(tmp_path)
    here = threading.current_thread()
    assert seen == [("this takes long", None), ("one", here), ("two", here)]
    assert answers == ["answer to one", "answer to two"]


@pytest.mark.parametrize("kind", [RemoteError, KeyboardInterrupt])
def test_a_question_that_is_not_answered(tmp_path, kind):
    """What a prompt raises ends the login, and reaches the one who waits."""

    def prompt(text, *, echo):
        raise kind(text)

    connector, answers = asking(tmp_path, "one", "two")
    with pytest.raises(kind, match="one"):
        BackgroundConnection(connector, prompt, print).result()
    assert not answers


def test_without_a_prompt_none_is_passed_on(tmp_path):
    """A login that nobody can answer learns that at once, as in the foreground."""

    def to_here(*, prompt, notify):
        assert prompt is None
        return connect(Remote(None, runs=str(tmp_path)))

    with BackgroundConnection(to_here, None, print).result() as connection:
        assert connection.runs() == str(tmp_path)


def test_a_connection_that_is_abandoned_is_closed(tmp_path):
    """It is closed once it is made, if nobody waits for it; its questions are not shown."""
    opened = []
    may_connect = threading.Event()

    def to_here(*, prompt, notify):
        may_connect.wait()
        opened.append(connect(Remote(None, runs=str(tmp_path))))
        return opened[0]

    begun = BackgroundConnection(to_here, pytest.fail, print)
    begun.abandon()
    may_connect.set()
    wait_until(lambda: opened and opened[0].closed, "it is closed")
    connector, answers = asking(tmp_path, "one")
    begun = BackgroundConnection(connector, pytest.fail, pytest.fail)
    begun.abandon()
    with pytest.raises(RemoteError, match="ended before it connected"):
        begun._opening.result(lambda _: None)
    assert not answers


def test_a_later_question_is_asked_directly(tmp_path):
    """What is asked after the hand-over, for a transfer host, is asked where it comes up."""
    asked = []

    def to_here(*, prompt, notify):
        asked.append(prompt)
        return connect(Remote(None, runs=str(tmp_path)))

    def prompt(text, *, echo):
        return text.upper()

    BackgroundConnection(to_here, prompt, print).result().close()
    assert asked[0]("again", echo=True) == "AGAIN"


def test_an_error_waits_for_the_one_who_needs_the_connection():
    """A host that does not exist is reported by `to`, with the hint, and not by `begin`."""
    connections = Connections(pytest.fail, print)
    remote = Remote("nowhere.invalid", clone="/c", runs="/r")
    connections.begin(remote)
    with pytest.raises(RemoteError, match=r"nowhere\.invalid[^\n]*\n--remex-doctor checks"):
        connections.to(remote)
    connections.close()


def test_nothing_is_begun_after_a_link_broke(tmp_path):
    """Whoever used the connection opens it again: a second login beside that one is not made."""
    connections = Connections(pytest.fail, print)
    connections.drop_broken()
    before = threading.active_count()
    connections.begin(Remote("nowhere.invalid", clone="/c", runs="/r"))
    connections.begin(Remote(None, runs=str(tmp_path)))
    assert threading.active_count() == before
    connections.close()
