"""The runs folder is the memory: what one client launched, every other one knows."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import time

import pytest
from support.invariants import (
    Snapshot,
    assert_clean,
    assert_once,
    assert_ran_once,
    executions,
    user_jobs,
)
from support.kills import EDGES, Moment, disturb, kill_at
from support.launches import finished
from support.projects import git, make_project

ARRAY = ("--remex-array",)
ALREADY = re.compile(r"\] ALREADY SUBMITTED job \d+")
DONE = re.compile(r"\] (?:ALREADY )?SUBMITTED job \d+")
KILLS = 4


@pytest.fixture
def chance():
    """Return random choices, whose seed a failed test shows; REMEX_SEED repeats it."""
    seed = os.environ.get("REMEX_SEED") or str(random.SystemRandom().randrange(1 << 32))
    print(f"REMEX_SEED={seed}")  # noqa: T201
    return random.Random(seed)  # noqa: S311 - not a secret


def results_of(someone):
    """Return the lines of the results table, without what is where on this machine."""
    header, *lines = (someone.output / "tams/results.csv").read_text().splitlines()
    path = header.split(",").index("path")
    cells = [line.split(",") for line in lines]
    return sorted([cell for number, cell in enumerate(row) if number != path] for row in cells)


def test_a_fresh_clone_knows_all(user, other, cluster):
    """Submit sends nothing and says by whom; status and collect find the runs and their results."""
    before = Snapshot.of(other.repository)
    jobs = re.findall(r"SUBMITTED job (\d+)", user.submit().text)
    cluster.wait()
    plan = other.pytest("--remex-plan").succeeded()
    assert len(re.findall(r"ALREADY SUBMITTED job \d+ by \w+@", plan.text)) == 3
    again = other.submit()
    assert len(ALREADY.findall(again.text)) == 3
    assert "3 already submitted" in again
    status = other.pytest("--remex-status", "-v").succeeded()
    assert re.findall(r"COMPLETED job (\d+)", status.text) == jobs
    user.collect().succeeded()
    other.collect().succeeded()
    assert results_of(other) == results_of(user)
    assert_once(user, cluster, 3)
    assert_clean(other, before)


def test_a_lost_output_folder_costs_nothing(user, cluster):
    """After `rm -r remex-output` the same runs are found, and the results are the same."""
    user.submit()
    user.collect().succeeded()
    results = results_of(user)
    shutil.rmtree(user.output)
    assert len(ALREADY.findall(user.submit().text)) == 3
    user.collect().succeeded()
    assert results_of(user) == results
    shutil.rmtree(user.output)
    user.collect().succeeded()
    assert results_of(user) == results
    assert_once(user, cluster, 3)


def test_another_client_cancels(user, other, cluster):
    """Jobs that one client submitted can be cancelled by another, and both report the same."""
    user.script("sleep 60")
    git(other.repository, "pull", "--quiet")
    user.submit()
    other.pytest("--remex-cancel").succeeded()
    cluster.wait()
    states = [row["state"] for row in user.states().values()]
    assert states == ["CANCELLED"] * 3
    assert user.states() == other.states()


def test_another_client_retries(user, other, cluster):
    """Another client sends a failed experiment again, and the first one then knows that run."""
    user.script("[ $mass != 2.0 ] || [ -e ../../mended ] || exit 3")
    git(other.repository, "pull", "--quiet")
    user.submit()
    user.collect().failed("1 failed, 2 passed")
    (user.project.runs.parent / "mended").touch()
    retried = other.submit("--remex-retry")
    (job,) = re.findall(r"\] SUBMITTED job (\d+)", retried.text)
    other.collect().succeeded()
    user.collect().succeeded()
    assert f"COMPLETED job {job}" in user.pytest("--remex-status", "-v").succeeded()
    assert results_of(user) == results_of(other)
    assert len(ALREADY.findall(user.submit("--remex-retry").text)) == 3


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("options", [((), ()), (ARRAY, ()), ((), ARRAY)], ids=str)
def test_another_client_finishes_what_was_killed(user, other, cluster, edge, options):
    """Wherever a client was killed, and however runs are grouped, each runs once."""
    theirs, ours = options
    befores = [Snapshot.of(each.repository) for each in (user, other)]
    kill_at(user, edge, 1, *theirs)
    other.submit(*ours)
    assert_once(other, cluster, 3)
    assert (
        len(re.findall("COMPLETED job", other.pytest("--remex-status", "-v").succeeded().text)) == 3
    )
    assert len(ALREADY.findall(user.submit(*theirs).text)) == 3
    assert_once(user, cluster, 3)
    for each, before in zip((user, other), befores, strict=True):
        assert_clean(each, before)


def test_two_clients_are_killed_in_turns(user, other, cluster, chance):
    """Two clients that are killed at random moments have one job of each experiment in the end."""
    befores = [Snapshot.of(each.repository) for each in (user, other)]
    for _ in range(KILLS):
        someone = chance.choice((user, other))
        disturb(someone, Moment.of_a_launch(chance, 3), someone.kill, "--remex-submit")
    chance.choice((user, other)).submit()
    assert_ran_once(user, cluster, 3)
    for each, before in zip((user, other), befores, strict=True):
        assert len(DONE.findall(each.submit().text)) == 3
        assert_clean(each, before)
    assert {*user.states()} == {*other.states()}
    assert_ran_once(user, cluster, 3)


@pytest.mark.parametrize("edge", ["COMMITTED", "PUSHED", "PLACED", "HELD"])
def test_another_client_cannot_have_the_commits(user, other, cluster, edge):
    """On another base it takes over runs that were not placed, and submits placed runs."""
    kill_at(user, edge)
    other.project.commit({"README": "More about a test's star.\n"})
    other.submit()
    cluster.wait()
    assert sorted(executions(user).values(), reverse=True)[:3] == [1, 1, 1]
    git(user.repository, "fetch", "--quiet")
    assert len(DONE.findall(user.submit().text)) == 3
    cluster.wait()
    assert sum(executions(user).values()) == 3
    assert user.states() == other.states()


@pytest.mark.parametrize("edge", EDGES)
def test_the_output_folder_vanishes(user, cluster, edge):
    """A killed client whose `remex-output` is lost too is finished by the same command."""
    kill_at(user, edge)
    shutil.rmtree(user.output)
    user.submit()
    assert_once(user, cluster, 3)
    assert len(ALREADY.findall(user.submit().text)) == 3


@pytest.mark.parametrize("options", [((), ()), (ARRAY, ())], ids=str)
def test_two_clients_submit_at_the_same_moment(user, other, cluster, options):
    """Each experiment gets one run directory and one job, and both clients say which."""
    befores = [Snapshot.of(each.repository) for each in (user, other)]
    started = [
        each.start("--remex-submit", "-v", *chosen)
        for each, chosen in zip((user, other), options, strict=True)
    ]
    for process in started:
        done = finished(process).succeeded()
        assert len(re.findall(r"\] (?:ALREADY )?SUBMITTED job", done.text)) == 3
    assert_once(user, cluster, 3)
    assert {*user.states()} == {*other.states()}
    for each, before in zip((user, other), befores, strict=True):
        assert_clean(each, before)


def test_two_clients_that_exclude_other_files(user, other, cluster):
    """Their fingerprints differ, and still each experiment gets one job at the same moment.

    Slow patches let both read the runs folder before the other one's launch is there.
    """
    for each in (user, other):
        each.edit("    patch_inlist(", "    __import__('time').sleep(2)\n    patch_inlist(")
    odd = ("-o", "remex_control=docs/")  # README is an input then
    started = [
        each.start("--remex-submit", "-v", *options) for each, options in ((user, ()), (other, odd))
    ]
    for process in started:
        finished(process)
    for each, options in ((user, ()), (other, odd)):
        assert len(ALREADY.findall(each.submit(*options).text)) == 3
    assert_once(user, cluster, 3)


def test_a_damaged_record_there_is_told(user, other, cluster):
    """It is not used, and all others are."""
    user.submit()
    folder = user.project.runs / ".remex" / "launches"
    (folder / "tams_2026_01_01_00_00_00.jsonl").write_text('{"remex": 1}\n')
    again = other.submit()
    assert len(ALREADY.findall(again.text)) == 3
    assert "a launch record in the runs folder was ignored" in again


def test_what_a_damaged_record_says_is_unknown(user, other, cluster):
    """A client that knows only that record does not say that its runs were not submitted."""
    user.submit()
    (record,) = (user.project.runs / ".remex" / "launches").iterdir()
    record.write_text('{"remex": 1}\n')
    status = other.pytest("--remex-status", "-v").reported()
    assert "a launch record in the runs folder was ignored" in status
    assert status.text.count("] UNKNOWN") == 3
    assert "3 unknown" in status


def test_what_a_record_that_is_cut_may_have_said_is_unknown(user, other):
    """If the end of a record is lost, what it does not say is unknown, until its owner restores it.

    A submit asks the claims, and sends nothing twice.
    """
    user.submit()
    (record,) = (user.project.runs / ".remex" / "launches").iterdir()
    whole = record.read_bytes()
    record.write_bytes(whole[: whole.index(b"\n") + 20])
    status = other.pytest("--remex-status", "-v").reported()
    assert f"{record} ends within a line" in status
    assert status.text.count("] UNKNOWN") == 3
    assert len(ALREADY.findall(other.submit().text)) == 3
    user.pytest("--remex-status").reported()
    assert record.read_bytes().startswith(whole)
    assert "within a line" not in other.pytest("--remex-status").reported()


def test_an_empty_record_is_none(user, other, cluster):
    """Runs whose record a full disk left empty are found by their run directories."""
    user.submit()
    (record,) = (user.project.runs / ".remex" / "launches").iterdir()
    record.write_text("")
    cluster.wait()
    status = other.pytest("--remex-status", "-v").succeeded()
    assert status.text.count("] COMPLETED job") == 3
    assert len(ALREADY.findall(user.submit().text)) == 3
    assert len(ALREADY.findall(other.submit().text)) == 3


def test_records_that_were_purged_are_put_back(user, other, cluster):
    """Records that a purge of scratch deleted are restored by any client that has them."""
    user.submit()
    shutil.rmtree(user.project.runs / ".remex" / "launches")
    user.pytest("--remex-status", "--remex-wait=60").succeeded()
    assert len(ALREADY.findall(other.submit().text)) == 3


def without_base(someone):
    """Remove the base commit from a repository, as if its branch had been squashed and deleted."""
    folder = someone.repository
    git(folder, "checkout", "--quiet", "--orphan", "another")
    git(folder, "-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "new")
    git(folder, "branch", "--quiet", "-D", "main")
    git(folder, "update-ref", "-d", "refs/remotes/origin/main")
    git(folder, "symbolic-ref", "--delete", "refs/remotes/origin/HEAD")
    git(folder, "reflog", "expire", "--expire=now", "--all")
    git(folder, "gc", "--quiet", "--prune=now")


def test_records_of_another_repository_are_not_used(user, other, cluster):
    """Their base commits are not here: they are counted, and their runs are none of this sweep."""
    user.submit()
    without_base(other)
    status = other.pytest("--remex-status", "-v")
    assert "1 launch record in" in status
    assert status.text.count("NOT SUBMITTED") == 3


def test_a_base_commit_that_is_on_no_branch_any_more(user, other, cluster):
    """The command that the message names gets it from the clone, and the runs are collected."""
    user.submit()
    cluster.wait()
    without_base(other)
    clone = other.project.clone
    git(clone, "checkout", "--quiet", "--detach")
    for ref in git(clone, "for-each-ref", "--format=%(refname)").split():
        git(clone, "update-ref", "--no-deref", "-d", ref)
    said = other.pytest("--remex-status")
    (command,) = re.findall(r"git fetch '--upload-pack=.*", said.text)
    ssh = "ssh -F $HOME/.ssh/config -o UserKnownHostsFile=$HOME/.ssh/known_hosts"
    env = {**os.environ, "GIT_SSH_COMMAND": ssh}
    subprocess.run(command, shell=True, cwd=other.repository, env=env, check=True)  # noqa: S602 - as a user does
    assert other.pytest("--remex-status", "-v").text.count("COMPLETED job") == 3
    other.collect().succeeded()


def test_a_launchs_name_is_one_clients(user, other, cluster):
    """Two clients that launch other grids in one second take two names."""
    other.sweep(4.0, 5.0, 6.0)
    started = [each.start("--remex-submit") for each in (user, other)]
    for process in started:
        text, _ = process.communicate(timeout=120)
        assert process.returncode == 0, text
    cluster.wait()
    launches = {path.stem for each in (user, other) for path in each.output.glob("launches/*")}
    assert len({name for name in launches if name.startswith("tams_")}) == 2
    assert_once(user, cluster, 6)


def test_run_directories_without_any_notes_are_not_doubled(user, other, cluster):
    """If a purge took every note while jobs wait, a fresh clone says so and sends nothing."""
    cluster.down()
    user.sweep(1.0)
    user.submit()
    (job,) = user_jobs(user, cluster)
    for folder in user.project.runs.rglob(".remex"):
        shutil.rmtree(folder)
    time.sleep(1)  # a launch of the same second would have the same name
    other.sweep(1.0)
    other.pytest("--remex-submit").failed(f"{job.work_dir} has the same commit", "squeue")
    assert [each.id for each in user_jobs(user, cluster)] == [job.id]
    assert not [*user.project.runs.glob(".remex/claims/*/*")]
    cluster.up()
    cluster.wait()
    job.work_dir.rename(user.project.runs.parent / "old")
    other.submit()
    assert_ran_once(other, cluster, 1)


def test_what_is_left_are_the_runs(user, other, cluster):
    """Runs without records and claims are found from a clone without their commits."""
    jobs = re.findall(r"SUBMITTED job (\d+)", user.submit().text)
    cluster.wait()
    for name in ("launches", "claims"):
        shutil.rmtree(user.project.runs / ".remex" / name)
    other.project.commit({"README": "More about a test's star.\n"})
    plan = other.pytest("--remex-plan").succeeded()
    assert re.findall(r"\]  ALREADY SUBMITTED job (\d+)", plan.text) == jobs
    assert len(ALREADY.findall(other.submit().text)) == 3
    other.collect().succeeded()
    shutil.rmtree(other.output)
    shutil.rmtree(user.project.runs / ".remex/launches")
    git(other.project.clone, "reflog", "expire", "--expire=now", "--all")
    git(other.project.clone, "gc", "--quiet", "--prune=now")
    gone = other.submit()
    assert "their commits no longer exist, here and there" in gone
    assert "not sent: --remex-new-base sends them" in gone
    assert len(ALREADY.findall(user.submit().text)) == 3
    assert_ran_once(user, cluster, 3)


def test_two_repositories(user, other, cluster, tmp_path):
    """A repository with equal inputs has no second job, and is told where its runs belong."""
    (tmp_path / "theirs").mkdir()
    theirs = make_project(tmp_path / "theirs")
    shutil.rmtree(other.repository)
    theirs.repository.rename(other.repository)
    other.ini(remex_clone=str(theirs.clone))
    other.sweep(1.0, 2.0, 3.0)
    (other.repository / "run.sbatch").write_text((user.repository / "run.sbatch").read_text())
    git(other.repository, "add", "run.sbatch")
    git(other.repository, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "theirs")
    user.submit()
    submit = other.pytest("--remex-submit", "-v")
    assert len(ALREADY.findall(submit.text)) == 3, submit.text
    own = "what another repository submits belongs in another runs folder (remex_runs)"
    assert own in submit
    assert own in other.pytest("--remex-status").reported()
    runs = tmp_path / "cluster" / "their runs"
    runs.mkdir()
    other.ini(remex_runs=str(runs), remex_clone=str(theirs.clone))
    other.submit()
    cluster.wait()
    assert len(list(runs.glob("*/ran"))) == 3
    assert_once(user, cluster, 3)


def test_a_shallow_clone(user, other, cluster):
    """It collects runs on a base that it has; for another base the named fix works."""
    user.submit()
    cluster.wait()
    shallow = ("clone", "--quiet", "--depth=1", f"file://{user.project.origin}", "second")
    for again in (False, True):
        shutil.rmtree(other.repository)
        git(other.repository.parent, *shallow)
        other.ini()
        other.sweep(1.0, 2.0, 3.0)
        if again:
            status = other.pytest("--remex-status")
            assert "git fetch --unshallow in a shallow clone" in status
            git(other.repository, "fetch", "--quiet", "--unshallow")
        assert other.collect().succeeded().text.count(" PASSED ") == 3
        user.project.commit({"README": f"new {again}\n"})
