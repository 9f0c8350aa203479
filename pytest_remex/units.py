"""What one sbatch submits: one run, or one job array for runs that ask for the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from pytest_remex.model import Value
from pytest_remex.records import Entry
from pytest_remex.sbatch import Header


@dataclass(frozen=True, slots=True)
class Unit:
    """What one sbatch submits. `key` names it for ever in its launch."""

    key: str
    entries: tuple[Entry, ...]
    array: bool

    def request(self, throttle: int) -> dict[str, object]:
        """Give the unit as the agent takes it; `throttle` 0 puts no limit on an array."""
        first = self.entries[0]
        header = first.header
        return {
            "key": self.key,
            "directories": [entry.directory for entry in self.entries],
            "comment": f"remex:{self.key if self.array else first.commit.sha}",
            "serial": first.serial,
            "environment": {"REMEX_COMMAND": first.command} if first.command else {},
            "header": {
                name: header.get(name) for name in ("output", "error", "name", "time_limit", "held")
            },
            "array": {
                "header": header["lines"],
                "shebang": header["shebang"],
                "throttle": throttle or None,
            }
            if self.array
            else None,
        }


def form_units(
    entries: Iterable[Entry], members: Mapping[str, Sequence[Entry]], *, array: bool, size: int
) -> list[Unit]:
    """Divide runs among units.

    A run that was once part of a unit stays in it: `members` gives each such unit whole. The
    others make arrays of at most `size` runs with equal headers, or units of their own.
    """
    units: dict[str, Unit] = {}
    fresh: list[Entry] = []
    for entry in entries:
        if entry.unit:
            together = tuple(members[entry.unit])
            units.setdefault(entry.unit, Unit(entry.unit, together, _is_array(entry.unit)))
        else:
            fresh.append(entry)
    made = _arrays(fresh, size) if array else [_single(entry) for entry in fresh]
    return [*units.values(), *made]


def header_facts(header: Header) -> dict[str, Value]:
    """Give a header as a launch record keeps it."""
    return {**asdict(header), "lines": list(header.lines)}


def _single(entry: Entry) -> Unit:
    again = f"-{entry.serial}" if entry.serial > 1 else ""
    return Unit(entry.directory + again, (entry,), array=False)


def _arrays(entries: Sequence[Entry], size: int) -> list[Unit]:
    alike: dict[tuple[str, ...], list[Entry]] = {}
    for entry in entries:
        lines = entry.header["lines"]
        asked = tuple(map(str, lines)) if isinstance(lines, list) else ()
        alike.setdefault((str(entry.header["shebang"]), *asked), []).append(entry)
    return [
        _array(group[start : start + size])
        for group in alike.values()
        for start in range(0, len(group), size)
    ]


def _array(entries: Sequence[Entry]) -> Unit:
    names = "\n".join(entry.directory for entry in entries)
    digest = hashlib.sha256(names.encode()).hexdigest()
    return Unit(f"array-{digest[:12]}", tuple(entries), array=True)


def _is_array(key: str) -> bool:
    return key.startswith("array-")
