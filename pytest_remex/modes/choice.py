"""Which plugin does what a mode asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_remex.options import Mode, settings

if TYPE_CHECKING:
    import pytest

    from pytest_remex.modes.fixtures import CheckoutMode


def plugin_for(session: pytest.Session, experiments: Sequence[pytest.Function]) -> CheckoutMode:
    """Give the plugin that runs the session's experiments in the mode asked for."""
    chosen = settings(session.config)
    match chosen.mode:
        case Mode.DRY | Mode.PLAN:
            from pytest_remex.modes.rehearsal import Rehearsal  # noqa: PLC0415 - imports git

            return Rehearsal(session, chosen)
        case Mode.SUBMIT:
            from pytest_remex.modes.batch import Submission  # noqa: PLC0415 - imports git

            return Submission(session, chosen, len(experiments))
        case Mode.COLLECT:
            from pytest_remex.modes.judge import Judgement  # noqa: PLC0415 - imports git and pandas

            return Judgement(session, chosen, experiments)
        case Mode.STATUS | Mode.CANCEL:
            from pytest_remex.modes.watch import Watch  # noqa: PLC0415 - imports the connection

            return Watch(session, chosen, experiments)
