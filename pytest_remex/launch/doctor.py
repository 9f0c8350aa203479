"""Check what submitting and collecting need: on this machine, on the way, and on the cluster.

The mode doctor shows all checks. A launch is refused for the faults of a remote, all together and
before there is a launch record.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pytest_remex.common.parts import OVER_CONNECTION, Needs
from pytest_remex.common.protocol import FAULT, FINE, NOTE, Check
from pytest_remex.display import some_of
from pytest_remex.errors import RemexError, RemoteError
from pytest_remex.launch.options import Grouping, GroupingKind
from pytest_remex.model import Remote, Repo
from pytest_remex.repo.git import Git
from pytest_remex.repo.identity import Footprint
from pytest_remex.repo.inputs import unfaithful
from pytest_remex.repo.trees import listing
from pytest_remex.sbatch.exit_codes import hidden_exit_codes
from pytest_remex.transport.connection import Connect, Connection
from pytest_remex.transport.rsync import rsync_fault

SKEW = 30.0
"""If the clocks differ by more seconds than this, a note says so."""
CAPACITY = frozenset({"jobs", "disk", "quota"})
"""The checks whose notes a launch shows too."""


def diagnose(
    repo: Repo,
    remote: Remote,
    output: Path,
    connect: Connect,
    scripts: Iterable[str] = (),
) -> Iterator[Check]:
    """Check a repository and a remote; nothing is written to either.

    Args:
        repo: The user's repository.
        remote: Where the jobs run.
        output: The output folder.
        connect: Opens a connection, which is closed at the end.
        scripts: The batch scripts of the sweeps.

    Yields:
        The checks, in the order in which they are needed.

    """
    yield from _repository(repo, remote, scripts)
    yield _output(output)
    try:
        connection = connect(remote)
    except RemoteError as error:
        yield Check("login", FAULT, str(error), f"ssh {remote.host} true")
        return
    with connection:
        if remote.host is not None:
            yield Check(
                "login", FINE, f"{remote.host}: host, host key and key; by {connection.way}"
            )
            yield from _other_way(connection)
        yield from _there(connection, remote)


def _repository(repo: Repo, remote: Remote, scripts: Iterable[str]) -> Iterator[Check]:
    try:
        git = Git(repo.path)
        base = git.resolve("HEAD")
        files = dict(listing(git, base))
        git.refuse_unsupported(base, files)
        git.refuse_shallow()
        changed = unfaithful(git, base, files)
    except RemexError as error:
        fix = "correct that, or name another repository: remex_repo, or the fixture repo"
        yield Check("repository", FAULT, str(error), fix)
        return
    yield Check("repository", FINE, f"{git.top} at {base[:12]}")
    if changed:
        some = some_of([os.fsdecode(path) for path in sorted(changed)], 3)
        fix = "commit the files that jobs read as they are; name what no job reads in remex_control"
        yield Check("inputs", NOTE, f"submodules, or changed by a git filter: {some}", fix)
    for script in scripts:
        yield from _exit_codes(Path(git.top), script)
    if remote.host is None or remote.via != "origin":
        return
    code, _, words = git.list_remote("--exit-code", git.pushed_to(), "HEAD")
    where = git.origin() or "origin"
    top = shlex.quote(str(git.top))
    if git.origin() is None:
        fix = f"git -C {top} remote add origin <address>; or {OVER_CONNECTION}"
        yield Check("origin from here", FAULT, f"{git.top} has no remote called origin", fix)
    elif code:
        fix = f"git -C {top} ls-remote origin; or {OVER_CONNECTION}"
        yield Check("origin from here", FAULT, f"{where} does not answer: {words}", fix)
    else:
        yield Check("origin from here", FINE, where)


def _exit_codes(top: Path, script: str) -> Iterator[Check]:
    for why in hidden_exit_codes(top, script):
        found, _, fix = why.partition("; ")
        yield Check("exit code", NOTE, found, fix)


def _output(folder: Path) -> Check:
    there = folder
    while not there.exists():
        there = there.parent
    if os.access(there, os.W_OK | os.X_OK):
        return Check("output folder", FINE, str(folder))
    return Check("output folder", FAULT, f"{there} is not writable", "set remex_output")


def _there(connection: Connection, remote: Remote) -> Iterator[Check]:
    asked = time.time()
    try:
        for check in connection.examine(thorough=True):
            # the clock comes last, because the other checks take time
            yield _clock(check, asked, time.time()) if check.name == "clock" else check
        if remote.host is not None:
            yield _rsync_here()
            yield _login_files(connection.noise)
    except RemoteError as error:
        fix = f"ssh {remote.host} python3 --version" if remote.host else "python3 --version"
        yield Check("login files and python3", FAULT, str(error), fix)


def _other_way(connection: Connection) -> Iterator[Check]:
    """Name what another transport can do and this one cannot."""
    if could := connection.other_way:
        yield Check("transport", NOTE, f"{connection.way} was used; {could}")


def _rsync_here() -> Check:
    if fault := rsync_fault():
        fix = "install rsync 3.1 or newer: a grid of many files comes faster"
        return Check("rsync here", NOTE, f"{fault}: files are copied through the agent", fix)
    return Check("rsync here", FINE, "rsync")


def _login_files(noise: str) -> Check:
    if not noise:
        return Check("login files", FINE, "quiet")
    fix = "write in a terminal only: [[ $- == *i* ]] && ..."
    return Check("login files", NOTE, f"they write {noise!r}, which is skipped", fix)


def _clock(check: Check, earliest: float, latest: float) -> Check:
    there = float(check.found)
    skew = max(earliest - there, there - latest, 0.0)
    if skew <= SKEW:
        return Check("clock", FINE, "agrees with the one here")
    return Check(
        "clock", NOTE, f"differs by {skew:.0f} s from the one here", "date, here and there"
    )


class Fitness:
    """Check that remotes can take what a command submits, before a launch record is made."""

    def __init__(self, connect: Connect, grouping: Grouping) -> None:
        self._connect = connect
        self._grouping = grouping
        self._fit: set[Remote] = set()
        self.notes: list[str] = []
        """Notes about these remotes, to be shown once at the end."""

    def refuse_unfit(
        self, footprints: Mapping[Remote, Sequence[Footprint]], unseen: int = 0
    ) -> bool:
        """Refuse what a remote cannot take; each remote is checked once.

        Args:
            footprints: The sizes of the run directories that are about to be made.
            unseen: How many more there may be that are not prepared yet.

        Returns:
            Whether everything fits. If only the unseen ones would be too much, nothing should be
            submitted before they are known.

        Raises:
            RemoteError: A remote cannot take it; the message lists all faults and their fixes.

        """
        for remote, sizes in footprints.items():
            if remote in self._fit:
                continue
            connection = self._connect(remote)
            checks = list(connection.examine(self._needs(sizes, unseen)))
            if unseen and _faults(checks):
                _refuse(connection, connection.examine(self._needs(sizes, 0)))
                return False
            _refuse(connection, checks)
            self._fit.add(remote)
            notes = [each for each in checks if each.state == NOTE and each.name in CAPACITY]
            self.notes += [f"{each.found}: {each.fix}" for each in notes]
        return True

    def _needs(self, sizes: Sequence[Footprint], unseen: int) -> Needs:
        known, count = Footprint.total(sizes), len(sizes) + unseen
        pack = self._grouping.kind is GroupingKind.PACK
        return Needs(
            jobs=1 if pack else count,
            files=known.files * count // len(sizes),
            size=known.size * count // len(sizes),
            array=self._grouping.kind is GroupingKind.ARRAY,
        )


def _faults(checks: Iterable[Check]) -> list[str]:
    return [f"{each.found}: {each.fix}" for each in checks if each.state == FAULT]


def _refuse(connection: Connection, checks: Iterable[Check]) -> None:
    if faults := _faults(checks):
        last = f"nothing was sent to {connection.remote.place}; --remex-doctor shows all checks"
        raise RemoteError("\n".join([*faults, last]))
