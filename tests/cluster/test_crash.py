"""Exactly once: after a kill at any time, the same command finishes the launch.

`make faults` does the same with hundreds of kills and cuts.
"""

from __future__ import annotations

import random
import re
import shlex
import signal
import time

import pytest
from support.daemons import wait_until
from support.invariants import Snapshot, assert_clean, assert_once, assert_ran_once
from support.kills import EDGES, kill_after, kill_at
from support.launches import User, finished
from support.projects import Project, git
from support.proxy import Proxy
from support.sshd import HOST

KILLS = 6
CUTS = [
    *(("up", share) for share in (0.009, 0.0125, 0.98)),
    *(("down", share) for share in (0.35, 0.45, 0.5, 0.65, 0.98)),
]
"""Shares of a submit's bytes: in the login, in opening a channel, in the agent's work."""
ARRAY = ("--remex-array",)
PACK = ("--remex-pack=2",)
AGAINST = "--remex-against=v1.2"


@pytest.mark.parametrize(
    ("options", "jobs"), [((), 3), (ARRAY, 3), (PACK, 1)], ids=["single", "array", "pack"]
)
def test_killed_at_each_edge(user, cluster, before, options, jobs):
    """A launch killed at each state of its record in turn is finished by the same command."""
    for state in EDGES:
        kill_at(user, state, 1, *options)
    user.submit(*options)
    _assert_launched(user, cluster, before, jobs)


@pytest.mark.parametrize("changed", ["inlist_project", "README"])
def test_killed_between_two_bases(user, cluster, changed):
    """Both sides of a comparison, killed within each and between them, are sent once each."""
    git(user.repository, "tag", "v1.2")
    text = (user.repository / changed).read_text()
    user.project.commit({changed: text + "! changed\n"})
    before = Snapshot.of(user.repository)
    for state, count in (("COMMITTED", 4), ("PUSHING", 2), ("HELD", 2), ("TIDIED", 1)):
        kill_at(user, state, count, AGAINST)
    user.submit(AGAINST)
    assert_ran_once(user, cluster, 3 if changed == "README" else 6)  # no job reads README
    assert_clean(user, before)
    assert user.collect(AGAINST).succeeded().text.count(" PASSED ") == 6
    for options in ((), ("--remex-base=v1.2",)):
        assert user.collect(*options).succeeded().text.count(" PASSED ") == 3


@pytest.mark.parametrize("batch", [1, 3])
def test_killed_at_random(user, cluster, batch):
    """A launch of one or several batches, killed at random moments, is finished by a rerun."""
    user.batches(batch)
    before = Snapshot.of(user.repository)
    for _ in range(KILLS):
        kill_after(user, random.uniform(0.5, 2.0))  # noqa: S311 - not a secret
    user.submit()
    _assert_launched(user, cluster, before)


@pytest.mark.parametrize("cut", CUTS)
def test_link_cut(user, cluster, sshd, before, cut):
    """A link cut after some bytes is reported with host and fix; the same command continues."""
    direction, share = cut
    with Proxy(sshd.port) as proxy:
        sshd.client(user.home, proxy.port)
        total = _bytes_of_a_submit(user, proxy, direction)
        user.sweep(4.0, 5.0, 6.0)
        proxy.cut_after(int(total * share), direction)
        done = user.pytest("--remex-submit").without_traceback()
        if done.code:
            _assert_link_lost(done)
        user.submit()
    cluster.wait()
    user.sweep(1.0, 2.0, 3.0)
    assert_once(user, cluster, 6)
    assert_clean(user, before)


@pytest.mark.parametrize("mode", ["--remex-status", "--remex-collect"])
def test_link_cut_while_asking(user, cluster, sshd, shims, mode):
    """A link cut while Slurm is asked is reported with host and fix, and the next one goes well."""
    if mode == "--remex-status":
        user.script(lines="#SBATCH --hold\n")
    user.submit()
    if mode == "--remex-collect":
        cluster.wait()
    with Proxy(sshd.port) as proxy:
        sshd.client(user.home, proxy.port)
        asked = shims.folder / "asked"
        marker = shlex.quote(str(asked))
        waits = f"touch {marker}; while [ -e {marker} ]; do sleep 0.1; done"  # until it is removed
        shims.put(waits, "squeue")
        process = user.start(mode)
        wait_until(asked.exists, "the agent asks squeue", seconds=60)
        proxy.cut()
        _assert_link_lost(finished(process).without_traceback())
        shims.remove()
        user.pytest(mode).reported()


def _assert_link_lost(done):
    """One sentence names the host and says what to do."""
    assert done.code == 2, done.text
    assert re.search(rf"\b{HOST}\b.*\brun the same command again", done.text), done.text


def _bytes_of_a_submit(user, proxy, direction):
    user.submit()
    return proxy.forwarded[direction]


def test_frozen_link(user, cluster, sshd, before):
    """A client killed before a frozen link leaves nothing that the same command cannot finish."""
    with Proxy(sshd.port) as proxy:
        sshd.client(user.home, proxy.port)
        process = user.start("--remex-submit")
        wait_until(lambda: user.has_reached("PUSHED"), "the commits are pushed")
        proxy.freeze()
        time.sleep(1)
        process.kill()
        process.communicate(timeout=60)
        proxy.thaw()
    sshd.client(user.home)
    user.submit()
    _assert_launched(user, cluster, before)


def test_interrupted(user, cluster, before):
    """Ctrl-C finishes the batch in flight, says so, and leaves nothing behind."""
    process = user.start("--remex-submit", "-v")
    wait_until(lambda: user.has_reached("PUSHING"), "the batch is under way")
    process.send_signal(signal.SIGINT)
    done = finished(process)
    assert done.code == 2
    assert "finishing the batch in flight" in done
    assert done.text.count("] SUBMITTED job") == 3
    _assert_launched(user, cluster, before)


def test_two_from_one_folder(user, cluster, shims, before):
    """A second submit from the same output folder says so, and sends nothing."""
    shims.submissions("sleep 8")
    first = user.start("--remex-submit")
    wait_until(lambda: user.has_reached("COMMITTED"), "the first is under way")
    user.pytest("--remex-submit").failed("another pytest is submitting from")
    finished(first).succeeded()
    _assert_launched(user, cluster, before)


def test_two_clones(user, cluster, home, before, tmp_path):
    """Two users can launch at the same time from two clones."""
    git(tmp_path, "clone", "--quiet", str(user.project.origin), "second")
    places = (user.project.origin, user.project.clone, user.project.runs)
    other = User(Project(tmp_path / "second", *places), home, user.forks)
    other.sweep(4.0, 5.0, 6.0)
    started = [each.start("--remex-submit") for each in (user, other)]
    try:
        for each, process in zip((user, other), started, strict=True):
            done = finished(process).without_traceback()
            if done.code:  # the same second makes the same name: one of them is told so
                assert "launch again" in done or "run the same command again" in done
                each.submit()
    finally:
        other.close()
    assert_once(user, cluster, 6)
    assert_clean(user, before)


def _assert_launched(user, cluster, before, jobs=3):
    user.pytest("--remex-status").reported()
    assert len(assert_ran_once(user, cluster, 3)) == jobs
    assert_clean(user, before)
    assert user.collect().succeeded().text.count(" PASSED ") == 3
