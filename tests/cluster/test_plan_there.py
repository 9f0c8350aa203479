"""A plan queries the cluster, and says so if it cannot."""

from __future__ import annotations

from support.invariants import assert_once


def test_retries(user, cluster):
    """A plan of a retry asks Slurm, and shows what the submit after it sends."""
    user.script('case "$mass" in 1*) exit 3;; esac')
    user.submit()
    cluster.wait()
    plan = user.pytest("--remex-plan", "--remex-retry", "-v").succeeded()
    assert "--remex-submit asks for 1 job, " in plan
    assert "3 already submitted, 1 of them again" in plan
    assert ", FAILED " in plan
    retry = user.submit("--remex-retry")
    assert retry.text.count(" SUBMITTED job") - retry.text.count("ALREADY SUBMITTED job") == 1


def test_what_would_be_refused(user, cluster):
    """Plan reports what the cluster would refuse, as submit does, and writes nothing."""
    user.project.runs.chmod(0o777)
    plan = user.pytest("--remex-plan").failed("submit would be refused: ")
    assert "is writable for everyone" in plan
    assert not list(user.output.glob("launches/*"))
    user.project.runs.chmod(0o755)
    user.pytest("--remex-plan").succeeded()
    user.submit()
    assert_once(user, cluster, 3)


def test_without_a_connection(user, sshd, cluster):
    """If the cluster cannot be reached, a plan says so, and shows what it knows."""
    user.submit()
    cluster.wait()
    sshd.daemon.stop()
    plan = user.pytest("--remex-plan", "--remex-retry", "-v").succeeded()
    assert "planned only from the records on this machine: " in plan
    assert "RETRY if job " in plan
    assert "--remex-submit sends what failed; 3 already submitted" in plan
    assert plan.text.count("--remex-doctor checks the connection") == 1
