"""Slurm's commands get exactly the given arguments."""

from pytest_remex.agent.slurm import client


def test_ids_are_split_to_fit_a_command_line():
    """No part is longer than a command line takes, and none is lost."""
    jobs = [str(number) for number in range(10_000_000, 10_010_000)]
    parts = client.chunks(jobs)
    assert [job for part in parts for job in part] == jobs
    assert all(len(",".join(part)) <= client.LENGTH for part in parts)
    assert client.chunks([]) == []
