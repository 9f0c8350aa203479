"""Files that are looked at for each experiment: read again only where they may have changed."""

import os
from pathlib import Path

import pytest

from pytest_remex.known_files import (
    LARGEST,
    MOST,
    KnownFiles,
    create_file,
    overwrite_file,
    read_file,
)

OLD = str(Path(__file__))
"""A file that was not changed just now."""
LONG_AGO = 1_000_000_007_123_456_789


def write(path, text):
    """Write a file and set its time back, as a copy that keeps times does."""
    path.write_text(text)
    os.utime(path, ns=(LONG_AGO, LONG_AGO))


def test_edit_that_leaves_the_same_stat(tmp_path):
    """A file that changed just now is read again, even if its stat is still the same."""
    known, path = KnownFiles(), tmp_path / "inlist"
    write(path, "1")
    status = path.stat()
    assert known.content(str(path), status, -1) == b"1"
    write(path, "2")  # on many systems, two edits within 4 ms leave the same stat
    assert known.content(str(path), status, -1) == b"2"


def test_results_of_files_that_change_fast(tmp_path):
    """A result is that of today's files, of whatever size and time they are."""
    known, path = KnownFiles(), tmp_path / "inlist"
    for number in range(300):
        write(path, f"{number:03}")
        files = known.now()
        assert files.computed("key", lambda f=files: int(f.content(str(path)))) == number


def test_old_file_is_read_once():
    """A file that has not changed for a while is not read again, and its bytes are kept once."""
    known = KnownFiles()
    first = known.now().content(OLD)
    assert first == Path(OLD).read_bytes()
    assert known.now().content(OLD) is first
    assert known.now().content(OLD, 3) == first[:3]


def test_one_moment(tmp_path):
    """All looks of one moment see the same, though the file changes meanwhile."""
    path = tmp_path / "inlist"
    path.write_text("a")
    files = KnownFiles().now()
    assert files.content(str(path)) == b"a"
    path.write_text("b")
    assert files.content(str(path)) == b"a"


def test_what_is_no_file(tmp_path):
    """A folder, a pipe, a broken link and a name that no file can have are not read."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "link")
    files = KnownFiles().now()
    for name in ("", "pipe", "link", "missing", "pipe/below", 300 * "x", "a\0b"):
        path = f"{tmp_path}/{name}"
        assert (files.is_file(path), files.content(path), files.identity(path)) == (
            False,
            None,
            None,
        )


def test_names_of_one_file(tmp_path):
    """A link and the file that it leads to have the same identity."""
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("file")
    files = KnownFiles().now()
    assert files.identity(f"{tmp_path}/link") == files.identity(f"{tmp_path}/file")


def counted(tmp_path, known, calls):
    """Return which of two files exist; `calls` gets an item for each time it is computed."""
    files = known.now()

    def compute():
        calls.append(1)
        return files.computed("below", lambda: files.is_file(f"{tmp_path}/a")), files.content(OLD)

    return files.computed("above", compute)[0]


def test_result_is_computed_once_for_the_same_files(tmp_path):
    """A result is kept while all that it was computed from is the same, also by other results."""
    known, calls = KnownFiles(), []
    assert not counted(tmp_path, known, calls)
    assert not counted(tmp_path, known, calls)
    assert len(calls) == 1
    (tmp_path / "a").touch()
    assert counted(tmp_path, known, calls)
    assert len(calls) == 2
    (tmp_path / "a").unlink()
    assert not counted(tmp_path, known, calls)


def test_error_is_not_kept():
    """What raised is computed again."""
    files = KnownFiles().now()

    def fail():
        raise ValueError(OLD)

    for _ in range(2):
        with pytest.raises(ValueError, match="known_files"):
            files.computed("key", fail)
    assert files.computed("key", lambda: 1) == 1


def test_little_is_kept(tmp_path):
    """Neither many nor large files fill the memory."""
    known = KnownFiles()
    large = tmp_path / "large"
    large.write_bytes(bytes(LARGEST + 1))
    for number in range(2 * MOST):
        known.now().content(OLD, number)
        known.now().computed(number, lambda: None)
    assert known.now().content(str(large)) == bytes(LARGEST + 1)
    assert len(known._contents) == len(known._results) == MOST


@pytest.mark.parametrize(
    "content", [b"", b"a", os.urandom(300_000)], ids=["empty", "short", "long"]
)
def test_files_written_and_read(content, tmp_path):
    """A file holds the bytes that were written last, however long it was before."""
    path = tmp_path / "inlist"
    create_file(os.fsencode(path), content)
    assert read_file(str(path)) == content == path.read_bytes()
    overwrite_file(str(path), b"shorter")
    assert path.read_bytes() == b"shorter"
    overwrite_file(str(path), content)
    assert read_file(str(path)) == content


def test_a_file_of_no_stated_size():
    """A file whose size is not known before it is read, as in /proc, is read to its end."""
    assert read_file("/proc/self/cmdline") == Path("/proc/self/cmdline").read_bytes()


def test_files_that_cannot_be_written(tmp_path):
    """A file is created only if there is none, and overwritten only if there is one."""
    path = tmp_path / "inlist"
    with pytest.raises(FileNotFoundError):
        overwrite_file(str(path), b"1")
    path.write_bytes(b"0")
    with pytest.raises(FileExistsError):
        create_file(os.fsencode(path), b"1")
    assert path.read_bytes() == b"0"
