"""Sweeps that come after others on a real Slurm: dependencies, links, failures, retries."""

from __future__ import annotations

import re

from support.invariants import Snapshot, assert_clean
from support.projects import git
from support.sites import WITH_ACCOUNTING, WITH_AND_WITHOUT_ACCOUNTING
from support.stages import let_jobs_continue, let_jobs_succeed, runs_of, write_chain

SHOWN = re.compile(r"sweeps\.py::(\S+)(?: on v1\.2)? ([A-Z][A-Z ]*[A-Z])(?: job (\S+))?")


def states_and_jobs(done):
    """Return the word and the job of each experiment."""
    return {name: (word.removesuffix(" job"), job) for name, word, job in SHOWN.findall(done.text)}


def states_of(done):
    """Return the word of each experiment."""
    return {name: word for name, (word, _) in states_and_jobs(done).items()}


def dependencies(cluster):
    """Return what each job that is queued waits for, by its id."""
    rows = cluster.run("squeue", "-h", "-r", "-o", "%i %E").splitlines()
    return {job: waits for job, _, waits in (row.partition(" ") for row in rows)}


@WITH_AND_WITHOUT_ACCOUNTING
def test_failed_upstream_is_retried(user, cluster):
    """All stages are sent at once; after a failure the rest does not run until a retry."""
    write_chain(user)
    before = Snapshot.of(user.repository)
    plan = user.pytest("--remex-plan").succeeded()
    assert "asks for 6 jobs" in plan
    jobs = {name: job for name, (word, job) in states_and_jobs(user.submit()).items()}
    waits = dependencies(cluster)
    for name, job in jobs.items():
        stage, _, point = name.partition("[")
        if stage == "evolve":
            assert f"afterok:{jobs['birth[' + point.partition('-')[0] + ']']}" in waits[job]
    let_jobs_continue(user)
    cluster.wait()
    status = user.pytest("--remex-status", "-v")
    assert status.code == 1, status.text
    states = states_of(status)
    assert states == {
        "birth[mass=1]": "COMPLETED",
        "birth[mass=2]": "FAILED",
        "evolve[mass=1-alpha=1.8]": "COMPLETED",
        "evolve[mass=2-alpha=1.8]": "UPSTREAM FAILED",
        "death[mass=1-alpha=1.8]": "COMPLETED",
        "death[mass=2-alpha=1.8]": "UPSTREAM FAILED",
    }
    again = user.pytest("--remex-submit").succeeded()
    assert "6 already submitted" in again
    let_jobs_succeed(user)
    retry = states_and_jobs(user.submit("--remex-retry"))
    sent = {name for name, (word, _) in retry.items() if word == "SUBMITTED"}
    assert sent == {"birth[mass=2]", "evolve[mass=2-alpha=1.8]", "death[mass=2-alpha=1.8]"}
    collect = user.collect().succeeded()
    assert collect.text.count(" PASSED ") == 6
    assert runs_of(user, "birth") == [1, 1, 1]
    assert sorted(runs_of(user, "evolve")) == sorted(runs_of(user, "death")) == [0, 1, 1]
    assert_clean(user, before)


@WITH_ACCOUNTING
def test_file_that_is_not_there(user, cluster):
    """A job whose upstream completed without the file does not run, and says which file."""
    write_chain(user, how="empty")
    user.submit()
    let_jobs_continue(user)
    cluster.wait()
    status = user.pytest("--remex-status", "-v")
    states = states_of(status)
    assert states["birth[mass=2]"] == "COMPLETED"
    assert (
        states["evolve[mass=2-alpha=1.8]"] == states["death[mass=2-alpha=1.8]"] == "UPSTREAM FAILED"
    )
    assert "final.mod of main_birth" in status
    let_jobs_succeed(user)
    retry = states_and_jobs(user.submit("--remex-retry"))
    sent = {name for name, (word, _) in retry.items() if word == "SUBMITTED"}
    assert sent == {"birth[mass=2]", "evolve[mass=2-alpha=1.8]", "death[mass=2-alpha=1.8]"}
    user.collect().succeeded()


@WITH_ACCOUNTING
def test_arrays(user, cluster):
    """Arrays wait task by task where they fit, and else one array for each upstream."""
    write_chain(user, alphas="[1.8, 2.0]", how="exit")
    jobs = {name: job for name, (_, job) in states_and_jobs(user.submit("--remex-array")).items()}
    arrays = {name: job.partition("_")[0] for name, job in jobs.items()}
    assert arrays["birth[mass=1]"] == arrays["birth[mass=2]"]
    assert arrays["evolve[mass=1-alpha=1.8]"] == arrays["evolve[mass=1-alpha=2.0]"]
    assert arrays["evolve[mass=1-alpha=1.8]"] != arrays["evolve[mass=2-alpha=1.8]"]
    let_jobs_continue(user)
    cluster.wait()
    states = states_of(user.pytest("--remex-status", "-v"))
    assert {states[name] for name in states if "mass=1" in name} == {"COMPLETED"}
    failed = {states[name] for name in states if "mass=2" in name and "birth" not in name}
    assert failed == {"UPSTREAM FAILED"}
    let_jobs_succeed(user)
    user.submit("--remex-retry", "--remex-array")
    user.collect().succeeded()


@WITH_ACCOUNTING
def test_array_task_by_task(user, cluster):
    """An array whose tasks come one to one after those of another is one sbatch: aftercorr."""
    write_chain(user, alphas="[1.8]", how="exit")
    jobs = {name: job for name, (_, job) in states_and_jobs(user.submit("--remex-array")).items()}
    assert len({job.partition("_")[0] for job in jobs.values()}) == 3
    waits = dependencies(cluster)
    assert all("aftercorr" in waits[job] for name, job in jobs.items() if "birth" not in name)
    let_jobs_continue(user)
    cluster.wait()
    status = user.pytest("--remex-status", "-v")
    assert states_of(status) == {
        "birth[mass=1]": "COMPLETED",
        "birth[mass=2]": "FAILED",
        "evolve[mass=1-alpha=1.8]": "COMPLETED",
        "evolve[mass=2-alpha=1.8]": "UPSTREAM FAILED",
        "death[mass=1-alpha=1.8]": "COMPLETED",
        "death[mass=2-alpha=1.8]": "UPSTREAM FAILED",
    }, status.text


@WITH_ACCOUNTING
def test_packs(user, cluster):
    """Packs wait for the packs before them; only a run that failed keeps others back."""
    write_chain(user, how="exit")
    user.submit("--remex-pack=2")
    let_jobs_continue(user)
    cluster.wait()
    states = states_of(user.pytest("--remex-status", "-v"))
    assert states["death[mass=1-alpha=1.8]"] == "COMPLETED"
    assert (
        states["evolve[mass=2-alpha=1.8]"] == states["death[mass=2-alpha=1.8]"] == "UPSTREAM FAILED"
    )
    let_jobs_succeed(user)
    user.submit("--remex-retry", "--remex-pack=2")
    user.collect().succeeded()


def test_cancel_of_both_sides(user, cluster):
    """A cancel against another base ends the selected jobs of both, and no other."""
    write_chain(user, how="well")
    git(user.repository, "tag", "v1.2")
    user.project.commit({"code": "changed\n"})
    user.submit("--remex-against=v1.2")
    cancel = user.pytest("--remex-cancel", "-k", "birth and mass:2", "--remex-against=v1.2")
    assert (
        "4 jobs will not run, UPSTREAM FAILED, as what comes before was cancelled"
        in cancel.without_traceback()
    )
    let_jobs_continue(user)
    cluster.wait()
    for options in ((), ("--remex-base=v1.2",)):
        status = user.pytest("--remex-status", "-v", *options)
        states = states_of(status)
        assert states["birth[mass=2]"] == "CANCELLED", status.text
        assert states["death[mass=2-alpha=1.8]"] == "UPSTREAM FAILED"
        assert states["death[mass=1-alpha=1.8]"] == "COMPLETED"


def test_cancelled_upstream(user, cluster):
    """A cancel of an upstream names what comes after it, which does not run."""
    write_chain(user, how="well")
    user.submit()
    cancel = user.pytest("--remex-cancel", "-k", "birth and mass:2").without_traceback()
    assert "2 jobs will not run, UPSTREAM FAILED, as what comes before was cancelled" in cancel
    assert "evolve[mass=2-alpha=1.8]" in cancel
    let_jobs_continue(user)
    cluster.wait()
    states = states_of(user.pytest("--remex-status", "-v"))
    assert states["birth[mass=2]"] == "CANCELLED"
    assert states["death[mass=2-alpha=1.8]"] == "UPSTREAM FAILED"
    assert states["death[mass=1-alpha=1.8]"] == "COMPLETED"
