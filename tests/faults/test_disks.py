"""A full or read-only disk in each place, while each command runs: one message, nothing is lost."""

from __future__ import annotations

import shutil

import pytest
from support.daemons import wait_until
from support.invariants import Snapshot, assert_clean, assert_ran_once, user_jobs

EXPERIMENTS = 3
PLACES = (
    "output", "report", "temporary", "home", "runs", "clone", "temporary-there", "home-there",
)  # fmt: skip
FAULTS = ("full", "read-only")


@pytest.fixture
def placed(user, sshd, disk, monkeypatch):
    """Return a function that puts a place of the user's, here or there, on the disk."""

    def placed(place):
        folder = disk.folder / place
        if place == "clone":
            shutil.copytree(user.project.clone, folder)
            user.ini(remex_clone=str(folder))
        elif place == "home":
            shutil.copytree(user.home, folder)
            user.home = folder
        elif place == "home-there":
            shutil.copytree(sshd.home, folder)
            (folder / "bin").mkdir(exist_ok=True)
            user.remote(f"shell='env HOME={folder} bash -lc'")
        else:
            folder.mkdir()
        if place == "output":
            user.output = folder
            user.ini(remex_output=str(folder))
        elif place == "report":
            user.output.mkdir()
            (user.output / "tams").symlink_to(folder)
        elif place == "temporary":
            monkeypatch.setenv("TMPDIR", str(folder))
        elif place == "temporary-there":
            sshd.shell(f"export TMPDIR={folder}\n")
        elif place == "runs":
            object.__setattr__(user.project, "runs", folder)
            user.ini()

    return placed


@pytest.fixture
def broken(user, disk):
    """Return a function that runs a command while the disk is full or read-only."""

    def broken(fault, *arguments):
        if fault == "full":
            disk.fill()
        else:
            disk.set_read_only(read_only=True)
        try:
            done = user.pytest(*arguments).without_traceback()
        finally:
            if fault == "full":
                disk.empty()
            else:
                disk.set_read_only(read_only=False)
        return done

    return broken


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("place", PLACES)
def test_each_command(user, cluster, placed, broken, tally, place, fault):
    """Whatever a command cannot write, it says so, and the next one without the fault ends well."""
    placed(place)
    before = Snapshot.of(user.repository)
    with tally.case(f"{place} {fault}") as case:
        case.injected(6)
        broken(fault, "--remex-plan")
        broken(fault, "--remex-submit")
        user.submit()
        cluster.wait()
        broken(fault, "--remex-status")
        broken(fault, "--remex-collect")
        assert user.collect().succeeded().text.count(" PASSED ") == EXPERIMENTS
        case.check(user, EXPERIMENTS)
        assert_ran_once(user, cluster, EXPERIMENTS)
        cluster.down()
        user.sweep(4.0, 5.0)
        user.submit()
        broken(fault, "--remex-cancel")
        user.pytest("--remex-cancel").without_traceback()
        wait_until(lambda: len(user_jobs(user, cluster, "CANCELLED")) == 2, "all are cancelled")
        user.pytest("--remex-status").reported()
        broken(fault, "--remex-clean", "--remex-yes")
        user.pytest("--remex-clean", "--remex-yes").succeeded()
        assert len(user.project.run_directories()) == EXPERIMENTS
        user.sweep(1.0, 2.0, 3.0)
        assert_clean(user, before)
