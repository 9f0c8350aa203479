"""Messages for files that cannot be written."""

import errno
import os

import pytest

from pytest_remex.errors import RecordError
from pytest_remex.io import writing


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS])
def test_file_system_without_locks(number):
    """If files cannot be locked, the message names the setting that moves them."""
    with (
        pytest.raises(RecordError, match=r"x cannot be written \(.*set remex_output to"),
        writing("x"),
    ):
        raise OSError(number, os.strerror(number))
