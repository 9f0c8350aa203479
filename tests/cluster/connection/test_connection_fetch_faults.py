"""Fetching over noise, without rsync, through breaks, interrupts and a full disk."""

import os
import subprocess
import time

import pytest
from asking import bytes_below, files, look, write
from support.daemons import wait_until
from support.proxy import Proxy
from support.sshd import NOISY_RC

from pytest_remex.errors import ConnectionLostError, RemoteError


@pytest.mark.transports("fabric", "openssh")
def test_noisy_shell(opened, server, runs, here):
    """The login shell's noise does not get into rsync's stream."""
    server.shell(NOISY_RC + "head -c 300000 /dev/urandom\n")
    write(runs, "a", "text")
    opened().fetch(str(runs), ["a"], here)
    assert (here / "a").read_text() == "text"


@pytest.mark.transports("fabric", "openssh")
def test_one_channel(opened, server, runs, here):
    """If the server allows one channel, the agent ends for the fetch and is started again."""
    write(runs, "a")
    with server.with_options(MaxSessions="1"):
        connection = opened()
        look(connection)
        connection.fetch(str(runs), ["a"], here)
        look(connection)
    assert files(here) == ["a"]


def without_rsync(server):
    """Leave the cluster without rsync on the PATH of its login shells."""
    (server.home / "only").mkdir(exist_ok=True)
    python = server.home / "only" / "python3"
    python.unlink(missing_ok=True)
    python.symlink_to("/usr/bin/python3")
    (server.home / ".bash_profile").write_text(f"export PATH={server.home}/only\n")


def test_missing_there(opened, server, runs, here):
    """If the cluster has no rsync, files are copied through the agent, with one message."""
    write(runs, "a")
    write(runs, "b")
    without_rsync(server)
    notices = []
    connection = opened(notify=notices.append)
    connection.fetch(str(runs), ["a"], here)
    connection.fetch(str(runs), ["b"], here)
    assert files(here) == ["a", "b"]
    said = "cluster: rsync is not on the PATH there: files are copied through the agent"
    assert notices == [said]


@pytest.fixture
def greeting(server):
    """Put a script around the cluster's rsync that greets on stdout."""
    program = server.home / "bin" / "rsync"
    program.write_text('#!/bin/sh\necho "*** Welcome"\nexec /usr/bin/rsync "$@"\n')
    program.chmod(0o755)
    yield
    program.unlink()


@pytest.mark.usefixtures("greeting")
def test_greeting_there(opened, runs, here):
    """If a wrapper of rsync prints to stdout, a message says so, and the agent copies files."""
    write(runs, "a")
    notices = []
    opened(notify=notices.append).fetch(str(runs), ["a"], here)
    assert files(here) == ["a"]
    (said,) = notices
    reason = "rsync there prints other text before its answer: files are copied through the agent"
    assert reason in said


@pytest.mark.usefixtures("openrsync")
def test_no_usable_rsync_here(opened, runs, here):
    """An rsync here that is another program or too old is named, and the agent copies files."""
    write(runs, "a")
    notices = []
    opened(notify=notices.append).fetch(str(runs), ["a"], here)
    assert files(here) == ["a"]
    (said,) = notices
    assert "it has 'openrsync: protocol version 29" in said
    assert "files are copied through the agent" in said


def test_missing_here(opened, runs, here, monkeypatch, tmp_path):
    """If this machine has no rsync, files are copied through the agent."""
    notices = []
    connection = opened(notify=notices.append)
    look(connection)
    write(runs, "a")
    monkeypatch.setenv("PATH", str(tmp_path))
    connection.fetch(str(runs), ["a"], here)
    assert files(here) == ["a"]
    assert notices == [
        "rsync is not on the PATH of this machine: files are copied through the agent"
    ]


def test_runs_folder_missing(connection, runs, here):
    """A runs folder that no longer exists is named."""
    with pytest.raises(RemoteError, match="nowhere"):
        connection.fetch(str(runs / "nowhere"), ["a"], here)


@pytest.mark.transports("fabric", "openssh")
@pytest.mark.usefixtures("with_any_rsync")
def test_cut_and_gone_on(opened, proxy, reroute, runs, here):
    """After a cut link whole files are here, none is in part, and the next fetch continues."""
    names = [f"{number}.data" for number in range(6)]
    for name in names:
        write(runs, name, os.urandom(2_000_000))

    def written():
        return bytes_below(here) > 6_500_000

    # what still lies in buffers here when the link is cut is lost
    proxy.cut_after(7_500_000, "down", before=lambda: wait_until(written, "what was sent is here"))
    with pytest.raises(
        ConnectionLostError, match="run the same command again to check and continue from there"
    ):
        opened().fetch(str(runs), names, here)
    done = [name for name in names if (here / name).exists()]
    assert 1 <= len(done) < 6
    assert all((here / name).read_bytes() == (runs / name).read_bytes() for name in done)
    left = [name for name in names if name not in done]
    part = sum(path.stat().st_size for path in here.glob(".remex-staging/.remex-part/*"))
    assert part > 500_000
    with Proxy(proxy.target) as second:
        reroute(second.port)
        assert opened().fetch(str(runs), left, here) == []
    assert all((here / name).read_bytes() == (runs / name).read_bytes() for name in names)
    assert second.forwarded["down"] < 2_000_000 * len(left) - part + 50_000
    assert files(here) == names


def fetch_again_and_again(connection, runs, here):
    """Fetch until it fails."""
    for _ in range(30):
        write(runs, "a", os.urandom(50_000))
        connection.fetch(str(runs), ["a"], here)


@pytest.mark.parametrize("count", [3_000, 5_000, 8_000, 20_000, 60_000])
@pytest.mark.usefixtures("with_any_rsync")
def test_cut_anywhere(opened, proxy, runs, here, count):
    """Wherever the link is cut, the error is clear, and no file is here in part."""
    write(runs, "a", os.urandom(50_000))
    connection = opened()
    proxy.cut_after(count, "down")
    started = time.monotonic()
    with pytest.raises(ConnectionLostError):
        fetch_again_and_again(connection, runs, here)
    assert time.monotonic() - started < 30
    assert not (here / "a").exists() or (here / "a").stat().st_size == 50_000


@pytest.mark.transports("fabric", "openssh")
@pytest.mark.usefixtures("with_any_rsync")
def test_frozen(opened, proxy, runs, here):
    """A link that freezes in a transfer counts as lost after the time set."""
    write(runs, "a", os.urandom(5_000_000))
    connection = opened(idle_timeout=2)
    started = time.monotonic()
    proxy.freeze_after(3_000_000, "down")
    names = ["a"]
    for number in range(50):
        names.append(f"b{number}")
        write(runs, names[-1], os.urandom(100_000))
    with pytest.raises(ConnectionLostError):
        connection.fetch(str(runs), names, here)
    assert proxy.frozen_at is not None
    connection.close()
    assert time.monotonic() - started < 10


def test_interrupted(connection, runs, here):
    """Ctrl-C ends a transfer at once and leaves nothing running, nothing in part."""
    names = [f"{number}" for number in range(100)]
    for name in names:
        write(runs, name, os.urandom(100_000))

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        connection.fetch(str(runs), names, here, interrupt)
    assert all(path.stat().st_size == 100_000 for path in here.iterdir() if path.is_file())
    said = subprocess.run(["ps", "-ef"], check=True, capture_output=True, text=True).stdout
    assert str(here) not in said


def test_full_disk(connection, runs, here, tmp_path):
    """A full disk here is reported as such, and the files that had room are whole."""
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", small], check=True)
    try:
        names = [f"{number}" for number in range(5)]
        for name in names:
            write(runs, name, os.urandom(400_000))
        with pytest.raises(RemoteError, match="No space left on device"):
            connection.fetch(str(runs), names, small)
        whole = [path for path in small.iterdir() if path.is_file()]
        assert all(path.stat().st_size == 400_000 for path in whole)
    finally:
        subprocess.run(["umount", small], check=True)
