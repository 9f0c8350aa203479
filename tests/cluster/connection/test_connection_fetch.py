"""Fetching files: rsync over the connection, through names, noise and breaks."""

import os
import shutil
import subprocess
import time

import pytest
from support.proxy import Proxy
from support.sshd import NOISY_RC

from pytest_remex.errors import ConnectionLostError, RemoteError

HOSTILE = [
    "a\nb/c\nd.data",
    "-rf/--delete",
    "#note/;x",
    "spaced out/two  words ",
    "$(touch x)/`id`'\"\\",
    "*/?[a]",
    "host:path/x:y",
    "LOGS/histoire_é.data",
    os.fsdecode(b"bytes\xff/\xfe.data"),
    ".hidden/.x",
    "~/~root",
    "n" * 200 + "/" + "m" * 200,
]


@pytest.fixture
def proxy(home, server):
    """Give a proxy before the server, by which the host `cluster` is now reached."""
    with Proxy(server.port) as proxy:
        server.client(home, port=proxy.port)
        yield proxy


@pytest.fixture
def here(tmp_path):
    """Give the folder for what is fetched, in a place with blanks in its name."""
    return tmp_path / "my 'own' outputs"


def write(folder, name, text="x", when=1_700_000_000_123_456_789):
    """Write a file with a known time."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.utime(path, ns=(when, when))
    return path


def files(folder):
    """List what lies below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


@pytest.fixture(params=["ssh", "local"])
def connection(request, opened):
    """Give a connection of each kind."""
    return opened(None if request.param == "local" else "cluster")


def test_names_and_times(connection, runs, here, tmp_path, monkeypatch):
    """Every name that a file can have arrives, with its bytes and its time, and nothing runs."""
    monkeypatch.chdir(tmp_path)
    for name in HOSTILE:
        write(runs, name, os.fsencode(name))
    assert connection.fetch(str(runs), HOSTILE, here) == []
    assert files(here) == sorted(HOSTILE)
    for name in HOSTILE:
        assert (here / name).read_bytes() == os.fsencode(name)
        assert (here / name).stat().st_mtime_ns == (runs / name).stat().st_mtime_ns
    assert not (tmp_path / "x").exists()


def test_hostile_source(connection, tmp_path, here):
    """The runs folder may have any name as well."""
    source = tmp_path / "-runs $(touch x)\n'\"" / os.fsdecode(b"\xff")
    write(source, "a")
    assert connection.fetch(str(source), ["a"], here) == []
    assert files(here) == ["a"]


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a/../../x", "a//b", "./a", "", "a\0b", "a/"]
)
def test_outside(connection, runs, here, name):
    """A name that could lead out of a folder is refused, and nothing is fetched."""
    write(runs, "a")
    with pytest.raises(RemoteError, match="is no path of a file in the runs folder"):
        connection.fetch(str(runs), ["a", name], here)
    assert not here.exists()


def test_links_there(connection, runs, here, tmp_path):
    """Links on the cluster are neither followed nor made; what could not be had is named."""
    secret = write(tmp_path, "secret")
    write(runs, "a")
    (runs / "link").symlink_to(secret)
    (runs / "hanging").symlink_to("/nowhere")
    assert connection.fetch(str(runs), ["a", "link", "hanging", "none"], here) == [
        "link",
        "hanging",
        "none",
    ]
    assert files(here) == ["a"]


def test_links_here(connection, runs, here, tmp_path):
    """A link in the way here is not gone through."""
    write(runs, "run/a")
    outside = tmp_path / "outside"
    outside.mkdir()
    here.mkdir()
    (here / "run").symlink_to(outside)
    with pytest.raises(RemoteError, match="is no folder of its own"):
        connection.fetch(str(runs), ["run/a"], here)
    assert files(outside) == []


def test_link_replaced(connection, runs, here, tmp_path):
    """A link that lies where a file belongs is replaced, and what it points at is left alone."""
    write(runs, "a", "new")
    target = write(tmp_path, "target", "old")
    here.mkdir()
    (here / "a").symlink_to(target)
    connection.fetch(str(runs), ["a"], here)
    assert (target.read_text(), (here / "a").read_text()) == ("old", "new")
    assert not (here / "a").is_symlink()


def test_never_deletes(connection, runs, here):
    """What lies here and was not asked for stays."""
    write(here, "run/notes", "mine")
    write(runs, "run/a")
    connection.fetch(str(runs), ["run/a"], here)
    assert files(here) == ["run/a", "run/notes"]


def test_changed_again(connection, runs, here):
    """A file that changed is fetched anew; one of the same size and time is not read again."""
    write(runs, "a", "old")
    connection.fetch(str(runs), ["a"], here)
    write(runs, "a", "new", when=1_800_000_000_000_000_000)
    connection.fetch(str(runs), ["a"], here)
    assert (here / "a").read_text() == "new"


def test_progress(connection, runs, here):
    """Progress counts files and bytes, and never goes back."""
    names = [f"run/{number}" for number in range(20)]
    for name in names:
        write(runs, name, os.urandom(50_000))
    told = []
    connection.fetch(str(runs), names, here, told.append)
    assert told[-1].files == 20
    assert told[-1].bytes == 1_000_000
    assert told[-1].rate > 0
    assert told == sorted(told, key=lambda each: (each.files, each.bytes))


def test_two_at_once(opened, runs, here):
    """A second fetch into the same folder goes its own way."""
    write(runs, "a")
    write(runs, "b")
    first, second = opened(), opened()

    def then_the_second(_):
        if not (here / "b").exists():
            second.fetch(str(runs), ["b"], here)

    first.fetch(str(runs), ["a"], here, then_the_second)
    assert files(here) == ["a", "b"]


def test_unreadable(opened, runs, here, server):
    """A file that vanishes before it is read is named, and the others come."""
    write(runs, "a")
    assert opened().fetch(str(runs), ["a", "gone/b"], here) == ["gone/b"]
    assert files(here) == ["a"]


def test_noisy_shell(opened, server, runs, here):
    """The login shell's noise does not get into rsync's stream."""
    server.shell(NOISY_RC + "head -c 300000 /dev/urandom\n")
    write(runs, "a", "text")
    opened().fetch(str(runs), ["a"], here)
    assert (here / "a").read_text() == "text"


def test_one_channel(opened, server, runs, here, hello):
    """Where the server allows one channel, the agent makes room for the fetch and comes back."""
    write(runs, "a")
    with server.with_options(MaxSessions="1"):
        connection = opened()
        hello(connection)
        connection.fetch(str(runs), ["a"], here)
        assert hello(connection)["event"] == "hello"
    assert files(here) == ["a"]


def test_missing_there(opened, server, runs, here):
    """Where the cluster has no rsync, the message says so."""
    write(runs, "a")
    (server.home / "only").mkdir(exist_ok=True)
    python = server.home / "only" / "python3"
    python.unlink(missing_ok=True)
    python.symlink_to("/usr/bin/python3")
    (server.home / ".bash_profile").write_text(f"export PATH={server.home}/only\n")
    with pytest.raises(RemoteError, match="cluster: rsync is not on the PATH there: install"):
        opened().fetch(str(runs), ["a"], here)


def test_missing_here(opened, runs, here, monkeypatch, tmp_path):
    """Where this machine has no rsync, the message says so."""
    connection = opened()
    write(runs, "a")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RemoteError, match="rsync is not on the PATH of this machine"):
        connection.fetch(str(runs), ["a"], here)


def test_old_here(opened, runs, here, monkeypatch, tmp_path):
    """An rsync here that is too old is named with its version."""
    old = tmp_path / "rsync"
    old.write_text("#!/bin/sh\necho 'rsync  version 2.6.9  protocol version 29'\n")
    old.chmod(0o755)
    connection = opened()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RemoteError, match=r"rsync \('rsync  version 2.6.9.*too old"):
        connection.fetch(str(runs), ["a"], here)


def test_runs_folder_missing(connection, runs, here):
    """A runs folder that is gone is named."""
    with pytest.raises(RemoteError, match="nowhere"):
        connection.fetch(str(runs / "nowhere"), ["a"], here)


def test_cut_and_gone_on(opened, proxy, runs, here):
    """A cut link is told; what was whole is here, nothing is half here, and the rest goes on."""
    names = [f"{number}.data" for number in range(6)]
    for name in names:
        write(runs, name, os.urandom(2_000_000))
    proxy.cut_after(7_000_000, "down")
    with pytest.raises(ConnectionLostError, match="run again, goes on where it stopped"):
        opened().fetch(str(runs), names, here)
    done = [name for name in names if (here / name).exists()]
    assert 1 <= len(done) < 6
    assert all((here / name).read_bytes() == (runs / name).read_bytes() for name in done)
    before = proxy.forwarded["down"]
    left = [name for name in names if name not in done]
    assert opened().fetch(str(runs), left, here) == []
    assert all((here / name).read_bytes() == (runs / name).read_bytes() for name in names)
    assert proxy.forwarded["down"] - before < 2_000_000 * len(left) - 500_000
    assert files(here) == names


@pytest.mark.parametrize("count", [3_000, 5_000, 8_000, 20_000, 60_000])
def test_cut_anywhere(opened, proxy, runs, here, count):
    """Wherever the link is cut, the error is clear, and no file is here in part."""
    write(runs, "a", os.urandom(50_000))
    connection = opened()
    proxy.cut_after(count, "down")
    started = time.monotonic()
    with pytest.raises(ConnectionLostError):
        for _ in range(30):
            write(runs, "a", os.urandom(50_000))
            connection.fetch(str(runs), ["a"], here)
    assert time.monotonic() - started < 30
    assert not (here / "a").exists() or (here / "a").stat().st_size == 50_000


def test_frozen(opened, proxy, runs, here):
    """A link that freezes in a transfer counts as lost after the time set."""
    write(runs, "a", os.urandom(5_000_000))
    connection = opened(silence=2)
    started = time.monotonic()

    def freeze(_):
        proxy.freeze()

    names = ["a"]
    for number in range(50):
        names.append(f"b{number}")
        write(runs, names[-1], os.urandom(100_000))
    with pytest.raises(ConnectionLostError):
        connection.fetch(str(runs), names, here, freeze)
    connection.close()
    assert time.monotonic() - started < 10


def test_growing_file(opened, proxy, runs, here):
    """Of a file that grew, only what is new goes over the link."""
    start = os.urandom(3_000_000)
    write(runs, "a", start)
    connection = opened()
    connection.fetch(str(runs), ["a"], here)
    before = proxy.forwarded["down"]
    write(runs, "a", start + os.urandom(1000), when=1_800_000_000_000_000_000)
    connection.fetch(str(runs), ["a"], here)
    assert (here / "a").stat().st_size == 3_001_000
    assert proxy.forwarded["down"] - before < 200_000


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
    """A full disk here is told as such, and the files that had room are whole."""
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
