"""Sees that a remote can take a launch, before there is a record of it."""

from __future__ import annotations

from pytest_remex.common.protocol import FAULT
from pytest_remex.errors import RemoteError
from pytest_remex.launch.options import Grouping, GroupingKind
from pytest_remex.transport import Connection


def refuse_unfit(connection: Connection, grouping: Grouping) -> None:
    """Refuse a launch that its remote cannot take.

    Args:
        connection: The connection to the remote.
        grouping: How the launch's runs are grouped.

    Raises:
        RemoteError: It cannot take it; with all that is wrong, and how to fix it.

    """
    pack = grouping.kind is GroupingKind.PACK
    checks = list(connection.examine(pack=pack))
    faults = [f"{each.found}: {each.fix}" for each in checks if each.state == FAULT]
    if not faults:
        faults = _faults_of_limits(connection, grouping)
    if faults:
        raise RemoteError(
            "\n".join(
                [
                    *faults,
                    f"nothing was sent to {connection.remote.place}; --remex-doctor examines it",
                ]
            )
        )


def _faults_of_limits(connection: Connection, grouping: Grouping) -> list[str]:
    largest = connection.host().max_array_size
    if grouping.kind is GroupingKind.ARRAY and largest is not None and largest <= 1:
        return [
            f"Slurm there takes no job arrays (MaxArraySize={largest}): leave out --remex-array"
        ]
    return []
