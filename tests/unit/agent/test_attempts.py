"""The notes of attempts to submit: each is a lock, names its author, and has sbatch's output."""

import os
import subprocess
import sys

from pytest_remex.agent import attempts
from pytest_remex.agent.attempts import Attempts
from pytest_remex.agent.sbatch_result import DOUBT, HELD

WITHOUT_ROOM = """
import resource, sys
from pytest_remex.agent.attempts import Attempts
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    Attempts(sys.argv[1], 1).begin(1)
except OSError as error:
    print(error.strerror)
"""


def test_only_one_agent_gets_a_note(tmp_path):
    """The second agent that begins an attempt gets nothing, and the first one's note stays."""
    note = Attempts(str(tmp_path), 1).begin(1)
    assert Attempts(str(tmp_path), 1).begin(1) is None
    os.write(note, b"123\n")
    attempts.end(note, 0)
    (made,) = Attempts(str(tmp_path), 1).read()
    assert (made.result.job, made.elsewhere, made.author.pid) == ("123", False, os.getpid())


def test_the_job_that_was_settled_on_stays(tmp_path):
    """If a second attempt made a job, it counts, whatever the first one turns out to have made."""
    notes = str(tmp_path)
    first, second = Attempts(notes, 1).begin(1), Attempts(notes, 1).begin(2)
    os.write(second, b"8\n")
    attempts.end(second, 0)
    assert Attempts(notes, 1).settled(Attempts(notes, 1).read()) == "8"
    os.write(first, b"7\n")
    attempts.end(first, 0)
    assert Attempts(notes, 1).settled(Attempts(notes, 1).read()) == "8"


def test_the_attempts_of_each_submission(tmp_path):
    """Notes tell a folder's submissions apart, and have their attempts in order."""
    notes = str(tmp_path)
    for number in (*range(11, 0, -1), 12):
        os.close(Attempts(notes, 2).begin(number))
    for job_number in (10, 9):
        os.close(Attempts(notes, job_number).begin(1))
    assert [each.job_number for each in attempts.attempts_in(notes)] == [2, 9, 10]
    assert [each.number for each in Attempts(notes, 2).read()] == [*range(1, 13)]
    assert [each.number for each in Attempts(notes, 10).read()] == [1]


def test_an_orphan(tmp_path):
    """Beside the job that was settled on, a job of our comment or of a doubtful attempt is one."""
    notes, first = str(tmp_path), Attempts(str(tmp_path), 1).begin(1)
    os.write(first, b"7\n")
    assert not attempts.is_orphan(notes, "9", is_marked=True)
    attempts.end(first, 0)
    assert attempts.is_orphan(notes, "9", is_marked=True)
    assert not attempts.is_orphan(notes, "7", is_marked=True)
    assert not attempts.is_orphan(notes, "9", is_marked=False)
    attempts.end(Attempts(notes, 1).begin(2), 0)
    assert attempts.is_orphan(notes, "9", is_marked=False)


def test_an_agent_that_is_watched(tmp_path):
    """An attempt is watched while its agent lives, not by an equal process on another host."""
    os.close(Attempts(str(tmp_path), 1).begin(1))
    (here,) = Attempts(str(tmp_path), 1).read()
    assert here.watched
    there = here._replace(author=here.author._replace(host="another"))
    assert not there.watched
    gone = here._replace(author=here.author._replace(birth="0"))
    assert not gone.watched


def test_there_is_no_note_without_its_author(tmp_path):
    """An agent that ends before its note is written, as on a full disk, leaves none behind."""
    command = [sys.executable, "-c", WITHOUT_ROOM, str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "File too large\n"
    assert list(tmp_path.iterdir()) == []
    assert Attempts(str(tmp_path), 1).begin(1) is not None


def test_a_note_with_megabytes(tmp_path):
    """If sbatch writes too much to be read, its first and last lines count."""
    for number, beginning in enumerate([b"7\n", b""], 1):
        note = Attempts(str(tmp_path), 1).begin(number)
        os.write(note, beginning)
        os.write(note, b"x is said\n" * 300_000)
        attempts.end(note, 0)
    first, second = Attempts(str(tmp_path), 1).read()
    assert (first.result.kind, first.result.job) == (HELD, "7")
    assert (second.result.kind, second.ended) == (DOUBT, True)
    assert first.author.host
