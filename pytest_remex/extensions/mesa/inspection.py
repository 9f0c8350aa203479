"""What may go wrong with a patched work directory, said before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_remex.errors import NamelistError
from pytest_remex.extensions.mesa.chains import overridden
from pytest_remex.extensions.mesa.readers import effective_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_remex.extensions.mesa.chains import EffectiveConfig
    from pytest_remex.extensions.mesa.controls import KnownControls
    from pytest_remex.model import Experiment


def inspect(experiment: Experiment, controls: KnownControls | None) -> list[str]:
    """Say, a sentence each, which settings are overridden, and which MESA does not know.

    Without `controls` names are not checked; without an inlist there is nothing to say.
    """
    try:
        effective = effective_of(experiment.path, experiment.sweep.config_file)
    except NamelistError as error:
        return [str(error)]
    if effective is None:
        return []
    doubts = _doubts(effective, controls) if controls else ()
    return [*overridden(effective, experiment.config), *dict.fromkeys(doubts)]


def _doubts(effective: EffectiveConfig, controls: KnownControls) -> Iterator[str]:
    for names in effective.given.values():
        for origins in names.values():
            for one in origins:
                doubt = controls.doubt(one.group, one.name)
                if doubt:
                    yield f"{one.path.name} line {one.line}: {doubt}"
