"""Connections to where runs happen: this machine, or a cluster over ssh."""

from __future__ import annotations

from pytest_remex.transport.base import Prompt
from pytest_remex.transport.connection import Connect, Connection, connect
from pytest_remex.transport.connections import Connections
from pytest_remex.transport.rsync import rsync_fault
from pytest_remex.transport.transfer import TransferProgress

__all__ = [
    "Connect",
    "Connection",
    "Connections",
    "Prompt",
    "TransferProgress",
    "connect",
    "rsync_fault",
]
