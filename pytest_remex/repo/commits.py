"""Deterministic commits beside the checkout, through one `git fast-import` stream.

The same base and patch make the same commit on every machine: the identity is fixed, the date is
the base commit's, and the message holds the sweep, the experiment's id and its config.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_remex.errors import RepositoryError
from pytest_remex.model import Commit, Experiment
from pytest_remex.repo.git import Git
from pytest_remex.repo.patch import Edit
from pytest_remex.repo.stale import is_alive

IDENTITY = "pytest-remex <pytest-remex@localhost>"
NOWHERE = "0" * 40
REFS = "refs/remex-commits/"
"""Where a stream's own ref is, for as long as it is open."""


class Committer:
    """Makes commits on `base`; `quarantine` keeps their objects out of the user's repository."""

    def __init__(self, repository: Git, base: str, quarantine: Path | None = None) -> None:
        self._git = repository
        self.base = base
        self._date = repository.date(base)
        self._marks: dict[str, str] = {}
        self._count = 0
        self._ref = f"{REFS}{socket.gethostname()}-{os.getpid()}"
        _remove_traces(repository)
        self._stream = repository.stream(
            "fast-import", "--quiet", "--done", "--force", "--date-format=raw-permissive",
            "--cat-blob-fd=1", env=_quarantined(repository, quarantine),
        )  # fmt: skip

    def commit(self, experiment: Experiment, edits: Sequence[Edit]) -> Commit:
        """Commit a patch on the base; no edits make an empty commit."""
        mark = self._write(_message(experiment), [self.base], edits)
        sha, root = self._ask(f"get-mark {mark}\n", f'ls {mark} ""\n')
        self._marks[sha] = mark
        tree = root.split()[2]
        return Commit(sha, tree, self.base)

    def gather(self, ref: str, shas: Sequence[str], token: str) -> str:
        """Point `ref` to one commit whose parents are the ref's tip and `shas`; on disk on return.

        That commit has the base's tree; one push of it carries all the others.
        """
        tip = self._git.ref(ref)
        message = f"experiments for {ref}\n\n[skip ci]\nremex-token: {token}\n"
        parents = [*([tip] if tip else []), *(self._marks.get(sha, sha) for sha in shas)]
        mark = self._write(message, parents, [], like=self.base)
        sha, _ = self._ask(f"get-mark {mark}\n", "checkpoint\nprogress written\n")
        self._git.update_ref(ref, sha, tip)
        return sha

    def close(self) -> None:
        """End the stream; the commits that no ref keeps are left to git's garbage collection."""
        self._send(f"reset {self._ref}\nfrom {NOWHERE}\n\ndone\n")
        code, errors = self._stream.end()
        if code:
            _remove_reports(self._git)
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

    def _ask(self, *questions: str) -> list[str]:
        self._send("".join(questions))
        self._stream.stdin.flush()
        return [self._answer() for _ in questions]

    def _answer(self) -> str:
        answer = self._stream.stdout.readline().decode().rstrip("\n")
        if not answer:
            errors = self._stream.stderr.read().decode(errors="replace").strip()
            raise RepositoryError(f"git fast-import could not commit in {self._git.top}: {errors}")
        return answer


def _remove_traces(repository: Git) -> None:
    """Remove what the stream of a killed pytest on this machine left in the repository."""
    _remove_reports(repository)
    for ref in repository.run("for-each-ref", "--format=%(refname)", REFS).split():
        host, _, owner = ref.removeprefix(REFS).rpartition("-")
        if host == socket.gethostname() and not is_alive(int(owner)):
            repository.attempt("update-ref", "-d", ref)


def _remove_reports(repository: Git) -> None:
    for report in repository.folder.glob("fast_import_crash_*"):
        if REFS.encode() in report.read_bytes():
            report.unlink(missing_ok=True)


def _message(experiment: Experiment) -> str:
    config = json.dumps(experiment.config, sort_keys=True, ensure_ascii=False, indent=1)
    return f"{experiment.sweep.name} {experiment.id}\n\n{config}\n"


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
