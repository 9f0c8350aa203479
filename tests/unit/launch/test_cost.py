"""What a launch asks for, in numbers and in words."""

from pytest_remex.launch.cost import Cost
from pytest_remex.sbatch.header import parse_header

HOUR = parse_header("#!/bin/sh\n#SBATCH -n 2 -t 1:00:00\n")
UNLIMITED = parse_header("#!/bin/sh\n#SBATCH -n 2\n")


def test_sum():
    """Hours are those of the jobs with a limit; bytes are those of all run directories."""
    assert Cost.of([(HOUR, 1000), (HOUR, 500), (UNLIMITED, 0)]) == Cost(3, 4.0, 1, 1500)
    assert Cost.of([(HOUR, 1)]) + Cost.of([(UNLIMITED, 2)]) == Cost(2, 2.0, 1, 3)


def test_words():
    """One job is one job; jobs without a limit are named, with the option that sets one."""
    assert str(Cost.of([(HOUR, 1500)])) == (
        "1 job, at most 2 core-hours, and 1.5 kB of run directories"
    )
    assert str(Cost.of([(UNLIMITED, 0)] * 2)) == (
        "2 jobs, at most 0 core-hours, and 0 bytes of run directories, "
        "not counting the hours of 2 without a limit (#SBATCH -t)"
    )
