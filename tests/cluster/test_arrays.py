"""Job arrays and packs on a real Slurm: one job for many experiments, each with its own outcome."""

from __future__ import annotations

import re

import pytest
from support.daemons import wait_until
from support.invariants import Snapshot, assert_clean
from support.launches import script
from support.sites import WITH_ACCOUNTING, WITH_AND_WITHOUT_ACCOUNTING

SUBMITTED = re.compile(r"\] SUBMITTED job (\d+)_(\d+)")
FAILS = "[ $mass != 2.0 ] || [ -e ../../fixed ] || exit 3"


@WITH_AND_WITHOUT_ACCOUNTING
def test_array(user, cluster, shims):
    """One array job runs all experiments, each in its own run directory; so do retry and again."""
    shims.submissions(":")
    user.script(FAILS)
    before = Snapshot.of(user.repository)
    first = SUBMITTED.findall(user.submit("--remex-array").text)
    assert {index for _, index in first} == {"0", "1", "2"}
    assert len({number for number, _ in first}) == len(shims.calls()) == 1
    cluster.wait()
    collect = user.collect().failed("1 failed, 2 passed")
    assert "exit code 3" in collect
    (user.project.runs.parent / "fixed").touch()
    retry = user.submit("--remex-array", "--remex-retry")
    assert [index for _, index in SUBMITTED.findall(retry.text)] == ["0"]
    cluster.wait()
    user.collect().succeeded()
    again = user.submit("--remex-array", "--remex-retry=all")
    assert len(SUBMITTED.findall(again.text)) == 3
    cluster.wait()
    assert _runs_of_each(user) == ["ran\n"] * 7
    assert_clean(user, before)


@WITH_ACCOUNTING
def test_throttle(user, cluster):
    """--remex-array=2 runs at most two tasks at a time."""
    user.script("sleep 1; ls ../*/now 2>/dev/null | wc -l >seen; touch now; sleep 1; rm now")
    user.sweep(1.0, 2.0, 3.0, 4.0)
    user.submit("--remex-array=2")
    user.collect().succeeded()
    seen = [int((path / "seen").read_text()) for path in user.project.run_directories()]
    assert max(seen) <= 1


def test_split(user, cluster, shims):
    """A grid longer than MaxArraySize goes out as several arrays."""
    shims.submissions(":")
    user.sweep(*(1.0 + number for number in range(7)))
    with cluster.changed(MaxArraySize="5"):
        submitted = SUBMITTED.findall(user.submit("--remex-array").text)
        user.collect().succeeded()
    assert len(submitted) == 7
    assert len({number for number, _ in submitted}) == len(shims.calls()) == 2
    assert _runs_of_each(user) == ["ran\n"] * 7


def _runs_of_each(user):
    return [(path / "ran").read_text() for path in user.project.run_directories()]


@pytest.mark.parametrize("grouping", [(), ("--remex-array",)])
def test_script_of_another_name(user, grouping):
    """A sweep's own script is run, for single runs and arrays, under its job name."""
    text = script().replace("#SBATCH --job-name=star\n", "").replace("slurm.out", "%x.out")
    user.project.commit({"jobs/a long.sbatch": text})
    sweeps = user.repository / "sweeps.py"
    named = sweeps.read_text().replace("    fetch=", '    script="jobs/a long.sbatch",\n    fetch=')
    sweeps.write_text(named.replace('"slurm.out"', '"a long.sbatch.out"'))
    user.submit(*grouping)
    user.collect().succeeded()
    assert _runs_of_each(user) == ["ran\n"] * 3


@WITH_AND_WITHOUT_ACCOUNTING
def test_pack(user, cluster, shims):
    """A pack needs nothing on the cluster; only its failed runs are sent again."""
    shims.submissions(":")
    user.script(FAILS)
    before = Snapshot.of(user.repository)
    assert len(set(re.findall(r"SUBMITTED job (\d+)", user.submit("--remex-pack=2").text))) == 1
    cluster.wait()
    assert len(shims.calls()) == 1
    states = {row["state"] for row in user.states().values()}
    assert states == {"COMPLETED", "FAILED"}
    assert "exit code 3" in user.collect().failed("1 failed, 2 passed")
    (user.project.runs.parent / "fixed").touch()
    user.submit("--remex-pack=2", "--remex-retry")
    user.collect().succeeded()
    assert _runs_of_each(user) == ["ran\n"] * 4
    assert_clean(user, before)


def test_cancel_of_a_part_of_a_pack(user, cluster):
    """A cancel of some runs of a pack, which is one job, leaves it and names the others."""
    user.script("sleep 300")
    user.submit("--remex-pack=2")
    refused = user.pytest("--remex-cancel", "-k", "initial_mass:2").failed("1 failed")
    assert "it also runs sweeps.py::tams[initial_mass=1.0], sweeps.py::tams[" in refused
    assert {row["state"] for row in user.states().values()} <= {"PENDING", "RUNNING"}
    user.pytest("--remex-cancel").succeeded()
    cluster.wait()
    assert {row["state"] for row in user.states().values()} == {"CANCELLED"}


@WITH_ACCOUNTING
def test_time_limit_of_a_pack(user, cluster):
    """Runs that a pack's time limit interrupts or prevents are TIMEOUT, and are sent again."""
    user.script("[ $mass != 2.0 ] || [ -e ../../fixed ] || sleep 300")
    user.submit("--remex-pack=1")
    (job,) = {job.id for job in cluster.jobs() if str(user.project.runs) in str(job.work_dir)}
    wait_until(lambda: len([*user.project.runs.glob("*/ran")]) == 2, "the second run runs")
    cluster.run("scontrol", "update", f"jobid={job}", "EndTime=now+1")
    cluster.wait(job, seconds=90)
    states = sorted(row["state"] for row in user.states().values())
    assert states == ["COMPLETED", "TIMEOUT", "TIMEOUT"]
    (user.project.runs.parent / "fixed").touch()
    user.submit("--remex-pack=2", "--remex-retry")
    user.collect().succeeded()
    ran = [
        directory for directory in user.project.run_directories() if (directory / "ran").exists()
    ]
    assert len(ran) == 4
