"""What one sbatch submits."""

from dataclasses import replace

import pytest

from pytest_remex.launch.options import Grouping, GroupingKind
from pytest_remex.launch.submissions import form_submissions
from pytest_remex.model import Commit
from pytest_remex.records.schema import RunRecord
from pytest_remex.sbatch.header import parse_header


def run(number, *lines):
    """Return a run whose script has these #SBATCH lines."""
    sha = f"{number:040d}"
    header = parse_header("\n".join(["#!/bin/sh", *lines, ""]))
    commit = Commit(sha, sha, "b" * 40)
    return RunRecord(f"s[{number}]", str(number), {}, {}, commit, f"run-{number}", header)


RUNS = [run(n, "#SBATCH -t 5" if n % 2 else "#SBATCH -t 9") for n in range(10)]


def test_single_jobs():
    """Without arrays each run is a submission of its own, named by its directory."""
    submissions = form_submissions(RUNS, {}, Grouping(), 100)
    assert [each.key for each in submissions] == [f"run-{n}" for n in range(10)]


@pytest.mark.parametrize(("size", "count"), [(100, 2), (5, 2), (4, 4), (1, 10)])
def test_arrays(size, count):
    """Runs of equal headers make arrays, of at most so many tasks."""
    submissions = form_submissions(RUNS, {}, Grouping(GroupingKind.ARRAY), size)
    assert len(submissions) == count
    assert len({each.key for each in submissions}) == count
    for each in submissions:
        assert len(each.runs) <= size
        assert len({tuple(one.header.lines) for one in each.runs}) == 1
    assert sorted(one.id for each in submissions for one in each.runs) == list("0123456789")


def test_keys_stay():
    """The same runs make the same key."""
    one, two = (form_submissions(RUNS, {}, Grouping(GroupingKind.ARRAY), 100) for _ in range(2))
    assert [each.key for each in one] == [each.key for each in two]


def test_a_submission_stays_whole():
    """A run that was once part of an array is submitted with all of it, and only once."""
    members = [replace(each, submission="array-x") for each in RUNS]
    (again,) = form_submissions(members[:3], {"array-x": members}, Grouping(), 100)
    assert again.key == "array-x"
    assert len(again.runs) == 10
    assert again.kind is GroupingKind.ARRAY
