"""Fixtures of the tests on a real cluster: Slurm behind sshd, and a user's project."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.disk import SmallDisk
from support.forks import Forks
from support.launches import User
from support.projects import Project, copy_project, git, make_project
from support.proxy import Proxy
from support.shims import Shims
from support.sites import Site, Sites
from support.slurm import SlurmCluster
from support.sshd import SshServer

PROGRAMS = (
    "slurmctld",
    "slurmd",
    "slurmdbd",
    "sacctmgr",
    "sbatch",
    "munged",
    "mariadbd",
    "mariadb",
    "mariadb-install-db",
    "sshd",
    "ssh",
    "ssh-keygen",
    "rsync",
    "git",
)
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])


def _lacking() -> list[str]:
    """Return what this machine lacks for a real Slurm and sshd."""
    missing = [f"the program {name}" for name in PROGRAMS if not shutil.which(name, path=PATH)]
    if not sys.platform.startswith("linux"):
        return ["Linux"]
    return missing if os.geteuid() == 0 else ["root", *missing]


@pytest.fixture(scope="session")
def requirements() -> None:
    """Skip the test if a real cluster is not possible; with CI=true that is a failure."""
    if missing := _lacking():
        refuse = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        refuse(f"a real Slurm and sshd on this machine need {', '.join(missing)}")


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    """Yield a small file system; skip the test where this user may mount none."""
    if why := SmallDisk.refused():
        pytest.skip(f"no small file system can be mounted: {why}")
    with SmallDisk() as disk:
        yield disk


@pytest.fixture(scope="session")
def sites(requirements: None) -> Iterator[Sites]:
    """Yield the session's clusters, each started when first asked for."""
    with Sites() as sites:
        yield sites


@pytest.fixture
def site(request: pytest.FixtureRequest, sites: Sites) -> Iterator[Site]:
    """Yield a cluster and its sshd; `support.sites.WITH_ACCOUNTING` and its like choose which."""
    site = sites.of(getattr(request, "param", "plain"))
    yield site
    site.reset()


@pytest.fixture
def cluster(site: Site) -> SlurmCluster:
    """Return the SlurmCluster of `site`."""
    return site.cluster


@pytest.fixture
def sshd(site: Site) -> SshServer:
    """Return the SshServer of `site`; its sessions select `cluster`."""
    return site.sshd


@pytest.fixture
def shims(site: Site) -> Shims:
    """Return the Shims that come first on the PATH of a login shell on `sshd`."""
    return site.shims


@pytest.fixture
def home(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sshd: SshServer,
) -> Path:
    """Return an isolated HOME whose ssh_config names `sshd` as the host `cluster`."""
    if "pytester" in request.fixturenames:
        request.getfixturevalue("pytester")  # it sets HOME too: ours must come after
    home = tmp_path / "home"
    sshd.client(home)
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def proxy(sshd: SshServer, home: Path) -> Iterator[Proxy]:
    """Yield a proxy by which the user reaches the cluster."""
    with Proxy(sshd.port) as proxy:
        sshd.client(home, proxy.port)
        yield proxy


@pytest.fixture(scope="session")
def project_template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project that is copied for each test."""
    return make_project(tmp_path_factory.mktemp("template"))


@pytest.fixture
def project(tmp_path: Path, project_template: Project) -> Project:
    """Return a user's Project: repository, origin, clone and runs folder below tmp_path."""
    return copy_project(project_template, tmp_path)


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Yield the Forks that start a user's commands."""
    with Forks() as forks:
        yield forks


@pytest.fixture(scope="session")
def other_forks() -> Iterator[Forks]:
    """Yield the Forks on another user's machine: each machine hashes text in its own way."""
    with Forks() as forks:
        yield forks


@pytest.fixture
def user(project: Project, home: Path, forks: Forks) -> Iterator[User]:
    """Yield a User with a sweep of three experiments, whose jobs count how often they ran."""
    user = User(project, home, forks)
    user.script()
    yield user
    user.close()


@pytest.fixture
def other(user: User, sshd: SshServer, tmp_path: Path, other_forks: Forks) -> Iterator[User]:
    """Yield a second User, with a fresh clone on another machine, and the same account there."""
    git(tmp_path, "clone", "--quiet", str(user.project.origin), "second")
    git(tmp_path / "second", "config", "user.name", "Another User")
    git(tmp_path / "second", "config", "user.email", "another@example.org")
    places = (user.project.origin, user.project.clone, user.project.runs)
    other_home = tmp_path / "other home"
    sshd.client(other_home)
    other = User(Project(tmp_path / "second", *places), other_home, other_forks)
    yield other
    other.close()
