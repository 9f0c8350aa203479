"""The door to git: everything about the user's repository that is not a scratch checkout."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from pytest_remex.errors import RepositoryError
from pytest_remex.repo.environment import environment
from pytest_remex.repo.process import Process, start


class Git:
    """A repository, reached through the git command.

    Raises `RepositoryError` where `path` is not in one.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise RepositoryError(f"repository {path} does not exist: set remex_repo, or Repo(...)")
        # As it is now: a patch that changes os.environ changes none of our commands.
        self._environment = environment(os.environ)
        self.top = path
        self.folder = self._folder("--git-common-dir") or self._refuse(path)
        self.top = self._folder("--show-toplevel") or self.folder

    def run(self, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        """Run git and give its output; raises `RepositoryError` with git's own words."""
        code, output, errors = self.attempt(*arguments, env=env)
        if code:
            words = " ".join(arguments[:2])
            raise RepositoryError(f"git {words} failed in {self.top}: {errors or output}")
        return output

    def attempt(
        self, *arguments: str, env: Mapping[str, str] | None = None
    ) -> tuple[int, str, str]:
        """Run git and give exit code, output and errors; credentials in URLs are removed.

        Ctrl-C at the terminal does not reach it.
        """
        code, output, errors = self.stream(*arguments, env=env).communicate()
        said = scrub(errors.decode(errors="replace")).strip()
        return code, output.decode(errors="surrogateescape"), said

    def stream(self, *arguments: str, env: Mapping[str, str] | None = None) -> Process:
        """Start a git process to be spoken to; Ctrl-C at the terminal does not reach it."""
        return start(self.top, arguments, {**self._environment, **(env or {})})

    def push(self, *arguments: str) -> tuple[int, str, str]:
        """Push to origin what is named, and that alone; return what `attempt` does."""
        only = ("-c", "remote.origin.mirror=false")  # which forbids to name what is pushed
        return self.attempt(*only, "push", "--quiet", "--no-verify", *arguments)

    def resolve(self, revision: str) -> str:
        """Give the sha of any commit-ish."""
        code, output, _ = self.attempt(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
        )
        if code and revision == "HEAD":
            raise RepositoryError(f"{self.top} has no commit yet: commit the simulation first")
        if code:
            raise RepositoryError(
                f"unknown branch or commit {revision!r} in {self.top}, whose branches are "
                f"{self._branches()}: change branch=..., or `git fetch` it"
            )
        return output.strip()

    def branch(self, revision: str) -> str:
        """Give the name for run directories: the branch, or the revision as it was given."""
        code, output, _ = self.attempt(
            "rev-parse", "--abbrev-ref", "--verify", "--quiet", "--end-of-options", revision
        )
        name = output.strip()
        return "detached" if name == "HEAD" else name if not code and name else revision

    def date(self, sha: str) -> str:
        """Give a commit's committer date as git's raw format: seconds and zone."""
        output = self.run("rev-list", "--max-count=1", "--format=%cd", "--date=raw", sha)
        return output.splitlines()[-1]

    @functools.cached_property
    def edited(self) -> list[str]:
        """The tracked files with uncommitted edits, as they were when first asked for."""
        output = self.run("status", "--porcelain", "-z", "--untracked-files=no", "--no-renames")
        return sorted(line[3:] for line in output.split("\0") if line)

    def origin(self) -> str | None:
        """Give origin's address, without credentials; None where there is no origin."""
        code, output, _ = self.attempt("remote", "get-url", "origin")
        return None if code else scrub(output.strip())

    def refuse_unsupported(self, base: str) -> None:
        """Raise `RepositoryError` for what cannot be made into run directories."""
        listing = self.run("ls-tree", "-r", "-z", "--full-tree", base).split("\0")
        modules = [line.partition("\t")[2] for line in listing if line.startswith("160000 ")]
        if modules:
            raise RepositoryError(
                f"{self.top} has the submodule {modules[0]!r}, which would be an empty folder in "
                f"run directories: submodules are not supported; commit its files instead"
            )
        attributes = [line for line in listing if line.endswith(".gitattributes")]
        for line in attributes:
            mode_and_sha, _, path = line.partition("\t")
            if "filter=lfs" in self.run("cat-file", "blob", mode_and_sha.split()[2]):
                raise RepositoryError(
                    f"{path} in {self.top} puts files into Git LFS, whose pointers would stand in "
                    f"run directories: LFS is not supported; commit the files themselves, or "
                    f"keep them on the cluster and name their path in the config"
                )
        if (self.folder / "shallow").exists():
            raise RepositoryError(
                f"{self.top} is a shallow clone, from which experiments cannot be pushed: "
                f"run `git fetch --unshallow`"
            )

    def ref(self, name: str) -> str | None:
        """Give the sha that a ref points to; None where there is no such ref."""
        code, output, _ = self.attempt("rev-parse", "--verify", "--quiet", name)
        return None if code else output.strip()

    def update_ref(self, name: str, sha: str, old: str | None) -> None:
        """Point a ref to `sha` if it still points to `old`; None: if it does not exist."""
        self.run("update-ref", "--no-deref", name, sha, old or "0" * 40)

    def contains(self, ancestor: str, descendant: str) -> bool:
        """Say whether one commit is in the history of another, both being here."""
        code, _, _ = self.attempt("merge-base", "--is-ancestor", ancestor, descendant)
        return code == 0

    def has(self, sha: str) -> bool:
        """Say whether a commit is here."""
        code, _, _ = self.attempt("cat-file", "-e", f"{sha}^{{commit}}")
        return code == 0

    def bundle(self, ref: str, known: Sequence[str]) -> bytes:
        """Give a bundle of a ref, without what the `known` commits reach."""
        process = self.stream("bundle", "create", "--quiet", "-", ref, "--stdin")
        process.stdin.write(b"".join(b"^" + sha.encode() + b"\n" for sha in known))
        process.stdin.close()
        bundle = process.stdout.read()
        code, errors = process.end()
        if code:
            raise RepositoryError(f"git bundle of {ref} failed in {self.top}: {errors}")
        return bundle

    def _folder(self, question: str) -> Path | None:
        code, output, errors = self.attempt("rev-parse", question)
        if code and "not a git repository" not in errors and "work tree" not in errors:
            raise RepositoryError(f"git cannot use {self.top}: {errors}")
        return None if code else Path(self.top, output.removesuffix("\n")).resolve()

    def _refuse(self, path: Path) -> NoReturn:
        raise RepositoryError(
            f"{path} is not a git repository: an experiment is a commit of one; "
            f"run `git init` and commit there, or set remex_repo to the repository's path"
        )

    def _branches(self) -> str:
        names = self.run("for-each-ref", "--format=%(refname:short)", "refs/heads").split()
        return ", ".join(names[:8]) or "none"


def scrub(text: str) -> str:
    """Remove user names and tokens from URLs: `https://user:token@host` to `https://***@host`."""
    return re.sub(r"(\b[a-z][a-z0-9+.-]*://)[^/\s]+@", r"\1***@", text, flags=re.IGNORECASE)
