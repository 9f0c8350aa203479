"""What sbatch printed means a job, a refusal, a limit, or doubt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.rejections import DOUBTFUL, LIMIT, PERMANENT

from pytest_remex.agent.sbatch_result import HELD, REJECTED, SbatchResult, judge


@pytest.mark.parametrize(
    ("said", "job"),
    [("123\n", "123"), ("123;east\n", "123;east"), ("Submitted batch job 9\n", "9"),
     ("Submitted batch job 9 on cluster east\n", "9;east"),
     ("you have 500 core-hours left, 20 jobs\n77\nThank you. 8\n", "77"),
     ('sbatch: warning: x\n77\n\n{"exit": 0}\n', "77")],
)  # fmt: skip
def test_an_id_is_found_among_chatter(said, job):
    """If sbatch succeeded, the only line that is an id is the job's id."""
    assert judge(said, 0) == SbatchResult(HELD, job=job)


@pytest.mark.parametrize("code", [None, 1, 3, 255, -9])
@pytest.mark.parametrize(
    "said", ["123\n", "123;east\n", "Submitted batch job 9\n", "1\nsbatch: error: " + PERMANENT[0]]
)
def test_an_id_counts_only_with_a_good_end(said, code):
    """A number from an sbatch that failed, or whose exit code is unknown, is in doubt."""
    assert judge(said, code).kind == "doubt"


@pytest.mark.parametrize("words", [*PERMANENT[:3], *LIMIT, *DOUBTFUL])
@pytest.mark.parametrize("number", ["", "5\n"])
def test_a_good_end_with_words_of_failure_is_doubt(number, words):
    """With a wrapper that loses the exit status, a number is neither a job nor a refusal."""
    assert judge(f"{number}sbatch: error: {words}\n", 0).kind == "doubt"


@pytest.mark.parametrize("code", [0, 1, None])
@pytest.mark.parametrize("said", ["", "12\n34\n", "welcome12", "Killed\n", "0\n", *DOUBTFUL])
def test_what_is_no_answer_is_doubt(said, code):
    """No id, two ids, or words that are in no list of refusals leave doubt."""
    words = "sbatch: error: " + said if said in DOUBTFUL else said
    assert judge(words, code).kind == "doubt"


@given(st.text(), st.integers(1, 255) | st.integers(-31, -1) | st.none())
def test_no_words_make_a_job_of_a_failure(said, code):
    """Whatever a failed sbatch prints, its job is not believed."""
    assert judge(said, code).kind != "held"


@pytest.mark.parametrize("said", PERMANENT)
def test_refusals(said):
    """Definite refusals are reported in Slurm's words if sbatch is known to have failed."""
    assert judge(said, 1) == SbatchResult(REJECTED, words=said)
    for killed in (None, -9, -15, 137, 143):
        assert judge(said, killed).kind == "doubt"


@pytest.mark.parametrize("said", LIMIT)
def test_limits(said):
    """Submit limits are refusals for now."""
    assert judge(said, 1).kind == "limit"


def test_a_full_controller_is_explained():
    """Slurm's words for it name no limit: the one that it may be is named below them."""
    said = (
        "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\n"
        "sbatch: error: Batch job submission failed: Resource temporarily unavailable"
    )
    assert judge(said, 1).words.startswith(f"{said}\nall users together may have as many jobs")


def test_a_limit_on_size_is_not_a_submit_limit():
    """Slurm uses the same last line for limits that waiting does not lift."""
    said = (
        "sbatch: error: QOSMaxWallDurationPerJobLimit\n"
        "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy"
        " (job submit limit, user's size and/or time limits)\n"
    )
    assert judge(said, 1).kind == "rejected"
