"""The one connection to where runs happen: this machine, or a cluster over ssh."""

from __future__ import annotations

from pytest_remex.transport.connection import Connection, connect
from pytest_remex.transport.prompt import Prompt
from pytest_remex.transport.transfer import Transferred

__all__ = ["Connection", "Prompt", "Transferred", "connect"]
