"""Packs on a real Slurm with a real disBatch: many runs share one job, each has its own end."""

import pytest
from support.agent_launch import Launch, held
from support.agents import AgentError, until

from pytest_remex.common.jobs import JobState
from pytest_remex.common.parts import Pack, Submission

SCRIPT = "#!/bin/bash\n#SBATCH --time=1\npwd\nexit $(cat code)\n"


@pytest.fixture
def launch(site, tmp_path):
    """Return a launch on the session's cluster."""
    made = Launch(site, tmp_path / "runs")
    yield made
    made.close()


def pack(launch, codes, **options):
    """Make run directories that end with these codes and return the submission that packs them."""
    for name, code in codes.items():
        launch.add(name, SCRIPT)
        (launch.runs / name / "code").write_text(f"{code}\n")
    packed = Pack(["#SBATCH --time=1"], "#!/bin/bash", **options)
    return Submission("p", list(codes), "remex:p", pack=packed)


@pytest.mark.usefixtures("disbatch")
def test_a_pack_runs_all_in_one_job(launch):
    """One sbatch, one job; each run has its own output, exit code and state."""
    launch.shims.put()
    events = launch.submit(pack(launch, {"a": 0, "b": 3, "c": 0}, slots=2, time_limit=150))
    job = held(events)
    assert events[0].jobs == dict.fromkeys("abc", job)
    assert len(launch.shims.calls()) == 1
    assert launch.query(*[(name, job) for name in "abc"])[0]["a"].state is JobState.HELD
    launch.release(job)

    def ended():
        told, _ = launch.query(*[(name, job) for name in "abc"])
        states = {name: one.state for name, one in told.items()}
        return states if set(states.values()) <= {"COMPLETED", "FAILED"} else None

    assert until(ended, seconds=60) == {"a": "COMPLETED", "b": "FAILED", "c": "COMPLETED"}
    assert (launch.runs / "b" / f"slurm-{job}.out").read_text() == f"{launch.runs / 'b'}\n"
    launch.cluster.run("scancel", job)


@pytest.mark.usefixtures("disbatch")
def test_a_cancelled_pack_cancels_what_did_not_run(launch):
    """Runs of a pack that ended before it did are CANCELLED with it."""
    job = held(launch.submit(pack(launch, {"a": 0, "b": 0})))
    launch.cancel(job)
    told, _ = launch.query(("a", job), ("b", job))
    assert [one.state for one in told.values()] == ["CANCELLED"] * 2


@pytest.mark.usefixtures("disbatch")
def test_the_release_of_a_pack_is_made_again(launch):
    """Where Slurm has lost it, a query for its runs releases their one job, by one command."""
    launch.cluster.down()
    job = held(launch.submit(pack(launch, {"a": 0, "b": 0})))
    launch.shims.put(program="scontrol")
    told, _ = launch.query(("a", job), ("b", job), released={"a", "b"})
    assert {one.state for one in told.values()} == {JobState.PENDING}
    assert [each.held for each in launch.cluster.jobs() if each.id == job] == [False]
    commands = [call.arguments.split()[0] for call in launch.shims.calls("scontrol")]
    assert commands == ["-o", "release"]


def test_without_disbatch_the_error_says_how_to_get_it(launch):
    """A login node without disBatch refuses packs and names the package."""
    with pytest.raises(AgentError, match="pip install disbatch"):
        launch.submit(pack(launch, {"a": 0}))
