"""Sites may write a comment or a folder of their own: jobs are found by their run directory."""

import pytest
from support import shims as faults
from support.agent_launch import held
from support.invariants import assert_once

from pytest_remex.common.protocol import OrphansCancelled

REWRITES = """\
left=$#
while [ "$left" -gt 0 ]; do
    case $1 in --comment=*) ;; *) set -- "$@" "$1" ;; esac
    shift; left=$((left - 1))
done
set -- --comment=site:audited "$@"
"""
"""A site that writes a comment of its own over whatever the user said."""
OWN = "#SBATCH --comment='app: mesa'\n"


@pytest.fixture
def launch(cluster, launch):
    """Return a launch on a cluster that starts no jobs."""
    cluster.down()
    return launch


def of_its_own(launch, name):
    """Return the submission of a script that has a comment of its own."""
    return launch.add(name, f"#!/bin/sh\n{OWN}")._replace(comment="")


def test_the_scripts_comment_is_kept(user, cluster):
    """A launch of such scripts goes as any other, and Slurm shows their comment."""
    user.script(lines=OWN)
    user.submit()
    user.sweep(1.0, 2.0, 3.0, 4.0)
    user.submit("--remex-array")
    ours = [job for job in cluster.jobs() if user.project.runs in job.work_dir.parents]
    assert {job.comment for job in ours} == {"app: mesa"}
    assert_once(user, cluster, 4)
    assert user.collect().succeeded().text.count(" PASSED ") == 4


@pytest.mark.parametrize("rewritten", [False, True])
def test_a_job_is_adopted_by_its_folder(launch, rewritten):
    """A job that Slurm accepted silently is found, whatever comment it has."""
    before = REWRITES if rewritten else ""
    launch.shims.put(before + faults.ACCEPTS_THEN_TIMES_OUT)
    submission = launch.add("r") if rewritten else of_its_own(launch, "r")
    job = held(launch.submit(submission))
    (found,) = launch.jobs("r")
    assert (found.id, found.comment) == (job, "site:audited" if rewritten else "app: mesa")
    assert len(launch.shims.calls()) == 1


def test_a_site_that_chooses_a_folder(launch):
    """A site's own sbatch that adds a folder does not keep jobs from their run directories."""
    launch.shims.submissions('set -- --chdir=/tmp --job-name=site "$@"')
    job = held(launch.submit(launch.add("r")))
    (found,) = launch.jobs("r")
    assert (found.id, len(launch.shims.calls())) == (job, 1)


def test_a_late_job_is_cancelled_without_a_comment_of_ours(launch):
    """Of two held jobs in one folder, the one that is not recorded is cancelled."""
    launch.shims.put(faults.TIMES_OUT, times=1)
    submission = of_its_own(launch, "r")
    job = held(launch.submit(submission, patience=0.5))
    command = ["sbatch", "--parsable", "--hold", "run.sbatch"]
    late = launch.cluster.run(*command, cwd=launch.runs / "r").strip()
    _, others = launch.query(("r", job), cancel_orphans=True)
    assert others == [OrphansCancelled([late])]


def test_a_job_of_the_users_own_is_left_alone(launch):
    """If each attempt's job is known, another held job in the folder is not cancelled."""
    job = held(launch.submit(of_its_own(launch, "r")))
    command = ["sbatch", "--parsable", "--hold", "run.sbatch"]
    mine = launch.cluster.run(*command, cwd=launch.runs / "r").strip()
    _, others = launch.query(("r", job), cancel_orphans=True)
    assert others == []
    assert {found.id: found.held for found in launch.jobs("r")} == {job: True, mine: True}
