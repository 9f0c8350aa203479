"""Rsync's own rules: how it splits words, and how it prints its progress."""

import os
import subprocess
import sys
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_remex.transport.rsync import quote_for_rsync, read_progress

TEXT = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=60
)


@settings(max_examples=20, deadline=None)
@given(text=TEXT)
def test_words_of_rsync(text):
    """Rsync splits a quoted word back into the original."""
    show = (
        "import sys; open(sys.argv[1], 'wb').write(sys.argv[2].encode('utf-8', 'surrogateescape'))"
    )
    with tempfile.NamedTemporaryFile() as output:
        words = [sys.executable, "-I", "-S", "-c", show, output.name, text]
        shell = " ".join(map(quote_for_rsync, words))
        command = ["rsync", f"--rsh={shell}", "there:.", "/nowhere"]
        subprocess.run(command, capture_output=True, check=False)
        assert output.read() == text.encode()


RECORDED = b"".join(
    [
        b"\r         65,536   0%    0.00kB/s    0:00:00  ",
        b"\r          32768   3%    1.20MB/s    0:00:01  ",
        b"\r         120000  12%   10.20MB/s    0:00:00 (xfr#1, to-chk=9/10)",
        b"\r         150000  15%   10.20MB/s    0:00:00  ",
        b"\r        1000000 100%   10.20MB/s    0:00:00 (xfr#10, to-chk=0/10)\n",
    ]
)


def test_progress_read_back():
    """Bytes and files are read from the output of rsync 3.5; other lines are skipped."""
    ours, theirs = os.pipe()
    os.write(theirs, b"skipping directory 12 100%\n" + RECORDED)
    os.close(theirs)
    with os.fdopen(ours, "rb") as stream:
        progress = [(each.files, each.bytes) for each in read_progress(stream) if each is not None]
    assert progress == [(0, 32768), (1, 120000), (1, 150000), (10, 1000000)]
