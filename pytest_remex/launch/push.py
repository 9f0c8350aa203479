"""Ways to get a launch's commits to the clone: through origin, over the connection, or locally.

A publisher is created for one launch. `publish` returns what the request `Place` needs to find the
commits; `withdraw` removes what was pushed.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from pytest_remex import names
from pytest_remex.common.parts import OVER_CONNECTION, Source
from pytest_remex.common.protocol import ListTips, Tips
from pytest_remex.errors import RepositoryError
from pytest_remex.records.launch import Launch
from pytest_remex.repo.commits import gathered_subject
from pytest_remex.repo.git import Git, Tell

if TYPE_CHECKING:
    from pytest_remex.transport.connection import Connection

GONE = ("remote ref does not exist", "stale info")
"""Git's messages if the branch to delete no longer exists, or no longer is ours."""

REJECTED = "[remote rejected]"
"""Git's message if origin received a push and refused it."""
TRACKING = "refs/remotes/origin/"
"""Where git keeps the tips of origin's branches that it has seen."""


class Publisher(Protocol):
    """A way to get commits to the clone."""

    def publish(self, tip: str, tell: Tell) -> Source:
        """Make `tip` and all its ancestors available to the clone; safe to repeat.

        `tell` is called with words on what is waited for.
        """

    def withdraw(self) -> bool:
        """Remove the temporary branch, if it is still this launch's; return whether it is gone."""


def publisher_for(
    launch: Launch, worker: str, repository: Git, connection: Connection, tips: Sequence[str] = ()
) -> Publisher:
    """Return the publisher for a launch's commits.

    Args:
        launch: The launch.
        worker: The name of the temporary branch: the launch, or the client that resumes it.
        repository: The user's repository, which has the commits.
        connection: The open connection to the launch's remote.
        tips: The commits that an interrupted command may have pushed already.

    Raises:
        RepositoryError: The launch's temporary branch is at another commit.
    """
    if launch.remote.host is None:
        return Here()
    if launch.remote.via == "connection":
        return OverConnection(repository, worker, connection)
    return ThroughOrigin(repository, worker, tips)


def withdraw_from_origin(repository: Git, launch: str, tips: Sequence[str]) -> list[str]:
    """Remove the branch that a launch pushed before it continued over the connection.

    Returns:
        A warning if that failed.

    """
    try:
        ThroughOrigin(repository, launch, tips).withdraw()
    except RepositoryError as error:
        return [f"the launch continues over the connection; its branch on origin stays: {error}"]
    return []


def forget_removed_branches(repository: Git) -> None:
    """Remove git's remote-tracking refs of temporary branches that origin no longer has.

    A client that was killed keeps one if another client removed the branch, and so does a fetch
    that was made during a launch. A ref is removed only if its commit was made for that branch.

    Raises:
        RepositoryError: Origin cannot be asked.

    """
    seen = _tracked_branches(repository)
    if not seen:
        return
    code, listing, errors = repository.list_remote("--refs", "origin", "refs/heads/remex/*")
    if code:
        raise RepositoryError(f"git ls-remote failed in {repository.top}: {errors}")
    there = {line.partition("\trefs/heads/")[2] for line in listing.splitlines()}
    for branch, commit in seen.items():
        if branch not in there:
            # the ref stays if another process has pushed again, or is writing it
            repository.attempt("update-ref", "--no-deref", "-d", f"{TRACKING}{branch}", commit)


def _tracked_branches(repository: Git) -> dict[str, str]:
    """Return the temporary branches of launches that git has seen on origin, with their commits."""
    form = "--format=%(objectname) %(refname) %(subject)"
    found = {}
    for line in repository.run("for-each-ref", form, f"{TRACKING}remex/").splitlines():
        commit, ref, subject = line.split(" ", 2)
        branch = ref.removeprefix(TRACKING)
        if subject == gathered_subject(names.keep_ref(branch.removeprefix("remex/"))):
            found[branch] = commit
    return found


class Here:
    """For runs on this machine, which are filled directly from the user's repository."""

    def publish(self, tip: str, _tell: Tell) -> Source:
        """See `Publisher`."""
        return Source("here", tip)

    def withdraw(self) -> bool:
        """See `Publisher`."""
        return True


class ThroughOrigin:
    """One temporary branch on origin, pushed create-only and deleted with a lease.

    `tips` are the commits that earlier, interrupted calls may have pushed there.
    """

    def __init__(self, repository: Git, launch: str, tips: Sequence[str] = ()) -> None:
        self._git = repository
        self._branch = names.temporary_branch(launch)
        self._ref = f"refs/heads/{self._branch}"
        self._tips = set(tips)
        self._origin()  # a launch that cannot push leaves no record
        self._pushed = self._pushed_earlier() if tips else None
        self._may_have_arrived = False

    def publish(self, tip: str, tell: Tell = lambda _: None) -> Source:
        """See `Publisher`. Raises `RepositoryError` with git's message and the fix."""
        if tip != self._pushed:
            self._push(tip, tell)
            self._pushed = tip
        return Source("origin", tip, self._ref, address=self._git.origin() or "")

    def withdraw(self) -> bool:
        """See `Publisher`. Raises `RepositoryError` if origin does not delete it."""
        if self._pushed is None:
            return not self._may_have_arrived
        code, errors = self._set(self._pushed, "")
        if "stale info" in errors and (there := self._on_origin()):
            # a push that seemed to fail may have arrived
            code, errors = self._set(self._own(there), "")
        if code and not any(word in errors for word in GONE):
            raise RepositoryError(
                f"origin did not delete the temporary branch {self._branch}: {errors}\n"
                f"the next --remex-submit tries again; if origin keeps every branch, delete it "
                f"there, and {OVER_CONNECTION}"
            )
        self._pushed = None
        return True

    def _push(self, tip: str, tell: Tell) -> None:
        self._tips.add(tip)
        code, errors = self._set(self._pushed or "", tip, tell)
        if "stale info" in errors and self._pushed and self._on_origin() is None:
            code, errors = self._set("", tip, tell)  # another client deleted it as left over
        if not code:
            return
        origin = self._origin()
        if "stale info" in errors:
            raise RepositoryError(
                f"the branch {self._branch} on {origin} belongs to another launch (it is at "
                f"{self._on_origin() or 'no commit any more'}): delete it there if nobody needs "
                f"it, or run the same command again in a second"
            )
        if REJECTED not in errors:
            self._may_have_arrived = True
            raise RepositoryError(
                f"the push of {self._branch} to origin ({origin}) failed: {errors}\n"
                f"check `git push --dry-run origin HEAD:{self._ref}`, or {OVER_CONNECTION}"
            )
        fix = "check that you may push branches remex/... there"
        if self._at("refs/heads/remex"):
            fix = "rename the branch remex there"
        raise RepositoryError(
            f"origin ({origin}) refused the push of {self._branch}: {errors}\n"
            f"{fix}, or {OVER_CONNECTION}"
        )

    def _set(self, expected: str, commit: str, tell: Tell = lambda _: None) -> tuple[int, str]:
        """Point the branch from one commit to another; empty for no branch."""
        lease = f"--force-with-lease={self._ref}:{expected}"
        code, _, errors = self._git.push(lease, "origin", f"{commit}:{self._ref}", tell=tell)
        return code, errors

    def _pushed_earlier(self) -> str | None:
        commit = self._on_origin()
        return commit and self._own(commit)

    def _own(self, commit: str) -> str:
        """Return the commit that the branch is at. Raises `RepositoryError` if it is not ours."""
        if commit in self._tips:
            return commit
        raise RepositoryError(
            f"the branch {self._branch} on origin is at {commit}, which this launch did not "
            f"push: delete it there if nobody needs it"
        )

    def _on_origin(self) -> str | None:
        return self._at(self._ref)

    def _at(self, ref: str) -> str | None:
        """Return the commit of a ref of origin; None if there is no such ref."""
        code, listing, errors = self._git.list_remote(self._git.pushed_to(), ref)
        if code:
            raise RepositoryError(
                f"origin ({self._origin()}) does not answer: {errors}\n"
                f"check `git ls-remote origin`, or {OVER_CONNECTION}"
            )
        return listing.split()[0] if listing.strip() else None

    def _origin(self) -> str:
        origin = self._git.origin()
        if origin is None:
            raise RepositoryError(
                f"{self._git.top} has no remote called origin, through which commits reach the "
                f"clone: `git remote add origin ...`, or {OVER_CONNECTION}"
            )
        return origin


class OverConnection:
    """A git bundle, sent over the ssh connection, of what the clone does not have."""

    def __init__(self, repository: Git, launch: str, connection: Connection) -> None:
        self._git = repository
        self._ref = names.keep_ref(launch)
        self._connection = connection

    def publish(self, tip: str, _tell: Tell) -> Source:
        """See `Publisher`."""
        known = [sha for sha in self._tips() if self._git.has(sha)]
        bundle = self._git.bundle(self._ref, known)
        data = base64.b64encode(bundle).decode("ascii")
        return Source("bundle", tip, self._ref, data)

    def withdraw(self) -> bool:
        """See `Publisher`."""
        return True

    def _tips(self) -> list[str]:
        events = self._connection.ask(ListTips(self._connection.remote.clone))
        return [sha for event in events if isinstance(event, Tips) for sha in event.shas]
