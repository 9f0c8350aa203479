"""The settings that an installed MESA knows, read from its defaults files and its source."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_remex.errors import NamelistError
from pytest_remex.namelists.values import is_bare, kind_of, parse_literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_remex.namelists.values import Literal

_DEFAULT = re.compile(
    r"^[ \t]*([A-Za-z]\w*)[^=!'\"\n]*=[ \t]*('[^'\n]*'|\"[^\"\n]*\"|[^\s,!]*)",
    re.ASCII | re.MULTILINE,
)
_NAMELIST = re.compile(
    r"^[ \t]*namelist\s*/\s*(\w+)\s*/((?:[^\n&]*&[^\n]*\n(?:[ \t]*(?:![^\n]*)?\n)*)*[^\n]*)",
    re.ASCII | re.IGNORECASE | re.MULTILINE,
)
_COMMENT = re.compile(r"![^\n]*")
_CONTINUED = re.compile(r"&[ \t]*(?:![^\n]*)?\n[ \t]*&?")
_TYPED = re.compile(
    r"^[ \t]*(integer|real|double precision)\b[^:\n]*::([^\n]*)", re.IGNORECASE | re.MULTILINE
)
_DIMENSIONS = re.compile(r"\([^)]*\)")
_DECLARATIONS = ("*/private/*controls*.inc", "*/public/*controls*.inc")
"""The files in which MESA's source declares its controls with their types."""
_WORD = re.compile(r"[A-Za-z]\w*", re.ASCII)
_SOURCES = ("*/private/*.f90", "*/private/*.inc", "*/public/*.f90", "*/public/*.inc")
_EXTRA = re.compile(r"(?:read_)?extra_(\w+?)_inlist(?:\d|_name|\d_name)?")
"""Names of further files to read: MESA has them in each group, but few defaults files list them."""
_LARGEST = 2**31 - 1
"""The largest integer of four bytes, as all of MESA's controls are."""
_GROUPS = {"astero_search": "astero_search_controls", "astero_pgstar": "astero_pgstar_controls"}
"""Defaults files that are not named after their group."""
_NEAR_GROUP = 0.85
"""How similar a misspelt group is, by difflib: `contols` 0.93, `simplex_search_controls` 0.76."""


class KnownControls(NamedTuple):
    """The settings of each namelist group of an installed MESA, all in lower case.

    Args:
        names: By group, the names, without subscripts.
        kinds: By group and name, the default's type: number, logical or text; some are not known.
        integers: Names that the source declares as integers, if MESA's source is installed.

    """

    names: Mapping[str, frozenset[str]]
    kinds: Mapping[tuple[str, str], str] = {}
    integers: frozenset[str] = frozenset()

    def doubt(self, group: str, name: str) -> str | None:
        """Return why MESA may not know a setting of a group.

        Args:
            group: Its name in lower case. A group that MESA does not have may be the user's own:
                it is doubted only if it resembles one of MESA's that has the setting.
            name: The setting's name in lower case, without a subscript.

        Returns:
            A sentence, or None if MESA knows the setting.
        """
        known = self.names.get(group)
        if known is None:
            near = difflib.get_close_matches(group, self.names, n=1, cutoff=_NEAR_GROUP)
            if near and name in self.names[near[0]]:
                return f"MESA has no &{group}: did you mean &{near[0]}?"
            return None
        extra = _EXTRA.fullmatch(name)
        if name in known or (extra and extra[1] == group):
            return None
        homes = [other for other, names in self.names.items() if name in names]
        if homes:
            return f"{name} belongs to {' or '.join(f'&{home}' for home in homes)}, not &{group}"
        near = difflib.get_close_matches(name, known, n=1)
        hint = f": did you mean {near[0]}?" if near else ""
        return f"&{group} of this MESA has no {name}{hint}"

    def kind_doubt(self, group: str, name: str, value: Literal) -> str | None:
        """Return why MESA cannot read a value, from the type of the setting's default.

        Args:
            group: The group's name in lower case.
            name: The setting's name in lower case, without a subscript.
            value: The value in an inlist.

        Returns:
            A sentence, or None if the types are the same, or are not known.
        """
        large = isinstance(value, int) and abs(value) > _LARGEST
        if name in self.integers and (large or isinstance(value, float)):
            most = f": the largest is {_LARGEST}" if large else ""
            return f"{name} is an integer in this MESA, which cannot read {value!r}{most}"
        kind = self.kinds.get((group, name))
        if kind is None or kind == kind_of(value):
            return None
        return f"{name} is a {kind} in this MESA, and {value!r} a {kind_of(value)}"


def load_controls(folder: Path) -> KnownControls:
    """Read the names and types of all controls from a folder laid out as `$MESA_DIR`.

    Source: files such as `star/defaults/controls.defaults`, and the `namelist` statements of
    MESA's Fortran code if it is there: the defaults files lack some names.

    Args:
        folder: As `$MESA_DIR`; MESA need not be built.

    Returns:
        The settings of each group.

    Raises:
        NamelistError: There is no defaults file.

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
            f"{folder} has no */defaults/*.defaults: set MESA_DIR, or remex_mesa_dir, to MESA's "
            f"folder, or unset it"
        )
    for group, found in _declared(folder):
        names.setdefault(group, set()).update(found)
    known = {group: frozenset(found) for group, found in names.items()}
    return KnownControls(known, kinds, _declared_integers(folder))


def _declared_integers(folder: Path) -> frozenset[str]:
    """Return the names that are declared as integers and nowhere as real numbers."""
    found: dict[str, set[str]] = {"integer": set(), "real": set(), "double precision": set()}
    for pattern in _DECLARATIONS:
        for path in sorted(folder.glob(pattern)):
            text = _CONTINUED.sub(" ", _text(path))
            for kind, names in _TYPED.findall(text):
                plain = _DIMENSIONS.sub("", _COMMENT.sub("", names))
                found[kind.lower()].update(_WORD.findall(plain.lower()))
    return frozenset(found["integer"] - found["real"] - found["double precision"])


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
