"""Find the groups and settings of Fortran namelists in a text, as spans; no I/O.

The rules are those of the Fortran 2018 standard, section 13.11, as gfortran applies them.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, NamedTuple

from pytest_remex.errors import NamelistError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SKIP = r"(?:\s++|![^\n]*+)*+"
_QUOTED = r"""'[^']*+(?:''[^']*+)*+'|"[^"]*+(?:""[^"]*+)*+\""""
_HEADER = re.compile(
    r"![^\n]*|(?:(?<![!-.0-~])&|^[ \t]*\$)(?!(?i:end)\b)([A-Za-z_]\w*)(?![^\s,;/!])",
    re.ASCII | re.MULTILINE,
)
_TOKEN = re.compile(
    rf"""{_SKIP}(?:
    ([A-Za-z_]\w*+(?:\s*+\([^()\n]*+\)|\s*+%\s*+\w++)*+)\s*+= # 1 name =
  | ((?:\d++\*)?(?:{_QUOTED}|\([^()]*+\)|[+-]?(?i:nan)\(\w*+\)) # 2 value
      |[^\s,;/!'"=&$()][^\s,;/!=&$()]*+|\$\{{\w++\}})
  | ([,;])                                                    # 3 separator
  | (/|[&$](?:(?i:end)(?!\w)|(?!\S)))                              # 4 end of the group
  | [&$](\w++)                                                # 5 another group
  | (\S)                                                      # 6 none of these
  | \Z                                                        # no end of the group
    )""",
    re.ASCII | re.VERBOSE,
)
_ZEROS = re.compile(r"(?<!\w)\+?0*(?=\d)", re.ASCII)
_LOW_INDEX = re.compile(r"-\d+|0(?!\d)", re.ASCII)
_NAME, _VALUE, _SEPARATOR, _END, _GROUP = 1, 2, 3, 4, 5


class Span(NamedTuple):
    """A piece of the text, from `start` to before `end`; an empty one is a null value."""

    start: int
    end: int


class Setting(NamedTuple):
    """One `name(subscript) = items`: lower-case name, subscript without blanks, positions."""

    name: str
    subscript: str
    start: int
    equals: int
    """The position after the equals sign."""
    items: tuple[Span, ...]

    @property
    def end(self) -> int:
        """The end of the last value, or the position after the equals sign if there is none."""
        return self.items[-1].end if self.items else self.equals

    @property
    def key(self) -> str:
        """The name as users write it: `initial_mass`, `x_ctrl(6)`."""
        return f"{self.name}({self.subscript})" if self.subscript else self.name

    @property
    def low_index(self) -> int | None:
        """The first index of `nl(0) = 5` and others below 1; None if there is none."""
        found = _LOW_INDEX.match(self.subscript)
        return int(found[0]) if found else None


class Group(NamedTuple):
    """One `&name ... /`: its lower-case name, its settings, and the positions of its parts."""

    name: str
    start: int
    body: int
    """The position after the name."""
    end: int
    """The position of the `/` or `&end`."""
    behind: int
    settings: tuple[Setting, ...]


class SettingTarget(NamedTuple):
    """What to change: a group of the text, a name in it, a subscript or "", and the value."""

    holder: str
    """The group as users name it: `controls`, or `mode(2)` for the second `&mode`."""
    group: Group | None
    """None if the file does not have it, and it is to be added."""
    written: str
    """The name as the user wrote it, without its group and without blanks."""
    name: str
    subscript: str
    value: object

    @property
    def key(self) -> str:
        """The full name, in users' notation: `controls.x_ctrl(6)`."""
        return f"{self.holder}.{self.name}" + (f"({self.subscript})" if self.subscript else "")


def line_at(text: str, position: int) -> int:
    """Return the number, from 1, of the line at `position`."""
    return text.count("\n", 0, position) + 1


@functools.lru_cache(maxsize=64)  # all experiments of a sweep read and patch the same few texts
def scan(text: str) -> tuple[Group, ...]:
    """Find every namelist group of `text`, in order, with all its settings.

    Raises `NamelistError`, with the line, if a group has no end or contains an invalid setting, or
    if the text is in UTF-16.
    """
    if "\0" in text[:4]:
        raise NamelistError(
            "the file is in UTF-16 or UTF-32, which Fortran cannot read: convert it to UTF-8, for "
            "example with iconv -f UTF-16 -t UTF-8 OLD > NEW"
        )
    groups = []
    position = 0
    while header := _find_header(text, position):
        group = _scan_group(text, header)
        groups.append(group)
        position = group.behind
    return tuple(groups)


@functools.lru_cache(maxsize=1024)  # all experiments of a sweep have nearly the same names
def split_name(written: str) -> tuple[str, str]:
    """Split a written name into lower-case name and subscript: `X( 06 )` becomes `x` and `6`."""
    key = "".join(written.split()).lower()
    if not key.endswith(")"):
        return key, ""
    name, _, subscript = key[:-1].rpartition("(")
    return name, _ZEROS.sub("", subscript)


def first_groups(groups: Iterable[Group]) -> dict[str, Group]:
    """Return the first group of each name: the one that a Fortran read finds."""
    firsts: dict[str, Group] = {}
    for group in groups:
        firsts.setdefault(group.name, group)
    return firsts


def numbered_groups(groups: Iterable[Group]) -> dict[str, Group]:
    """Return all groups by name: the first `&mode` is `mode`, the next are `mode(2)`, ..."""
    count: dict[str, int] = {}
    found: dict[str, Group] = {}
    for group in groups:
        number = count[group.name] = count.get(group.name, 0) + 1
        found[f"{group.name}({number})" if number > 1 else group.name] = group
    return found


def _find_header(text: str, position: int) -> re.Match[str] | None:
    for match in _HEADER.finditer(text, position):
        if match[1]:
            return match
    return None


def _scan_group(text: str, header: re.Match[str]) -> Group:
    settings: list[Setting] = []
    name, body = header[1].lower(), header.end()
    for written, values in _statements(text, name, body):
        if written.lastindex == _END:
            return Group(
                name, header.start(1) - 1, body, written.start(_END), written.end(), tuple(settings)
            )
        base, subscript = split_name(written[1])
        settings.append(Setting(base, subscript, written.start(1), written.end(), tuple(values)))
    raise NamelistError(
        f"line {line_at(text, header.start(1))}: &{name} has no end: add a line with '/'"
    )


def _statements(text: str, group: str, position: int) -> Iterator[tuple[re.Match[str], list[Span]]]:
    """Yield each `name =` with the spans of its values; the group's end comes last."""
    name: re.Match[str] | None = None
    values: list[Span] = []
    waiting = False
    for token in _TOKEN.finditer(text, position):
        kind = token.lastindex
        if kind == _VALUE and name:
            values.append(Span(token.start(_VALUE), token.end()))
            waiting = True
        elif kind == _GROUP and name and not values and _is_placeholder(text, name, token):
            values.append(Span(token.start(_GROUP) - 1, token.end()))
            waiting = True
        elif kind in (_NAME, _END):
            if name:
                yield name, _without_last_nulls(values)
            name, values, waiting = token, [], False
            if kind == _END:
                yield token, values
                return
        elif kind == _SEPARATOR:
            if name and not waiting:
                values.append(Span(token.start(_SEPARATOR), token.start(_SEPARATOR)))
            waiting = False
        elif kind:
            raise _misplaced(text, group, token, kind)


def _is_placeholder(text: str, name: re.Match[str], token: re.Match[str]) -> bool:
    """Whether `$word` right after an equals sign is a template variable, not a group."""
    sign = token.start(_GROUP) - 1
    return text[sign] == "$" and not text[name.end() : sign].strip(" \t")


def _without_last_nulls(values: list[Span]) -> list[Span]:
    while values and values[-1].start == values[-1].end:
        values.pop()
    return values


def _misplaced(text: str, group: str, token: re.Match[str], kind: int) -> NamelistError:
    what, line = token[kind], line_at(text, token.start(kind))
    if kind == _GROUP:
        return NamelistError(f"line {line}: &{what} inside &{group}: missing '/'")
    if what in "'\"":
        return NamelistError(
            f"line {line}: unterminated string in &{group}: add the closing {what}"
        )
    return NamelistError(f"line {line}: {what!r} in &{group} belongs to no setting: remove it")
