"""Where a simulation may take an inlist otherwise than its author meant, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pytest_remex.extensions.mesa.arrays import is_split
from pytest_remex.extensions.mesa.namelist import line_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_remex.extensions.mesa.inlists import Inlist

_TEXT_LENGTH = 256
"""Characters that most of MESA's text controls hold: `strlen` in its const/public/const_def.f90."""


def doubts(inlist: Inlist) -> Iterator[str]:
    """Say where a Fortran read may not give what was read here."""
    yield from repeated_groups(inlist)
    text, groups = inlist.text, inlist.groups
    if groups and "\n" not in text[groups[-1].behind :]:
        yield f"no line break behind the end of &{groups[-1].name}: gfortran needs one: add it"
    for group in groups:
        for setting in group.settings:
            if len(setting.items) > 1 and is_split(text, setting):
                yield (
                    f"line {line_at(text, setting.start)}: gfortran 12 shifts some elements of "
                    f"{setting.key}: write the list on one line"
                )


def repeated_groups(inlist: Inlist) -> Iterator[str]:
    """Say which groups stand more than once, of which a Fortran read finds the first."""
    seen: dict[str, int] = {}
    for group in inlist.groups:
        line = line_at(inlist.text, group.start)
        if group.name in seen:
            yield (
                f"line {line}: &{group.name} also stands on line {seen[group.name]}, "
                f"and only that one is read: merge them"
            )
        seen.setdefault(group.name, line)


def numbers_groups(settings: Mapping[str, object]) -> bool:
    """Whether groups are told apart by number, as `mode(2).l`: then a repeated one is meant."""
    named = [
        name if isinstance(value, Mapping) else name.rpartition(".")[0]
        for name, value in settings.items()
    ]
    return any("(" in group for group in named)


def long_texts(settings: Mapping[str, object]) -> Iterator[str]:
    """Say which texts are longer than MESA keeps."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from long_texts(value)
        elif isinstance(value, str) and len(value.encode()) > _TEXT_LENGTH:
            yield f"{name} has {len(value.encode())} bytes: MESA keeps {_TEXT_LENGTH} of most texts"
