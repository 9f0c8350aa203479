"""Read the files of commits, and make commits from patches.

A commit's files are read as git stores them, without filters, through one `git cat-file --batch`.
Commits are made without a checkout, through one `git fast-import` stream, and are deterministic:
the same base and patch make the same commit on every machine. The author is fixed, the date is the
base commit's, and the message holds the sweep, the experiment's id and its config.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_remex.errors import RepositoryError
from pytest_remex.io import AGAIN
from pytest_remex.model import Commit, Experiment
from pytest_remex.point_ids import full_id
from pytest_remex.repo.git import Git, is_alive

LINK = "120000"
"""Git's mode of a symbolic link."""
EXECUTABLE = "100755"

IDENTITY = "pytest-remex <pytest-remex@localhost>"
REFS = "refs/remex-commits/"
"""Prefix of the ref that a stream uses while it is open."""
CACHED_SIZE = 1 << 20
"""Files of up to this many bytes are cached when read: patches edit the same few files."""
CACHED_FILES = 32
"""The most files in the cache."""
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Edit:
    """A patch's change to one file; without content the file was removed."""

    path: bytes
    mode: str = ""
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class Patch:
    """A sweep function's changes to the checkout, removals first.

    `ignored` are the new files that .gitignore excludes from the experiment, `leaving` the
    experiment's links out of the checkout, with their targets, `special` the new pipes, sockets and
    devices, which git cannot store.
    """

    edits: tuple[Edit, ...]
    ignored: tuple[str, ...]
    leaving: tuple[tuple[str, str], ...] = ()
    special: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Blob:
    """A file of a commit: git's mode and sha, and the size in bytes (0 for a submodule)."""

    mode: str
    sha: str
    size: int


class Blobs:
    """Read the files of a repository's commits."""

    def __init__(self, repository: Git) -> None:
        self._process = repository.stream("cat-file", "--batch")
        self._cache: dict[str, bytes] = {}

    def read(self, blob: Blob) -> bytes:
        """Return a file's bytes."""
        if blob.sha in self._cache:
            return self._cache[blob.sha]
        content = b"".join(self._chunks(blob.sha))
        if blob.size <= CACHED_SIZE:
            self._remember(blob.sha, content)
        return content

    def copy(self, blob: Blob, target: bytes) -> None:
        """Write a file's bytes to a new file; large files in chunks."""
        with open(target, "xb") as file:  # noqa: PTH123 - paths are bytes, as git's are
            if blob.size <= CACHED_SIZE:
                file.write(self.read(blob))
            else:
                file.writelines(self._chunks(blob.sha))

    def close(self) -> None:
        """Stop git's process."""
        self._process.end()

    def _remember(self, sha: str, content: bytes) -> None:
        if len(self._cache) == CACHED_FILES:
            del self._cache[next(iter(self._cache))]
        self._cache[sha] = content

    def _chunks(self, sha: str) -> Iterator[bytes]:
        self._process.stdin.write(sha.encode() + b"\n")
        self._process.stdin.flush()
        header = self._process.stdout.readline().split()
        if len(header) != 3:  # noqa: PLR2004 - sha, type and size; else `<sha> missing`, or the end
            raise RepositoryError(f"git cat-file could not read the file {sha}: run `git fsck`")
        left = int(header[2])
        while left:
            chunk = self._process.stdout.read(min(left, CHUNK))
            if not chunk:
                raise RepositoryError(f"git cat-file ended while the file {sha} was read: {AGAIN}")
            left -= len(chunk)
            yield chunk
        self._process.stdout.read(1)


def listing(repository: Git, commit: str) -> Iterator[tuple[bytes, Blob]]:
    """Return a commit's files by path."""
    process = repository.stream("ls-tree", "-r", "-l", "-z", "--full-tree", commit)
    process.stdin.close()
    for line in process.stdout.read().split(b"\0"):
        if line:
            facts, _, path = line.partition(b"\t")
            mode, _, sha, size = facts.decode().split()
            yield path, Blob(mode, sha, 0 if size == "-" else int(size))
    process.end()


class Committer:
    """Make commits on `base`; `quarantine` keeps their objects out of the user's repository."""

    def __init__(self, repository: Git, base: str, quarantine: Path | None = None) -> None:
        self._git = repository
        self.base = base
        self._date = repository.date(base)
        self._no_commit = "0" * len(base)
        self._marks: dict[str, str] = {}
        self._count = 0
        self._ref = f"{REFS}{socket.gethostname()}-{os.getpid()}"
        _remove_leftovers(repository)
        self._stream = repository.stream(
            "fast-import", "--quiet", "--done", "--force", "--date-format=raw-permissive",
            "--cat-blob-fd=1", env=_quarantined(repository, quarantine),
        )  # fmt: skip

    def commit(self, experiment: Experiment, edits: Sequence[Edit]) -> Commit:
        """Commit a patch on the base; without edits the commit is empty."""
        mark = self._write(_message(experiment), [self.base], edits)
        sha, root = self._query(f"get-mark {mark}\n", f'ls {mark} ""\n')
        self._marks[sha] = mark
        tree = root.split()[2]
        return Commit(sha, tree, self.base)

    def gather(self, ref: str, shas: Sequence[str], token: str) -> str:
        """Point `ref` to one commit whose parents are the ref's tip and `shas`; on disk on return.

        That commit has the base's tree; pushing it pushes all the others.
        """
        tip = self._git.ref(ref)
        message = f"experiments for {ref}\n\n[skip ci]\nremex-token: {token}\n"
        parents = [*([tip] if tip else []), *(self._marks.get(sha, sha) for sha in shas)]
        mark = self._write(message, parents, [], like=self.base)
        sha, _ = self._query(f"get-mark {mark}\n", "checkpoint\nprogress written\n")
        self._git.update_ref(ref, sha, tip)
        return sha

    def close(self) -> None:
        """End the stream; git's garbage collection removes the commits that no ref points to."""
        self._send(f"reset {self._ref}\nfrom {self._no_commit}\n\ndone\n")
        code, errors = self._stream.end()
        if code:
            _remove_crash_reports(self._git)
            raise RepositoryError(f"git fast-import failed: {errors}")

    def _write(
        self, message: str, parents: Sequence[str], edits: Sequence[Edit], like: str | None = None
    ) -> str:
        self._count += 1
        mark = f":{self._count}"
        author = f"{IDENTITY} {self._date}"
        self._send(f"reset {self._ref}\n")
        self._send(f"commit {self._ref}\nmark {mark}\nauthor {author}\ncommitter {author}\n")
        self._data(message.encode("utf-8", "backslashreplace"))
        first, *others = parents
        self._send(f"from {first}\n" + "".join(f"merge {parent}\n" for parent in others))
        if like:
            self._send("deleteall\n" + f'M 040000 {self._tree(like)} ""\n')
        for edit in edits:
            self._edit(edit)
        self._send("\n")
        return mark

    def _tree(self, commit: str) -> str:
        return self._git.run("rev-parse", f"{commit}^{{tree}}").strip()

    def _edit(self, edit: Edit) -> None:
        path = _quoted(edit.path)
        if edit.content is None:
            self._stream.stdin.write(b"D " + path + b"\n")
        else:
            self._stream.stdin.write(b"M " + edit.mode.encode() + b" inline " + path + b"\n")
            self._data(edit.content)

    def _data(self, content: bytes) -> None:
        self._stream.stdin.write(b"data %d\n" % len(content) + content + b"\n")

    def _send(self, text: str) -> None:
        self._stream.stdin.write(text.encode())

    def _query(self, *queries: str) -> list[str]:
        self._send("".join(queries))
        self._stream.stdin.flush()
        return [self._read_line() for _ in queries]

    def _read_line(self) -> str:
        line = self._stream.stdout.readline().decode().rstrip("\n")
        if not line:
            errors = self._stream.stderr.read().decode(errors="replace").strip()
            raise RepositoryError(f"git fast-import could not commit in {self._git.top}: {errors}")
        return line


def _remove_leftovers(repository: Git) -> None:
    """Remove what the streams of killed pytests on this machine left in the repository."""
    _remove_crash_reports(repository)
    for ref in repository.run("for-each-ref", "--format=%(refname)", REFS).split():
        host, _, owner = ref.removeprefix(REFS).rpartition("-")
        if host == socket.gethostname() and not is_alive(int(owner)):
            repository.attempt("update-ref", "-d", ref)


def _remove_crash_reports(repository: Git) -> None:
    for report in repository.folder.glob("fast_import_crash_*"):
        if REFS.encode() in report.read_bytes():
            report.unlink(missing_ok=True)


def _message(experiment: Experiment) -> str:
    config = json.dumps(experiment.config, sort_keys=True, ensure_ascii=False, indent=1)
    return f"{experiment.sweep.name} {full_id(experiment)}\n\n{config}\n"


def _quoted(path: bytes) -> bytes:
    escaped = path.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"' + escaped + b'"'


def _quarantined(repository: Git, folder: Path | None) -> Mapping[str, str]:
    if folder is None:
        return {}
    (folder / "pack").mkdir(parents=True, exist_ok=True)
    return {
        "GIT_OBJECT_DIRECTORY": str(folder),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(repository.folder / "objects"),
    }
