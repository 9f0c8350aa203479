"""The clusters of a test session, each started once, with the sshd that leads to it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal, Self

import pytest

from support.shims import Shims
from support.slurm import SlurmCluster
from support.sshd import SshServer

Kind = Literal["plain", "accounting"]

WITH_ACCOUNTING = pytest.mark.parametrize("site", ["accounting"], indirect=True)
WITH_AND_WITHOUT_ACCOUNTING = pytest.mark.parametrize(
    "site", ["plain", "accounting"], indirect=True
)


@dataclass(frozen=True)
class Site:
    """A cluster, the sshd of its login node, and the shims that come first on PATH there."""

    cluster: SlurmCluster
    sshd: SshServer
    shims: Shims

    def reset(self) -> None:
        """Undo what a test did to it."""
        self.shims.remove()
        self.sshd.shell()
        self.sshd.daemon.thaw()
        self.sshd.daemon.start()
        self.cluster.reset()


class Sites:
    """Starts a site of a kind when it is first asked for; ends all when the session does."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._sites: dict[Kind, Site] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def of(self, kind: Kind) -> Site:
        """Return the session's site of a kind."""
        if kind not in self._sites:
            cluster = self._stack.enter_context(SlurmCluster(accounting=kind == "accounting"))
            sshd = self._stack.enter_context(SshServer(cluster.variables))
            self._sites[kind] = Site(cluster, sshd, Shims(sshd.home / "bin"))
        return self._sites[kind]
