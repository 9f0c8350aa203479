"""Ask and change the user's repository through the git command."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from pytest_remex import temporary
from pytest_remex.common.git import kept_variables
from pytest_remex.common.paths import unplaceable
from pytest_remex.common.redact import redact
from pytest_remex.errors import RepositoryError
from pytest_remex.repo.git_process import FIXED, Process, last_lines, owner_of, start

Tell: TypeAlias = Callable[[str], None]
STORING_POINTERS = frozenset({"lfs", "annex"})
"""Filters that store a pointer instead of the file, with any commands."""
BRANCH = "branch=..."
"""The origin of a base's name in messages, unless an option names it."""


class Git:
    """A repository, reached through the git command.

    Raises:
        RepositoryError: `path` is not in a repository, or git cannot use it.

    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise RepositoryError(f"repository {path} does not exist: set remex_repo, or Repo(...)")
        # a copy: a patch that changes os.environ must not affect our commands
        self._environment = kept_variables(os.environ) | FIXED
        self.top = path
        self.folder, *tops = self._folders()
        # with core.worktree, git may not find the repository from its work tree
        self.top = next((top for top in tops if (top / ".git").exists()), self.folder)

    def run(self, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        """Run git and return its output; raises `RepositoryError` with git's message."""
        return os.fsdecode(self.ask(*arguments, env=env))

    def ask(
        self,
        *arguments: str,
        text: bytes = b"",
        env: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        accepted: Collection[int] = (0,),
    ) -> bytes:
        """Run git with an input, and return its output.

        Args:
            arguments: The command and its arguments.
            text: The input.
            env: More environment variables.
            options: Options of git that come before the command.
            accepted: The exit codes with which the command succeeds.

        Raises:
            RepositoryError: It failed; the message has git's own.

        """
        process = self.stream(*options, *arguments, env=env)
        code, output, errors = process.communicate(text)
        if code not in accepted:
            words = redact(" ".join(arguments[:2]))
            why = last_lines(redact((errors or output).decode(errors="replace")))
            raise RepositoryError(f"git {words} failed in {self.top}: {why}")
        return output

    def attempt(
        self, *arguments: str, env: Mapping[str, str] | None = None
    ) -> tuple[int, str, str]:
        """Run git and return exit code, output and last errors, without credentials in URLs.

        Ctrl-C at the terminal does not reach it.
        """
        return self.stream(*arguments, env=env).finish()

    def stream(self, *arguments: str, env: Mapping[str, str] | None = None) -> Process:
        """Start a git process and return it; Ctrl-C at the terminal does not reach it."""
        return start(self.top, arguments, {**self._environment, **(env or {})})

    def push(self, *arguments: str, tell: Tell = lambda _: None) -> tuple[int, str, str]:
        """Push only the given refs to origin; see `Process.watch`."""
        only = ("-c", "remote.origin.mirror=false")  # a mirror cannot be pushed ref by ref
        process = self.stream(*only, "push", "--progress", "--no-verify", *arguments)
        _owner = owner_of(process.popen, self.top)  # a server may keep a push waiting
        return process.watch(tell)

    def list_remote(self, *arguments: str) -> tuple[int, str, str]:
        """Ask a remote repository for its refs; returns the same as `attempt`."""
        return self.stream("ls-remote", *arguments).watch()

    def resolve(self, revision: str, given_by: str = BRANCH) -> str:
        """Return the sha of any commit-ish; `given_by` names the setting in an error."""
        code, output, _ = self.attempt(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
        )
        if code and revision == "HEAD" and self._branches() == "none":
            raise RepositoryError(f"{self.top} has no commits yet: commit the simulation first")
        if code and revision == "HEAD":
            raise RepositoryError(
                f"the branch that is checked out in {self.top} has no commits yet: commit the "
                f"simulation first, or set {given_by} to one of: {self._branches()}"
            )
        if code:
            raise RepositoryError(
                f"unknown branch or commit {revision!r} in {self.top}: correct {given_by}, or "
                f"`git fetch` it; the branches are: {self._branches()}"
            )
        return output.strip()

    def branch(self, revision: str) -> str:
        """Return the name for run directories: the branch, or else the revision as given."""
        code, output, _ = self.attempt(
            "rev-parse", "--abbrev-ref", "--verify", "--quiet", "--end-of-options", revision
        )
        name = output.strip()
        return "detached" if name == "HEAD" else name if not code and name else revision

    def date_and_tree(self, sha: str) -> tuple[str, str]:
        """Return a commit's date in git's raw format, seconds and zone, and the id of its tree."""
        output = self.run("rev-list", "--max-count=1", "--format=%cd %T", "--date=raw", sha)
        date, _, tree = output.splitlines()[-1].rpartition(" ")
        return date, tree

    @functools.cached_property
    def edited(self) -> list[str]:
        """The tracked files with uncommitted edits, at the time of the first access."""
        if self.top == self.folder:  # a bare repository
            return []
        output = self.run("status", "--porcelain", "-z", "--untracked-files=no", "--no-renames")
        return sorted(line[3:] for line in output.split("\0") if line)

    def origin(self) -> str | None:
        """Return the URL that is pushed to, without credentials; None if there is no origin."""
        code, output, _ = self.attempt("remote", "get-url", "--push", "origin")
        return None if code else redact(output.strip())

    def pushed_to(self) -> str:
        """Return the name or URL by which to ask the repository that is pushed to."""
        found = self.attempt("config", "--get-all", "remote.origin.pushurl")[1].splitlines()
        urls = [self.attempt("remote", "get-url", *way, "origin")[1] for way in ((), ("--push",))]
        if found or urls[0] == urls[1]:
            return found[0] if found else "origin"
        return urls[1].strip()

    def refuse_unsupported(self, base: str, paths: Iterable[bytes]) -> None:
        """Raise `RepositoryError` if a run directory cannot have all of a commit's files."""
        for path in paths:
            if why := unplaceable(path):
                raise RepositoryError(
                    f"{self.top} has the file {os.fsdecode(path)!r} at {base[:12]}: {why}; remove "
                    f"it from the commit"
                )

    def refuse_shallow(self) -> None:
        """Raise `RepositoryError` in a shallow clone; outputs can be collected there."""
        if (self.folder / "shallow").exists():
            raise RepositoryError(
                f"{self.top} is a shallow clone, from which experiments cannot be pushed: "
                f"run `git fetch --unshallow`"
            )

    def filtered(self, base: str, paths: Collection[bytes]) -> dict[bytes, str]:
        """Return the files of a commit that are stored in another form, and their filter."""
        if any(path.rpartition(b"/")[2] == b".gitattributes" for path in paths):
            return self._filtered(base, paths, self._changes_files)
        if (self.folder / "info" / "attributes").exists():
            return self._filtered(base, paths, STORING_POINTERS.__contains__)
        return {}

    def _filtered(
        self, base: str, paths: Collection[bytes], changes: Callable[[str], bool]
    ) -> dict[bytes, str]:
        names = b"".join(path + b"\0" for path in paths)
        with tempfile.TemporaryDirectory(prefix=temporary.prefix("index")) as folder:
            # Attributes from the base commit, not from the work tree or the user's index.
            index = {"GIT_INDEX_FILE": f"{folder}/index", "GIT_ATTR_NOSYSTEM": "1"}
            self.run("read-tree", base, env=index)
            # The user's own attributes do not change what is committed here.
            own = ("-c", f"core.attributesFile={os.devnull}")
            command = ("check-attr", "--cached", "-z", "--stdin", "filter")
            fields = self.ask(*command, text=names, env=index, options=own).split(b"\0")
        filters = zip(fields[0::3], map(os.fsdecode, fields[2::3]), strict=False)
        return {path: name for path, name in filters if changes(name)}

    @functools.cache  # noqa: B019 - a few names, for the few repositories of a run
    def _changes_files(self, name: str) -> bool:
        """Return whether a filter's checked-out files differ from what git stores."""
        if name in {"unspecified", "unset", "set", ""}:
            return False
        _, smudge, _ = self.attempt("config", f"filter.{name}.smudge")
        _, process, _ = self.attempt("config", f"filter.{name}.process")
        return (
            name in STORING_POINTERS or smudge.strip() not in {"", "cat"} or bool(process.strip())
        )

    def ref(self, name: str) -> str | None:
        """Return the sha that a ref points to; None if it does not exist."""
        code, output, _ = self.attempt("rev-parse", "--verify", "--quiet", name)
        return None if code else output.strip()

    def update_ref(self, name: str, sha: str, old: str | None) -> None:
        """Point a ref to `sha` if it still points to `old` (None: if it does not exist yet)."""
        self.run("update-ref", "--no-deref", name, sha, old or "")

    def contains(self, ancestor: str, descendant: str) -> bool:
        """Return whether one commit is an ancestor of another; the repository must have both."""
        code, _, _ = self.attempt("merge-base", "--is-ancestor", ancestor, descendant)
        return code == 0

    def has(self, sha: str) -> bool:
        """Return whether the repository has a commit."""
        code, _, _ = self.attempt("cat-file", "-e", f"{sha}^{{commit}}")
        return code == 0

    def bundle(self, ref: str, known: Sequence[str]) -> bytes:
        """Return a bundle of a ref, without what can be reached from the `known` commits."""
        text = b"".join(b"^" + sha.encode() + b"\n" for sha in known)
        return self.ask("bundle", "create", "--quiet", "-", ref, "--stdin", text=text)

    def _folders(self) -> list[Path]:
        """Return the repository's folder, and the work tree's if it has one."""
        asked = ("--git-common-dir", "--show-toplevel")
        code, output, errors = self.attempt("rev-parse", *asked)
        # "not a git repository: PATH" is a work tree whose repository was moved or removed
        if code and "not a git repository (or any" not in errors and "work tree" not in errors:
            newer = ("unknown repository extension", "Expected git repo version")
            is_newer = any(words in errors for words in newer)
            fix = ": a newer git made it, install that one" if is_newer else ""
            raise RepositoryError(f"git cannot use {self.top}: {' '.join(errors.split())}{fix}")
        if not output:
            raise RepositoryError(
                f"{self.top} is not a git repository, and each experiment becomes a git commit: "
                f"run `git init` and commit there, or set remex_repo to the repository's path"
            )
        answers = [output] if code else output.splitlines(keepends=True)
        if len(answers) > len(asked):  # a path has a line break
            answers = [self.run("rev-parse", each) for each in asked]
        return [Path(self.top, each.removesuffix("\n")).resolve() for each in answers]

    def _branches(self) -> str:
        names = self.run("for-each-ref", "--format=%(refname:short)", "refs/heads").split()
        return ", ".join(names[:8]) or "none"
