"""Which plugin does what a mode asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_remex.pytest_plugin.options import Mode, settings

if TYPE_CHECKING:
    import pytest

    from pytest_remex.pytest_plugin.fixtures import CheckoutMode


def plugin_for(session: pytest.Session, experiments: Sequence[pytest.Function]) -> CheckoutMode:
    """Give the plugin that runs the session's experiments in the mode asked for."""
    chosen = settings(session.config)
    match chosen.mode:
        case Mode.DRY | Mode.PLAN:
            from pytest_remex.pytest_plugin.dry_run import DryRun  # noqa: PLC0415 - imports git

            return DryRun(session, chosen)
        case Mode.SUBMIT:
            from pytest_remex.pytest_plugin.submit import SubmitMode  # noqa: PLC0415 - imports git

            return SubmitMode(session, chosen, len(experiments))
        case Mode.COLLECT:
            from pytest_remex.pytest_plugin.collect import CollectMode  # noqa: PLC0415 - imports git and pandas

            return CollectMode(session, chosen, experiments)
        case Mode.CANCEL:
            from pytest_remex.pytest_plugin.cancel import CancelMode  # noqa: PLC0415 - imports the connection

            return CancelMode(session, chosen, experiments)
        case Mode.STATUS:
            from pytest_remex.pytest_plugin.status import StatusMode  # noqa: PLC0415 - imports the connection

            return StatusMode(session, chosen, experiments)
