"""What a launch asks for, in numbers and in words."""

from pytest_remex.launch.cost import Cost
from pytest_remex.repo.identity import Footprint
from pytest_remex.sbatch.header import parse_header

HOUR = parse_header("#!/bin/sh\n#SBATCH -n 2 -t 1:00:00\n")
UNLIMITED = parse_header("#!/bin/sh\n#SBATCH -n 2\n")


def test_sum():
    """Hours are those of the jobs with a limit; files and bytes are those of all directories."""
    large, small = Footprint(3, 1000), Footprint(2, 500)
    jobs = [(HOUR, large), (HOUR, small), (UNLIMITED, Footprint(0, 0))]
    assert Cost.of(jobs) == Cost(3, 4.0, 1, Footprint(5, 1500))
    total = Cost(2, 2.0, 1, Footprint(5, 1500))
    assert Cost.of([(HOUR, large)]) + Cost.of([(UNLIMITED, small)]) == total


def test_words():
    """One job is one job; jobs without a limit are named, with the option that sets one."""
    assert str(Cost.of([(HOUR, Footprint(1, 1500))])) == (
        "1 job, at most 2 core-hours, and 1.5 kB in 1 file of run directories"
    )
    assert str(Cost.of([(UNLIMITED, Footprint(0, 0))] * 2)) == (
        "2 jobs, at most 0 core-hours, and 0 bytes in 0 files of run directories, "
        "not counting the hours of 2 without a limit (#SBATCH -t)"
    )
