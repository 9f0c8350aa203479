"""Messages for files that cannot be written."""

import errno
import os
from pathlib import Path

import pytest

from pytest_remex.errors import RecordError
from pytest_remex.io import sync_folder, writing


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS])
def test_file_system_without_locks(number):
    """If files cannot be locked, the message names the setting that moves them."""
    with (
        pytest.raises(RecordError, match=r"x cannot be written \(.*set remex_output to"),
        writing("x"),
    ):
        raise OSError(number, os.strerror(number))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder that cannot be flushed")
def test_a_file_system_that_cannot_flush_folders(tmp_path):
    """A folder is flushed if its file system can do that: /proc cannot, nor can SMB mounts."""
    sync_folder(Path("/proc/self"))
    sync_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "none")
