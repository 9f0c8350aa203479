"""Copies of launch records: what is known, taken, checked, and put together."""

import base64
import errno
import json
import os
import re
import zlib

import pytest

from pytest_remex.common.jobs import Job, JobState
from pytest_remex.common.records import RecordPart
from pytest_remex.errors import RecordError
from pytest_remex.model import Commit, Remote
from pytest_remex.records.copies import Copies
from pytest_remex.records.fields import Collected
from pytest_remex.records.index import RunIndex
from pytest_remex.records.journal import Journal
from pytest_remex.records.launch import Launch
from pytest_remex.records.schema import (
    Committed,
    Ended,
    Renamed,
    RunRecord,
    Shared,
    Stage,
    StageReached,
)
from pytest_remex.sbatch.script import parse_header
from pytest_remex.variant import GRID, Variant

BASE, TREE, SHA = "b" * 40, "e" * 40, "c" * 40
REMOTE = Remote("cluster", "/clone", "/runs")
HEADER = parse_header("#!/bin/sh\n#SBATCH -t 5\n")


def launch(**changes):
    """Return a launch of another client, which has another name for the cluster."""
    facts = {
        "id": "tams_2026_01_31_12_00_00", "token": "ab" * 8, "name": "tams", "branch": "main",
        "base": BASE, "base_config": {}, "fetch": (), "config_files": (),
        "remote": Remote("me@login", "/elsewhere", "/runs"), "by": "ann@laptop",
    }  # fmt: skip
    return Launch(**{**facts, **changes})


def run(**changes):
    """Return a run."""
    facts = {
        "node": "sweeps.py::tams[a=1]", "id": "a=1", "point": {"a": 1}, "parameters": {},
        "commit": Commit(SHA, TREE, BASE), "directory": "main_tams_1", "header": HEADER,
    }  # fmt: skip
    return RunRecord(**{**facts, **changes})


@pytest.fixture
def theirs(tmp_path):
    """Return the record of another client's launch, with one released run."""
    journal = Journal.begin(tmp_path / "theirs", launch())
    events = [Committed(run()), StageReached(SHA, Stage.RELEASED, job="7")]
    journal.write(events)
    journal.close()
    return journal.path


def copies(tmp_path):
    """Return the copies of the cluster's records in an output folder."""
    return Copies(tmp_path / "output" / "launches", REMOTE)


def part(path, start=0, end=None, **changes):
    """Return a part of a record's file as the agent sends it."""
    data = base64.b64encode(zlib.compress(path.read_bytes()[start:end])).decode()
    return RecordPart(path.stem, start, data)._replace(**changes)


def taken(tmp_path, path, **changes):
    """Take a whole record; return the output folder's copies."""
    made = copies(tmp_path)
    made.take(part(path, **changes))
    return made


def index(made):
    """Return the index of an output folder."""
    return RunIndex.of([], [made], lambda base: base == BASE)


def rewritten(path, old, new):
    """Return a record with other text in it, and without checksums."""
    text = re.sub(', "crc": "[0-9a-f]{8}"', "", path.read_text())
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_a_copy_is_taken_in_parts(tmp_path, theirs):
    """The copy grows with each part, and a part that comes again changes nothing."""
    made, size = copies(tmp_path), theirs.stat().st_size
    first = theirs.read_bytes().index(b"\n") + 1
    made.take(part(theirs, 0, first))
    assert made.known() == {theirs.stem: first}
    for _ in range(2):
        made.take(part(theirs, first))
        assert made.known() == {theirs.stem: size}
    ((copy,), faults) = made.read()
    assert (copy.runs[SHA].job, copy.own, faults) == ("7", False, [])


def test_a_copy_is_reached_through_the_remote_that_it_was_read_from(tmp_path, theirs):
    """Whatever host, clone and shell a record names."""
    (copy,), _ = taken(tmp_path, theirs).read()
    assert copy.launch.remote is REMOTE


def test_records_of_another_user_are_kept_apart(tmp_path, theirs):
    """Their owner is known from then on."""
    (copy,), _ = taken(tmp_path, theirs, owner="bob").read()
    assert copy.owner == "bob"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"directory": "main_tams_1"', '"directory": "../main"'),
        ('"directory": "main_tams_1"', '"directory": ".remex"'),
        ('"job": "7"', '"job": "7; rm -r ."'),
        ('"a=1"', '"a=1\\u001b[2J"'),
        (f'"{TREE}"', '"HEAD"'),
        ('"#SBATCH -t 5"', '"rm -r ~"'),
        ('"token": "' + "ab" * 8, '"token": "$(id)'),
        ('"launch": "tams_2026_01_31_12_00_00"', '"launch": "other_2026_01_31_12_00_00"'),
        ('"job": "7"', '"job": 7'),
    ],
)
def test_a_hostile_or_damaged_copy_is_not_used(tmp_path, theirs, old, new):
    """It is reported, and all others are used."""
    made = taken(tmp_path, rewritten(theirs, old, new))
    found = index(made)
    assert found.records == []
    assert "was ignored" in found.faults[0]


def test_the_commands_of_a_copy_are_not_run(tmp_path, theirs):
    """A continued run's command is forgotten."""
    rewritten(theirs, '"job": "7"', '"job": "7", "command": "rm -r ~"')
    (copy,), _ = taken(tmp_path, theirs).read()
    assert copy.runs[SHA].command == ""


@pytest.mark.parametrize("name", ["../x", ".x", "a/b", "x" * 300, "x~1", "x y"])
def test_a_copys_name_stays_in_its_folder(tmp_path, theirs, name):
    """A record with such a name is refused."""
    with pytest.raises(RecordError, match="an invalid launch record"):
        taken(tmp_path, theirs, record=name)


@pytest.mark.parametrize("owner", ["../x", "a/b", "-x", " "])
def test_an_owners_name_stays_in_its_folder(tmp_path, theirs, owner):
    """An account with such a name is refused."""
    with pytest.raises(RecordError, match="an invalid launch record"):
        taken(tmp_path, theirs, owner=owner)


def test_a_newer_record_asks_for_an_upgrade(tmp_path, theirs):
    """Its contents cannot be guessed."""
    made = taken(tmp_path, rewritten(theirs, '"remex": 1', '"remex": 99'))
    with pytest.raises(RecordError, match="upgrade"):
        made.read()


def test_records_of_another_repository_are_counted(tmp_path, theirs):
    """Records with an unknown base commit are ignored, and a message says how many."""
    found = RunIndex.of([], [taken(tmp_path, theirs)], {}.get)
    assert found.records == []
    assert "1 launch record in cluster:/runs was ignored" in found.faults[0]


def test_what_happens_to_anothers_run_goes_into_an_addition(tmp_path, theirs):
    """Its record stays as it is; both are read as one."""
    made = taken(tmp_path, theirs)
    (record,) = index(made).records
    before = record.path.read_bytes()
    for state in (JobState.COMPLETED, JobState.COMPLETED):
        journal = Journal.resume(record)
        journal.write([Ended(SHA, Job("7", state))])
        journal.close()
    assert record.path.read_bytes() == before
    (addition,) = made.launches.glob("*.jsonl")
    assert addition.stem.startswith(f"{record.launch.id}~")
    (again,) = RunIndex.read(made.launches, [REMOTE]).records
    assert again.runs[SHA].final == Job("7", JobState.COMPLETED)


@pytest.mark.parametrize(("job", "by"), [("7", "ada@laptop"), ("6", None)])
def test_who_collected_anothers_run(tmp_path, theirs, job, by):
    """An addition to the record says so, for the job that the run has."""
    made = taken(tmp_path, theirs)
    (record,) = index(made).records
    journal = Journal.resume(record)
    journal.write([Collected("ada@laptop", "2026-03-01", {SHA: job})])
    journal.close()
    (again,) = RunIndex.read(made.launches, [REMOTE]).records
    assert getattr(again.runs[SHA].collected, "by", None) == by


def test_an_addition_where_files_cannot_be_linked(tmp_path, theirs, monkeypatch):
    """On a file system without hard links an output folder still has one id for its additions."""

    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    made = taken(tmp_path, theirs)
    (record,) = index(made).records
    journals = [Journal.resume(record), Journal.resume(record)]
    assert len({each.name for each in journals}) == 1
    assert len(list(made.launches.glob(".writer*"))) == 1
    for each in journals:
        each.close()


def test_who_got_further_counts(tmp_path, theirs):
    """A run that another client submitted has that job, even if the first writer has none."""
    made = taken(tmp_path, rewritten(theirs, '"state": "RELEASED"', '"state": "PLACED"'))
    (record,) = index(made).records
    journal = Journal.resume(record)
    journal.write([Committed(record.runs[SHA]), StageReached(SHA, Stage.RELEASED, job="8")])
    journal.close()
    (again,) = RunIndex.read(made.launches, [REMOTE]).records
    assert (again.runs[SHA].stage, again.runs[SHA].job) == (Stage.RELEASED, "8")


def test_an_end_of_another_job_does_not_count(tmp_path, theirs):
    """A run that was continued has not ended with its first job."""
    made = taken(tmp_path, theirs)
    (record,) = index(made).records
    journal = Journal.resume(record)
    journal.write([Ended(SHA, Job("6", JobState.TIMEOUT))])
    journal.close()
    (again,) = RunIndex.read(made.launches, [REMOTE]).records
    assert again.runs[SHA].final is None


def test_an_own_record_is_known_with_its_whole_lines(tmp_path):
    """A last line that a crash cut short is not used, and neither is another remote's record."""
    made = copies(tmp_path)
    own = Journal.begin(made.launches, launch(remote=REMOTE))
    own.close()
    size = own.path.stat().st_size
    with own.path.open("a") as file:
        file.write('{"state": "COMM')
    Journal.begin(made.launches, launch(id="grid_2026_01_31_12_00_00")).close()
    assert made.known() == {own.path.stem: size}
    assert made.is_own(own.path.stem)
    head = json.loads(zlib.decompress(base64.b64decode(made.part(own.path.stem, 0).data)))
    assert head["by"] == "ann@laptop"


def test_another_clients_names_for_a_run_are_added_to_its_own(tmp_path, theirs):
    """A client whose sweep has another name does not take over the run."""
    made = taken(tmp_path, theirs)
    (record,) = index(made).records
    journal = Journal.resume(record)
    journal.write([Renamed(SHA, "mine.py::grid[b=1]", "b=1", {"b": 1}, {}, "grid")])
    journal.close()
    found = RunIndex.read(made.launches, [REMOTE])
    for node, point, sweep in [
        ("sweeps.py::tams[a=1]", {"a": 1}, "tams"),
        ("mine.py::grid[b=1]", {"b": 1}, "grid"),
    ]:
        for each in (found.newest(node, point), next(found.of_sweep(sweep, point), None)):
            assert (each.run.node, each.run.point, each.run.commit.sha) == (node, point, SHA)
    assert found.newest("mine.py::grid[a=1]", {"a": 1}) is None


def test_another_clients_variant_of_a_run(tmp_path, theirs):
    """A variant of the grid that shares another client's run has it, and the grid keeps it."""
    made = taken(tmp_path, theirs)
    (record,) = index(made).records
    variant = Variant(base="v1.2")
    journal = Journal.resume(record)
    journal.write([Shared(SHA, variant)])
    journal.close()
    found = RunIndex.read(made.launches, [REMOTE])
    for each in (GRID, variant):
        assert found.newest("sweeps.py::tams[a=1]", {"a": 1}, variant=each).run.commit.sha == SHA
    assert found.newest("sweeps.py::tams[a=1]", {"a": 1}, variant=Variant(base="v1")) is None


def test_names_stay_when_a_run_is_introduced_again(tmp_path):
    """A run that is continued is written again, by its present names."""
    journal = Journal.begin(tmp_path, launch())
    names = Renamed(SHA, "mine.py::grid[b=1]", "b=1", {"b": 1}, {}, "grid")
    journal.write([Committed(run()), names, Committed(names.apply(run()))])
    journal.close()
    found = RunIndex.read(tmp_path)
    assert found.newest("mine.py::grid[b=1]", {"b": 1}).run.sweep == "grid"
    assert found.newest("sweeps.py::tams[a=1]", {"a": 1}).run.sweep == ""
