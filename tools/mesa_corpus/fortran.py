"""Write a Fortran program that reads namelist groups and prints what they set."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

from pytest_remex.namelists.namelist import split_name
from pytest_remex.namelists.values import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pytest_remex.namelists.values import Literal

_DECLARED = {"number": "real(8)", "logical": "logical", "text": "character(512)"}
_SHOW = {"number": "zz_number", "logical": "zz_logical", "text": "zz_text"}
_UNSET = {
    "number": "merge(-1.2345678d-300, 2.468d-299, zz_first)",
    "logical": "zz_first",
    "text": "merge(char(1), char(2), zz_first)",
}
_LARGEST = 1_000_000


class Variable(NamedTuple):
    """A declaration: its kind, and bounds by dimension; no bounds for a scalar."""

    kind: str
    lower: tuple[int, ...]
    upper: tuple[int, ...]

    def subscripts(self) -> list[str]:
        """Name all elements, the first dimension fastest; `""` for a scalar."""
        axes = [range(low, high + 1) for low, high in zip(self.lower, self.upper, strict=True)]
        return [",".join(map(str, place[::-1])) for place in itertools.product(*axes[::-1])]


Declarations = dict[str, Variable]


def declare(values: Mapping[str, Literal], nulls: Iterable[str] = ()) -> Declarations | None:
    """Find the declarations that what was read from a group asks for; None where it cannot be.

    A name in `nulls` gets no value, so that its kind does not matter: it is a number unless its
    other elements are something else.
    """
    found = _of_values(values)
    if found is None:
        return None
    for key in nulls:
        name, subscript = split_name(key)
        known = found.get(name)
        kind = known.kind if known else "number"
        for place in _corners(subscript):
            known = _merged(known, Variable(kind, place, place))
            if known is None or not name.isidentifier():
                return None
            found[name] = known
    return found


def _corners(subscript: str) -> list[tuple[int, ...]]:
    """Return the first and the last place of a subscript; sections such as `:` begin at 1."""
    if not subscript:
        return [()]
    axes = [[int(bound or 1) for bound in part.split(":")[:2]] for part in subscript.split(",")]
    return [tuple(axis[0] for axis in axes), tuple(axis[-1] for axis in axes)]


def _of_values(values: Mapping[str, Literal]) -> Declarations | None:
    found: Declarations = {}
    for key, value in values.items():
        name, subscript = split_name(key)
        place = tuple(int(part) for part in subscript.split(",")) if subscript else ()
        merged = _merged(found.get(name), Variable(kind_of(value), place, place))
        if merged is None or not name.isidentifier():
            return None
        found[name] = merged
    return found


def merge(one: Declarations, other: Declarations) -> Declarations | None:
    """Find declarations that serve both; None where a name differs in kind, rank or lower bound."""
    both = dict(one)
    for name, variable in other.items():
        known = both.get(name, variable)
        merged = _merged(known, variable)
        if merged is None or any(
            each.lower not in ((), merged.lower) for each in (known, variable)
        ):
            return None
        if not (known.lower and variable.lower) and set(merged.lower) - {1}:
            return None
        both[name] = merged
    return both


def _merged(one: Variable | None, other: Variable) -> Variable | None:
    lower, upper = other.lower, other.upper
    if one and one.kind != other.kind:
        return None
    if one and one.lower and lower:
        if len(one.lower) != len(lower):
            return None
        lower = tuple(map(min, one.lower, lower))
        upper = tuple(map(max, one.upper, upper))
    elif one and one.lower:
        lower, upper = one.lower, one.upper
    lower = tuple(min(low, 1) for low in lower)
    size = math.prod(high - low + 1 for low, high in zip(lower, upper, strict=True))
    return Variable(other.kind, lower, upper) if size <= _LARGEST else None


def program(groups: Sequence[tuple[str, Declarations]]) -> str:
    """Write the program: it takes lines `number path` and reads group `number` from each path.

    It prints `R status message` for each read, then a line `number|logical|text name place value`
    for each element that the read set; places count from 1, numbers are printed bit by bit.
    """
    calls = "\n".join(
        f"    case ({number}); call zz_read{number}(trim(zz_path), zz_first)"
        for number in range(len(groups))
    )
    readers = "\n".join(
        line
        for number, (group, variables) in enumerate(groups)
        for line in _reader(number, group, variables)
    )
    return _PROGRAM.format(calls=calls, readers=readers)


def _reader(number: int, group: str, variables: Declarations) -> Iterator[str]:
    yield f"subroutine zz_read{number}(zz_path, zz_first)"
    yield "  character(*), intent(in) :: zz_path"
    yield "  logical, intent(in) :: zz_first"
    yield "  integer :: zz_status"
    yield "  character(256) :: zz_message"
    for name, (kind, lower, upper) in variables.items():
        bounds = ", ".join(f"{low}:{high}" for low, high in zip(lower, upper, strict=True))
        yield f"  {_DECLARED[kind]} :: {name}" + (f"({bounds})" if bounds else "")
    yield f"  namelist /{group}/ " + ", ".join(variables)
    for name, variable in variables.items():
        yield f"  {name} = {_UNSET[variable.kind]}"
    yield "  zz_message = ''"
    yield "  open (10, file=zz_path, status='old', action='read')"
    yield f"  read (10, nml={group}, iostat=zz_status, iomsg=zz_message)"
    yield "  close (10)"
    yield "  print '(a,i0,1x,a)', 'R ', zz_status, trim(zz_message)"
    for name, (kind, lower, _) in variables.items():
        count = f"size({name})" if lower else "1"
        value = name if lower else f"[{name}]"
        yield f"  call {_SHOW[kind]}('{name}', {count}, {value}, zz_first)"
    yield "end subroutine"


_PROGRAM = """
program zz_main
  implicit none
  integer :: zz_case, zz_end
  logical :: zz_first
  character(4096) :: zz_path
  do
    read (*, *, iostat=zz_end) zz_case, zz_first, zz_path
    if (zz_end /= 0) exit
    select case (zz_case)
{calls}
    end select
  end do
contains
subroutine zz_number(name, count, value, first)
  character(*), intent(in) :: name
  integer, intent(in) :: count
  real(8), intent(in) :: value(count)
  logical, intent(in) :: first
  integer :: place
  do place = 1, count
    if (value(place) == merge(-1.2345678d-300, 2.468d-299, first)) cycle
    print '(3a,i0,1x,z16.16)', 'number ', name, ' ', place, value(place)
  end do
end subroutine
subroutine zz_logical(name, count, value, first)
  character(*), intent(in) :: name
  integer, intent(in) :: count
  logical, intent(in) :: value(count), first
  integer :: place
  do place = 1, count
    if (value(place) .neqv. first) print '(3a,i0,1x,l1)', 'logical ', name, ' ', place, value(place)
  end do
end subroutine
subroutine zz_text(name, count, value, first)
  character(*), intent(in) :: name
  integer, intent(in) :: count
  character(512), intent(in) :: value(count)
  logical, intent(in) :: first
  integer :: place
  do place = 1, count
    if (value(place) == merge(char(1), char(2), first)) cycle
    print '(3a,i0,1x,a)', 'text ', name, ' ', place, trim(value(place))
  end do
end subroutine
{readers}
end program
"""
