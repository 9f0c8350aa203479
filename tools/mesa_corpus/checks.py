"""What must hold for every inlist of a folder; each check gives the disagreements that it finds."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, NamedTuple

from mesa_corpus.gfortran import Claim
from pytest_remex.errors import NamelistError
from pytest_remex.extensions.mesa.inlists import decode, read_inlist
from pytest_remex.namelists.namelist import first_groups, scan
from pytest_remex.namelists.patching import patch_text
from pytest_remex.namelists.values import assignments, format_value, last_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mesa_corpus.gfortran import Answer
    from pytest_remex.namelists.values import Literal

    Values = Mapping[str, Literal]

_END_OF_FILE = -1
_NULL = re.compile(r"(?:(\d+)\*)?", re.ASCII)


class Sample(NamedTuple):
    """A file of the corpus as it was read, and what the reader warned of."""

    path: Path
    data: bytes
    text: str
    encoding: str
    groups: dict[str, dict[str, Literal]]
    doubts: tuple[str, ...]
    nulls: dict[str, tuple[str, ...]]
    """By group, the names that stand there without a value."""

    def claim(self, group: str) -> Claim:
        """Return what was read from a group, for gfortran to confirm."""
        return Claim(self.data, group, self.groups[group], self.nulls[group])


class Change(NamedTuple):
    """One setting of a sample set to another value: what gfortran should read then."""

    sample: Sample
    key: str
    claim: Claim


class Disagreement(NamedTuple):
    """Where a sample and a check differ, in words."""

    path: Path
    where: str
    what: str

    def __str__(self) -> str:
        """Say it on one line."""
        return f"{self.path}: {self.where}: {self.what}"


def read_sample(path: Path) -> Sample:
    """Read one file; raises `NamelistError` where it cannot be read."""
    data = path.read_bytes()
    text, encoding = decode(data)
    with warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always")
        groups = read_inlist(path)
    said = tuple(str(one.message) for one in doubts)
    return Sample(path, data, text, encoding, groups, said, _nulls(text))


def _nulls(text: str) -> dict[str, tuple[str, ...]]:
    """Return by group the names without a value: nothing stands there, or `3*`, three elements."""
    found = {}
    for name, group in first_groups(scan(text)).items():
        keys = []
        for setting in group.settings:
            items = [_NULL.fullmatch(text[start:end].strip()) for start, end in setting.items]
            if all(items):
                count = sum(int(item[1] or 1) for item in items if item)
                alone = setting.subscript or count < 2  # noqa: PLR2004 - several elements
                keys.append(setting.key if alone else f"{setting.name}({count})")
        found[name] = tuple(keys)
    return found


def differences(ours: Values, theirs: Values) -> list[str]:
    """Say where two readings of a group differ; blanks at a text's end do not count.

    A single value given to a bare name is the first element where the other knows an array.
    """
    mine, other = _comparable(ours, theirs), _comparable(theirs, ours)
    names = dict.fromkeys([*mine, *other])
    return [
        f"{name} is {mine.get(name)!r} here, {other.get(name)!r} there"
        for name in names
        if not _same(mine.get(name), other.get(name))
    ]


def compare(sample: Sample, group: str, answer: Answer | None) -> list[Disagreement]:
    """Compare a group with what gfortran read; a doubt that was warned of is no disagreement."""
    if answer is None:
        return [Disagreement(sample.path, f"&{group}", "no declarations fit these names")]
    found = differences(sample.groups[group], answer.values)
    if answer.status and not (answer.status == _END_OF_FILE and sample.doubts):
        found.append(f"gfortran: {answer.message}")
    return [Disagreement(sample.path, f"&{group}", what) for what in found]


def changes(sample: Sample) -> Iterator[Change | Disagreement]:
    """Set each scalar and element to another value: only its bytes may change."""
    groups = first_groups(scan(sample.text))
    for name, group in groups.items():
        given = last_values(assignments(sample.text, group))
        for key, one in given.items():
            value = _another(one.value)
            try:
                after = patch_text(sample.text, {name: {key: value}})
            except NamelistError as error:
                yield Disagreement(sample.path, f"{name}.{key}", str(error))
                continue
            read = last_values(assignments(after, first_groups(scan(after))[name]))
            values = {other: now.value for other, now in read.items()}
            wanted = {other: was.value for other, was in given.items()} | {key: value}
            if values != wanted:
                what = "; ".join(differences(values, wanted))
                yield Disagreement(sample.path, f"{name}.{key}", what)
            if not _only_value_changed(sample.text, after, one.position, f"{key} = ", value):
                yield Disagreement(sample.path, f"{name}.{key}", "other bytes changed")
            nulls = _nulls(after)[name]
            yield Change(sample, key, Claim(after.encode(sample.encoding), name, wanted, nulls))


def _another(value: Literal) -> Literal:
    """Return another value of the same kind."""
    if isinstance(value, bool):
        return not value
    return "it's / new!" if isinstance(value, str) else 0.12345678901234567


def _only_value_changed(
    before: str, after: str, position: int, assignment: str, value: Literal
) -> bool:
    """Whether `after` is `before` with one literal replaced, or with one line more."""
    new = format_value("new", value)
    ended = before if before.endswith("\n") else f"{before}\n"
    head, tail = before[:position], after[position + len(new) :]
    if after.startswith(head + new) and ended.endswith(tail):
        return True
    lines = after.splitlines(keepends=True)
    kept = [line for line in lines if line.strip() != assignment + new]
    return len(kept) == len(lines) - 1 and "".join("".join(kept).split()) == "".join(before.split())


def _comparable(values: Values, other: Values) -> dict[str, Literal]:
    arrays = {name.partition("(")[0] for name in [*values, *other] if "(" in name}
    return {
        f"{name}(1)" if name in arrays else name: one.rstrip() if isinstance(one, str) else one
        for name, one in values.items()
    }


def _same(one: Literal | None, other: Literal | None) -> bool:
    """Equal, of one kind, or both not a number."""
    if isinstance(one, bool) is not isinstance(other, bool):
        return False
    return one == other or (one != one and other != other)  # noqa: PLR0124 - nan is not itself
