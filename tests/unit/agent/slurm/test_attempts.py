"""The notes of attempts to submit: each is a lock, and names its author."""

import os
import subprocess
import sys

from pytest_remex.agent.slurm import attempts
from pytest_remex.agent.slurm.sbatch import DOUBT, HELD

WITHOUT_ROOM = """
import resource, sys
from pytest_remex.agent.slurm import attempts
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    attempts.begin(sys.argv[1], 1, 1)
except OSError as error:
    print(error.strerror)
"""


def test_only_one_agent_gets_a_note(tmp_path):
    """The second agent that begins an attempt gets nothing, and the first one's note stays."""
    note = attempts.begin(str(tmp_path), 1, 1)
    assert attempts.begin(str(tmp_path), 1, 1) is None
    os.write(note, b"123\n")
    attempts.end(note, 0)
    (made,) = attempts.read(str(tmp_path), 1)
    assert (made.result.job, made.elsewhere, made.author.pid) == ("123", False, os.getpid())


def test_there_is_no_note_without_its_author(tmp_path):
    """An agent that ends before its note is written, as on a full disk, leaves none behind."""
    command = [sys.executable, "-c", WITHOUT_ROOM, str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "File too large\n"
    assert list(tmp_path.iterdir()) == []
    assert attempts.begin(str(tmp_path), 1, 1) is not None


def test_a_note_with_megabytes(tmp_path):
    """If sbatch writes too much to be read, its first and last lines count."""
    for number, beginning in enumerate([b"7\n", b""], 1):
        note = attempts.begin(str(tmp_path), 1, number)
        os.write(note, beginning)
        os.write(note, b"x is said\n" * 300_000)
        attempts.end(note, 0)
    first, second = attempts.read(str(tmp_path), 1)
    assert (first.result.kind, first.result.job) == (HELD, "7")
    assert (second.result.kind, second.ended) == (DOUBT, True)
    assert first.author.host
