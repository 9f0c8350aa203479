"""`PYTHONPATH=tools python -m mesa_corpus DIR`: check all inlists of a folder.

Every file must parse, gfortran and f90nml must read the same values, and setting any scalar or
element must change only its bytes, with gfortran reading it back. Without gfortran, f90nml is the
only oracle. Exit code 1 where something does not hold.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from mesa_corpus.checks import (
    Change,
    Disagreement,
    Sample,
    changes,
    compare,
    differences,
    read_sample,
)
from mesa_corpus.gfortran import ask, gfortran
from pytest_remex.errors import NamelistError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_BATCH = 2000


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the folder named on the command line; print counts and every disagreement."""
    parser = argparse.ArgumentParser(prog="corpus", description=__doc__)
    parser.add_argument("folder", type=Path, help="a folder with inlists, also in its folders")
    folder: Path = parser.parse_args(arguments).folder
    counts: Counter[str] = Counter()
    samples, unread = _read(folder, counts)
    wrong = [*unread, *_asked(samples, counts), *_changed(samples, counts)]
    opinions = list(_second_opinions(samples, counts))
    _print("disagreements", wrong)
    _print("f90nml alone reads otherwise" if gfortran() else "f90nml reads otherwise", opinions)
    for name, count in counts.items():
        _say(f"{count:8} {name}")
    return 1 if wrong or not samples or (opinions and not gfortran()) else 0


def _read(folder: Path, counts: Counter[str]) -> tuple[list[Sample], list[Disagreement]]:
    samples: list[Sample] = []
    unread: list[Disagreement] = []
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if hidden or path.is_symlink() or not path.is_file():
            continue
        if b"\0" in path.read_bytes():
            counts["files that are no text"] += 1
            continue
        try:
            sample = read_sample(path)
        except NamelistError as error:
            unread.append(Disagreement(path, "cannot be read", str(error)))
            continue
        samples.append(sample)
        counts["files read"] += 1
        counts["groups"] += len(sample.groups)
        counts["values"] += sum(map(len, sample.groups.values()))
        counts["warnings"] += len(sample.doubts)
    return samples, unread


def _asked(samples: Iterable[Sample], counts: Counter[str]) -> Iterator[Disagreement]:
    """Compare every group that sets something with what gfortran reads."""
    if not gfortran():
        _say("gfortran is not here: values are compared with f90nml only")
        return
    pairs = [
        (sample, group) for sample in samples for group, found in sample.groups.items() if found
    ]
    answers = ask([sample.claim(group) for sample, group in pairs])
    for (sample, group), answer in zip(pairs, answers, strict=True):
        found = compare(sample, group, answer)
        counts["values read alike by gfortran"] += 0 if found else len(sample.groups[group])
        yield from found


def _changed(samples: Iterable[Sample], counts: Counter[str]) -> Iterator[Disagreement]:
    """Set everything to another value, one setting at a time, and let gfortran read it back."""
    waiting: list[Change] = []
    for sample in samples:
        for change in changes(sample):
            if isinstance(change, Disagreement):
                yield change
                continue
            counts["settings changed, only their bytes"] += 1
            waiting.append(change)
        if len(waiting) > _BATCH:
            yield from _read_back(waiting, counts)
            waiting = []
    yield from _read_back(waiting, counts)


def _read_back(waiting: Sequence[Change], counts: Counter[str]) -> Iterator[Disagreement]:
    if not gfortran() or not waiting:
        return
    for change, answer in zip(waiting, ask([one.claim for one in waiting]), strict=True):
        patched = change.sample._replace(groups={change.claim.group: dict(change.claim.values)})
        found = compare(patched, change.claim.group, answer)
        counts["changes read back by gfortran"] += not found
        for one in found:
            yield one._replace(where=f"{one.where} with {change.key} changed")


def _second_opinions(samples: Iterable[Sample], counts: Counter[str]) -> Iterator[Disagreement]:
    if not importlib.util.find_spec("f90nml"):
        _say("f90nml is not here: pip install f90nml")
        return
    from mesa_corpus.f90 import read_with_f90nml  # noqa: PLC0415 - optional

    for sample in samples:
        read = read_with_f90nml(sample.text)
        if isinstance(read, str):
            yield Disagreement(sample.path, "f90nml fails", read)
            continue
        for group, values in sample.groups.items():
            found = differences(values, read.get(group, {}))
            counts["values read alike by f90nml"] += max(0, len(values) - len(found))
            yield from (Disagreement(sample.path, f"&{group}", what) for what in found)


def _print(title: str, found: Sequence[Disagreement]) -> None:
    if found:
        _say(f"{title}: {len(found)}")
    for one in found:
        _say(f"  {one}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
