"""The controls that an installed MESA knows: from its defaults files, and its source if there."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_remex.errors import NamelistError
from pytest_remex.extensions.mesa.arrays import is_bare
from pytest_remex.extensions.mesa.values import kind_of, parse_literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_remex.extensions.mesa.values import Literal

_DEFAULT = re.compile(
    r"^[ \t]*([A-Za-z]\w*)[^=!'\"\n]*=[ \t]*('[^'\n]*'|\"[^\"\n]*\"|[^\s,!]*)",
    re.ASCII | re.MULTILINE,
)
_NAMELIST = re.compile(
    r"^[ \t]*namelist\s*/\s*(\w+)\s*/((?:[^\n&]*&[^\n]*\n(?:[ \t]*(?:![^\n]*)?\n)*)*[^\n]*)",
    re.ASCII | re.IGNORECASE | re.MULTILINE,
)
_COMMENT = re.compile(r"![^\n]*")
_WORD = re.compile(r"[A-Za-z]\w*", re.ASCII)
_SOURCES = ("*/private/*.f90", "*/private/*.inc", "*/public/*.f90", "*/public/*.inc")
_GROUPS = {"astero_search": "astero_search_controls", "astero_pgstar": "astero_pgstar_controls"}
"""Defaults files that are not named after their group."""

_NEAR_GROUP = 0.85
"""How alike a misspelt group is, by difflib: `contols` 0.93, `simplex_search_controls` 0.76."""


@dataclass(frozen=True, slots=True)
class KnownControls:
    """The settings that each namelist group of an installed MESA takes, all in lower case."""

    names: Mapping[str, frozenset[str]]
    """By group, the names, without subscripts."""
    kinds: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """By group and name, the default's kind: number, logical or text; some are not known."""

    def doubt(self, group: str, name: str) -> str | None:
        """Return why MESA may not know a setting of a group.

        Args:
            group: Its name in lower case. One that MESA lacks may be the user's own: it is doubted
                only where it is nearly MESA's and that group knows the name.
            name: The setting's, in lower case, without a subscript.

        Returns:
            A sentence, or None where MESA knows the setting.
        """
        known = self.names.get(group)
        if known is None:
            near = difflib.get_close_matches(group, self.names, n=1, cutoff=_NEAR_GROUP)
            if near and name in self.names[near[0]]:
                return f"MESA has no &{group}: did you mean &{near[0]}?"
            return None
        if name in known:
            return None
        homes = [other for other, names in self.names.items() if name in names]
        if homes:
            return f"{name} belongs to {' or '.join(f'&{home}' for home in homes)}, not &{group}"
        near = difflib.get_close_matches(name, known, n=1)
        hint = f": did you mean {near[0]}?" if near else ""
        return f"&{group} of this MESA has no {name}{hint}"

    def kind_doubt(self, group: str, name: str, value: Literal) -> str | None:
        """Return why MESA cannot read a value, by the kind of the setting's default.

        Args:
            group: The group's name in lower case.
            name: The setting's, in lower case, without a subscript.
            value: The value that an inlist gives.

        Returns:
            A sentence, or None where the kinds are the same, or the default's is not known.
        """
        kind = self.kinds.get((group, name))
        if kind is None or kind == kind_of(value):
            return None
        return f"{name} is a {kind} in this MESA, and {value!r} a {kind_of(value)}"


def load_controls(folder: Path) -> KnownControls:
    """Read the names and kinds of all controls from a folder laid out as `$MESA_DIR`.

    Source: the files `star/defaults/controls.defaults` and their like, and the `namelist`
    statements of MESA's Fortran, where it is there: the defaults files lack some names.

    Args:
        folder: As `$MESA_DIR`; it need not be a built MESA.

    Returns:
        What the groups take.

    Raises:
        NamelistError: Where there is no defaults file.

    Example:
        >>> load_controls(Path("/opt/mesa")).doubt("controls", "zbase")
        'zbase belongs to &kap, not &controls'
    """
    names: dict[str, set[str]] = {}
    kinds: dict[tuple[str, str], str] = {}
    for path in sorted(folder.glob("*/defaults/*.defaults")):
        stem = path.stem.removesuffix("_dev")
        group = _GROUPS.get(stem, stem)
        for name, literal in _DEFAULT.findall(_text(path)):
            names.setdefault(group, set()).add(name.lower())
            if literal and not is_bare(literal):
                kinds[group, name.lower()] = kind_of(parse_literal(literal))
    if not names:
        raise NamelistError(
            f"{folder} holds no */defaults/*.defaults: set MESA_DIR, or remex_mesa_dir, to MESA's "
            f"folder, or unset it"
        )
    for group, found in _declared(folder):
        names.setdefault(group, set()).update(found)
    return KnownControls({group: frozenset(found) for group, found in names.items()}, kinds)


def _declared(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the groups and names of the source's namelist statements."""
    for pattern in _SOURCES:
        for path in sorted(folder.glob(pattern)):
            text = _text(path)
            if "namelist" not in text.lower():
                continue
            for group, names in _NAMELIST.findall(text):
                yield group.lower(), _WORD.findall(_COMMENT.sub("", names).lower())


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
