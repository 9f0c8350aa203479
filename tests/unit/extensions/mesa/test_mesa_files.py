"""Files that cannot be read or patched."""

from __future__ import annotations

import pytest

from pytest_remex.errors import NamelistError
from pytest_remex.extensions.mesa import patch_inlist, read_inlist


def test_files_that_cannot_be_patched(tmp_path):
    """A missing file, a folder and a link are named, with the fix."""
    with pytest.raises(NamelistError, match="No such file"):
        patch_inlist(tmp_path / "inlst", {"mass": 1})
    with pytest.raises(NamelistError, match="Is a directory"):
        read_inlist(tmp_path)
    (tmp_path / "real").write_text("&pump\n rate = 1\n/\n")
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(NamelistError, match="is a link to real: name that file"):
        patch_inlist(tmp_path / "link", {"mass": 1})


def test_text_that_the_file_cannot_hold_is_refused(tmp_path):
    """A file that is not UTF-8 stays in its encoding, or as it is."""
    path = tmp_path / "inlist"
    path.write_bytes(b"&pump\n label = 'caf\xe9'\n/\n")
    assert read_inlist(path) == {"pump": {"label": "caf\u00e9"}}
    with pytest.raises(NamelistError, match="is in latin-1, which has no"):
        patch_inlist(path, {"label": "\u2603"})
    patch_inlist(path, {"label": "\u00e8"})
    assert path.read_bytes() == b"&pump\n label = '\xe8'\n/\n"


def test_a_count_that_no_array_has_is_refused(tmp_path):
    """A slip of the keyboard does not fill the memory."""
    (tmp_path / "inlist").write_text("&pump\n w = 99999999999*0\n/\n")
    with pytest.raises(NamelistError, match=r"99999999999\*0 repeats a value too often"):
        read_inlist(tmp_path / "inlist")
