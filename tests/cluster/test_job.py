"""The whole job through a real Slurm and a real sshd: plan, submit, status, collect."""

from __future__ import annotations

import csv
import re
import subprocess
from subprocess import DEVNULL

import pytest
from support.invariants import Snapshot, assert_clean, assert_once, user_jobs
from support.projects import git
from support.sites import WITH_ACCOUNTING, WITH_AND_WITHOUT_ACCOUNTING
from support.sshd import NOISY_RC

SUBMITTED = re.compile(r"sweeps\.py::tams\[\S+\] SUBMITTED job (\d+)")
ALREADY = re.compile(r"sweeps\.py::tams\[\S+\] ALREADY SUBMITTED job (\d+)")


@WITH_AND_WITHOUT_ACCOUNTING
def test_whole_job(user, cluster, sshd):
    """Plan, submit, status, collect and a second submit say and leave what the README promises."""
    before = Snapshot.of(user.repository)
    plan = user.pytest("--remex-plan").succeeded()
    assert "+   initial_mass = 3.0" in plan
    assert "asks for 3 jobs" in plan
    assert not user.project.run_directories()
    submit = user.submit()
    jobs = SUBMITTED.findall(submit.text)
    assert sorted(jobs) == sorted(job.id for job in user_jobs(user, cluster))
    noted = (user.project.runs / ".remex" / "clusters").iterdir()
    assert [each.name for each in noted] == [cluster.layout.name]
    status = user.pytest("--remex-status", "--remex-wait=60").reported()
    assert "COMPLETED 3" in status
    collect = user.collect().succeeded()
    assert collect.text.count(" PASSED ") == 3
    _assert_results(user, jobs)
    again = user.submit()
    assert ALREADY.findall(again.text) == jobs
    assert_once(user, cluster, 3)
    assert_clean(user, before)


def test_hold_in_the_script(user, cluster):
    """Jobs whose script has --hold stay held; submit and collect say what starts them."""
    user.script(lines="#SBATCH --hold\n")
    submit = user.submit()
    assert "3 stay held, as #SBATCH --hold says: scontrol release starts jobs" in submit
    jobs = SUBMITTED.findall(submit.text)
    assert "3 HELD" in user.pytest("--remex-collect").reported()
    cluster.run("scontrol", "release", ",".join(jobs))
    assert user.collect().succeeded().text.count(" PASSED ") == 3


def _assert_results(user, jobs):
    folder = user.output / "tams"
    rows = list(csv.DictReader((folder / "results.csv").read_text().splitlines()))
    assert [float(row["initial_mass"]) for row in rows] == [1.0, 2.0, 3.0]
    assert [row["state"] for row in rows] == ["COMPLETED"] * 3
    assert [row["job"] for row in rows] == jobs
    assert [float(row["age"]) for row in rows] == [2e9] * 3
    links = {path.name: path for path in (folder / "links").iterdir()}
    assert "r1 2.0" in links["initial_mass=2.0_history.data"].read_text()
    assert "sweeps.py::tams[initial_mass=1.0]" in (folder / "report.html").read_text()


@pytest.mark.parametrize("transport", ["fabric", "openssh"])
def test_round_trips(user, sshd, transport):
    """Thirty experiments take no more connections, log-ins and sessions than three."""
    user.ini(remex_transport=transport)
    used = []
    for masses in ([1.0, 2.0, 3.0], [4.0 + number for number in range(30)]):
        user.sweep(*masses)
        for command in (user.submit, lambda: user.collect().succeeded()):
            before = sshd.counts()
            command()
            used.append(sshd.counts() - before)
    assert used[:2] == used[2:]
    assert {count.connections for count in used} == {1}
    assert {count.authentications for count in used} == {1}
    assert [count.sessions for count in used] == [1, 1, 1, 1] or used[1].sessions == 2


def test_over_an_open_connection(user, home, sshd, socket_folder):
    """If the user's ssh has an open connection, no command logs in, and doctor says so."""
    sshd.client(home, lines=f"  ControlPath {socket_folder}/control\n")
    user.ini(remex_transport="auto")
    doctor = user.pytest("--remex-doctor").succeeded()
    assert "log in once by `ssh -fNM cluster`" in doctor
    assert "rsync here: rsync" in doctor
    ssh = ["ssh", "-F", home / ".ssh" / "config", "cluster"]
    subprocess.run([*ssh, "-fNM"], check=True, stdout=DEVNULL, stderr=DEVNULL)
    try:
        before = sshd.counts()
        assert "by your ssh, over its open connection" in user.pytest("--remex-doctor").succeeded()
        user.submit()
        user.pytest("--remex-status").reported()
        assert user.collect().succeeded().text.count(" PASSED ") == 3
        assert (sshd.counts() - before).connections == 0
    finally:
        subprocess.run([*ssh, "-O", "exit"], check=True, capture_output=True)


@WITH_ACCOUNTING
def test_failed_jobs(user, cluster):
    """Of a failed job, a failed check and another config than asked for, retry sends the first."""
    user.script(
        "case $mass in"
        " 1.0) echo 'no convergence'; exit 3;;"
        " 3.0) sed -i 's/= 3.0/= 3.5/' inlist_project;;"
        "esac"
    )
    user.sweep(1.0, 2.0, 3.0, 4.0)
    sweeps = user.repository / "sweeps.py"
    check = "assert run.config['initial_mass'] != 2.0, 'too light'\n    history ="
    sweeps.write_text(sweeps.read_text().replace("history =", check, 1))
    user.submit()
    collect = user.collect().failed("3 failed, 1 passed")
    assert "exit code 3" in collect
    assert "no convergence" in collect
    assert "too light" in collect
    assert "3.5" in collect
    retry = user.submit("--remex-retry")
    assert re.findall(r"mass=(\S+)\] SUBMITTED", retry.text) == ["1.0"]
    assert re.findall(r"mass=(\S+)\] ALREADY", retry.text) == ["2.0", "3.0", "4.0"]
    cluster.wait()
    assert len(user.project.run_directories()) == 5


def test_cancel(user, cluster):
    """Cancelled experiments are CANCELLED, the others run; --remex-retry sends them again."""
    cluster.down()
    user.submit()
    first = "-k=initial_mass=1.0"
    cancelled = user.pytest("--remex-cancel", "-v", first).succeeded()
    assert cancelled.text.count("CANCELLED job") == 1
    cluster.up()
    collect = user.collect().failed("1 failed, 2 passed")
    assert "CANCELLED" in collect
    retry = user.submit("--remex-retry")
    assert len(SUBMITTED.findall(retry.text)) == 1
    user.collect().succeeded()


def test_without_origin(user, cluster, sshd):
    """A cluster with a noisy shell and no way to origin gets the same launch; shared is linked."""
    sshd.shell(NOISY_RC)
    git(user.project.clone, "remote", "set-url", "origin", "/nowhere")
    user.project.commit({"tables/opacity": "0.2 (1 + X)\n"})
    user.remote("via='connection', shared=['tables']")
    before = Snapshot.of(user.repository)
    user.submit()
    user.collect().succeeded()
    assert_once(user, cluster, 3)
    assert_clean(user, before)
    for directory in user.project.run_directories():
        assert (directory / "tables" / "opacity").read_text() == "0.2 (1 + X)\n"
        assert (directory / "tables").is_symlink()


def test_held_by_user(user, cluster):
    """A script that asks to be held stays held; its launch counts as submitted."""
    user.script(lines="#SBATCH --hold\n")
    user.sweep(1.0)
    user.submit()
    (job,) = user_jobs(user, cluster)
    assert job.held
    status = user.pytest("--remex-status", "-v").reported()
    assert f"HELD job {job.id}" in status
    assert len(ALREADY.findall(user.submit().text)) == 1
    cluster.run("scontrol", "release", job.id)
    user.collect().succeeded()


@pytest.mark.parametrize("options", [(), ("--remex-array",)], ids=["single", "array"])
def test_rejected_for_good(user, cluster, options):
    """An experiment that Slurm refuses fails with Slurm's message; the others run."""
    sweeps = user.repository / "sweeps.py"
    patch = (
        "script = experiment.path / 'run.sbatch'\n"
        "    if experiment.config['initial_mass'] == 2.0:\n"
        "        text = script.read_text().replace('--time=5', '--partition=nowhere')\n"
        "        script.write_text(text)\n"
        "    run = yield"
    )
    sweeps.write_text(sweeps.read_text().replace("run = yield", patch, 1))
    submit = user.pytest("--remex-submit", "-v", *options).failed("1 failed, 2 passed")
    assert "invalid partition specified: nowhere" in submit
    user.collect("-k", "not 2.0").succeeded()
    status = user.pytest("--remex-status", "-k", "2.0").failed("REJECTED", "nowhere")
    assert "next: --remex-submit sends again what was refused" in status
    assert "not collected yet" not in user.pytest("--remex-clean", "--remex-yes", "-k", "2.0")
    user.pytest("--remex-status", "-k", "2.0").failed("REJECTED", "nowhere")
