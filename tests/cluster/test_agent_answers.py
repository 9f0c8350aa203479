"""The agent believes an id of sbatch only with its exit status, and checks it against Slurm."""

import pytest
from support import shims as faults
from support.agent_launch import held
from support.rejections import LIMIT, PERMANENT

from pytest_remex.common.protocol import Held, NotReleased, Rejected, Released

REJECTED = faults.rejects(PERMANENT[2])
NO_JOB = 3_999_999


@pytest.fixture
def foreign(launch, tmp_path):
    """Return a held job of the same user that belongs to no run."""
    (tmp_path / "x.sh").write_text("#!/bin/sh\n")
    job = launch.cluster.run("sbatch", "--parsable", "--hold", "x.sh", cwd=tmp_path).strip()
    yield job
    launch.cluster.run("scancel", job)


def settled(events):
    """Return the job of one submission that was reported last."""
    assert isinstance(events[-1], Held), events
    return events[-1].job


def still_held(launch, job):
    """Whether a job waits for its user."""
    return next(one for one in launch.cluster.jobs() if one.id == job).held


@pytest.mark.parametrize("number", [1, NO_JOB, "7;east", "Submitted batch job 8"])
@pytest.mark.parametrize("then", [faults.TIMES_OUT, "kill -9 $$", "exit 3", faults.HANGS])
def test_a_number_before_a_failure_is_no_job(launch, number, then):
    """If sbatch printed text and then failed, died or hung without a job, it is tried again."""
    launch.shims.put(faults.says(number, then), times=1)
    job = held(launch.submit(launch.add("r")))
    assert [found.id for found in launch.jobs("r")] == [job] == [launch.noted("r")]
    assert len(launch.shims.calls()) == 2


def test_a_foreign_job_before_a_failure_is_left_alone(launch, foreign):
    """A number that Slurm knows in another folder is not adopted, released or cancelled."""
    launch.shims.put(faults.says(foreign, faults.TIMES_OUT), times=1)
    job = held(launch.submit(launch.add("r")))
    assert job != foreign
    launch.release(job)
    assert still_held(launch, foreign)


@pytest.mark.parametrize(
    "fault",
    [
        faults.CHATTERS,
        faults.ACCEPTS_THEN_TIMES_OUT,
        faults.ACCEPTS_THEN_HANGS,
        faults.ANSWERS_THEN_FAILS,
        faults.ANSWERS_THEN_HANGS,
        faults.says(5, faults.ACCEPTS_THEN_TIMES_OUT),
        f'"$REAL" "$@" >/dev/null; echo "sbatch: error: {PERMANENT[2]}"; kill -9 $$',
        f'"$REAL" "$@" >/dev/null; echo "sbatch: error: {PERMANENT[2]}"; exit 137',
        faults.says(5, '"$REAL" "$@"; exit 1'),
    ],
)
def test_an_accepted_job_is_adopted(launch, fault):
    """A job that Slurm accepted is found by its folder, without a second sbatch."""
    launch.shims.put(fault)
    job = held(launch.submit(launch.add("r")))
    assert [found.id for found in launch.jobs("r")] == [job]
    assert len(launch.shims.calls()) == 1


@pytest.mark.parametrize("code", ["exit 1", "exit 0"])
def test_a_refusal_with_a_number_is_a_refusal(launch, code):
    """A number before a definite refusal costs one query, not another attempt."""
    launch.shims.put(faults.says(1, REJECTED.replace("exit 1", code)))
    submission = launch.add("r")
    for _ in range(2):
        (event,) = launch.submit(submission, patience=1)
        assert isinstance(event, Rejected)
        assert PERMANENT[2] in event.message
    assert len(launch.shims.calls()) == 1


def test_a_limit_with_a_number_is_tried_again(launch):
    """A number before a submit limit leaves doubt, and the run goes through afterwards."""
    launch.shims.put(faults.says(1, faults.rejects(LIMIT[0])), times=1)
    job = held(launch.submit(launch.add("r")))
    assert [found.id for found in launch.jobs("r")] == [job]


@pytest.mark.parametrize("known", [True, False])
def test_a_number_that_a_wrapper_made_up_is_found_out(launch, foreign, known):
    """If sbatch exits with 0 and a wrong number, the run still gets its own job."""
    launch.shims.put(faults.says(foreign if known else NO_JOB, "exit 0"), times=1)
    submissions = [launch.add("r"), launch.add("s")]
    numbers = {event.key: event.job for event in launch.submit(*submissions)}
    for name in "rs":
        assert [found.id for found in launch.jobs(name)] == [numbers[name]] == [launch.noted(name)]
    assert foreign not in numbers.values()
    launch.release(*numbers.values())
    assert still_held(launch, foreign)


def test_a_wrapper_that_never_submits_is_told(launch):
    """A wrapper that makes numbers up each time leaves the run refused, with its words."""
    launch.shims.put(faults.says(NO_JOB, "exit 0"))
    events = launch.submit(launch.add("r"), patience=0.5)
    assert isinstance(events[-1], Rejected)
    assert str(NO_JOB) in events[-1].message
    assert len(launch.shims.calls()) == 3


def test_a_job_hidden_behind_another_number_is_found(launch):
    """If the only line like an id is another number, the folder's job is adopted."""
    launch.shims.put(faults.MISLEADS)
    job = settled(launch.submit(launch.add("r")))
    assert [found.id for found in launch.jobs("r")] == [job]
    assert len(launch.shims.calls()) == 1


def test_the_number_of_an_earlier_submission_is_no_new_job(launch):
    """A wrapper that repeats an earlier id of the same run does not make it the new job."""
    submission = launch.add("r")
    first = held(launch.submit(submission))
    launch.shims.put(faults.says(first, "exit 0"), times=1)
    second = settled(launch.submit(submission._replace(job_number=2)))
    assert sorted(found.id for found in launch.jobs("r")) == sorted([first, second])
    assert first != second


def test_a_listing_from_a_cache_is_no_disproof(launch):
    """A squeue that does not list the new jobs yet makes no doubt: the controller is asked."""
    launch.shims.put()
    launch.shims.put("exit 0", "squeue")
    job = held(launch.submit(launch.add("r")))
    assert [found.id for found in launch.jobs("r")] == [job]
    assert len(launch.shims.calls()) == 1


def test_good_answers_cost_one_listing(launch):
    """Jobs whose answers are in order are checked by one squeue for all of them."""
    launch.shims.put("", "squeue")
    launch.shims.put("", "scontrol")
    events = launch.submit(*[launch.add(f"r{number}") for number in range(9)])
    assert set(map(type, events)) == {Held}
    assert len(launch.shims.calls("squeue")) == 1
    assert launch.shims.calls("scontrol") == []


@pytest.mark.parametrize("code", [0, 1])
def test_an_array_that_nobody_asked_for_is_refused(launch, code):
    """If sbatch made several jobs for one run, they are cancelled while held, with a message."""
    launch.shims.put(f'"$REAL" "$1" "$2" "$3" "$4" --array=0-2 run.sbatch; exit {code}')
    submission = launch.add("r")
    launch.submit(submission)
    (event,) = launch.submit(submission)
    assert isinstance(event, Rejected)
    assert "an array of 3 tasks instead of one job" in event.message
    assert {found.state for found in launch.jobs("r")} == {"CANCELLED"}
    assert len(launch.shims.calls()) == 1


def test_a_site_that_changes_the_folder_is_told(launch, tmp_path):
    """A job in a folder that the site chose is cancelled, not tried again; no other job is."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "run.sbatch").write_text("#!/bin/sh\n")
    by_hand = ["--parsable", "--hold", "--comment=remex:other", "run.sbatch"]
    foreign = launch.cluster.run("sbatch", *by_hand, cwd=tmp_path / "elsewhere").strip()
    launch.shims.put(f'exec "$REAL" "$1" "$2" "--chdir={tmp_path}/elsewhere" "$4" run.sbatch')
    events = launch.submit(launch.add("r"), patience=1)
    assert isinstance(events[-1], Rejected)
    assert f"in {tmp_path}/elsewhere instead of {launch.runs}/r (cancelled)" in events[-1].message
    assert len(launch.shims.calls()) == 1
    there = [job for job in launch.cluster.jobs() if job.work_dir == tmp_path / "elsewhere"]
    assert sorted(job.state for job in there if job.id != foreign) == ["CANCELLED"]
    assert still_held(launch, foreign)
    launch.cluster.run("scancel", foreign)


def test_release_does_not_count_what_runs_elsewhere(launch, tmp_path):
    """A running job of another folder is not reported as released."""
    (tmp_path / "x.sh").write_text("#!/bin/sh\nsleep 20\n")
    other = launch.cluster.run("sbatch", "--parsable", "x.sh", cwd=tmp_path).strip()
    released, refused = launch.release(other)
    assert released == Released([])
    assert isinstance(refused, NotReleased)
    assert (refused.job, refused.lost) == (other, True)
    launch.cluster.run("scancel", other)
