"""Under the limits of a login file the agent needs little, and names the limit that it reached."""

import resource
import subprocess
import sys

import pytest
from support.agents import Agent

from pytest_remex.agent import limits
from pytest_remex.common.parts import RunJob
from pytest_remex.common.protocol import SLURM, Query

THREADS = """
import resource, threading
from pytest_remex.agent import limits
resource.setrlimit(resource.RLIMIT_AS, (400_000 << 10, 400_000 << 10))
limits.need_little_memory()
stop = threading.Event()
def work():
    data = [bytes(2000) for _ in range(500)]
    stop.wait()
threads = [threading.Thread(target=work, daemon=True) for _ in range(30)]
for thread in threads:
    thread.start()
print(len(threads))
stop.set()
"""
LACKING = """
import resource, sys
from pytest_remex.agent import process
number, value, words = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
resource.setrlimit(number, (value, value))
print(process.run(words, timeout=60).message())
"""
WRITING = """
import resource
from pytest_remex.agent.errors import disk_error
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
try:
    with open("large", "wb") as file:
        file.write(bytes(9000))
except OSError as error:
    print(disk_error(error, "runs"))
"""


def run(program, folder, *arguments):
    """Return the lines that a Python program prints."""
    words = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(
        words, check=True, capture_output=True, text=True, cwd=folder, timeout=120
    )
    return done.stdout.splitlines()


def test_threads_reserve_few_addresses(tmp_path):
    """Thirty threads fit into 400 MB of addresses, of which each would reserve 72 MB."""
    assert run(THREADS, tmp_path) == ["30"]


def test_an_agent_works_under_a_limit_on_addresses(tmp_path):
    """A login file's `ulimit -v 400000` leaves enough for a query, whose programs run at once."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nulimit -v 400000\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    agent = Agent(python=str(python))
    events = agent.ask(Query(str(tmp_path), SLURM, [RunJob("r", "1")]))
    agent.close()
    assert [event.directory for event in events] == ["r"]


@pytest.mark.parametrize(
    ("number", "value", "words", "message"),
    [
        (
            resource.RLIMIT_FSIZE,
            8192,
            ["dd", "if=/dev/zero", "of=large", "bs=9000", "count=1", "status=none"],
            "died of signal 25 (`ulimit -f` is 8 kB)",
        ),
        (
            resource.RLIMIT_FSIZE,
            8192,
            ["sh", "-c", "echo unpack-objects died of signal 25 >&2; exit 1"],
            "unpack-objects died of signal 25 (`ulimit -f` is 8 kB)",
        ),
        (
            resource.RLIMIT_NOFILE,
            4,
            ["true"],
            "true was not started: Too many open files (`ulimit -n` is 4 open files)",
        ),
        (
            resource.RLIMIT_CPU,
            50,
            ["sh", "-c", "kill -XCPU $$"],
            "died of signal 24 (`ulimit -t` is 50 s)",
        ),
    ],
)
def test_a_program_that_a_limit_stopped(tmp_path, number, value, words, message):
    """The message of a program has the limit, also if git passes on how its program ended."""
    assert run(LACKING, tmp_path, number, value, *words) == [message]


def test_a_file_that_may_not_be_that_large(tmp_path):
    """A file that `ulimit -f` keeps from being written is an error with the limit and the fix."""
    (message,) = run(WRITING, tmp_path)
    assert message.startswith(
        "cannot write to runs: [Errno 27] File too large (`ulimit -f` is 8 kB)"
    )
    assert "raise it in the login files there" in message


def test_what_is_no_limit_has_none():
    """Other errors and messages stay as they are."""
    assert limits.shortage(RuntimeError("another")) is None
    assert limits.shortage(FileNotFoundError(2, "No such file or directory")) is None
    assert limits.with_limits("fatal: bad object") == "fatal: bad object"
    assert limits.ended(3) == "exit code 3"


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't start new thread")])
def test_a_shortage_names_the_fix(error):
    """A thread that cannot start, or memory that is refused, is an error that says what to do."""
    assert "raise it in the login files there" in limits.shortage(error)
