"""Slurm's commands get exactly the given arguments, and not their full time again and again."""

import shutil
import time

import pytest

from pytest_remex.agent.slurm import client
from pytest_remex.agent.slurm.client import SlurmClient


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """Return a function that makes squeue a shell script."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def put(body):
        (tmp_path / "new").write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / "new").chmod(0o755)
        (tmp_path / "new").rename(tmp_path / "squeue")

    return put


def test_ids_are_split_to_fit_a_command_line():
    """No part is longer than a command line takes, and none is lost."""
    jobs = [str(number) for number in range(10_000_000, 10_010_000)]
    parts = client.chunks(jobs)
    assert [job for part in parts for job in part] == jobs
    assert all(len(",".join(part)) <= client.LONGEST_LIST for part in parts)
    assert client.chunks([]) == []


def seconds_of(slurm, words, patience):
    """Return how long a command took, and how it ended."""
    start = time.monotonic()
    ran = slurm.run(words, patience)
    return time.monotonic() - start, ran


def test_a_program_that_hung_gets_less_time_until_it_answers(squeue, monkeypatch):
    """Only the first of several questions waits in full, even if another cluster answers."""
    slurm = SlurmClient()
    monkeypatch.setattr(client, "LEAST_PATIENCE", 1)
    squeue("[ $1 = -M ] || exec sleep 60")
    took, ran = seconds_of(slurm, ["squeue", "-h"], 2)
    assert took >= 2
    assert ran.message() == "no answer within 2 s"
    assert slurm.run(["squeue", "-M", "east"], 20).ok
    took, ran = seconds_of(slurm, ["squeue", "-a"], 20)
    assert took < 10
    assert ran.message() == "no answer within 2 s, and later none within 1 s"
    squeue("exit 0")
    monkeypatch.setattr(client, "LEAST_PATIENCE", 20)
    assert slurm.run(["squeue"], 20).ok
    monkeypatch.setattr(client, "LEAST_PATIENCE", 0)
    squeue("sleep 0.5")
    assert slurm.run(["squeue"], 20).ok


def test_several_programs_that_hang_share_the_time(squeue, tmp_path, monkeypatch):
    """After one program hung, another one that hangs gets what is left, and says what hung."""
    slurm = SlurmClient()
    monkeypatch.setattr(client, "TOTAL_PATIENCE", 3.0)
    monkeypatch.setattr(client, "LEAST_PATIENCE", 0.5)
    squeue("exec sleep 60")
    for name in ("sacct", "scontrol"):
        shutil.copy(tmp_path / "squeue", tmp_path / name)
    assert slurm.run(["squeue"], 2).code is None
    took, ran = seconds_of(slurm, ["sacct"], 20)
    assert 1 <= took < 2
    assert ran.message() == "no answer within 1 s, after squeue had not answered within 2 s"
    took, ran = seconds_of(slurm, ["scontrol"], 20)
    assert took < 1
    squeue("exit 0")
    assert slurm.run(["squeue"], 20).ok


def test_a_program_gets_its_full_time_again_later(squeue, monkeypatch):
    """A wait for days does not give up on a program that hung once and has been slow since."""
    slurm = SlurmClient()
    monkeypatch.setattr(client, "LEAST_PATIENCE", 0)
    monkeypatch.setattr(client, "REMEMBERED", 1.0)
    squeue("exec sleep 60")
    assert slurm.run(["squeue"], 0.2).code is None
    assert slurm.run(["squeue"], 20).code is None
    time.sleep(1)
    squeue("sleep 0.5")
    assert slurm.run(["squeue"], 20).ok
