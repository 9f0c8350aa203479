"""The agent submits to a real Slurm exactly once, whatever sbatch, link and agent do."""

import contextlib
import hashlib
import json
import os
import random
import shutil
import threading
import time

import pytest
from support import shims as faults
from support.agent_launch import Launch, held
from support.daemons import wait_until
from support.rejections import LIMIT, PERMANENT
from support.sites import WITH_ACCOUNTING

from pytest_remex.common.framing import encode_request
from pytest_remex.common.jobs import JobState
from pytest_remex.common.parts import Array
from pytest_remex.common.protocol import (
    Held,
    InDoubt,
    NotReleased,
    OrphansCancelled,
    Rejected,
    Released,
)


@pytest.fixture
def odd(site, tmp_path):
    """Return a launch in a folder with a hostile name."""
    made = Launch(site, tmp_path / 'odd "name" | $(id);%j' / "runs")
    yield made
    made.close()


def test_a_run_is_held_then_released_and_runs_once(launch):
    """Submit holds a job with its id on disk; release lets it run in its run directory."""
    job = held(launch.submit(launch.add("r")))
    (found,) = launch.jobs("r")
    assert (found.id, found.held, found.comment) == (job, True, "remex:r")
    assert launch.noted("r") == job
    assert launch.release(job) == [Released([job])]
    launch.cluster.wait(job)
    assert (launch.runs / "r" / "ran").read_text() == "ran\n"


def test_submitting_again_finds_the_job(launch):
    """The second submit of a job number makes no sbatch call; another number does."""
    submission = launch.add("r")
    job = held(launch.submit(submission))
    launch.shims.put()
    assert held(launch.submit(submission)) == job
    assert launch.shims.calls() == []
    assert held(launch.submit(submission._replace(job_number=2))) != job


@pytest.mark.parametrize("fault", [faults.TIMES_OUT, faults.HANGS])
def test_a_job_that_left_no_trace_is_tried_again(launch, fault):
    """After two clean listings an attempt that left nothing is followed by another."""
    launch.shims.put(fault, times=1)
    job = held(launch.submit(launch.add("r")))
    assert [found.id for found in launch.jobs("r")] == [job]
    assert len(launch.shims.calls()) == 2


def test_an_attempt_that_never_leaves_a_trace_is_given_up(launch):
    """After three attempts without a trace the submission is refused, with sbatch's words."""
    launch.shims.put(faults.TIMES_OUT)
    (event,) = launch.submit(launch.add("r"), patience=0.5)
    assert isinstance(event, Rejected)
    assert "Socket timed out" in event.message
    assert len(launch.shims.calls()) == 3


def test_a_job_accepted_late_is_waited_for(launch):
    """While the shim's child may still submit, no second attempt is made."""
    launch.shims.put(faults.accepts_late(1.5), times=1)
    job = held(launch.submit(launch.add("r"), patience=5))
    assert [found.id for found in launch.jobs("r")] == [job]


def test_a_job_accepted_after_all_is_an_orphan_and_cancelled(launch):
    """Of two held jobs in one folder one is released; the other is cancelled at the next query."""
    launch.shims.put(faults.TIMES_OUT, times=1)
    submission = launch.add("r")
    job = held(launch.submit(submission, patience=0.5))
    late = launch.cluster.run(
        "sbatch", "--parsable", "--hold", "--comment=remex:r", "run.sbatch", cwd=launch.runs / "r"
    ).strip()
    assert held(launch.submit(submission)) == job
    jobs, events = launch.query(("r", job), cancel_orphans=True)
    assert jobs["r"].state is JobState.HELD
    assert events == [OrphansCancelled([late])]
    states = {found.id: found.state for found in launch.jobs("r")}
    assert states == {job: "PENDING", late: "CANCELLED"}


def test_another_users_of_the_folder_is_not_adopted(launch):
    """A job in the run directory with another comment is not touched."""
    launch.shims.put(faults.TIMES_OUT, times=1)
    submission = launch.add("r")
    other = launch.cluster.run(
        "sbatch", "--parsable", "--hold", "run.sbatch", cwd=launch.runs / "r"
    ).strip()
    job = held(launch.submit(submission, patience=0.5))
    assert job != other
    launch.query(("r", job), cancel_orphans=True)
    assert {found.id: found.held for found in launch.jobs("r")} == {other: True, job: True}


@pytest.mark.parametrize("fault", [faults.KILLS_PARENT, faults.ANSWERS_THEN_KILLS_PARENT])
def test_a_killed_agent_is_followed_by_one_that_finds_the_job(launch, fault):
    """Sbatch kills the agent after Slurm took the job: the next agent finds that very job."""
    launch.shims.put(fault, times=1)
    submission = launch.add("r")
    agent = launch.agent()
    with pytest.raises(pytest.fail.Exception, match="ended without"):
        launch.submit(submission, agent=agent)
    assert agent.process.wait() == -9
    (found,) = launch.jobs("r")
    assert held(launch.submit(submission)) == found.id
    assert len(launch.shims.calls()) == 1


def test_an_agent_killed_between_note_and_sbatch(launch):
    """A note without an sbatch behind it is followed by an attempt, after two clean listings."""
    submission = launch.add("r")
    note = launch.runs / "r" / ".remex" / "submit-1.1"
    note.write_text(json.dumps({"host": os.uname().nodename, "pid": 1, "birth": "no"}) + "\n")
    job = held(launch.submit(submission, patience=0.5))
    assert [found.id for found in launch.jobs("r")] == [job]


def test_an_sbatch_on_another_login_node_is_waited_for(launch):
    """If the attempt was made on another machine, its sbatch gets its full time."""
    submission = launch.add("r")
    note = launch.runs / "r" / ".remex" / "submit-1.1"
    note.write_text(json.dumps({"host": "login2", "pid": 1, "birth": "x"}) + "\n")
    start = time.monotonic()
    held(launch.submit(submission, patience=2))
    assert time.monotonic() - start > 4


def test_a_note_from_the_future_is_not_waited_for(launch):
    """After a clock was set back, an attempt in doubt gets its time from now on, not from then."""
    submission = launch.add("r")
    note = launch.runs / "r" / ".remex" / "submit-1.1"
    note.write_text(json.dumps({"host": "login2", "pid": 1, "birth": "x"}) + "\n")
    os.utime(note, (time.time() + 86400,) * 2)
    held(launch.submit(submission, patience=2))


def test_a_lost_note_is_looked_for_when_the_client_doubts(launch):
    """With `in_doubt`, a job whose note was lost with the machine is found in Slurm first."""
    submission = launch.add("r")
    job = held(launch.submit(submission))
    shutil.rmtree(launch.runs / "r" / ".remex")
    (launch.runs / "r" / ".remex").mkdir()
    assert held(launch.submit(submission._replace(in_doubt=True), patience=0.5)) == job


def test_two_agents_at_once_make_one_job_each(launch):
    """Agents that submit the same submissions at the same time settle on the same jobs."""
    launch.shims.put("sleep 0.3")
    submissions = [launch.add(f"r{number}") for number in range(6)]
    agents = [launch.agent() for _ in range(3)]
    request = launch.request(*submissions, patience=10)
    streams = [agent.events(request) for agent in agents]
    first = [next(stream) for stream in streams]
    answers = [[one, *stream] for one, stream in zip(first, streams, strict=True)]
    found = [
        {event.key: event.job for event in events if isinstance(event, Held)} for events in answers
    ]
    assert found[0] == found[1] == found[2]
    assert len(launch.shims.calls()) == len(found[0]) == 6


def test_a_hung_up_client_leaves_no_half_done_work(launch):
    """When the client goes away, sbatch calls in flight end with ids on disk; none is started."""
    launch.shims.put("sleep 1")
    submissions = [launch.add(f"r{number}") for number in range(8)]
    agent = launch.agent()
    agent.events(launch.request(*submissions))
    wait_until(lambda: len(launch.shims.calls()) == 4)
    agent.close()
    assert len(launch.shims.calls()) == 4
    launch.shims.put()
    events = launch.submit(*submissions)
    assert set(map(type, events)) == {Held}
    assert len(launch.cluster.jobs()) >= 8
    for number in range(8):
        assert len(launch.jobs(f"r{number}")) == 1


def test_an_id_with_a_cluster_is_kept_whole(launch):
    """`id;cluster` stays together in the answer."""
    launch.shims.put(faults.NAMES_CLUSTER)
    job = held(launch.submit(launch.add("r")))
    assert job == f"{launch.jobs('r')[0].id};federation"


@pytest.mark.parametrize("words", PERMANENT)
def test_a_refusal_is_told_in_slurms_words(launch, words):
    """A definite refusal is reported at once, and later without another sbatch."""
    launch.shims.put(faults.rejects(words))
    submission = launch.add("r")
    for _ in range(2):
        (event,) = launch.submit(submission)
        assert isinstance(event, Rejected)
        assert words.splitlines()[-1] in event.message
        assert not event.limit
    assert len(launch.shims.calls()) == 1


@WITH_ACCOUNTING
@pytest.mark.parametrize(
    "options",
    [
        "--gres=gpu:1",
        "--gpus=1",
        "--ntasks-per-gpu=2",
        "--clusters=nowhere",
        "--mem=1 --mem-per-cpu=1",
        "--nodes=2-1",
        "--nodes=abc",
        "--export-file=/nowhere",
        "--profile=nothing",
        "--hint=nothing",
    ],
)
def test_what_sbatch_does_not_send_is_refused_at_once(launch, options):
    """Sbatch itself refuses some options, in other words than the controller's."""
    launch.shims.put(":")
    (event,) = launch.submit(launch.add("r", f"#!/bin/sh\n#SBATCH {options}\ntrue\n"))
    assert isinstance(event, Rejected)
    assert "attempts" not in event.message
    assert len(launch.shims.calls()) == 1


@pytest.mark.parametrize("words", LIMIT)
def test_a_submit_limit_is_tried_against_for_a_while(launch, words):
    """A submission succeeds after the limit is lifted; a lasting limit is reported as such."""
    launch.shims.put(faults.rejects(words), times=1)
    held(launch.submit(launch.add("a")))
    assert len(launch.shims.calls()) == 2
    launch.shims.put(faults.rejects(words))
    events = launch.submit(*[launch.add(f"b{n}") for n in range(9)], limit_patience=0)
    assert set(map(type, events)) == {Rejected}
    assert all(event.limit for event in events)
    assert len(launch.shims.calls()) <= 4


@WITH_ACCOUNTING
def test_a_real_submit_limit(launch):
    """Above MaxSubmitJobs submissions are refused with the limit's name; later they go through."""
    submissions = [launch.add(f"r{number}") for number in range(4)]
    with launch.cluster.submit_limit(2):
        events = launch.submit(*submissions, limit_patience=0)
        assert sorted(type(event).__name__ for event in events) == ["Held"] * 2 + ["Rejected"] * 2
        refused = [event for event in events if isinstance(event, Rejected)]
        assert all("AssocMaxSubmitJobLimit" in event.message for event in refused)
    assert set(map(type, launch.submit(*submissions))) == {Held}


def test_hostile_names_of_folders(odd):
    """Return a runs folder with quotes and blanks in its name is found in every listing."""
    odd.shims.put(faults.ACCEPTS_THEN_TIMES_OUT)
    job = held(odd.submit(odd.add("r")))
    assert odd.release(job) == [Released([job])]
    jobs, _ = odd.query(("r", job))
    assert jobs["r"].source == "squeue"


def test_a_stopped_controller_leaves_doubt(launch):
    """A submission is in doubt while Slurm does not answer, and is settled afterwards."""
    submission = launch.add("r")
    with launch.cluster.controller.stopped():
        (event,) = launch.submit(submission, patience=1)
        assert isinstance(event, InDoubt)
    job = held(launch.submit(submission, patience=1))
    assert [found.id for found in launch.jobs("r")] == [job]


def test_a_frozen_controller_is_waited_for(launch):
    """A controller that freezes for 15 s makes no second job."""
    submission = launch.add("r")
    agent = launch.agent()
    with launch.cluster.controller.frozen():
        stream = agent.events(launch.request(submission, patience=None))
        time.sleep(15)
    events = [event for event in stream if isinstance(event, Held)]
    assert [found.id for found in launch.jobs("r")] == [held(events)]


def test_an_sbatch_that_outlives_its_agent_is_adopted(launch):
    """After its client disconnects, the agent does not wait for an sbatch that hangs."""
    launch.shims.put(faults.ACCEPTS_THEN_HANGS, times=1)
    submission = launch.add("r")
    agent = launch.agent(grace=0.5)
    agent.write(encode_request(1, launch.request(submission, patience=None)))
    (found,) = wait_until(lambda: launch.jobs("r"))
    agent.process.stdin.close()
    assert agent.process.wait(timeout=20) == 0
    assert held(launch.submit(submission)) == found.id
    assert len(launch.shims.calls()) == 1


def test_release_touches_only_what_is_ours_and_held(launch, tmp_path):
    """A job elsewhere stays held, and one that was released before counts as released."""
    job = held(launch.submit(launch.add("r", "#!/bin/sh\nsleep 30\n")))
    (tmp_path / "x.sh").write_text("#!/bin/sh\n")
    other = launch.cluster.run("sbatch", "--parsable", "--hold", "x.sh", cwd=tmp_path).strip()
    launch.release(job)
    released, refused = launch.release(job, other)
    assert released == Released([job])
    assert isinstance(refused, NotReleased)
    assert (refused.job, refused.lost) == (other, True)
    wait_until(lambda: launch.jobs("r")[0].state == "RUNNING")


def test_an_agent_killed_at_any_moment_makes_one_job_each(launch):
    """Ten agents in a row are killed at random moments; the last one finishes, once each."""
    chance = random.Random(7)  # noqa: S311 - the same moments in every run of the test
    submissions = [launch.add(f"r{number}") for number in range(40)]
    for _ in range(10):
        agent = launch.agent()
        timer = threading.Timer(chance.uniform(0.1, 0.5), agent.process.kill)
        timer.start()
        with contextlib.suppress(pytest.fail.Exception, BrokenPipeError):
            launch.submit(*submissions, agent=agent, patience=1)
        timer.join()
    events = launch.submit(*submissions, patience=1)
    found = {event.key: event.job for event in events}
    assert set(map(type, events)) == {Held}
    listed = {job.work_dir.name: [] for job in launch.cluster.jobs()}
    for job in launch.cluster.jobs():
        if job.work_dir.parent == launch.runs:
            listed[job.work_dir.name].append(job.id)
    assert {name: listed[name] for name in found} == {name: [job] for name, job in found.items()}


def test_a_script_that_is_not_its_commits_is_refused(launch):
    """No sbatch is called for it, neither for a single run nor in an array."""
    text = "#!/bin/sh\necho ran >> ran\n"
    blob = hashlib.sha1(f"blob {len(text)}\0{text}".encode(), usedforsecurity=False).hexdigest()
    same, other = (launch.add(name)._replace(scripts={name: blob}) for name in ("same", "other"))
    (launch.runs / "other" / "run.sbatch").write_text(text + "stolen\n")
    launch.shims.put()
    assert isinstance(launch.submit(same)[0], Held)
    (refused,) = launch.submit(other)
    assert isinstance(refused, Rejected)
    assert "was changed after it was copied from its commit" in refused.message
    third, fourth = (launch.add(name) for name in ("third", "fourth"))
    (launch.runs / "fourth" / "run.sbatch").write_text(text + "stolen\n")
    array = Array([], "#!/bin/sh")
    together = third._replace(key="array-1", array=array, scripts={"third": blob, "fourth": blob})
    directories = [*third.directories, *fourth.directories]
    (refused,) = launch.submit(together._replace(directories=directories))
    assert "fourth/run.sbatch was changed after" in refused.message
    assert len(launch.shims.calls()) == 1


def test_the_rate_of_sbatch(launch, tmp_path):
    """The k-th sbatch of a request with a rate starts no sooner than k pauses after it."""
    launch.cluster.down()
    launch.shims.put(f"date +%s.%N >>{tmp_path}/times", "sbatch")
    agent, began = launch.agent(), time.time()
    runs = [launch.add(f"r{number}") for number in range(6)]
    assert len(launch.submit(*runs, agent=agent, rate=5.0)) == 6
    times = sorted(map(float, (tmp_path / "times").read_text().split()))
    assert [k for k, at in enumerate(times, start=1) if at < began + k / 5] == []
