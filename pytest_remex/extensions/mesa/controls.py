"""The controls that an installed MESA knows: from its defaults files, and its source if there."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_remex.errors import NamelistError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_DEFAULT = re.compile(r"^[ \t]*([A-Za-z]\w*)[^=!'\"\n]*=", re.ASCII | re.MULTILINE)
_NAMELIST = re.compile(
    r"^[ \t]*namelist\s*/\s*(\w+)\s*/((?:[^\n&]*&[^\n]*\n(?:[ \t]*(?:![^\n]*)?\n)*)*[^\n]*)",
    re.ASCII | re.IGNORECASE | re.MULTILINE,
)
_COMMENT = re.compile(r"![^\n]*")
_WORD = re.compile(r"[A-Za-z]\w*", re.ASCII)
_SOURCES = ("*/private/*.f90", "*/private/*.inc", "*/public/*.f90", "*/public/*.inc")
_GROUPS = {"astero_search": "astero_search_controls", "astero_pgstar": "astero_pgstar_controls"}
"""Defaults files that are not named after their group."""

_NEAR_GROUP = 0.75


@dataclass(frozen=True, slots=True)
class KnownControls:
    """The names that each namelist group takes, all in lower case."""

    names: Mapping[str, frozenset[str]]

    def doubt(self, group: str, name: str) -> str | None:
        """Say why MESA may not know a setting of a group; None where it does.

        `name` is given without its subscript. A group that is not MESA's may be the user's own, so
        only one that is nearly MESA's is doubted.
        """
        known = self.names.get(group)
        if known is None:
            near = difflib.get_close_matches(group, self.names, n=1, cutoff=_NEAR_GROUP)
            return f"MESA has no &{group}: did you mean &{near[0]}?" if near else None
        if name in known:
            return None
        homes = [other for other, names in self.names.items() if name in names]
        if homes:
            return f"{name} belongs to {' or '.join(f'&{home}' for home in homes)}, not &{group}"
        near = difflib.get_close_matches(name, known, n=1)
        hint = f": did you mean {near[0]}?" if near else ""
        return f"&{group} of this MESA has no {name}{hint}"


def load_controls(folder: Path) -> KnownControls:
    """Read the names from `folder`, laid out as `$MESA_DIR`: `star/defaults/controls.defaults` ...

    Names in `namelist` statements of the source, where it is there, are added: the defaults files
    lack some. Raises `NamelistError` where there is no defaults file.
    """
    names: dict[str, set[str]] = {}
    for path in sorted(folder.glob("*/defaults/*.defaults")):
        stem = path.stem.removesuffix("_dev")
        found = _DEFAULT.findall(_text(path))
        names.setdefault(_GROUPS.get(stem, stem), set()).update(map(str.lower, found))
    if not names:
        raise NamelistError(
            f"{folder} holds no */defaults/*.defaults: set MESA_DIR, or remex_mesa_dir, to MESA's "
            f"folder, or unset it"
        )
    for group, found in _declared(folder):
        names.setdefault(group, set()).update(found)
    return KnownControls({group: frozenset(found) for group, found in names.items()})


def _declared(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Give the groups and names of the source's namelist statements."""
    for pattern in _SOURCES:
        for path in sorted(folder.glob(pattern)):
            text = _text(path)
            if "namelist" not in text.lower():
                continue
            for group, names in _NAMELIST.findall(text):
                yield group.lower(), _WORD.findall(_COMMENT.sub("", names).lower())


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
