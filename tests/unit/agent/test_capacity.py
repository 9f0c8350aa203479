"""The needs of a launch are compared with disk, quota and job limits before it is sent."""

import os
from pathlib import Path

import pytest

from pytest_remex.common.parts import Needs
from pytest_remex.common.protocol import FAULT, FINE, LOCAL, NOTE, SLURM, Examine

QUOTA = """\
Disk quotas for user {user} (uid 1000):
     Filesystem  blocks   quota   limit   grace   files   quota   limit   grace
/dev/of/another    1000       0    2000       0      50       0     100       0
{source}
                 {used}  {soft}  {hard}       0      50      80     100       0
"""
"""What quota prints of two file systems, the second with a long name."""
LFS = """\
{path}
                 {used}  {soft}  {hard}       -      50      80     100       -
"""


def source_of(path):
    """Return the mount of a folder."""
    found = "", ""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        source, place, *_ = line.split()
        if str(path).startswith(place.rstrip("/") + "/"):
            found = max(found, (place, source))
    return found[1]


def program(folder, name, text, code=0):
    """Write a program that prints a text and ends with a code."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{text}END\nexit {code}\n")
    path.chmod(0o755)


@pytest.fixture
def examined(start_agent, tmp_path):
    """Return the checks of a runs folder, by name, with programs of tmp_path / bin on PATH."""
    agent = start_agent(PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    runs = tmp_path / "runs"
    runs.mkdir()

    def ask(scheduler=LOCAL, **needs):
        request = Examine(clone="", runs=str(runs), scheduler=scheduler, needs=Needs(**needs))
        return {check.name: check for check in agent.ask(request)}

    return ask


def test_disk_that_is_too_small(examined):
    """Run directories that take more bytes or inodes than are free are a fault, with figures."""
    assert examined(size=1000, files=10)["disk"].state != FAULT
    large = examined(size=10**18, files=10)["disk"]
    assert large.state == FAULT
    assert "the run directories need 1e+06 TB in 10 files" in large.found
    assert " free" in large.found
    many = examined(size=10, files=10**13)["disk"]
    assert many.state == FAULT
    assert "in 10000000000000 files" in many.found
    assert "another runs folder" in many.fix


@pytest.mark.parametrize(
    ("used", "hard", "state"), [("500", 1000, FINE), ("999", 1000, FAULT), ("1200*", 1000, FAULT)]
)
def test_quota(examined, tmp_path, used, hard, state):
    """The quota of the runs folder's own file system counts, also one that is used up."""
    text = QUOTA.format(user="me", source=source_of(tmp_path), used=used, soft=900, hard=hard)
    program(tmp_path / "bin", "quota", text, code=1)
    found = examined(size=2000, files=10)["quota"]
    assert found.state == state
    assert "of 1.024 MB and 50 of 100 files used" in found.found


def test_quota_of_files(examined, tmp_path):
    """A quota of files is one of inodes: too many run directories do not fit."""
    text = QUOTA.format(user="me", source=source_of(tmp_path), used=1, soft=0, hard=0)
    program(tmp_path / "bin", "quota", text)
    assert examined(files=50)["quota"].state == FINE
    found = examined(files=51)["quota"]
    assert found.state == FAULT
    assert found.found.endswith("does not have that left: 50 of 100 files used")


@pytest.mark.parametrize("text", ["", "Disk quotas for user me (uid 1): none\n", "no such host\n"])
def test_no_quota(examined, tmp_path, text):
    """If no quota is known, there is no line about one, and nothing is refused."""
    program(tmp_path / "bin", "quota", text, code=1)
    assert "quota" not in examined(size=1, files=1)


def test_lustre_quota():
    """A row of `lfs quota` that is broken after a long path is read whole."""
    from pytest_remex.agent import capacity  # noqa: PLC0415 - the agent's own, without an agent

    text = LFS.format(path="/lustre/a/long/path", used="[700]*", soft=500, hard=1000)
    assert capacity.read_quota(text, "") == (700 << 10, 1000 << 10, 50, 100)


def slurm(folder, limits, queued=()):
    """Write a Slurm that has these limits on the user's jobs, and these jobs in its queue."""
    program(folder, "sbatch", "slurm 24.11.1\n")
    program(folder, "scontrol", "MaxArraySize            = 1\nMessageTimeout = 10 sec\n")
    program(folder, "sacctmgr", f"{limits}\n")
    program(folder, "squeue", "".join(f"{job}\n" for job in queued))


def test_more_jobs_than_may_be_submitted(examined, tmp_path):
    """A launch above MaxSubmitJobs says how many jobs are allowed, and how it continues."""
    slurm(tmp_path / "bin", "5|2|normal", queued=["1", "2_1", "2_2"])
    assert examined(SLURM, jobs=2)["jobs"].state == FINE
    found = examined(SLURM, jobs=3)["jobs"]
    assert found.state == NOTE
    assert found.found == (
        "at most 5 in the queue at a time (MaxSubmitJobs), now 3; "
        "at most 2 running at a time (MaxJobs), and this launch has 3"
    )
    assert "run the same command again" in found.fix


def test_limits_that_are_not_told(examined, tmp_path):
    """If Slurm has no limit, there is no line about jobs."""
    slurm(tmp_path / "bin", "||normal")
    assert "jobs" not in examined(SLURM, jobs=10**6)


def test_no_job_arrays(examined, tmp_path):
    """Arrays on a cluster that takes none are a fault; without them it is none."""
    slurm(tmp_path / "bin", "||normal")
    assert examined(SLURM, array=True)["job arrays"].state == FAULT
    assert "job arrays" not in examined(SLURM)
