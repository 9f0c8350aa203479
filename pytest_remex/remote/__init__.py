"""The one connection to where runs happen: this machine, or a cluster over ssh."""

from __future__ import annotations

from pytest_remex.remote.connection import Connection, connect
from pytest_remex.remote.conversation import Answer
from pytest_remex.remote.prompt import Prompt
from pytest_remex.remote.transfer import Transferred

__all__ = ["Answer", "Connection", "Prompt", "Transferred", "connect"]
