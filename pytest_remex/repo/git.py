"""The door to git: everything about the user's repository that is not a scratch checkout."""

from __future__ import annotations

import functools
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import git

from pytest_remex.errors import RepositoryError

SAFE = (
    "-c", "core.hooksPath=/dev/null",
    "-c", "gc.auto=0",
    "-c", "maintenance.auto=false",
    "-c", "commit.gpgSign=false",
)  # fmt: skip
"""The user's hooks, signing and housekeeping stay out of what is done in their repository."""


@dataclass(frozen=True, slots=True)
class Process:
    """A git process that is spoken to while it runs."""

    stdin: IO[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]
    popen: subprocess.Popen[bytes]
    owner: object
    """GitPython ends the process when this goes away."""

    def communicate(self) -> tuple[int, bytes, bytes]:
        """Wait for its end, and give its exit code, output and errors."""
        output, errors = self.popen.communicate()
        return self.popen.returncode, output, errors

    def end(self) -> tuple[int, str]:
        """Wait for its end, close its streams, and give its exit code and errors."""
        with suppress(BrokenPipeError):  # its exit code and errors tell more
            self.stdin.close()
        errors = self.stderr.read().decode(errors="replace").strip()
        code = self.popen.wait()
        self.stdout.close()
        self.stderr.close()
        return code, errors


class Git:
    """A repository, reached through the git command.

    Raises `RepositoryError` where `path` is not in one.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise RepositoryError(f"repository {path} does not exist: set remex_repo, or Repo(...)")
        try:
            found = git.Repo(path, search_parent_directories=True)
        except (git.InvalidGitRepositoryError, git.NoSuchPathError) as error:
            raise RepositoryError(
                f"{path} is not a git repository: an experiment is a commit of one; "
                f"run `git init` and commit there, or set remex_repo to the repository's path"
            ) from error
        self.folder = Path(found.common_dir).resolve()
        self.top = Path(found.working_tree_dir or found.common_dir).resolve()
        self._command = git.Git(self.top)

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
        with _interrupts_blocked():
            owner = self._command.execute(
                ["git", *SAFE, *arguments],
                istream=subprocess.PIPE,
                as_process=True,
                env=dict(env or {}),
            )
        process = owner.proc
        if process is None or None in {process.stdin, process.stdout, process.stderr}:
            raise RepositoryError(f"git {arguments[0]} could not be started in {self.top}")
        streams = cast(
            "tuple[IO[bytes], IO[bytes], IO[bytes]]",
            (process.stdin, process.stdout, process.stderr),
        )
        return Process(*streams, process, owner)

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
        return self.run(
            "show", "-s", "--no-show-signature", "--format=%cd", "--date=raw", sha
        ).strip()

    @functools.cached_property
    def edited(self) -> list[str]:
        """The tracked files with uncommitted edits, as they were when first asked for."""
        output = self.run(
            "--no-optional-locks", "status", "--porcelain", "-z", "--untracked-files=no",
            "--no-renames",
        )  # fmt: skip
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

    def _branches(self) -> str:
        names = self.run("for-each-ref", "--format=%(refname:short)", "refs/heads").split()
        return ", ".join(names[:8]) or "none"


def scrub(text: str) -> str:
    """Remove user names and tokens from URLs: `https://user:token@host` to `https://***@host`."""
    return re.sub(r"(\b[a-z][a-z0-9+.-]*://)[^/\s]+@", r"\1***@", text, flags=re.IGNORECASE)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    # A child inherits the mask: Ctrl-C must not kill a push, or leave half a pack in objects/.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
