"""The notes of attempts to submit: each is a lock, names its author, and has sbatch's output.

That output means a job, a refusal, a limit, or doubt.
"""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.rejections import DOUBTFUL, LIMIT, PERMANENT

from pytest_remex.agent import attempts
from pytest_remex.agent.attempts import DOUBT, HELD, REJECTED, Attempts

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


@pytest.mark.parametrize(
    ("said", "job"),
    [("123\n", "123"), ("123;east\n", "123;east"), ("Submitted batch job 9\n", "9"),
     ("Submitted batch job 9 on cluster east\n", "9;east"),
     ("you have 500 core-hours left, 20 jobs\n77\nThank you. 8\n", "77"),
     ('sbatch: warning: x\n77\n\n{"exit": 0}\n', "77")],
)  # fmt: skip
def test_an_id_is_found_among_chatter(said, job):
    """If sbatch succeeded, the only line that is an id is the job's id."""
    assert attempts.judge(said, 0) == attempts.SbatchResult(HELD, job=job)


@pytest.mark.parametrize("code", [None, 1, 3, 255, -9])
@pytest.mark.parametrize(
    "said", ["123\n", "123;east\n", "Submitted batch job 9\n", "1\nsbatch: error: " + PERMANENT[0]]
)
def test_an_id_counts_only_with_a_good_end(said, code):
    """A number from an sbatch that failed, or whose exit code is unknown, is in doubt."""
    assert attempts.judge(said, code).kind == "doubt"


@pytest.mark.parametrize("words", [*PERMANENT[:3], *LIMIT, *DOUBTFUL])
@pytest.mark.parametrize("number", ["", "5\n"])
def test_a_good_end_with_words_of_failure_is_doubt(number, words):
    """With a wrapper that loses the exit status, a number is neither a job nor a refusal."""
    assert attempts.judge(f"{number}sbatch: error: {words}\n", 0).kind == "doubt"


@pytest.mark.parametrize("code", [0, 1, None])
@pytest.mark.parametrize("said", ["", "12\n34\n", "welcome12", "Killed\n", "0\n", *DOUBTFUL])
def test_what_is_no_answer_is_doubt(said, code):
    """No id, two ids, or words that are in no list of refusals leave doubt."""
    words = "sbatch: error: " + said if said in DOUBTFUL else said
    assert attempts.judge(words, code).kind == "doubt"


@given(st.text(), st.integers(1, 255) | st.integers(-31, -1) | st.none())
def test_no_words_make_a_job_of_a_failure(said, code):
    """Whatever a failed sbatch prints, its job is not believed."""
    assert attempts.judge(said, code).kind != "held"


@pytest.mark.parametrize("said", PERMANENT)
def test_refusals(said):
    """Definite refusals are reported in Slurm's words if sbatch is known to have failed."""
    assert attempts.judge(said, 1) == attempts.SbatchResult(REJECTED, words=said)
    assert attempts.judge(said, None).kind == "doubt"


@pytest.mark.parametrize("said", LIMIT)
def test_limits(said):
    """Submit limits are refusals for now."""
    assert attempts.judge(said, 1).kind == "limit"


def test_a_limit_on_size_is_not_a_submit_limit():
    """Slurm uses the same last line for limits that waiting does not lift."""
    said = (
        "sbatch: error: QOSMaxWallDurationPerJobLimit\n"
        "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy"
        " (job submit limit, user's size and/or time limits)\n"
    )
    assert attempts.judge(said, 1).kind == "rejected"
