"""Fingerprint 10,000 experiments of one edited file each, on a base of 20,000 files.

Processor time of reading the base once, and of all experiments. The floor is hashing alone, of the
tree objects that differ: what no program can do without.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

from figures import Figures

from pytest_remex.repo.identity import InputTree
from pytest_remex.repo.inputs import Inputs
from pytest_remex.repo.trees import Blob, Edit

QUICK: dict[str, int] = {}
FILES, EXPERIMENTS, TARGET = 20_000, 10_000, 2.0
SHAPES = {
    "200 folders": lambda n: f"src/d{n // 1000}/e{n // 100 % 10}/file{n}.f90",
    "a file at the top": lambda n: f"src/d{n // 1000}/e{n // 100 % 10}/file{n}.f90" if n else "in",
    "one folder": lambda n: f"file{n}.f90",
}
EDITED = {"200 folders": 12_345, "a file at the top": 0, "one folder": 12_345}


def measure(runs: int) -> list[Figures]:
    """Time each shape of a base."""
    figures = Figures(f"fingerprints of {EXPERIMENTS} experiments on {FILES} files", "processor s")
    for title, name in SHAPES.items():
        files = {name(n).encode(): Blob("100644", digest(n), 1000) for n in range(FILES)}
        for _ in range(runs):
            start = time.process_time()
            tree = InputTree("0" * 40, files, Inputs(), None)
            figures.add(f"{title}: the base, once", time.process_time() - start)
            figures.add(title, fingerprinting(tree, name(EDITED[title]).encode()))
            figures.add(f"{title}: floor, hashing alone", hashing(title, name))
        if title != "one folder":
            figures.target(f"processor s, {title}", figures.median(title), TARGET)
    return [figures]


def digest(number: int) -> str:
    """Return an id for a file."""
    return hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()


def fingerprinting(tree: InputTree, path: bytes) -> float:
    """Return the seconds for all experiments, which all differ."""
    start = time.process_time()
    edits = (Edit(path, "100644", b"mass = %d\n" % n) for n in range(EXPERIMENTS))
    found = {tree.fingerprint([edit]) for edit in edits}
    took = time.process_time() - start
    assert len(found) == EXPERIMENTS
    return took


def hashing(title: str, name: Callable[[int], str]) -> float:
    """Return the seconds that it takes to hash as many bytes as the tree objects that differ."""
    *folders, _ = name(EDITED[title]).split("/")
    paths = [name(n).split("/") for n in range(FILES)]
    sizes = []
    for depth in range(len(folders) + 1):
        here = {path[depth] for path in paths if path[:depth] == folders[:depth]}
        sizes.append(sum(len(entry) + 28 for entry in here))
    contents = [b"\0" * size for size in sizes]
    start = time.process_time()
    for _ in range(EXPERIMENTS):
        for content in contents:
            hashlib.sha1(content, usedforsecurity=False).digest()
    return time.process_time() - start
