"""Fetching files: every name, no link, nothing outside, nothing deleted, only what is new."""

import os

import pytest
from asking import files, write

from pytest_remex.errors import RemoteError

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
    with pytest.raises(RemoteError, match="is not the path of a file in the runs folder"):
        connection.fetch(str(runs), ["a", name], here)
    assert not here.exists()


def test_links_there(connection, runs, here, tmp_path):
    """Links on the cluster are neither followed nor copied; files not fetched are named."""
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
    """A link in the path of an output here is not followed."""
    write(runs, "run/a")
    outside = tmp_path / "outside"
    outside.mkdir()
    here.mkdir()
    (here / "run").symlink_to(outside)
    with pytest.raises(RemoteError, match="is not a folder, or is a symbolic link"):
        connection.fetch(str(runs), ["run/a"], here)
    assert files(outside) == []


def test_link_replaced(connection, runs, here, tmp_path):
    """A link in the place of a file is replaced, and its target is not changed."""
    write(runs, "a", "new")
    target = write(tmp_path, "target", "old")
    here.mkdir()
    (here / "a").symlink_to(target)
    connection.fetch(str(runs), ["a"], here)
    assert (target.read_text(), (here / "a").read_text()) == ("old", "new")
    assert not (here / "a").is_symlink()


def test_never_deletes(connection, runs, here):
    """Files here that were not requested stay."""
    write(here, "run/notes", "mine")
    write(runs, "run/a")
    connection.fetch(str(runs), ["run/a"], here)
    assert files(here) == ["run/a", "run/notes"]


def test_changed_again(connection, runs, here):
    """A changed file is fetched again."""
    write(runs, "a", "old")
    connection.fetch(str(runs), ["a"], here)
    write(runs, "a", "new", when=1_800_000_000_000_000_000)
    connection.fetch(str(runs), ["a"], here)
    assert (here / "a").read_text() == "new"


@pytest.mark.transports("fabric", "openssh")
def test_changed_within_a_second(connection, runs, here):
    """A file of the same size that changed within the same second is fetched again."""
    write(runs, "a", "old", when=1_700_000_000_100_000_000)
    connection.fetch(str(runs), ["a"], here)
    write(runs, "a", "new", when=1_700_000_000_200_000_000)
    connection.fetch(str(runs), ["a"], here)
    assert (here / "a").read_text() == "new"
    assert (here / "a").stat().st_mtime_ns == 1_700_000_000_200_000_000


def test_progress(connection, runs, here):
    """Progress counts files and bytes, and never goes back."""
    names = [f"run/{number}" for number in range(20)]
    for name in names:
        write(runs, name, os.urandom(50_000))
    reports = []
    connection.fetch(str(runs), names, here, reports.append)
    assert reports[-1].files == 20
    assert reports[-1].bytes == 1_000_000
    assert reports[-1].rate > 0
    assert reports == sorted(reports, key=lambda each: (each.files, each.bytes))


def test_two_at_once(opened, runs, here):
    """A second fetch into the same folder does not disturb the first."""
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


@pytest.mark.transports("fabric", "openssh")
@pytest.mark.usefixtures("with_any_rsync")
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
