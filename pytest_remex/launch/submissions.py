"""What one sbatch submits: one run, a job array, or a pack of runs in one allocation."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from pytest_remex.common import protocol
from pytest_remex.common.typed_json import from_json
from pytest_remex.launch.grouping import Grouping, GroupingKind
from pytest_remex.model import Value
from pytest_remex.records.schema import RunRecord
from pytest_remex.sbatch.header import Header


@dataclass(frozen=True, slots=True)
class Submission:
    """What one sbatch submits. `key` names it for ever in its launch."""

    key: str
    entries: tuple[RunRecord, ...]
    kind: GroupingKind

    def request(self, grouping: Grouping, *, in_doubt: bool) -> protocol.Submission:
        """Return it as the agent takes it; `in_doubt` says that it may have been submitted."""
        first = self.entries[0]
        limit = grouping.limit if grouping.kind is self.kind else 0
        sha_or_key = first.commit.sha if self.kind is GroupingKind.SINGLE else self.key
        return protocol.Submission(
            key=self.key,
            directories=[entry.directory for entry in self.entries],
            comment=f"remex:{sha_or_key}",
            job_number=first.serial,
            environment={"REMEX_COMMAND": first.command} if first.command else {},
            header=from_json(
                protocol.HeaderOptions, {name: first.header.get(name) for name in _TOLD}
            ),
            array=self._array(limit) if self.kind is GroupingKind.ARRAY else None,
            pack=self._pack(limit) if self.kind is GroupingKind.PACK else None,
            in_doubt=in_doubt,
        )

    def _array(self, limit: int) -> protocol.Array:
        lines, shebang = self._script()
        return protocol.Array(lines, shebang, limit or None)

    def _pack(self, limit: int) -> protocol.Pack:
        lines, shebang = self._script()
        return protocol.Pack(lines, shebang, limit or None, self._time_limit(limit))

    def _script(self) -> tuple[list[str], str]:
        header = self.entries[0].header
        lines = header["lines"]
        return [str(line) for line in lines] if isinstance(lines, list) else [], str(
            header["shebang"]
        )

    def _time_limit(self, slots: int) -> float | None:
        """Give the time for all runs of a pack, `slots` at a time, each up to its own limit."""
        each = self.entries[0].header.get("time_limit")
        if not isinstance(each, int | float):
            return None
        return each * math.ceil(len(self.entries) / (slots or 1))


_TOLD = ("output", "error", "name", "time_limit", "held")


def form_submissions(
    entries: Iterable[RunRecord],
    members: Mapping[str, Sequence[RunRecord]],
    grouping: Grouping,
    size: int,
) -> list[Submission]:
    """Divide runs among units.

    A run that was once part of a unit stays in it: `members` gives each such unit whole. The
    others make groups of equal headers, arrays of at most `size` runs, or units of their own.
    """
    units: dict[str, Submission] = {}
    fresh: list[RunRecord] = []
    for entry in entries:
        if entry.unit:
            together = tuple(members[entry.unit])
            units.setdefault(entry.unit, Submission(entry.unit, together, _kind(entry.unit)))
        else:
            fresh.append(entry)
    if grouping.kind is GroupingKind.SINGLE:
        return [*units.values(), *map(_single, fresh)]
    longest = size if grouping.kind is GroupingKind.ARRAY else len(fresh)
    groups = _alike(fresh, longest)
    return [*units.values(), *(_group(group, grouping.kind) for group in groups)]


def header_facts(header: Header) -> dict[str, Value]:
    """Give a header as a launch record keeps it."""
    return {**asdict(header), "lines": list(header.lines)}


def _single(entry: RunRecord) -> Submission:
    again = f"-{entry.serial}" if entry.serial > 1 else ""
    return Submission(entry.directory + again, (entry,), GroupingKind.SINGLE)


def _alike(entries: Sequence[RunRecord], size: int) -> list[Sequence[RunRecord]]:
    alike: dict[tuple[str, ...], list[RunRecord]] = {}
    for entry in entries:
        lines = entry.header["lines"]
        asked = tuple(map(str, lines)) if isinstance(lines, list) else ()
        alike.setdefault((str(entry.header["shebang"]), *asked), []).append(entry)
    return [
        group[start : start + size]
        for group in alike.values()
        for start in range(0, len(group), size)
    ]


def _group(entries: Sequence[RunRecord], kind: GroupingKind) -> Submission:
    names = "\n".join(entry.directory for entry in entries)
    digest = hashlib.sha256(names.encode()).hexdigest()
    return Submission(f"{kind}-{digest[:12]}", tuple(entries), kind)


def _kind(key: str) -> GroupingKind:
    prefix = key.partition("-")[0]
    return (
        GroupingKind(prefix)
        if prefix in {GroupingKind.ARRAY, GroupingKind.PACK}
        else GroupingKind.SINGLE
    )
