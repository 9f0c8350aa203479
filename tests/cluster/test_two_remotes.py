"""One grid on two remotes with names: two logins of a cluster, or two clusters."""

from __future__ import annotations

import csv
import json
import shutil

import pytest
from support.daemons import wait_until
from support.kills import kill_at
from support.projects import git
from support.slurm import SlurmCluster
from support.sshd import HOST, SshServer

TABLES = """
[remex.remotes.near]
host = {near.host}
clone = {near.clone}
runs = {near.runs}
[remex.remotes.far]
host = {far.host}
clone = {far.clone}
runs = {far.runs}
"""
BOTH = """
import pytest

@pytest.fixture(scope="session", params=["near", "far"])
def remote(request, remotes):
    return remotes[request.param]
"""
WAITS = "until [ -e ../../go ]; do sleep 0.1; done"


class Place:
    """A remote of the grid: a host, a clone and a runs folder there."""

    def __init__(self, host, clone, runs):
        self.host, self.clone, self.runs = host, clone, runs

    def directories(self):
        """Return the run directories."""
        return sorted(each for each in self.runs.iterdir() if each.name != ".remex")

    def ran(self):
        """Return how often each run ran."""
        notes = [each / "ran" for each in self.directories()]
        return [note.read_text().count("ran\n") if note.exists() else 0 for note in notes]

    def jobs(self):
        """Return the numbers of the runs' jobs."""
        return sorted((each / ".remex" / "job").read_text().strip() for each in self.directories())


def write_remotes(user, far):
    """Let the grid of two experiments run on both remotes."""
    near = Place(HOST, user.project.clone, user.project.runs)
    user.ini(remex_host="", remex_clone="", remex_runs="")
    ini = user.repository / "pytest.ini"
    ini.write_text(ini.read_text() + TABLES.format(near=near, far=far))
    user.sweep(1.0, 2.0)
    (user.repository / "conftest.py").write_text(BOTH)
    return near


def states(user, *arguments):
    """Return the state of each experiment by its node id, as status tells it."""
    path = user.home / "status.json"
    user.pytest("--remex-status", f"--remex-json={path}", *arguments).reported()
    return {row["node"]: row["state"] for row in json.loads(path.read_text())}


def test_two_remotes(user, cluster):
    """Each gets the grid, once; status and collect say which, and `--remex-remote` chooses one."""
    project = user.project
    far = Place(HOST, project.clone, project.runs.with_name("runs-far"))
    far.runs.mkdir()
    near = write_remotes(user, far)
    (user.repository / "conftest.py").unlink()
    user.submit("--remex-remote=far")
    assert not near.directories()
    assert len(far.directories()) == 2
    (user.repository / "conftest.py").write_text(BOTH)
    user.submit()
    again = user.submit()
    assert again.text.count("ALREADY SUBMITTED") == 4
    cluster.wait()
    assert len(near.directories()) == 2
    assert len(far.directories()) == 2
    user.collect().succeeded()
    with (user.output / "tams" / "results.csv").open() as table:
        assert [row["remote"] for row in csv.DictReader(table)] == ["near", "near", "far", "far"]


@pytest.fixture
def far_cluster(cluster):
    """Yield a second cluster, which numbers its jobs from where the first one has come to."""
    last = cluster.run("sbatch", "--parsable", "--output=/dev/null", "--wrap=true")
    with SlurmCluster(nodes=1, settings={"FirstJobId": str(int(last) + 1)}) as far:
        yield far


@pytest.fixture
def far(user, far_cluster, tmp_path):
    """Yield the remote on the second cluster, behind an sshd of its own, with its own clone."""
    with SshServer(far_cluster.variables) as sshd:
        sshd.client(tmp_path / "far")
        entry = (tmp_path / "far" / ".ssh" / "config").read_text()
        with (user.home / ".ssh" / "config").open("a") as config:
            config.write(entry.replace(f"Host {HOST}\n", "Host far\n", 1))
        far = Place("far", tmp_path / "far" / "clone", tmp_path / "far" / "runs")
        far.runs.mkdir()
        git(tmp_path, "clone", "--quiet", str(user.project.origin), str(far.clone))
        yield far


def test_two_clusters(user, cluster, far, far_cluster):
    """Jobs with equal numbers on two clusters are asked for, cancelled and retried apart."""
    user.script(WAITS)
    near = write_remotes(user, far)
    user.submit()
    assert near.jobs() == far.jobs()
    wait_until(lambda: near.ran() == far.ran() == [1, 1], "the jobs run")
    with far_cluster.controller.stopped():
        found = states(user, "-k", "1.0")
        assert sorted(found.values()) == ["RUNNING", "UNKNOWN"]
    user.pytest("--remex-cancel", "-k", "far").succeeded()
    far_cluster.wait()
    found = states(user)
    assert sorted(found.values()) == ["CANCELLED", "CANCELLED", "RUNNING", "RUNNING"]
    assert {name for name, state in found.items() if state == "RUNNING"} == {
        name for name in found if "near" in name
    }
    for place in (near, far):
        (place.runs.parent / "go").touch()
    assert user.submit("--remex-retry").text.count("] SUBMITTED ") == 2
    assert user.collect().succeeded().text.count(" PASSED ") == 4
    assert near.ran() == [1, 1]
    assert far.ran() == [1, 1, 1, 1]


def test_two_clusters_after_kills(user, cluster, far, far_cluster):
    """A launch to two clusters that was killed on the way runs each experiment once on each."""
    near = write_remotes(user, far)
    for state, count in (("PLACED", 1), ("HELD", 3), ("RELEASED", 3)):
        kill_at(user, state, count)
    shutil.rmtree(user.output)
    user.submit()
    assert user.submit().text.count(" ALREADY SUBMITTED ") == 4
    cluster.wait()
    far_cluster.wait()
    assert (near.ran(), far.ran()) == ([1, 1], [1, 1])
    assert user.collect().succeeded().text.count(" PASSED ") == 4
