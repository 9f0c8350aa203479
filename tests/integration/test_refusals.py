"""A refused launch leaves no trace that a later command trips over."""

import errno
import fcntl
import os

import pytest


def test_runs_folder_that_everybody_can_write_to(project):
    """The launch is refused before its record begins, and the fix that is named works."""
    project.runs.mkdir(parents=True)
    project.runs.chmod(0o777)
    result = project.pytest("--remex-submit")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        [f"*writable for everybody*: chmod o-w {project.runs}", "nothing was sent to this machine*"]
    )
    assert not project.record_paths()
    assert not [ref for ref in project.refs() if ref.startswith("refs/remex")]
    project.runs.chmod(0o755)
    project.submit()
    assert len(project.jobs()) == 3


def test_output_folder_without_locks(project, monkeypatch):
    """Where the file system of the output folder locks no files, the message names remex_output."""

    def refuse(_file, _operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    result = project.pytest("--remex-submit")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*No locks available*set remex_output to*"])
    assert not project.record_paths()
