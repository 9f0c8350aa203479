"""Make commits from patches.

Commits are made without a checkout, and are deterministic: the same base and patch make the same
commit on every machine. The author is fixed, the date is the base commit's, and the message holds
the sweep, the experiment's id and its config. Their ids are computed here; commits that are
submitted are written through one `git fast-import` stream, which must compute the same ids.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from pytest_remex.errors import RepositoryError
from pytest_remex.experiment import Experiment
from pytest_remex.model import Commit, Config
from pytest_remex.names import with_full_id
from pytest_remex.repo.git import Git
from pytest_remex.repo.git_process import Process
from pytest_remex.repo.trees import Blob, Edit, ObjectHash, Tree, TreeEntry
from pytest_remex.temporary import is_alive

IDENTITY = "pytest-remex <pytest-remex@localhost>"
REFS = "refs/remex-commits/"
"""Prefix of the ref that a stream uses while it is open."""
UNWRITTEN_SIZE = 64 << 20
"""The most bytes of patches in memory whose commits are not written yet."""
ANSWERS = 250
"""Commits to write before git is asked for their ids."""
_FLAT = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",\n ", ": "))


class Patch(NamedTuple):
    """A sweep function's changes to the checkout, removals first.

    `ignored` are the new files that .gitignore excludes from the experiment, `leaving` the
    experiment's links out of the checkout, with their targets, `special` the new pipes, sockets and
    devices, which git cannot store.
    """

    edits: tuple[Edit, ...]
    ignored: tuple[str, ...]
    leaving: tuple[tuple[str, str], ...] = ()
    special: tuple[str, ...] = ()


@dataclass(slots=True)
class _Unwritten:
    """A commit that is not in the stream yet, and the number of experiments that have it."""

    message: bytes
    edits: Sequence[Edit]
    experiments: int = 1

    @property
    def size(self) -> int:
        return sum(len(edit.content or b"") for edit in self.edits)


class Committer:
    """Make commits on `base`, which has these files.

    With a `quarantine`, commits are only computed. If that needs git, it writes them there, and not
    into the user's repository.
    """

    def __init__(
        self,
        repository: Git,
        base: str,
        files: Mapping[bytes, Blob],
        quarantine: Path | None = None,
    ) -> None:
        self._git = repository
        self.base = base
        date, self._base_tree = repository.date_and_tree(base)
        self._author = f"{IDENTITY} {date}"
        self._no_commit = "0" * len(base)
        self._hash = ObjectHash(base)
        self._tree = Tree(
            (TreeEntry(path, blob.mode, blob.sha) for path, blob in files.items()), self._hash
        )
        # Git computes the ids on a base with a tree that it would not write today (old file modes).
        self._computes = self._tree.sha == self._base_tree
        self._unwritten: dict[str, _Unwritten] = {}
        self._bytes = 0
        self._marks: dict[str, str] = {}
        self._count = 0
        self._ref = _own_ref()
        self._quarantine = quarantine
        if quarantine is None:  # what continues a killed launch may have nothing to write
            _remove_leftovers(repository)

    def commit(self, experiment: Experiment, edits: Sequence[Edit]) -> Commit:
        """Commit a patch on the base; without edits the commit is empty. `gather` writes it."""
        message = message_of(experiment)
        if not self._computes:
            return self._made_by_git(message, edits)
        tree = self.tree(edits)
        head = f"tree {tree}\nparent {self.base}\nauthor {self._author}\ncommitter {self._author}\n"
        sha = self._hash.commit(head.encode() + b"\n" + message)
        if sha in self._unwritten:
            self._unwritten[sha].experiments += 1
        elif sha not in self._marks and self._quarantine is None:
            self._unwritten[sha] = _Unwritten(message, edits)
            self._bytes += self._unwritten[sha].size
            if self._bytes > UNWRITTEN_SIZE:
                self._write_commits(list(self._unwritten))
        return Commit(sha, tree, self.base)

    def tree(self, edits: Sequence[Edit]) -> str:
        """Return the id of the tree that a patch of the base makes."""
        if not self._computes:
            return self._made_by_git(b"", edits).tree
        return self._tree.changed(map(self._entry, edits)) if edits else self._tree.sha

    def _made_by_git(self, message: bytes, edits: Sequence[Edit]) -> Commit:
        mark = self._write(message, [self.base], edits)
        sha, root = self._query([f"get-mark {mark}\n", f'ls {mark} ""\n'])
        self._marks[sha] = mark
        return Commit(sha, root.split()[2], self.base)

    def forget(self, sha: str) -> None:
        """Forget the commit of an experiment that is not submitted."""
        known = self._unwritten.get(sha)
        if known is not None:
            known.experiments -= 1
            if not known.experiments:
                self._take(sha)

    def gather(self, ref: str, shas: Sequence[str], token: str) -> str:
        """Point `ref` to one commit whose parents are the ref's tip and `shas`; on disk on return.

        That commit has the base's tree; pushing it pushes all the others.
        """
        self._write_commits([sha for sha in dict.fromkeys(shas) if sha in self._unwritten])
        tip = self._git.ref(ref)
        message = f"{gathered_subject(ref)}\n\n[skip ci]\nremex-token: {token}\n".encode()
        parents = [*([tip] if tip else []), *(self._marks.get(sha, sha) for sha in shas)]
        mark = self._write(message, parents, [], tree=self._base_tree)
        sha, _ = self._query([f"get-mark {mark}\n", "checkpoint\nprogress written\n"])
        self._git.update_ref(ref, sha, tip)
        return sha

    def close(self) -> None:
        """End the stream; git's garbage collection removes the commits that no ref points to."""
        if "_stream" not in vars(self):
            return  # nothing was written
        self._send(f"reset {self._ref}\nfrom {self._no_commit}\n\ndone\n")
        code, errors = self._stream.end()
        if code:
            _remove_crash_reports(self._git)
            raise RepositoryError(f"git fast-import failed: {errors}")

    @cached_property
    def _stream(self) -> Process:
        return self._git.stream(
            "fast-import", "--quiet", "--done", "--force", "--date-format=raw-permissive",
            "--cat-blob-fd=1", env=_quarantined(self._git, self._quarantine),
        )  # fmt: skip

    def _entry(self, edit: Edit) -> TreeEntry:
        if edit.content is None:
            return TreeEntry(edit.path)
        return TreeEntry(edit.path, edit.mode, self._hash.blob(edit.content))

    def _take(self, sha: str) -> _Unwritten:
        known = self._unwritten.pop(sha)
        self._bytes -= known.size
        return known

    def _write_commits(self, shas: Sequence[str]) -> None:
        """Write commits that were computed; some at a time, as git's answers fill a pipe."""
        for start in range(0, len(shas), ANSWERS):
            some = shas[start : start + ANSWERS]
            for sha in some:
                known = self._take(sha)
                self._marks[sha] = self._write(known.message, [self.base], known.edits)
            found = self._query([f"get-mark {self._marks[sha]}\n" for sha in some])
            if found != list(some):
                raise RepositoryError(
                    f"git fast-import made other commits in {self._git.top} than were computed: "
                    f"nothing was sent; please report this, with the version of git"
                )

    def _write(
        self, message: bytes, parents: Sequence[str], edits: Sequence[Edit], tree: str = ""
    ) -> str:
        self._count += 1
        mark = f":{self._count}"
        self._send(f"reset {self._ref}\n")
        self._send(
            f"commit {self._ref}\nmark {mark}\nauthor {self._author}\ncommitter {self._author}\n"
        )
        self._data(message)
        first, *others = parents
        self._send(f"from {first}\n" + "".join(f"merge {parent}\n" for parent in others))
        if tree:
            self._send(f'deleteall\nM 040000 {tree} ""\n')
        for edit in edits:
            self._edit(edit)
        self._send("\n")
        return mark

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

    def _query(self, queries: Sequence[str]) -> list[str]:
        self._send("".join(queries))
        self._stream.stdin.flush()
        return [self._read_line() for _ in queries]

    def _read_line(self) -> str:
        line = self._stream.stdout.readline().decode().rstrip("\n")
        if not line:
            errors = self._stream.stderr.read().decode(errors="replace").strip()
            raise RepositoryError(f"git fast-import could not commit in {self._git.top}: {errors}")
        return line


def gathered_subject(ref: str) -> str:
    """Return the first line in the message of a commit that `ref` was pointed to."""
    return f"experiments for {ref}"


def refuse_locked_refs(repository: Git) -> None:
    """Raise `RepositoryError` if no ref can be removed: a launch's would be left behind."""
    code, _, errors = repository.attempt("update-ref", "--no-deref", "-d", _own_ref())
    if code:
        raise RepositoryError(
            f"git cannot remove refs in {repository.top}: {errors}\n"
            f"check that you can write to {repository.folder}, and that no git left a lock there"
        )


def _own_ref() -> str:
    return f"{REFS}{socket.gethostname()}-{os.getpid()}"


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


def message_of(experiment: Experiment) -> bytes:
    """Return the message of an experiment's commit: sweep, id with all digits, and config."""
    config = _indented(experiment.config)
    title = with_full_id(experiment.id, experiment.sweep, experiment.point)
    message = f"{experiment.sweep.name} {title}\n\n{config}\n"
    return message.encode("utf-8", "backslashreplace")


def _indented(config: Config) -> str:
    """Return a config as JSON, as `json.dumps` does with `indent=1`, which is slow."""
    if any(isinstance(value, list | tuple | dict) for value in config.values()):
        return json.dumps(config, sort_keys=True, ensure_ascii=False, indent=1)
    line = _FLAT.encode(config)
    return f"{{\n {line[1:-1]}\n}}" if config else line


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
