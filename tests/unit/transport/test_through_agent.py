"""Files that come through the agent: whole, only what is new, and nothing that a stream says."""

import os
import zlib
from dataclasses import dataclass, field

import pytest

from pytest_remex.agent.sender import HEADER, LENGTH, PACKED, PIECE
from pytest_remex.errors import RemoteError
from pytest_remex.transport.local import LocalTransport
from pytest_remex.transport.through_agent import pull_through_agent
from pytest_remex.transport.transfer import fetch, refuse_one_file


@dataclass
class Fetched:
    """The result of a transfer: progress, and bytes over the channel."""

    place = way = "here"
    reports: list = field(default_factory=list)
    size: int = 0

    def python(self, program):
        """Start a program on this machine, and count what it says."""
        channel = LocalTransport().python(program)
        read = channel.read

        def counted():
            data = read()
            self.size += len(data)
            return data

        channel.read = counted
        return channel


@pytest.fixture
def there(tmp_path):
    """Return the folder to fetch from."""
    folder = tmp_path / "there"
    folder.mkdir()
    return folder


@pytest.fixture
def here(tmp_path):
    """Return the folder to fetch into."""
    return tmp_path / "here"


def fetched(there, here, *names):
    """Fetch through an agent on this machine."""
    found = Fetched()

    def copy(transfer):
        pull_through_agent(found, transfer, idle_timeout=30)

    assert fetch(copy, str(there), names, here, found.reports.append) == []
    for name in names:
        assert (here / name).read_bytes() == (there / name).read_bytes()
        assert (here / name).stat().st_mtime_ns == (there / name).stat().st_mtime_ns
    return found


def test_only_what_changed(there, here):
    """Unchanged files are not sent; of a file that grew, only its end; others in full."""
    start = os.urandom(300_000)
    (there / "a").write_bytes(start)
    assert fetched(there, here, "a").size > 300_000
    assert fetched(there, here, "a").size < 1000
    (there / "a").write_bytes(start + b"more")
    assert fetched(there, here, "a").size < 1000
    (there / "a").write_bytes(b"x" + start[1:])
    assert fetched(there, here, "a").size > 290_000
    (there / "a").write_bytes(b"short")
    fetched(there, here, "a")
    (there / "a").write_bytes(b"")
    fetched(there, here, "a")


def test_compressed(there, here):
    """Compressible data is compressed."""
    (there / "a").write_text("1.25 " * 200_000)
    assert fetched(there, here, "a").size < 20_000


def test_progress(there, here):
    """Progress ends with all files and bytes."""
    names = [f"{number}/out" for number in range(50)]
    for name in names:
        (there / name).parent.mkdir()
        (there / name).write_bytes(os.urandom(2000))
    last = fetched(there, here, *names).reports[-1]
    assert (last.files, last.bytes) == (50, 100_000)


def test_a_part_is_gone_on_with(there, here):
    """The part of a file that a broken transfer left is not sent again."""
    data = os.urandom(500_000)
    (there / "a").write_bytes(data)
    part = here / ".remex-staging" / ".remex-part" / "a"
    part.parent.mkdir(parents=True)
    part.write_bytes(data[:400_000])
    assert fetched(there, here, "a").size < 110_000


def test_a_folder_that_is_not_there(there, here):
    """A folder that is not there is named."""
    with pytest.raises(RemoteError, match=r"the runs folder .*/nowhere cannot be read"):
        fetched(there / "nowhere", here, "a")


BOMB = zlib.compress(bytes(10_000_000))
HOSTILE = {
    "another file": HEADER.pack(7, 1, 1, 0),
    "a start beyond what is here": HEADER.pack(0, 99, 1, 50),
    "a large piece": HEADER.pack(0, 1 << 40, 1, 0) + LENGTH.pack(1 << 30) + bytes(PIECE + 1),
    "a piece that unpacks to too much": HEADER.pack(0, 1, 1, 0)
    + LENGTH.pack(len(BOMB) | PACKED)
    + BOMB,
    "a damaged piece": HEADER.pack(0, 1, 1, 0) + LENGTH.pack(4 | PACKED) + b"evil",
    "no stream": b"no stream at all" * 4,
}


@pytest.mark.parametrize("stream", HOSTILE)
def test_a_hostile_stream(there, here, stream, monkeypatch):
    """A stream that makes no sense is refused, and nothing of it is kept."""
    (there / "a").write_text("a")
    sent = there.with_name("stream")
    sent.write_bytes(HOSTILE[stream])
    boot = (
        "import json, pathlib, sys\n"
        "nonce = json.loads(sys.stdin.readline())['nonce']\n"
        f"sys.stdout.buffer.write(nonce.encode() + b' \"\"\\n')\n"
        f"sys.stdout.buffer.write(pathlib.Path({str(sent)!r}).read_bytes())\n"
    )
    monkeypatch.setattr("pytest_remex.agent.BOOT", boot)
    with pytest.raises(RemoteError, match="carried malformed data"):
        fetched(there, here, "a")
    assert [path for path in here.rglob("*") if path.is_file() and path.stat().st_size] == []


def test_names_that_are_one_file(tmp_path):
    """Names that would be one file are refused only on file systems where they would be."""
    names = ["run/LOGS/history", "run/logs/history", "run/caf\u00e9", "run/cafe\u0301", "run/b"]
    refuse_one_file(names, tmp_path)
    assert list(tmp_path.iterdir()) == []
    for alike in (names[:2], names[2:4]):
        with pytest.raises(RemoteError, match=r"would be the same file in .*remex_output"):
            refuse_one_file(alike, tmp_path, lambda *_: True)
    refuse_one_file(["a", "b", "a/b"], tmp_path, lambda *_: True)


def test_names_that_differ_in_case(there, here):
    """If the file system distinguishes them, both are fetched."""
    (there / "A").write_text("A")
    (there / "a").write_text("a")
    fetched(there, here, "A", "a")
