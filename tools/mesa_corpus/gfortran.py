"""What gfortran reads from namelists: the truth that the reader is checked against."""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mesa_corpus.fortran import Declarations, declare, merge, program
from pytest_remex.errors import NamelistError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pytest_remex.namelists.values import Literal


class Claim(NamedTuple):
    """What was read from the first group of that name in a file's bytes."""

    data: bytes
    group: str
    values: Mapping[str, Literal]
    nulls: tuple[str, ...] = ()
    """Names, as users write them, that the group gives no value to, as `x(2) =` does not."""


class Answer(NamedTuple):
    """What gfortran says: 0 or its error's number, its message, and the values that it set."""

    status: int
    message: str
    values: Mapping[str, Literal]


class _Plan(NamedTuple):
    number: int
    group: str
    variables: Declarations


def gfortran() -> str | None:
    """Find the compiler; None where there is none."""
    return shutil.which("gfortran")


def ask(claims: Sequence[Claim]) -> list[Answer | None]:
    """Let gfortran read each claim's group; None where no declarations fit what was claimed.

    One program is written and compiled for all claims: it declares the names that they hold, so a
    name that a claim lacks makes gfortran fail. Raises `NamelistError` where it cannot be compiled
    or run.
    """
    shapes: list[tuple[str, Declarations]] = []
    numbers = [_shape_number(shapes, claim) for claim in claims]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reader = _compile(folder, program(shapes))
        asked = [number for number, claim in enumerate(claims) if numbers[number] is not None]
        for number in asked:
            (folder / f"{number}.nml").write_bytes(claims[number].data)
        requests = "".join(
            f"{numbers[number]} {first} {number}.nml\n" for number in asked for first in "TF"
        )
        printed = _run([str(reader)], folder, requests.encode())
    plans = (_Plan(n, *shapes[index]) for n in asked if (index := numbers[n]) is not None)
    answers = dict(_answers(printed, plans))
    return [answers.get(number) for number in range(len(claims))]


def _shape_number(shapes: list[tuple[str, Declarations]], claim: Claim) -> int | None:
    """Find, or make, the declarations that serve a claim."""
    wanted = declare(claim.values, claim.nulls)
    if not wanted:
        return None
    for number, (group, variables) in enumerate(shapes):
        both = merge(variables, wanted) if group == claim.group else None
        if both is not None:
            shapes[number] = (group, both)
            return number
    shapes.append((claim.group, wanted))
    return len(shapes) - 1


def _compile(folder: Path, source: str) -> Path:
    (folder / "reader.f90").write_text(source)
    options = ["-O0", "-fno-automatic", "-ffree-line-length-none", "-o", "reader", "reader.f90"]
    _run([gfortran() or "gfortran", *options], folder)
    return folder / "reader"


def _run(command: list[str], folder: Path, given: bytes = b"") -> bytes:
    ran = subprocess.run(command, cwd=folder, input=given, capture_output=True, check=False)
    if ran.returncode:
        said = ran.stderr.decode(errors="replace")[-500:]
        raise NamelistError(f"{Path(command[0]).name} ended with {ran.returncode}: {said}")
    return ran.stdout


def _answers(printed: bytes, plans: Iterable[_Plan]) -> Iterator[tuple[int, Answer]]:
    """Join the two reads of each claim: what neither left at its initial value was set."""
    reads = iter(_reads(printed.decode("utf-8", "surrogateescape")))
    for plan in plans:
        one, other = next(reads), next(reads)
        values = {}
        places = {name: variable.subscripts() for name, variable in plan.variables.items()}
        for kind, name, place, value in [*one[2], *other[2]]:
            subscript = places[name][place - 1]
            values[f"{name}({subscript})" if subscript else name] = _value(kind, value)
        yield plan.number, Answer(one[0], one[1], values)


def _reads(printed: str) -> Iterator[tuple[int, str, list[tuple[str, str, int, str]]]]:
    read: tuple[int, str, list[tuple[str, str, int, str]]] | None = None
    for line in printed.split("\n"):
        first, _, rest = line.partition(" ")
        if first == "R":
            if read:
                yield read
            status, _, message = rest.partition(" ")
            read = (int(status), message, [])
        elif read and rest:
            name, place, value = rest.split(" ", 2)
            read[2].append((first, name, int(place), value))
    if read:
        yield read


def _value(kind: str, printed: str) -> Literal:
    if kind == "number":
        (number,) = struct.unpack(">d", bytes.fromhex(printed))
        return float(number)
    return printed == "T" if kind == "logical" else printed
