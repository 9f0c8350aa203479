"""Refuse a launch that a remote cannot take, with all faults, before there is a launch record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pytest_remex.common.parts import Needs
from pytest_remex.common.protocol import FAULT, NOTE, Check
from pytest_remex.errors import RemoteError
from pytest_remex.launch.options import Grouping, GroupingKind
from pytest_remex.model import Remote
from pytest_remex.repo.identity import Footprint
from pytest_remex.transport.connection import Connect, Connection

CAPACITY = frozenset({"jobs", "disk", "quota"})
"""The checks whose notes a launch shows too."""


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
