"""Fixtures of the cluster tests: a real Slurm behind a real sshd, and a user's project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.launches import User
from support.projects import copy_project, make_project
from support.requirements import lacking
from support.sites import Sites

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    """Mark every test of this folder, so that `-m "not cluster"` leaves it out."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session", autouse=True)
def _requirements():
    """Skip where a real cluster cannot be had; under CI=true that is a failure."""
    if missing := lacking():
        refuse = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        refuse(f"a real Slurm and sshd on this machine need {', '.join(missing)}")


@pytest.fixture(scope="session")
def sites(_requirements):
    """Return the session's clusters, each started when first asked for."""
    with Sites() as sites:
        yield sites


@pytest.fixture
def site(request, sites):
    """Return a cluster and its sshd; the kind is one of `support.sites`, as WITH_ACCOUNTING."""
    site = sites.of(getattr(request, "param", "plain"))
    yield site
    site.reset()


@pytest.fixture
def cluster(site):
    """Return the SlurmCluster of `site`."""
    return site.cluster


@pytest.fixture
def sshd(site):
    """Return the SshServer of `site`; its sessions select `cluster`."""
    return site.sshd


@pytest.fixture
def shims(site):
    """Return the Shims that come first on the PATH of a login shell on `sshd`."""
    return site.shims


@pytest.fixture
def home(request, tmp_path, monkeypatch, sshd):
    """Return an isolated HOME whose ssh_config names `sshd` as the host `cluster`."""
    if "pytester" in request.fixturenames:
        request.getfixturevalue("pytester")  # it sets HOME too: ours must come after
    home = tmp_path / "home"
    sshd.client(home)
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture(scope="session")
def _template(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("template"))


@pytest.fixture
def project(tmp_path, _template):
    """Return a user's Project: repository, origin, clone and runs folder below tmp_path."""
    return copy_project(_template, tmp_path)


@pytest.fixture
def user(project, home):
    """Return a User with a sweep of three experiments, whose jobs count how often they ran."""
    user = User(project, home)
    user.script()
    yield user
    user.close()
