"""What one sbatch submits."""

from dataclasses import replace

import pytest

from pytest_remex.launch.grouping import Grouping, GroupingKind
from pytest_remex.launch.submissions import form_submissions
from pytest_remex.model import Commit
from pytest_remex.records.schema import RunRecord
from pytest_remex.sbatch.header import parse_header


def entry(number, *lines, unit=""):
    """Give a run whose script has these #SBATCH lines."""
    sha = f"{number:040d}"
    header = parse_header("\n".join(["#!/bin/sh", *lines, ""]))
    commit = Commit(sha, sha, "b" * 40)
    return RunRecord(
        f"s[{number}]", str(number), {}, {}, commit, f"run-{number}", header, submission=unit
    )


ENTRIES = [entry(n, "#SBATCH -t 5" if n % 2 else "#SBATCH -t 9") for n in range(10)]


def test_single_jobs():
    """Without arrays each run is a unit of its own, named by its directory."""
    units = form_submissions(ENTRIES, {}, Grouping(), 100)
    assert [unit.key for unit in units] == [f"run-{n}" for n in range(10)]


@pytest.mark.parametrize(("size", "count"), [(100, 2), (5, 2), (4, 4), (1, 10)])
def test_arrays(size, count):
    """Runs of equal headers make arrays, of at most so many tasks."""
    units = form_submissions(ENTRIES, {}, Grouping(GroupingKind.ARRAY), size)
    assert len(units) == count
    assert len({unit.key for unit in units}) == count
    for unit in units:
        assert len(unit.entries) <= size
        assert len({each.header.lines for each in unit.entries}) == 1
    assert sorted(each.id for unit in units for each in unit.entries) == [str(n) for n in range(10)]


def test_keys_are_for_ever():
    """The same runs make the same key."""
    one, two = (form_submissions(ENTRIES, {}, Grouping(GroupingKind.ARRAY), 100) for _ in range(2))
    assert [unit.key for unit in one] == [unit.key for unit in two]


def test_a_unit_stays_whole():
    """A run that was once part of an array is submitted with all of it, and only once."""
    units = form_submissions(ENTRIES[:2], {}, Grouping(GroupingKind.ARRAY), 100)
    members = [replace(each, submission="array-x") for each in ENTRIES]
    again = form_submissions(members[:3], {"array-x": members}, Grouping(), 100)
    assert [unit.key for unit in again] == ["array-x"]
    assert len(again[0].entries) == 10
    assert again[0].kind is GroupingKind.ARRAY
    assert len(units) == 2
