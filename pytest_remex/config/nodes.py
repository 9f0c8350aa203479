"""Edit YAML and JSON texts at the positions of values; every other character is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pytest_remex.config.settings import Change, Place, full_name
from pytest_remex.errors import ConfigError
from pytest_remex.namelists.patching import TextEdit, apply_edits


@dataclass(frozen=True, slots=True)
class Node:
    """A value in a text, from `start` to before `end`."""

    start: int
    end: int
    entries: tuple[Entry, ...] = ()
    """The keys and values of a mapping, or the values of a list."""
    is_mapping: bool = False
    is_list: bool = False
    is_block: bool = False
    """Whether each entry is on its own line without brackets, as in YAML."""

    @property
    def last(self) -> int:
        """The end of its last value; a block's own `end` extends to what follows."""
        return self.entries[-1].node.last if self.is_block and self.entries else self.end

    def child(self, key: str | int) -> Entry | None:
        """Return the entry of a key or position; None if it is not written here."""
        return next((entry for entry in self.entries if entry.key == key), None)


@dataclass(frozen=True, slots=True)
class Entry:
    """A key and its value; in a list the key is the position in the list."""

    key: str | int
    start: int
    node: Node


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a format writes values."""

    parse: Callable[[str], Node]
    write: Callable[[object, str, str], str]
    """Formats a value on one line, given its name (for messages) and the text that it replaces."""
    write_key: Callable[[str], str]


def patch_nodes(text: str, changes: Iterable[Change], dialect: Dialect) -> str:
    """Return a text with values replaced and added, then others removed."""
    known = list(changes)
    root = dialect.parse(text)
    given = [change for change in known if not change.removes]
    there = [change for change in given if _deepest(root, change.place) == change.place]
    edits = [_replacement(text, _node_at(root, each), each, dialect) for each in there]
    edits += _additions(text, root, [change for change in given if change not in there], dialect)
    text = apply_edits(text, edits)
    for change in known:
        if change.removes:
            text = apply_edits(text, [_removal(text, dialect.parse(text), change)])
    return text


def _replacement(text: str, node: Node, change: Change, dialect: Dialect) -> TextEdit:
    old = text[node.start : node.last]
    if node.is_list and node.is_block and change.value and isinstance(change.value, list):
        line = text.rfind("\n", 0, node.start) + 1
        between = _line_break(text) + " " * (node.start - line) + "- "
        written = (dialect.write(one, change.name, "") for one in change.value)
        return TextEdit(node.start, node.last, "- " + between.join(written))
    space = " " if not old and text[node.start - 1 : node.start] == ":" else ""
    return TextEdit(node.start, node.last, space + dialect.write(change.value, change.name, old))


def _line_break(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _node_at(root: Node, change: Change) -> Node:
    node = root
    for key in change.place:
        entry = node.child(key)
        if entry is None:
            raise _written_elsewhere(change)
        node = entry.node
    return node


def _written_elsewhere(change: Change) -> ConfigError:
    return ConfigError(
        f"{change.name} comes from a merge or an alias: change it where it is written"
    )


def _additions(
    text: str, root: Node, changes: list[Change], dialect: Dialect
) -> Iterator[TextEdit]:
    """Yield an edit for each existing section that gets new settings; a new section is one edit."""
    fresh: dict[Place, dict[str, object]] = {}
    for change in changes:
        holder = _deepest(root, change.place)
        inner = fresh.setdefault(change.place[: len(holder)], {})
        *above, last = change.place[len(holder) :]
        for key in above:
            inner = inner.setdefault(str(key), {})  # type: ignore[assignment]
        inner[str(last)] = change.value
    for place, values in fresh.items():
        node = _node_at(root, Change(full_name(place), place, None))
        yield _addition(text, node, values, dialect, full_name(place))


def _deepest(root: Node, place: Place) -> Place:
    """Return the part of a place that exists in the text."""
    node = root
    for size, key in enumerate(place):
        entry = node.child(key)
        if entry is None:
            return place[:size]
        node = entry.node
    return place


def _addition(
    text: str, node: Node, values: dict[str, object], dialect: Dialect, name: str
) -> TextEdit:
    if not node.is_mapping:
        if text[node.start : node.end].startswith("*"):
            raise ConfigError(f"{name} is an alias: change what it stands for, or write it out")
        return _replacement(text, node, Change(name, (), values), dialect)
    if node.is_block:
        return _block_addition(text, node, values, dialect, name)
    written = [
        f"{dialect.write_key(key)}: {dialect.write(value, f'{name}.{key}', '')}"
        for key, value in values.items()
    ]
    if not node.entries:
        return TextEdit(node.start, node.end, "{" + ", ".join(written) + "}")
    last = node.entries[-1]
    line = text.rfind("\n", 0, last.start) + 1
    indent = text[line : last.start]
    between = (
        f",\n{indent}" if not indent.strip() and "\n" in text[node.start : last.start] else ", "
    )
    return TextEdit(last.node.end, last.node.end, "".join(between + one for one in written))


def _block_addition(
    text: str, node: Node, values: dict[str, object], dialect: Dialect, name: str
) -> TextEdit:
    first = node.entries[0].start if node.entries else 0
    column = first - (text.rfind("\n", 0, first) + 1)
    ending = _line_break(text)
    lines = "".join(" " * column + line + ending for line in _block_lines(values, dialect, name))
    end = node.last
    if not text[:end] or text[end - 1] == "\n":
        return TextEdit(end, end, lines)
    found = text.find("\n", end)
    if found < 0:
        return TextEdit(len(text), len(text), ending + lines)
    return TextEdit(found + 1, found + 1, lines)


def _block_lines(values: dict[str, object], dialect: Dialect, name: str) -> Iterator[str]:
    for key, value in values.items():
        inner = f"{name}.{key}" if name else key
        if isinstance(value, dict) and value:
            yield f"{dialect.write_key(key)}:"
            yield from (f"  {line}" for line in _block_lines(value, dialect, inner))
        else:
            yield f"{dialect.write_key(key)}: {dialect.write(value, inner, '')}"


def _removal(text: str, root: Node, change: Change) -> TextEdit:
    *above, key = change.place
    holder = _node_at(root, Change(change.name, tuple(above), None))
    entry = holder.child(key)
    if entry is None:
        raise _written_elsewhere(change)
    if not holder.is_mapping:
        raise ConfigError(f"{change.name} cannot be removed on its own: give the whole list")
    if len(holder.entries) == 1:
        return TextEdit(holder.start, holder.last, "{}")
    position = holder.entries.index(entry)
    following = holder.entries[position + 1 :]
    if holder.is_block:
        return _block_removal(text, entry, following[0].start if following else None)
    if following:
        return TextEdit(entry.start, following[0].start, "")
    return TextEdit(holder.entries[position - 1].node.end, entry.node.end, "")


def _block_removal(text: str, entry: Entry, following: int | None) -> TextEdit:
    """Remove the lines of an entry; after a list's dash, only the text up to the next entry."""
    line = text.rfind("\n", 0, entry.start) + 1
    if text[line : entry.start].strip() and following is not None:
        return TextEdit(entry.start, following, "")
    end = text.find("\n", entry.node.last) + 1 or len(text)
    return TextEdit(line, end, "")
