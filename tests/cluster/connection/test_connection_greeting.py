"""Login files that start other shells, ask, or read: nothing that is sent is run or read there."""

import os
import shutil
import time

import pytest
from asking import files, large_request, look, write

from pytest_remex.errors import RemoteError

COMMANDS = "scancel scontrol sbatch squeue sacct kill rm git rsync remex_agent import"


@pytest.fixture
def spied(server, tmp_path):
    """Yield a function that returns which commands of those in the agent's text were run."""
    log = tmp_path / "spied"
    folder = tmp_path / "spies"
    folder.mkdir()
    for name in COMMANDS.split():
        (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {log}\n')
        (folder / name).chmod(0o755)
    server.variables["PATH"] = f"{folder}:{os.environ['PATH']}"
    with server.with_options():
        yield lambda: log.read_text() if log.exists() else ""
    del server.variables["PATH"]
    with server.with_options():
        pass


def login_file(server, text, name=".bash_profile"):
    """Append to a login file."""
    path = server.home / name
    before = path.read_text() if path.exists() else ""
    path.write_text(f"{before}\n{text}\n")


def needs(shell):
    """Skip the test if a shell is not on this machine."""
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not on this machine")


@pytest.mark.parametrize("shell", ["bash", "sh", "dash", "zsh", "ksh", "fish", "tcsh", "csh"])
def test_another_shell(server, opened, spied, shell):
    """A shell in the place of the login shell is reported at once, and runs nothing."""
    needs(shell)
    login_file(server, f"exec {shell}")
    started = time.monotonic()
    message = r"python3 did not start on cluster.*login file there .*remex_shell"
    with pytest.raises(RemoteError, match=message):
        look(opened(idle_timeout=20))
    assert time.monotonic() - started < 10
    assert spied() == ""


@pytest.mark.parametrize(
    ("shell", "command"),
    [("zsh", "zsh -l"), ("fish", "fish -l"), ("tcsh", "tcsh -l"), ("bash", "bash -c false")],
)
def test_a_shell_that_is_started_once(server, opened, runs, here, shell, command):
    """A login file that starts another shell unless SHELL names it does no harm.

    The other shell's exit code is that of the last command in its own login files.
    """
    needs(shell)
    program = shutil.which(shell)
    login_file(server, f"[ $SHELL = {program} ] || {{ export SHELL={program}; exec {command}; }}")
    write(runs, "a", "text")
    notes = []
    connection = opened(notify=notes.append)
    look(connection)
    connection.fetch(str(runs), ["a"], here)
    assert (here / "a").read_text() == "text"
    assert [f"start {shell}: they were run with SHELL" in note for note in notes] == [True]


@pytest.mark.parametrize(
    ("text", "login"),
    [
        ("[[ $- == *i* ]] && exec zsh", "bash -lc"),
        ("[ -t 0 ] && read -p 'Which project? ' project", "bash -lc"),
        ("exec zsh", "zsh -lc"),
    ],
)
def test_what_the_message_says_to_do(server, opened, text, login):
    """The fix in the message works."""
    needs(login.split()[0])
    login_file(server, text)
    look(opened(login_shell=login))


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
    """A login file gets no input, its output is skipped, and the program runs after it."""
    if text in ("zsh", "fish", "tcsh"):
        needs(text)
    login_file(server, text)
    write(runs, "a", "text")
    connection = opened()
    look(connection)
    connection.fetch(str(runs), ["a"], here)
    assert (here / "a").read_text() == "text"


@pytest.mark.parametrize(
    "text",
    ["exec bash", "bash", "sh", "read -p 'Which project? ' project", "cat > /dev/null", "sleep 77"],
)
def test_file_of_the_outer_shell(server, opened, spied, text):
    """A file that sshd's own shell reads and that waits for input is reported after a timeout."""
    server.shell(f'[ -n "$ONCE" ] || {{ export ONCE=1; {text}; }}')
    connection = opened(idle_timeout=2)
    with pytest.raises(RemoteError, match=r"it sent nothing for 2 s.*starts another shell, asks"):
        look(connection)
    connection.close()
    time.sleep(1)
    assert spied() == ""


@pytest.mark.transports("fabric", "openssh")
@pytest.mark.parametrize("shell", ["tcsh -c", "csh -c", "fish -c", "zsh -lc", "ksh -lc", "sh -c"])
def test_shells(opened, runs, here, shell):
    """Each shell starts the agent and rsync, also those that close inherited streams."""
    needs(shell.split()[0])
    write(runs, "a", "text")
    connection = opened(login_shell=shell)
    look(connection)
    connection.fetch(str(runs), ["a"], here)
    assert files(here) == ["a"]


def test_no_end_of_noise(server, opened):
    """A login file that never stops writing is reported, and does not fill the memory."""
    login_file(server, "yes welcome")
    with pytest.raises(RemoteError, match=r"16 MiB of other text, after '.*welcome'"):
        look(opened())


def test_no_end_of_errors(server, opened):
    """A login file that never stops writing to stderr is reported too."""
    login_file(server, "yes warning >&2")
    with pytest.raises(RemoteError, match=r"16 MiB of other text, after '.*warning'"):
        look(opened())


def test_last_words_are_safe(server, opened):
    """The last output is shown in one line, without control characters."""
    login_file(server, "printf 'Which\\033[31m \\377one\\007?\\nnext'; exec bash")
    with pytest.raises(RemoteError, match="python3 did not start") as raised:
        look(opened())
    assert r"after 'Which \xffone\x07? / next'" in str(raised.value).replace("\\\\", "\\")
    assert str(raised.value).isprintable()


def test_slow_start(server, opened, monkeypatch):
    """The user is notified of a start that takes long."""
    monkeypatch.setattr("pytest_remex.transport.login_shell._SLOW", 0.5)
    login_file(server, "sleep 2")
    notices = []
    look(opened(notify=notices.append))
    assert len(notices) == 1
    assert "python3 has not started on cluster yet" in notices[0]


def test_login_file_that_is_too_slow(server, opened):
    """A start that took too long is not tried again: the next request repeats what was wrong."""
    started = server.home / "started"
    login_file(server, f"echo >> {started}; sleep 4")
    connection = opened(idle_timeout=1)
    for _ in range(2):
        with pytest.raises(RemoteError, match=r"it sent nothing for 1 s.*or is slow"):
            look(connection)
    connection.close()
    assert started.read_text() == "\n"


def test_login_file_changes_before_rsync(server, opened, spied, runs, here):
    """A login file that starts another shell only once the agent runs is reported by the fetch."""
    write(runs, "a")
    connection = opened()
    look(connection)
    login_file(server, "exec bash")
    with pytest.raises(RemoteError, match=r"python3 did not start on cluster.*login file there"):
        connection.fetch(str(runs), ["a"], here)
    assert spied() == ""
    assert files(here) == []


def test_reader_beside_the_agent(server, opened, spied, runs):
    """Input that another program takes from the agent is noticed, and no part of it is acted on."""
    server.shell("cat <&0 > /dev/null &\nsleep 0.2")
    message = r"did not arrive complete|arrived incomplete|cluster sent nothing for 2 s"
    for _ in range(3):
        with pytest.raises(RemoteError, match=message):
            list(opened(idle_timeout=2).ask(large_request(runs, 1_000_000)))
    assert spied() == ""


@pytest.mark.transports("fabric", "openssh")
def test_death_beside_a_job(server, opened):
    """The end of an agent is noticed, though a login file's job holds its streams open."""
    login_file(server, "sleep 20 &")
    login = f"bash -lc '(echo $BASHPID > {server.home}/pid; eval \"$0\"); exit 9'"
    connection = opened(login_shell=login)
    look(connection)
    os.kill(int((server.home / "pid").read_text()), 9)
    started = time.monotonic()
    with pytest.raises(RemoteError, match=r"agent on cluster ended"):
        look(connection)
    assert time.monotonic() - started < 15


@pytest.mark.transports("fabric", "openssh")
@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("/usr/sbin/nologin", "This account is currently not available"),
        ("internal-sftp", "This service allows sftp connections only"),
        ("echo no shell for you; exit 1", "no shell for you"),
    ],
)
def test_an_account_without_a_shell(server, opened, command, words):
    """The answer of a restricted account is shown; an account that runs commands works."""
    with server.with_options(ForceCommand=command), pytest.raises(RemoteError, match=words):
        look(opened())
    with server.with_options(ForceCommand='rbash -c "$SSH_ORIGINAL_COMMAND"'):
        assert look(opened()).user == server.user
