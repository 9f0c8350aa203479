"""What one sbatch submits: one run, a job array, or a pack of runs in one allocation."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_remex.common import protocol
from pytest_remex.launch.grouping import Grouping, GroupingKind
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
            job_number=first.job_number,
            environment={"REMEX_COMMAND": first.command} if first.command else {},
            header=_sent(first.header),
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
        return list(header.lines), header.shebang

    def _time_limit(self, slots: int) -> float | None:
        """Give the time for all runs of a pack, `slots` at a time, each up to its own limit."""
        each = self.entries[0].header.time_limit
        if each is None:
            return None
        return each * math.ceil(len(self.entries) / (slots or 1))


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
        if key := entry.submission:
            units.setdefault(key, Submission(key, tuple(members[key]), _kind(key)))
        else:
            fresh.append(entry)
    if grouping.kind is GroupingKind.SINGLE:
        return [*units.values(), *map(_single, fresh)]
    longest = size if grouping.kind is GroupingKind.ARRAY else len(fresh)
    groups = _alike(fresh, longest)
    return [*units.values(), *(_group(group, grouping.kind) for group in groups)]


def _sent(header: Header) -> protocol.Header:
    """Return what the agent needs to know of a header."""
    return protocol.Header(
        output=header.output,
        error=header.error,
        name=header.name,
        time_limit=header.time_limit,
        held=header.held,
    )


def _single(entry: RunRecord) -> Submission:
    again = f"-{entry.job_number}" if entry.job_number > 1 else ""
    return Submission(entry.directory + again, (entry,), GroupingKind.SINGLE)


def _alike(entries: Sequence[RunRecord], size: int) -> list[Sequence[RunRecord]]:
    alike: dict[tuple[str, ...], list[RunRecord]] = {}
    for entry in entries:
        alike.setdefault((entry.header.shebang, *entry.header.lines), []).append(entry)
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
