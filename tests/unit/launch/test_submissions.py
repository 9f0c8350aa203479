"""The runs that one sbatch submits, and the cost of a launch, in numbers and in words."""

import pytest

from pytest_remex.launch.options import Grouping, GroupingKind
from pytest_remex.launch.submissions import ALIKE, Cost, array_advice, form_submissions
from pytest_remex.model import Commit
from pytest_remex.records.schema import RunRecord
from pytest_remex.repo.identity import Footprint
from pytest_remex.sbatch.script import parse_header

HOUR = parse_header("#!/bin/sh\n#SBATCH -n 2 -t 1:00:00\n")
UNLIMITED = parse_header("#!/bin/sh\n#SBATCH -n 2\n")


def run(number, *lines):
    """Return a run whose script has these #SBATCH lines."""
    sha = f"{number:040d}"
    header = parse_header("\n".join(["#!/bin/sh", *lines, ""]))
    commit = Commit(sha, sha, "b" * 40)
    return RunRecord(f"s[{number}]", str(number), {}, {}, commit, f"run-{number}", header)


RUNS = [run(n, "#SBATCH -t 5" if n % 2 else "#SBATCH -t 9") for n in range(10)]


def test_single_jobs():
    """Without arrays each run is a separate submission, named by its directory."""
    submissions = form_submissions(RUNS, {}, Grouping(), 100, {})
    assert [each.key for each in submissions] == [f"run-{n}" for n in range(10)]


@pytest.mark.parametrize(("size", "count"), [(100, 2), (5, 2), (4, 4), (1, 10)])
def test_arrays(size, count):
    """Runs of equal headers make arrays, of at most so many tasks."""
    submissions = form_submissions(RUNS, {}, Grouping(GroupingKind.ARRAY), size, {})
    assert len(submissions) == count
    assert len({each.key for each in submissions}) == count
    for each in submissions:
        assert len(each.runs) <= size
        assert len({tuple(one.header.lines) for one in each.runs}) == 1
    assert sorted(one.id for each in submissions for one in each.runs) == list("0123456789")


def test_keys_stay():
    """The same runs make the same key."""
    one, two = (form_submissions(RUNS, {}, Grouping(GroupingKind.ARRAY), 100, {}) for _ in range(2))
    assert [each.key for each in one] == [each.key for each in two]


def test_a_submission_stays_whole():
    """A run that was once part of an array is submitted with all of it, and only once."""
    members = [each._replace(submission="array-x") for each in RUNS]
    (again,) = form_submissions(members[:3], {"array-x": members}, Grouping(), 100, {})
    assert again.key == "array-x"
    assert len(again.runs) == 10
    assert again.kind is GroupingKind.ARRAY


def test_sum_of_costs():
    """Hours are those of the jobs with a limit; files and bytes are those of all directories."""
    large, small = Footprint(3, 1000), Footprint(2, 500)
    jobs = [(HOUR, large), (HOUR, small), (UNLIMITED, Footprint(0, 0))]
    assert Cost.of(jobs) == Cost(3, 4.0, 1, Footprint(5, 1500))
    total = Cost(2, 2.0, 1, Footprint(5, 1500))
    assert Cost.of([(HOUR, large)]) + Cost.of([(UNLIMITED, small)]) == total


def test_cost_in_words():
    """One job is one job; jobs without a limit are named, with the option that sets one."""
    assert str(Cost.of([(HOUR, Footprint(1, 1500))])) == (
        "1 job, at most 2 core-hours, and 1.5 kB in 1 file of run directories"
    )
    assert str(Cost.of([(UNLIMITED, Footprint(0, 0))] * 2)) == (
        "2 jobs, at most 0 core-hours, and 0 bytes in 0 files of run directories, "
        "not counting the hours of 2 without a limit (#SBATCH -t)"
    )


def test_many_alike_could_be_an_array():
    """Above a number of jobs that ask for the same an array is suggested, if there is none yet."""
    alike = [parse_header("#!/bin/sh\n#SBATCH -n 2\n") for _ in range(ALIKE)]
    assert array_advice([*alike, HOUR], Grouping()) == ""
    said = array_advice([*alike, HOUR, UNLIMITED], Grouping())
    assert said.startswith(f"{ALIKE + 1} of these jobs ask for the same: --remex-array ")
    for kind in (GroupingKind.ARRAY, GroupingKind.PACK):
        assert array_advice([UNLIMITED] * 1000, Grouping(kind)) == ""
    assert array_advice([], Grouping()) == ""
