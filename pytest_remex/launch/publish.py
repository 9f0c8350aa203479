"""Ways to get a launch's commits to the clone: through origin, over the connection, or not at all.

A way is created for one launch. `publish` gives what the agent's action "place" needs to find the
commits; `withdraw` removes what was put elsewhere.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Protocol

from pytest_remex import names
from pytest_remex.errors import RepositoryError
from pytest_remex.remote import Connection
from pytest_remex.repo.git import Git

GONE = ("remote ref does not exist", "stale info")


class Publisher(Protocol):
    """A way to get commits to the clone."""

    def publish(self, tip: str) -> dict[str, object]:
        """Bring `tip` and all behind it to where the clone can fetch it; safe to repeat."""

    def withdraw(self) -> None:
        """Remove the temporary branch, if it is still this launch's."""


class Here:
    """Runs on this machine are filled from the user's repository itself."""

    def publish(self, tip: str) -> dict[str, object]:
        """See `Publisher`."""
        return {"kind": "here", "sha": tip}

    def withdraw(self) -> None:
        """See `Publisher`."""


class ThroughOrigin:
    """One temporary branch on origin, pushed create-only and deleted with a lease.

    `tips` are the commits that earlier, interrupted calls may have pushed there.
    """

    def __init__(self, repository: Git, launch: str, tips: Sequence[str] = ()) -> None:
        self._git = repository
        self._branch = names.temporary_branch(launch)
        self._ref = f"refs/heads/{self._branch}"
        self._pushed = self._find(tips) if tips else None

    def publish(self, tip: str) -> dict[str, object]:
        """See `Publisher`. Raises `RepositoryError` with git's words and the mend."""
        if tip != self._pushed:
            self._push(tip)
            self._pushed = tip
        return {"kind": "origin", "ref": self._ref, "sha": tip}

    def withdraw(self) -> None:
        """See `Publisher`."""
        if self._pushed is None:
            return
        lease = f"--force-with-lease={self._ref}:{self._pushed}"
        code, _, errors = self._git.push(lease, "origin", f":{self._ref}")
        if code and not any(word in errors for word in GONE):
            raise RepositoryError(
                f"the temporary branch {self._branch} could not be deleted on origin ({errors}): "
                f"the next --remex-submit tries again, or `git push origin :{self._ref}`"
            )
        self._pushed = None

    def _push(self, tip: str) -> None:
        lease = f"--force-with-lease={self._ref}:{self._pushed or ''}"
        code, _, errors = self._git.push(lease, "origin", f"{tip}:{self._ref}")
        if not code:
            return
        origin = self._git.origin()
        if origin is None:
            raise RepositoryError(
                f"{self._git.top} has no remote called origin, through which commits reach the "
                f"clone: `git remote add origin ...`, or use Remote(..., via='connection')"
            )
        if "stale info" in errors:
            raise RepositoryError(
                f"the branch {self._branch} on {origin} is another's ({self._found() or 'gone'}): "
                f"delete it there if nobody needs it, or launch again in a second"
            )
        raise RepositoryError(
            f"origin ({origin}) refused the push of {self._branch}: {errors}\n"
            f"see that you may push branches remex/... there, or use Remote(..., via='connection')"
        )

    def _find(self, tips: Sequence[str]) -> str | None:
        found = self._found()
        if found is None or found in tips:
            return found
        raise RepositoryError(
            f"the branch {self._branch} on origin stands at {found}, which this launch did not "
            f"push: delete it there if nobody needs it"
        )

    def _found(self) -> str | None:
        listing = self._git.run("ls-remote", "origin", self._ref)
        return listing.split()[0] if listing.strip() else None


class OverConnection:
    """A git bundle, sent over the ssh connection, of what the clone does not have."""

    def __init__(self, repository: Git, launch: str, connection: Connection) -> None:
        self._git = repository
        self._ref = names.keep_ref(launch)
        self._connection = connection

    def publish(self, tip: str) -> dict[str, object]:
        """See `Publisher`."""
        known = [sha for sha in self._tips() if self._git.has(sha)]
        bundle = self._git.bundle(self._ref, known)
        data = base64.b64encode(bundle).decode("ascii")
        return {"kind": "bundle", "ref": self._ref, "sha": tip, "data": data}

    def withdraw(self) -> None:
        """See `Publisher`."""

    def _tips(self) -> list[str]:
        answers = self._connection.ask("tips", clone=self._connection.remote.clone)
        return [str(sha) for answer in answers for sha in answer.field("shas", list)]
