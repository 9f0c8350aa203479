"""Names of settings in nested data: `physics.gamma`, `species[0].mass`, or `gamma` alone.

A config is a file's content: mappings with text keys, lists, and plain values.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import TypeAlias

from pytest_remex.errors import ConfigError
from pytest_remex.model import LARGEST_EXACT
from pytest_remex.namelists.values import Removal, to_python

Place: TypeAlias = tuple[str | int, ...]
"""The path of a value from the top: keys of mappings, and positions in lists."""

_LARGEST = 1_000_000
_DEEPEST = 100
_ABSENT = object()
_ELEMENT = re.compile(r"\[(\d+)\]")


class Settings(dict[str, object]):
    """A config file's content as nested dicts, whose values can also be read by dotted names.

    `settings["physics.gamma"]` and `settings["species[0].mass"]` work as expected; a name without
    its section, `settings["gamma"]`, works if it is unique in the file.
    """

    def __missing__(self, name: str) -> object:
        """Return the value of a dotted name, or of a name without its section."""
        places = find_places(self, name)
        if len(places) != 1:
            raise KeyError(name)
        return value_at(self, places[0])

    def __contains__(self, name: object) -> bool:
        """Whether `settings[name]` is a value."""
        return isinstance(name, str) and self.get(name, _ABSENT) is not _ABSENT

    def get(self, name: str, default: object = None) -> object:
        """Return `settings[name]`, or the default."""
        try:
            return self[name]
        except KeyError:
            return default


def unreadable(language: str, error: Exception, wording: str = "") -> ConfigError:
    """Return the error for a text that a parser refuses; `wording` replaces the parser's own."""
    why = wording or str(error)
    if isinstance(error, RecursionError):
        why = "it is nested too deeply for Python's limit of recursion"
    return ConfigError(f"it cannot be read as {language}: {why}")


@dataclass(frozen=True, slots=True)
class Addition:
    """A value marked by `add`: the file may lack it."""

    value: object


def add(settings: Mapping[str, object]) -> dict[str, object]:
    """Mark settings for `patch_config` as new, so that they are added if the file lacks them.

    Args:
        settings: Values by name.

    Returns:
        Settings, to merge with others.

    Example:
        >>> patch_config("config.toml", {**experiment.config, **add({"output.every": 10})})

    """
    return {name: Addition(value) for name, value in settings.items()}


@dataclass(frozen=True, slots=True)
class Change:
    """A change at a place: set a value, or remove it."""

    name: str
    place: Place
    value: object

    @property
    def removes(self) -> bool:
        """Whether the setting is removed."""
        return isinstance(self.value, Removal)


def find_changes(data: Mapping[str, object], settings: Mapping[str, object]) -> list[Change]:
    """Find the place of each name of `settings` in a file's data.

    Raises `ConfigError` for a name that is not found or ambiguous, that is a section, or that
    appears twice.
    """
    changes: list[Change] = []
    for name, value, may_be_new in _flat(data, settings):
        change = _change(data, name, value, may_be_new=may_be_new)
        for other in changes:
            shared = min(len(other.place), len(change.place))
            if other.place[:shared] == change.place[:shared]:
                both = name if name == other.name else f"{other.name} and {name}"
                raise ConfigError(f"{both} set the same value: give it once")
        changes.append(change)
    return changes


def refuse_other_changes(
    changes: Sequence[Change], before: Mapping[str, object], reread: Callable[[], Settings]
) -> None:
    """Refuse a patched text, which `reread` reads, unless it has exactly the requested changes.

    Raises:
        ConfigError: Something else would differ; the message names the setting.

    """
    names = " and ".join(change.name for change in changes)
    try:
        found = reread()
    except ConfigError as error:
        raise ConfigError(f"{names} cannot be changed in place: {error}") from None
    place = difference(changed_data(before, changes), found)
    if place is not None:
        raise ConfigError(
            f"{names} cannot be changed separately: {full_name(place)} would get another value "
            f"than expected"
        )


def changed_data(data: Mapping[str, object], changes: Iterable[Change]) -> dict[str, object]:
    """Return a copy of a file's data with the changes made."""
    copy = plain_data(data)
    for change in changes:
        holder: object = copy
        for key in change.place[:-1]:
            if isinstance(holder, dict) and holder.get(key) is None:
                holder[key] = {}
            holder = holder[key]  # type: ignore[index]
        last = change.place[-1]
        if change.removes:
            del holder[last]  # type: ignore[attr-defined]
        else:
            holder[last] = change.value  # type: ignore[index]
    return copy


def plain_data(data: Mapping[str, object]) -> dict[str, object]:
    """Return a copy as dicts and lists; raises `ConfigError` if it is too deep or too large."""
    count = 0

    def copy(value: object, depth: int) -> object:
        nonlocal count
        count += 1
        if depth > _DEEPEST or count > _LARGEST:
            raise ConfigError(
                f"it is more than {_DEEPEST} levels deep or has over {_LARGEST} values: "
                f"this is not a config file"
            )
        if isinstance(value, Mapping):
            return {str(key): copy(one, depth + 1) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [copy(one, depth + 1) for one in value]
        return value

    return {str(key): copy(value, 1) for key, value in data.items()}


def find_places(data: Mapping[str, object], name: str) -> list[Place]:
    """Return the places that a name may mean: from the top, or else, without sections, anywhere."""
    from_top = list(_read_as(data, name))
    return from_top or [
        (*above, *below)
        for above, section in _sections(data, ())
        for below in _read_as(section, name)
    ]


def value_at(data: object, place: Place) -> object:
    """Return the value at a place that was found in the data."""
    for key in place:
        data = data[key]  # type: ignore[index]
    return data


def full_name(place: Place) -> str:
    """Return a place in users' notation: `species[0].mass`."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place)
    return text.removeprefix(".")


def leaves(data: object, place: Place = ()) -> Iterator[tuple[Place, object]]:
    """Yield each value that is not a mapping, with its place; a list is one value."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from leaves(value, (*place, key))
    elif place:
        yield place, data


def difference(wanted: object, found: object, place: Place = ()) -> Place | None:
    """Return the first place where two configs differ; None if they are equal."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        keys = [*wanted, *(key for key in found if key not in wanted)]
        for key in keys:
            if key not in wanted or key not in found:
                return (*place, key)
            if (inner := difference(wanted[key], found[key], (*place, key))) is not None:
                return inner
        return None
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = enumerate(zip(wanted, found, strict=True))
        inners = (difference(one, other, (*place, number)) for number, (one, other) in pairs)
        return next((inner for inner in inners if inner is not None), None)
    return None if _same(wanted, found) else place


def to_plain(value: object, name: str) -> object:
    """Convert a value to plain Python; numpy scalars and arrays too.

    Raises `ConfigError`, with the name, for a value that no config file can hold.
    """
    match value := to_python(value):
        case None | bool() | int() | float() | date() | datetime() | time():
            return value
        case str():
            return _writable(value, name)
        case list() | tuple():
            return [to_plain(one, f"{name}[{number}]") for number, one in enumerate(value)]
        case Mapping():
            return {str(key): to_plain(one, f"{name}.{key}") for key, one in value.items()}
    raise ConfigError(
        f"{name} is a {type(value).__name__}, which config files cannot represent: give a number, "
        f"a text, a bool, a list or a dict"
    )


def fitted(new: object, old: object) -> object:
    """Convert a new value to the type of the old one, if both types can represent it.

    An integer becomes a float if the old value is one, and vice versa, for readers that distinguish
    them; a text becomes a date if the old value is one.
    """
    if isinstance(new, bool) or isinstance(old, bool):
        return new
    if isinstance(old, float) and isinstance(new, int) and float(new) == new:
        return float(new)
    if (
        isinstance(old, int)
        and isinstance(new, float)
        and new.is_integer()
        and abs(new) < LARGEST_EXACT
    ):
        return int(new)
    if isinstance(old, date) and isinstance(new, str):
        try:
            return type(old).fromisoformat(new)
        except ValueError:
            return new
    return new


def _flat(
    data: Mapping[str, object], settings: Mapping[str, object], above: str = ""
) -> Iterator[tuple[str, object, bool]]:
    """Yield names, values, and whether they may be new; mappings are split into settings."""
    for key, given in settings.items():
        name = f"{above}{key}"
        value = given.value if isinstance(given, Addition) else given
        is_new = isinstance(given, Addition)
        if isinstance(value, Mapping) and _is_section(data, name):
            inner = add(value) if is_new else value
            yield from _flat(data, inner, f"{name}.")
        else:
            yield name, value, is_new


def _is_section(data: Mapping[str, object], name: str) -> bool:
    found = [value_at(data, place) for place in find_places(data, name)]
    return any(value and isinstance(value, Mapping) for value in found)


def _change(data: Mapping[str, object], name: str, value: object, *, may_be_new: bool) -> Change:
    places = find_places(data, name)
    if len(places) > 1:
        full = " or ".join(map(full_name, places[:5]))
        raise ConfigError(f"{name} is in {len(places)} places: name one, {full}")
    if not places:
        if not may_be_new or isinstance(value, Removal):
            raise ConfigError(_unknown(data, name, value))
        return Change(name, _new_place(data, name), to_plain(value, name))
    old = value_at(data, places[0])
    if isinstance(value, Removal):
        return Change(name, places[0], value)
    if isinstance(old, Mapping) and old and not isinstance(value, Mapping):
        inside = ", ".join(f"{name}.{key}" for key in list(old)[:3])
        raise ConfigError(f"{name} is a section: name a setting in it, such as {inside}")
    return Change(name, places[0], fitted(to_plain(value, name), old))


def _unknown(data: Mapping[str, object], name: str, value: object) -> str:
    known = {full_name(place): str(place[-1]) for place, _ in leaves(data)}
    last = name.rpartition(".")[2]
    near = {
        *difflib.get_close_matches(name, known, n=3),
        *(full for full, short in known.items()
          if short in difflib.get_close_matches(last, known.values(), n=3)),
    }  # fmt: skip
    hint = f"did you mean {' or '.join(sorted(near)[:5])}? " if near else ""
    if isinstance(value, Removal):
        return f"{name} is not in it: {hint or 'leave out its removal'}".rstrip()
    to_add = "To add" if hint else "to add"
    return f"{name} is not in it: {hint}{to_add} it, write add({{{name!r}: ...}})"


def _new_place(data: Mapping[str, object], name: str) -> Place:
    """Return the place for a new name: in the deepest of its sections that exists."""
    parts = name.split(".")
    if not all(parts) or "[" in name:
        raise ConfigError(f"{name!r} cannot be added: write names joined by dots, or add a list")
    for size in range(len(parts) - 1, 0, -1):
        head = ".".join(parts[:size])
        places = [place for place in find_places(data, head) if _may_hold(value_at(data, place))]
        if len(places) > 1:
            full = " or ".join(map(full_name, places))
            raise ConfigError(f"{name}: {head} is in {len(places)} places: name one, {full}")
        if places:
            return (*places[0], *parts[size:])
        if find_places(data, head):
            raise ConfigError(f"{name} cannot be added: {head} is a value, not a section")
    return tuple(parts)


def _may_hold(value: object) -> bool:
    return value is None or isinstance(value, Mapping)


def _read_as(data: object, name: str) -> Iterator[Place]:
    """Yield each place below `data` whose full name is `name`; keys may contain dots."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            if name == key:
                yield (key,)
            elif name.startswith(key) and name[len(key) : len(key) + 1] in (".", "["):
                rest = name[len(key) :]
                yield from ((key, *below) for below in _read_as(value, rest.removeprefix(".")))
    elif isinstance(data, list) and (element := _ELEMENT.match(name)):
        number, rest = int(element[1]), name[element.end() :]
        if number < len(data):
            if not rest:
                yield (number,)
            elif rest[0] in ".[":
                below = _read_as(data[number], rest.removeprefix("."))
                yield from ((number, *place) for place in below)


def _sections(data: object, place: Place) -> Iterator[tuple[Place, object]]:
    """Yield the mappings below the top, with their places."""
    inner: Iterable[tuple[str | int, object]] = ()
    if isinstance(data, Mapping):
        inner = data.items()
    elif isinstance(data, list):
        inner = enumerate(data)
    for key, value in inner:
        if isinstance(value, Mapping):
            yield (*place, key), value
        yield from _sections(value, (*place, key))


def _same(one: object, other: object) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, float) and isinstance(other, float) and one != one:  # noqa: PLR0124 - nan
        return other != other  # noqa: PLR0124 - nan
    return one == other


def _writable(text: str, name: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{name} is {text!r}, which cannot be encoded in UTF-8") from None
    return text
