"""Commits whose ids are computed here, held against those that git makes."""

import json
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.errors import RepositoryError
from pytest_remex.experiment import Experiment
from pytest_remex.repo import commits
from pytest_remex.repo.commits import REFS, Committer
from pytest_remex.repo.trees import EXECUTABLE, LINK, Edit, listing
from pytest_remex.sweep import Sweep

REF = "refs/heads/kept"


@pytest.fixture
def base(repository):
    """Return a commit of a few files in folders."""
    return repository.commit(
        inlist="mass = 1\n", **{"src/a": "a", "src/b/c": "c", "rn": "#!/bin/sh"}
    )


@pytest.fixture
def committer(repository, base):
    """Return what makes commits on the base."""
    made = Committer(repository.client, base, dict(listing(repository.client, base)))
    yield made
    made.close()


def experiment(mass):
    """Return an experiment of a sweep over masses, with non-ASCII text."""
    point = {"mass": mass, "name": "\u03b1\udcff"}
    return Experiment(Sweep("star"), f"mass={mass}", point, point, Path())


EDITS = [
    (),
    (Edit(b"inlist", "100644", b"mass = 2\n"),),
    (Edit(b"src/b/c"), Edit(b"rn", EXECUTABLE, b"")),
    (Edit(b"src/a"), Edit(b"src/b/c"), Edit(b"src", LINK, b"inlist")),
    (Edit(b"\xff/\n", "100644", b"bytes"),),
]


def test_listing_of_a_damaged_base(repository, base):
    """A folder that git has lost is an error, not a shorter list."""
    tree = repository.git("rev-parse", f"{base}:src/b")
    (repository.client.folder / "objects" / tree[:2] / tree[2:]).unlink()
    with pytest.raises(RepositoryError, match=r"cannot list the files .* run `git fsck`"):
        dict(listing(repository.client, base))


@pytest.mark.parametrize("edits", EDITS)
def test_ids_are_gits(repository, base, committer, edits):
    """A commit is what git reads under its computed id: tree, parent, message; once gathered."""
    made = committer.commit(experiment(3), edits)
    assert committer.tree(edits) == made.tree
    with pytest.raises(subprocess.CalledProcessError):
        repository.git("cat-file", "-e", made.sha)
    committer.gather(REF, [made.sha], "token")
    assert (
        repository.git("rev-parse", f"{made.sha}^{{tree}}", f"{made.sha}^")
        == f"{made.tree}\n{base}"
    )
    changed = repository.git("diff-tree", "-r", "--name-only", base, made.sha).splitlines()
    assert len(changed) == len(edits)
    assert "\\udcff" in repository.git("log", "-1", "--format=%B", made.sha)
    repository.git("fsck", "--strict")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda below: st.lists(below) | st.dictionaries(st.text(), below),
    max_leaves=5,
)


@given(st.dictionaries(st.text(), VALUES))
def test_config_in_a_message(config):
    """The config in a commit's message is always what json.dumps writes, with one space."""
    expected = json.dumps(config, sort_keys=True, ensure_ascii=False, indent=1)
    made = Experiment(Sweep("star"), "1", {}, config, Path())
    message = commits.message_of(made).decode("utf-8", "surrogatepass")
    assert message.partition("\n\n")[2] == f"{expected}\n"


def test_the_same_twice(repository, committer):
    """A commit made twice and forgotten once is written; a forgotten commit is not."""
    twice, never = (committer.commit(experiment(each), EDITS[1]) for each in (1, 2))
    assert committer.commit(experiment(1), EDITS[1]) == twice
    committer.forget(twice.sha)
    committer.forget(never.sha)
    committer.gather(REF, [twice.sha], "token")
    assert committer.commit(experiment(1), EDITS[1]) == twice
    assert repository.git("rev-list", "--count", REF) == "3"
    with pytest.raises(subprocess.CalledProcessError):
        repository.git("cat-file", "-e", never.sha)


def test_many_bytes_are_written_at_once(repository, committer, monkeypatch):
    """Patches of many bytes do not stay in memory, and their commits are the same."""
    expected = [committer.commit(experiment(each), EDITS[1]).sha for each in range(6)]
    for sha in expected:
        committer.forget(sha)
    monkeypatch.setattr(commits, "UNWRITTEN_SIZE", 20)
    monkeypatch.setattr(commits, "ANSWERS", 2)
    assert [committer.commit(experiment(each), EDITS[1]).sha for each in range(6)] == expected
    committer.gather(REF, expected, "token")
    assert repository.git("rev-list", "--count", REF) == "8"


def test_what_a_killed_stream_left(repository, base, tmp_path):
    """A launch removes the ref and the crash report of a killed pytest; a plan leaves them."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    mine, other = (f"{REFS}{host}-{ended.pid}" for host in (socket.gethostname(), "elsewhere"))
    for name in (mine, other):
        repository.git("update-ref", name, base)
    report = repository.client.folder / f"fast_import_crash_{ended.pid}"
    report.write_text(f"reset {mine}\n")
    files = dict(listing(repository.client, base))
    Committer(repository.client, base, files, quarantine=tmp_path)
    assert repository.git("for-each-ref", "--format=%(refname)", REFS).split() == [other, mine]
    assert report.exists()
    Committer(repository.client, base, files)
    assert repository.git("for-each-ref", "--format=%(refname)", REFS).split() == [other]
    assert not report.exists()


def test_a_tree_as_git_writes_none_today(repository):
    """On a base with file modes of long ago, commits are git's own."""
    blob = repository.git("hash-object", "-w", "--stdin", text=b"old")
    raw = b"100664 old\0" + bytes.fromhex(blob)
    tree = repository.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", text=raw)
    base = repository.git("commit-tree", "-m", "old", tree)
    made = Committer(repository.client, base, dict(listing(repository.client, base)))
    try:
        commit = made.commit(experiment(1), [Edit(b"new", "100644", b"new")])
        assert made.tree([Edit(b"new", "100644", b"new")]) == commit.tree
        made.gather(REF, [commit.sha], "token")
    finally:
        made.close()
    assert repository.git("rev-parse", f"{commit.sha}^{{tree}}") == commit.tree
