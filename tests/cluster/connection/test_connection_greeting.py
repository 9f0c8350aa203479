"""Login files that start other shells, ask, or read: nothing that is sent is run or taken."""

import os
import shutil
import time

import pytest
from asking import files, hello, write

from pytest_remex.errors import RemoteError

COMMANDS = "scancel scontrol sbatch squeue sacct kill rm git rsync remex_agent import"


@pytest.fixture
def spied(server, tmp_path):
    """Give what was run of the commands that the agent's text could hold."""
    told = tmp_path / "spied"
    folder = tmp_path / "spies"
    folder.mkdir()
    for name in COMMANDS.split():
        (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {told}\n')
        (folder / name).chmod(0o755)
    server.variables["PATH"] = f"{folder}:{os.environ['PATH']}"
    with server.with_options():
        yield lambda: told.read_text() if told.exists() else ""
    del server.variables["PATH"]
    with server.with_options():
        pass


def login_file(server, text, name=".bash_profile"):
    """Have a login file end so."""
    path = server.home / name
    before = path.read_text() if path.exists() else ""
    path.write_text(f"{before}\n{text}\n")


def needs(shell):
    """Skip where a shell is not on this machine."""
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not on this machine")


@pytest.mark.parametrize("shell", ["bash", "sh", "dash", "zsh", "ksh", "fish", "tcsh", "csh"])
def test_another_shell(server, opened, spied, shell):
    """A shell in the place of the login shell is told at once, and runs nothing."""
    needs(shell)
    login_file(server, f"exec {shell}")
    started = time.monotonic()
    told = r"python3 did not start on cluster.*login file there .*remex_shell"
    with pytest.raises(RemoteError, match=told):
        hello(opened(silence=20))
    assert time.monotonic() - started < 10
    assert spied() == ""


@pytest.mark.parametrize(
    ("text", "login"),
    [
        ("[[ $- == *i* ]] && exec zsh", "bash -lc"),
        ("[ -t 0 ] && read -p 'Which project? ' project", "bash -lc"),
        ("exec zsh", "zsh -lc"),
    ],
)
def test_what_the_message_says_to_do(server, opened, text, login):
    """What the message tells to do about such a login file works."""
    needs(login.split()[0])
    login_file(server, text)
    assert hello(opened(login=login))["event"] == "hello"


@pytest.mark.parametrize(
    "text",
    [
        "bash",
        "sh",
        "zsh",
        "fish",
        "tcsh",
        'read -p "Which project? " project; echo "you said $project"',
        "cat > /dev/null",
        "cat <&0 > /dev/null &",
        "cat <&0 &",
        "select x in a b; do break; done",
        "exec 3<&0",
        "exec 7</dev/null",
        "exec 8>/dev/null",
        "(for k in $(seq 1500); do sleep 0.01; cat; done) <&0 &",
        "exec < /dev/null",
        "set -xv",
        "head -c 1000000 /dev/zero | tr '\\0' m",
        "head -c 1000000 /dev/urandom; head -c 1000000 /dev/urandom >&2",
        "(for k in $(seq 1500); do sleep 0.01; printf tick; echo tock >&2; done) &",
        "printf '\\033[2J\\033]0;title\\007\\377'",
    ],
)
def test_login_file_apart(server, opened, runs, here, text):
    """What a login file reads is empty, what it writes is skipped, and all goes on after it."""
    if text in ("zsh", "fish", "tcsh"):
        needs(text)
    login_file(server, text)
    write(runs, "a", "text")
    connection = opened()
    assert hello(connection)["event"] == "hello"
    connection.fetch(str(runs), ["a"], here)
    assert (here / "a").read_text() == "text"


@pytest.mark.parametrize(
    "text",
    ["exec bash", "bash", "sh", "read -p 'Which project? ' project", "cat > /dev/null", "sleep 77"],
)
def test_file_of_the_outer_shell(server, opened, spied, text):
    """A file that sshd's own shell reads may wait for us: that ends, and tells the usual cause."""
    server.shell(f'[ -n "$ONCE" ] || {{ export ONCE=1; {text}; }}')
    connection = opened(silence=2)
    with pytest.raises(
        RemoteError, match=r"nothing came from it in 2 s.*starts another shell, asks"
    ):
        hello(connection)
    connection.close()
    time.sleep(1)
    assert spied() == ""


@pytest.mark.parametrize("shell", ["tcsh -c", "csh -c", "fish -c", "zsh -lc", "ksh -lc", "sh -c"])
def test_shells(opened, runs, here, shell):
    """Each shell starts the agent, and rsync, those that close what they inherit too."""
    needs(shell.split()[0])
    write(runs, "a", "text")
    connection = opened(login=shell)
    assert hello(connection)["event"] == "hello"
    connection.fetch(str(runs), ["a"], here)
    assert files(here) == ["a"]


def test_no_end_of_noise(server, opened):
    """A login file that never stops writing is told, and does not fill the memory."""
    login_file(server, "yes welcome")
    with pytest.raises(RemoteError, match=r"16 MiB of other text, after '.*welcome'"):
        hello(opened())


def test_no_end_of_errors(server, opened):
    """The same on the other stream."""
    login_file(server, "yes warning >&2")
    with pytest.raises(RemoteError, match=r"16 MiB of other text, after '.*warning'"):
        hello(opened())


def test_last_words_are_safe(server, opened):
    """What was written last is told in one line, without what a terminal would obey."""
    login_file(server, "printf 'Which\\033[31m \\377one\\007?\\nnext'; exec bash")
    with pytest.raises(RemoteError, match="python3 did not start") as raised:
        hello(opened())
    assert r"after 'Which \xffone\x07? / next'" in str(raised.value).replace("\\\\", "\\")
    assert str(raised.value).isprintable()


def test_slow_start(server, opened, monkeypatch):
    """A start that takes long is told meanwhile."""
    monkeypatch.setattr("pytest_remex.transport.greeting._PATIENCE", 0.5)
    login_file(server, "sleep 2")
    told = []
    assert hello(opened(tell=told.append))["event"] == "hello"
    assert len(told) == 1
    assert "python3 has not started on cluster yet" in told[0]


def test_login_file_changes_before_rsync(server, opened, spied, runs, here):
    """A login file that starts another shell only once the agent runs is told by the fetch."""
    write(runs, "a")
    connection = opened()
    hello(connection)
    login_file(server, "exec bash")
    with pytest.raises(RemoteError, match=r"python3 did not start on cluster.*login file there"):
        connection.fetch(str(runs), ["a"], here)
    assert spied() == ""
    assert files(here) == []


def test_reader_beside_the_agent(server, opened, spied):
    """What another program reads beside the agent is missed, and no part of it is acted on."""
    server.shell("cat <&0 > /dev/null &\nsleep 0.2")
    told = r"did not arrive whole|nothing came from cluster for 2 s"
    for _ in range(3):
        with pytest.raises(RemoteError, match=told):
            list(opened(silence=2).ask("hello", filling="x" * 1_000_000))
    assert spied() == ""


def test_death_beside_a_job(server, opened):
    """An agent that ends is told, though a job of a login file holds its streams open."""
    login_file(server, "sleep 20 &")
    login = f"bash -lc '(echo $BASHPID > {server.home}/pid; eval \"$0\"); exit 9'"
    connection = opened(login=login)
    hello(connection)
    os.kill(int((server.home / "pid").read_text()), 9)
    started = time.monotonic()
    with pytest.raises(RemoteError, match=r"agent on cluster ended"):
        hello(connection)
    assert time.monotonic() - started < 15
