"""Files of `name = value` lines: INI, Athena++'s athinput with `<block>`, FLASH's flash.par.

Sections are `[mesh]` or `<mesh>`, or there are none. A line that begins with `#`, `;` or `!` is a
comment, and so is the rest of a line after a value, a blank and `#` or `;`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from pytest_remex.config.settings import Change
from pytest_remex.errors import ConfigError
from pytest_remex.namelists.patching import TextEdit, apply_edits

_HEADER = re.compile(r"[ \t]*(?:\[([^\]\n]+)\]|<([^>\n]+)>)[ \t]*(?:[#;].*)?")
_SETTING = re.compile(
    r"(?P<indent>[ \t]*)(?P<name>[^\s=:#;!\[<][^=:\n]*?)[ \t]*(?P<mark>[=:])[ \t]*"
)
_COMMENT = re.compile(r"[ \t]*(?:[#;!].*)?")
_QUOTED = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_BOOLS = (
    ("true", "false"), ("True", "False"), ("TRUE", "FALSE"), ("yes", "no"), ("Yes", "No"),
    ("on", "off"), ("On", "Off"), (".true.", ".false."), (".TRUE.", ".FALSE."),
)  # fmt: skip
_MEANING = {word: word == pair[0] for pair in _BOOLS for word in pair}
_OPPOSITE = {word: pair for pair in _BOOLS for word in pair}


@dataclass(frozen=True, slots=True)
class Line:
    """A `name = value` of a text: its positions, and its value as written."""

    name: str
    start: int
    value_start: int
    value_end: int
    end: int
    written: str


@dataclass(frozen=True, slots=True)
class Section:
    """A section: its name, and the position for new settings."""

    name: str
    end: int
    settings: tuple[Line, ...]


def read_ini(text: str) -> dict[str, object]:
    """Return the settings of a text, by section; settings before the first section are at the top.

    Values are numbers, bools or texts, judged by their look. Raises `ConfigError` for other lines.
    """
    found: dict[str, object] = {}
    for section in _sections(text):
        holder: dict[str, object] = found
        if section.name:
            if section.name in found:
                raise ConfigError(f"section {section.name} appears twice: merge them")
            found[section.name] = holder = {}
        for line in section.settings:
            if line.name in holder:
                raise ConfigError(f"{line.name} appears twice in one section: keep only one")
            holder[line.name] = parsed(line.written)
    return found


def patch_ini(text: str, changes: Iterable[Change]) -> str:
    """Return a text with the changes made; everything else is kept."""
    sections = {section.name: section for section in _sections(text)}
    edits: list[TextEdit] = []
    fresh: dict[str, list[str]] = {}
    for change in changes:
        *above, key = map(str, change.place)
        name = ".".join(above)
        section = sections.get(name)
        line = (
            next((each for each in section.settings if each.name == key), None) if section else None
        )
        if change.removes and section and not above and line is None:
            raise ConfigError(f"{change.name} is a section: remove its settings one by one")
        if line is None:
            fresh.setdefault(name, []).append(f"{key} = {written(change.value, change.name, '')}")
        elif change.removes:
            edits.append(TextEdit(line.start, line.end, ""))
        else:
            edits.append(
                TextEdit(
                    line.value_start,
                    line.value_end,
                    _spaced(text, line) + written(change.value, change.name, line.written),
                )
            )
    for name, lines in fresh.items():
        edits.append(_addition(text, sections, name, lines))
    return apply_edits(text, edits)


def parsed(text: str) -> object:
    """Parse a value by its look: a number, a bool, or a text without its quotes."""
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text.lower().replace("d", "e"))
    if text in _MEANING:
        return _MEANING[text]
    return text[1:-1] if _QUOTED.fullmatch(text) else text


def written(value: object, name: str, old: str) -> str:
    """Format a value so that it is read back unchanged; raises `ConfigError` if that is impossible.

    Args:
        value: The value.
        name: Its name, for messages.
        old: The value that it replaces, whose words for bools and quotes are kept.

    """
    if isinstance(value, bool):
        return _OPPOSITE.get(old, _BOOLS[0])[0 if value else 1]
    if isinstance(value, int | float):
        text = repr(value)
        if parsed(text) == value:
            return text
    elif isinstance(value, str):
        quote = old[0] if _QUOTED.fullmatch(old) else ""
        for text in (f"{quote}{value}{quote}", f'"{value}"' if quote else value):
            if _is_one_value(text) and parsed(text) == value:
                return text
    raise ConfigError(
        f"{name} is {value!r}, which a `name = value` line cannot represent: give a number, a "
        f"bool, or a text that does not look like a number, a bool or a comment"
    )


def _is_one_value(text: str) -> bool:
    """Whether a line that continues with `text` has exactly this text as its value."""
    return text.strip() == text and "\n" not in text and _value_end(text) == len(text)


def _sections(text: str) -> Iterator[Section]:
    """Yield the sections; the part before the first one is named `""`."""
    name, end = "", 0
    settings: list[Line] = []
    position = 0
    for number, line in enumerate(_lines(text), 1):
        start, position = position, position + len(line)
        content = line.rstrip("\r\n")
        if header := _HEADER.fullmatch(content):
            yield Section(name, end, tuple(settings))
            name, settings, end = (header[1] or header[2]).strip(), [], position
        elif setting := _SETTING.match(content):
            settings.append(_line(setting, start, position))
            end = position
        elif _COMMENT.fullmatch(content):
            continue
        elif settings and content[:1].isspace() and content.strip():
            settings[-1] = _continued(settings[-1], text, start, position)
            end = position
        else:
            raise ConfigError(
                f"line {number}: {content.strip()!r} is neither a section nor `name = value`"
            )
    yield Section(name, end, tuple(settings))


def _lines(text: str) -> list[str]:
    # not splitlines, which also splits at form feeds and similar characters
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _line(setting: re.Match[str], start: int, end: int) -> Line:
    rest = setting.string[setting.end() :]
    size = _value_end(rest)
    first = start + setting.end()
    return Line(setting["name"], start, first, first + size, end, rest[:size])


def _continued(line: Line, text: str, start: int, end: int) -> Line:
    """Add another line to a setting's value, as ConfigParser does with indented lines."""
    more = text[start:end].strip()
    value_end = start + len(text[start:end].rstrip())
    return replace(line, value_end=value_end, end=end, written=f"{line.written}\n{more}")


def _value_end(rest: str) -> int:
    """Return the end of the value at the start of a text: before blanks and a comment."""
    if quoted := _QUOTED.match(rest):
        after = rest[quoted.end() :].strip()
        if not after or after[0] in "#;":
            return quoted.end()
    comment = re.search(r"(?:^|[ \t])[#;]", rest)
    return len(rest[: comment.start()].rstrip()) if comment else len(rest.rstrip())


def _spaced(text: str, line: Line) -> str:
    return " " if text[line.value_start - 1] in "=:" and not line.written else ""


def _addition(text: str, sections: dict[str, Section], name: str, lines: list[str]) -> TextEdit:
    ending = "\r\n" if "\r\n" in text else "\n"
    body = "".join(line + ending for line in lines)
    section = sections.get(name)
    if section is None:
        marks = "<>" if re.search(r"^[ \t]*<", text, re.MULTILINE) else "[]"
        body = f"{ending}{marks[0]}{name}{marks[1]}{ending}{body}"
    end = section.end if section else len(text)
    before = ending if end and not text[:end].endswith("\n") else ""
    return TextEdit(end, end, before + body)
