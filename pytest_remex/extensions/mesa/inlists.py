"""Read and patch inlists, the files with MESA's namelists."""

from __future__ import annotations

import functools
import itertools
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from pytest_remex.errors import NamelistError
from pytest_remex.known_files import overwrite_file, read_file
from pytest_remex.namelists.namelist import first_groups, line_at, scan
from pytest_remex.namelists.patching import patch_text
from pytest_remex.namelists.values import assignments, is_split, last_values, parse_literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_remex.known_files import Files
    from pytest_remex.namelists.namelist import Group
    from pytest_remex.namelists.values import Assignment, Literal

MESA_GROUPS = frozenset(
    {
        "astero_pgstar_controls",
        "astero_search_controls",
        "binary_controls",
        "binary_job",
        "colors",
        "controls",
        "eos",
        "kap",
        "pgbinary",
        "pgstar",
        "star_job",
    }
)
"""The groups that MESA itself reads: star/private/ctrls_io.f90, binary/private/binary_ctrls_io.f90,
binary_job_ctrls_io.f90, eos/private/eos_ctrls_io.f90, kap/private/kap_ctrls_io.f90 and others."""


Namelist: TypeAlias = "dict[str, Literal]"
_COMMENT_AFTER_COMMA = re.compile(r"[ \t]*[,;][ \t]*!")
_TEXT_LENGTH = 256
"""The length of most of MESA's text controls: `strlen` in its const/public/const_def.f90."""


class InlistWarning(UserWarning):
    """An inlist can be read, but a simulation may read it differently from what was meant."""


class Inlist(NamedTuple):
    """An inlist: its text, which encodes to the file's bytes, and its groups."""

    path: Path
    text: str
    encoding: str
    groups: tuple[Group, ...]

    def source(self, group: Group) -> str:
        """Return the text of a group."""
        return self.text[group.start : group.behind]


def patch_inlist(path: str | Path, settings: Mapping[str, object]) -> None:
    """Change settings of an inlist; every other byte is kept.

    A name is `initial_mass`, `x_ctrl(6)` or `controls.x_ctrl(6)`, in upper or lower case. A name
    without its group must be set in exactly one group of the file. With its group, a new setting is
    added at the end of the group, and a missing group that MESA reads, such as `&kap`, at the end
    of the file. Groups of the same name, as in GYRE, are counted: `mode(2)`. Values are in MESA's
    units.

    Args:
        path: The inlist; a symbolic link is refused.
        settings: Values by name, or by group and name. Numbers, bools, texts and lists of them are
            written as Fortran, and `Raw("1d-3")` unchanged; `remove("name")` returns settings that
            remove one. A float without a fraction is written as an integer, which integer and real
            controls both accept, unless it replaces a real number.

    Raises:
        NamelistError: The file cannot be read, or a name or value cannot be used. The file
            is unchanged then.

    Warns with `InlistWarning` of text that MESA would cut off, and of a group that appears twice.

    Example:
        >>> patch_inlist("inlist_project", {"initial_mass": 12.5, "kap.Zbase": 0.014})
    """
    file = path if isinstance(path, Path) else Path(path)
    if file.is_symlink():
        raise NamelistError(f"{path} is a link to {file.readlink()}: name that file")
    inlist = load(file)
    try:
        patched = patch_text(inlist.text, settings, MESA_GROUPS)
    except NamelistError as error:
        raise NamelistError(f"{path}: {error}") from None
    repeated = () if numbers_groups(settings) else repeated_groups(inlist)
    _warn(path, [*repeated, *long_texts(settings)])
    if patched != inlist.text:
        _store(inlist, patched)


def read_inlist(path: str | Path) -> dict[str, dict[str, Literal]]:
    """Read an inlist as `{group: {name: value}}`, all names in lower case.

    Array elements are named `x_ctrl(6)`; a list is returned element by element, and an empty value
    is left out. As in Fortran, the last of two equal names counts, and the first of two equal
    groups, with an `InlistWarning`.

    Args:
        path: The file, in UTF-8 or Latin-1.

    Returns:
        The values by group and name, numbers as int or float, in MESA's units.

    Raises:
        NamelistError: The file is not a namelist file; the message names the line.

    Example:
        >>> read_inlist("inlist_project")["controls"]["x_ctrl(6)"]
        0.1
    """
    inlist = load(Path(path))
    try:
        values = {group: dict(values_of(inlist, group)) for group in first_groups(inlist.groups)}
    except NamelistError as error:
        raise NamelistError(f"{path}: {error}") from None
    _warn(path, ambiguities(inlist))
    return values


def read_namelists(path: str | Path) -> dict[str, Namelist | list[Namelist]]:
    """Read the namelists of any program, also groups that repeat, such as GYRE's `&mode`.

    Args:
        path: The file, in UTF-8 or Latin-1.

    Returns:
        The values by group and name; for a group that repeats, a list of such mappings in the
        order of the file. Names are in lower case, array elements are `x(6)`.

    Raises:
        NamelistError: The file is not a namelist file; the message names the line.

    Example:
        >>> [mode["l"] for mode in read_namelists("gyre.in")["mode"]]
        [0, 1]
    """
    inlist = load(Path(path))
    found: dict[str, list[Namelist]] = {}
    try:
        for group in inlist.groups:
            values = last_values(assignments(inlist.text, group))
            found.setdefault(group.name, []).append({key: one.value for key, one in values.items()})
    except NamelistError as error:
        raise NamelistError(f"{path}: {error}") from None
    return {name: groups if len(groups) > 1 else groups[0] for name, groups in found.items()}


def load(path: Path, files: Files | None = None) -> Inlist:
    """Read a file and find its groups; raises `NamelistError` if that fails."""
    try:
        data = files.content(str(path)) if files else None
        return parse(path, read_file(str(path)) if data is None else data)
    except OSError as error:
        raise NamelistError(f"{path}: {error.strerror}: name an inlist of the checkout") from error


def parse(path: Path, data: bytes) -> Inlist:
    """Find the groups in a file's bytes, perhaps of an earlier commit; raises `NamelistError`."""
    text, encoding = decode(data)
    try:
        return Inlist(path, text, encoding, scan(text))
    except NamelistError as error:
        raise NamelistError(f"{path}: {error}") from None


def values_of(inlist: Inlist, group: str) -> Mapping[str, Literal]:
    """Return the values that a group sets; raises `NamelistError` if a list is too long."""
    return _values(inlist.text, group)


@functools.lru_cache(maxsize=128)  # whose callers mypy does not check: hence `values_of`
def _values(text: str, group: str) -> Mapping[str, Literal]:
    return {key: one.value for key, one in last_values(group_values(text, group)).items()}


@functools.lru_cache(maxsize=128)
def group_values(text: str, group: str) -> tuple[Assignment, ...]:
    """Return the assignments in the first group of a name, in order; raises `NamelistError`."""
    found = first_groups(scan(text)).get(group)
    return tuple(assignments(text, found)) if found else ()


def decode(data: bytes) -> tuple[str, str]:
    """Return the text of an inlist and its encoding; encoding the text again gives `data`."""
    try:
        return data.decode(), "utf-8"
    except UnicodeDecodeError:
        return data.decode("latin-1"), "latin-1"


def _store(inlist: Inlist, patched: str) -> None:
    try:
        data = patched.encode(inlist.encoding)
    except UnicodeEncodeError as error:
        raise NamelistError(
            f"{inlist.path} is in {inlist.encoding}, which has no {error.object[error.start]!r}: "
            f"convert the file to UTF-8, or use another text"
        ) from None
    overwrite_file(str(inlist.path), data)


def _warn(path: str | Path, problems: Iterable[str]) -> None:
    for problem in problems:
        warnings.warn(f"{path}: {problem}", InlistWarning, stacklevel=3)


def ambiguities(inlist: Inlist) -> Iterator[str]:
    """Yield warnings of places that Fortran may read differently."""
    yield from repeated_groups(inlist)
    text, groups = inlist.text, inlist.groups
    if groups and "\n" not in text[groups[-1].behind :]:
        yield f"no line break after the end of &{groups[-1].name}, but gfortran needs one: add it"
    for group in groups:
        for setting in group.settings:
            if len(setting.items) > 1 and is_split(text, setting):
                yield (
                    f"line {line_at(text, setting.start)}: gfortran 12 shifts some elements of "
                    f"{setting.key}: write the list on one line"
                )
        yield from _lost_settings(text, group)


def _lost_settings(text: str, group: Group) -> Iterator[str]:
    """Yield which settings gfortran takes for the next logical of an array."""
    for setting, lost in itertools.pairwise(group.settings):
        if not (setting.subscript and setting.items and lost.name[0] in "tf"):
            continue
        if not isinstance(parse_literal(text[slice(*setting.items[-1])]), bool):
            continue
        if "," in lost.subscript:
            yield (
                f"line {line_at(text, lost.start)}: gfortran 12 cannot read {lost.key} right after "
                f"the logical {setting.key}, unless no element follows: move it up"
            )
        elif _COMMENT_AFTER_COMMA.match(text, setting.end):
            yield (
                f"line {line_at(text, lost.start)}: gfortran 12 does not read {lost.key}, because "
                f"of the comma before the comment after {setting.key}: remove that comma"
            )


def repeated_groups(inlist: Inlist) -> Iterator[str]:
    """Yield which groups appear more than once; Fortran reads the first."""
    seen: dict[str, int] = {}
    for group in inlist.groups:
        line = line_at(inlist.text, group.start)
        if group.name in seen:
            yield (
                f"line {line}: &{group.name} also appears on line {seen[group.name]}, "
                f"and only that one is read: merge them"
            )
        seen.setdefault(group.name, line)


def numbers_groups(settings: Mapping[str, object]) -> bool:
    """Return whether settings count groups, as `mode(2).l`: then repeated groups are intended."""
    named = [
        name if isinstance(value, Mapping) else name.rpartition(".")[0]
        for name, value in settings.items()
    ]
    return any("(" in group for group in named)


def long_texts(settings: Mapping[str, object]) -> Iterator[str]:
    """Yield which texts are longer than MESA can store."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from long_texts(value)
        elif isinstance(value, str) and len(value.encode()) > _TEXT_LENGTH:
            yield f"{name} has {len(value.encode())} bytes: MESA cuts most texts at {_TEXT_LENGTH}"
