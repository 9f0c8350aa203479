"""What may go wrong with a patched work directory, said before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_remex.errors import NamelistError
from pytest_remex.extensions.mesa.chains import overridden
from pytest_remex.extensions.mesa.inlists import load, parse, values_in
from pytest_remex.extensions.mesa.readers import effective_of, is_inlist

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_remex.extensions.mesa.chains import EffectiveConfig
    from pytest_remex.extensions.mesa.controls import KnownControls
    from pytest_remex.extensions.mesa.values import Literal
    from pytest_remex.model import Experiment


def inspect(
    experiment: Experiment,
    controls: KnownControls | None,
    originals: Mapping[str, bytes] | None = None,
) -> list[str]:
    """Say, a sentence each, which settings are overridden, and which MESA does not know.

    `originals` are the bytes, in the base commit, of the files that the patch changed: with them
    every patched setting is looked at, without them the settings named in the experiment's config.
    Without `controls` names are not checked; without an inlist there is nothing to say.
    """
    try:
        effective = effective_of(experiment.path, experiment.sweep.config_file)
        if effective is None:
            return []
        patched = experiment.config if originals is None else _patched(experiment.path, originals)
    except NamelistError as error:
        return [str(error)]
    doubts = _doubts(effective, controls) if controls else ()
    return [*overridden(effective, patched), *dict.fromkeys(doubts)]


def _patched(folder: Path, originals: Mapping[str, bytes]) -> dict[str, Literal]:
    """Give the settings, with their groups, whose values the patch changed or added."""
    found: dict[str, Literal] = {}
    for name, data in originals.items():
        path = folder / name
        if not (is_inlist(path) and path.is_file()):
            continue
        before = values_in(parse(path, data))
        for group, values in values_in(load(path)).items():
            old = before.get(group, {})
            found |= {f"{group}.{key}": new for key, new in values.items() if old.get(key) != new}
    return found


def _doubts(effective: EffectiveConfig, controls: KnownControls) -> Iterator[str]:
    for names in effective.given.values():
        for origins in names.values():
            for one in origins:
                doubt = controls.doubt(one.group, one.name)
                if doubt:
                    yield f"{one.path.name} line {one.line}: {doubt}"
