"""Twice as many runs cost twice as many operations: no step compares each run with all runs.

Counted are Python's own steps, and not seconds: these depend on the machine.
"""

from __future__ import annotations

import sys

import pytest

from pytest_remex.agent.errors import AgentError
from pytest_remex.agent.slurm import control, parse
from pytest_remex.agent.slurm.client import SlurmClient
from pytest_remex.agent.slurm.commands import FIELD, ROW
from pytest_remex.agent.slurm.ownership import JobListing, LocatedJob
from pytest_remex.collect.manifest import FetchedOutputs
from pytest_remex.collect.runs import CollectedRun
from pytest_remex.common.jobs import Job, JobState, by_array
from pytest_remex.launch.session import LaunchSession
from pytest_remex.model import Commit, Identity, Remote, Sweep
from pytest_remex.records.index import RecordedRun, RunIndex
from pytest_remex.records.journal import Journal
from pytest_remex.records.launch import Launch
from pytest_remex.records.schema import Committed, RunRecord, Stage, StageReached
from pytest_remex.records.store import LaunchRecord, merged, read_record
from pytest_remex.repo.trees import ObjectHash, Tree, TreeEntry
from pytest_remex.report import Page, ReportRow, write_report
from pytest_remex.sbatch.script import parse_header
from pytest_remex.tables.links import rebuild_links
from pytest_remex.tables.rows import Row, Today, write_results
from pytest_remex.tables.stored import UpstreamMeasures

FEW = 60
"""Runs of the smaller of two counts; what is done once is little beside them."""
MOST = 2.3
"""How many times the operations twice as many runs may cost."""
LAUNCH = "grid_2026_01_31_12_00_00"


def operations(work, count, *needs):
    """Return how many steps some work takes for so many runs; `needs` are made before."""
    given = [make(count) for make in needs]
    steps = 0

    def trace(frame, event, _argument):
        nonlocal steps
        steps += event == "opcode"
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work(*given)
    finally:
        sys.settrace(before)
    return steps


def grows_in_line(work, *needs):
    """Say whether some work costs at most `MOST` times as much for twice as many runs."""
    operations(work, 3, *needs)  # what is cached is not counted
    few, many = (operations(work, count, *needs) for count in (FEW, 2 * FEW))
    return many <= MOST * few, (few, many)


def test_more_than_in_line_is_seen():
    """A function that compares each with all is recognized as quadratic."""
    ok, _ = grows_in_line(lambda count: [[a == b for b in range(count)] for a in range(count)], int)
    assert not ok


@pytest.fixture
def folder(tmp_path):
    """Return a function that gives a folder of its own for each call."""
    numbers = iter(range(100))

    def make(name="f"):
        path = tmp_path / f"{name}{next(numbers)}"
        path.mkdir()
        return path

    return make


@pytest.mark.parametrize("is_array", [True, False])
def test_whose_jobs_are(folder, is_array):
    """Jobs of an array, or single ones, are recognized, cancelled and looked up in linear time."""

    def make(count):
        runs = folder()
        group = runs / ".remex" / "arrays" / "a"
        group.mkdir(parents=True)
        jobs, rows = [], []
        for number in range(count):
            (runs / f"r{number}" / ".remex").mkdir(parents=True)
            (group / str(number)).symlink_to(runs / f"r{number}")
            job = f"7_{number}" if is_array else str(number + 1)
            start = group if is_array else runs / f"r{number}"
            jobs.append(LocatedJob(f"r{number}", str(runs), job, ""))
            rows.append((job, str(number + 1000), "PENDING", "JobHeldUser", "0:00", "1:00", "1",
                         "0", "remex:x", str(start)))  # fmt: skip
        text = "".join(ROW + FIELD.join(row) + FIELD + "\n" for row in rows)
        return jobs, text

    def look(made):
        jobs, text = made
        listing = JobListing(parse.listing(text))
        assert all(listing.lists(job) and listing.row_is_held(job) for job in jobs)
        assert not any(listing.is_another(job) for job in jobs)
        by_array([job.job for job in jobs])

    ok, counts = grows_in_line(look, make)
    assert ok, counts


def test_one_scancel_for_an_array(folder, monkeypatch):
    """An array of any size is cancelled by one request."""
    asked = []

    class Ran:
        ok = True

    def run(words):
        asked.append(words)
        return Ran()

    slurm = SlurmClient()
    monkeypatch.setattr(slurm, "run", run)
    assert control._cancel(slurm, [f"7_{task}" for task in range(1000)], "") == {}
    assert asked == [["scancel", "7_[0-999]"]]


def test_only_the_new_jobs_are_listed(tmp_path, monkeypatch):
    """Releasing a batch asks Slurm about its jobs, however many others the user has."""
    asked = []

    class Ran:
        ok, out = False, ""

        def message(self):
            return "slurm_load_jobs error: Invalid job id specified"

    def run(words):
        asked.append(words)
        return Ran()

    slurm = SlurmClient()
    monkeypatch.setattr(slurm, "run", run)
    one, *others = (LocatedJob(f"r{n}", str(tmp_path), f"{n}_0", "") for n in range(7, 1008))
    assert JobListing.ask(slurm, "", [one, one]).rows == []
    assert asked.pop()[-3] == "--jobs=7"
    assert JobListing.ask(slurm, "", [others[0], one]).rows == []
    assert asked.pop()[-3] == "--jobs=7,8"
    with pytest.raises(AgentError):
        JobListing.ask(slurm, "", [one, *others])
    assert not any(word.startswith(("-j", "--jobs")) for word in asked.pop())


def test_batches_of_a_launch(folder):
    """What a batch costs does not depend on how many batches were sent before."""
    facts = {
        "id": LAUNCH, "token": "0123", "name": "grid", "branch": "main", "base": "b" * 40,
        "base_config": {}, "fetch": (), "config_files": (),
        "remote": Remote("cluster", "clone", "runs"),
    }  # fmt: skip

    def look(count):
        journal = Journal.begin(folder(), Launch(**facts))
        session = LaunchSession(journal=journal, launch=Launch(**facts), workspace=None,
                                connection=None, publisher=None, services=None)  # fmt: skip
        for number in range(count):
            run = record(number)
            session.add([run])
            key = f"array{number // 10}"
            session.begin_submitting({key: [run.commit.sha]})
            assert run.commit.sha in {each.commit.sha for each in session.members({key})}
        assert session.members({"none", ""}) == []
        journal.close()

    ok, counts = grows_in_line(look, lambda count: count)
    assert ok, counts


def record(number, launch=LAUNCH):
    """Return a run of a launch."""
    sha = f"{number:040x}"
    return RunRecord(
        node=f"sweeps.py::grid[a={number}]",
        id=f"a={number}",
        point={"a": number},
        parameters={},
        commit=Commit(sha, sha[::-1], "b" * 40),
        directory=f"{launch}_{number}",
        header=parse_header("#!/bin/sh\n"),
        identity=Identity(sha, "p" * 16, (("inlist", "100644", sha),)),
    )


def test_launch_records(folder):
    """Records are written, read, put together from two files, and looked up."""
    facts = {
        "id": LAUNCH, "token": "0123", "name": "grid", "branch": "main", "base": "b" * 40,
        "base_config": {}, "fetch": (), "config_files": (),
        "remote": Remote("cluster", "clone", "runs"),
    }  # fmt: skip

    def look(runs):
        home = folder()
        journal = Journal.begin(home, Launch(**facts))
        journal.write([Committed(each) for each in runs])
        for stage in (Stage.PUSHED, Stage.PLACED, Stage.SUBMITTING, Stage.HELD, Stage.RELEASED):
            journal.write([StageReached(each.commit.sha, stage, job="7") for each in runs])
        journal.close()
        found = read_record(journal.path)
        index = RunIndex(merged([found, found]))
        for each in runs:
            assert index.newest(each.node, each.point) is not None
            assert list(index.alike(each.commit, each.identity))
            assert list(index.of_point("grid", each.point, local=False))

    ok, counts = grows_in_line(look, lambda count: [record(number) for number in range(count)])
    assert ok, counts


def test_trees():
    """The cost of a changed tree's id grows only with the changed folders."""

    def look(count):
        entries = [TreeEntry(b"%d/%d" % (n % 10, n), "100644", "1" * 40) for n in range(count)]
        tree = Tree(entries, ObjectHash("0" * 40))
        for _ in range(10):
            tree.changed([TreeEntry(b"1/1", "100644", "2" * 40)])

    ok, counts = grows_in_line(look, lambda count: count)
    assert ok, counts


def test_tables_and_links(folder):
    """Results are written, put among those that are there, and linked."""

    def make(count):
        root = folder() / "remex-output"
        rows = []
        for number in range(count):
            path = root / "runs" / f"main_grid_{number}"
            path.mkdir(parents=True)
            (path / "out").write_text("1")
            rows.append(
                Row(
                    node=f"sweeps.py::grid[a={number}]",
                    id=f"a={number}",
                    point={"a": number, "b": 2},
                    launch=LAUNCH,
                    state="COMPLETED",
                    verdict="PASSED",
                    measures={"m": 0.5},
                    run_directory=path.name,
                    path=path,
                    outputs=["out"],
                )
            )
        return root, rows

    def look(made):
        root, rows = made
        for _ in range(2):
            points = [each.point for each in rows]
            table = write_results(root / "grid", rows, dimensions=[["a"]], today=Today(points))
        rebuild_links(root / "grid", table, root=root)

    ok, counts = grows_in_line(look, make)
    assert ok, counts


def test_measures_of_upstreams(folder):
    """The results of what runs came after are read once, not for each run that comes after."""

    def make(count):
        root, rows = folder(), []
        for number in range(count):
            run = record(number)
            rows.append(
                Row(node=run.node, id=run.id, point=run.point, launch=LAUNCH, state="COMPLETED",
                    verdict="PASSED", measures={"m": number}, run_directory=run.directory)
            )  # fmt: skip
        write_results(root / "grid", rows, dimensions=[["a"]])
        return root, [upstream(number, root) for number in range(count)]

    def look(made):
        root, runs = made
        measures = UpstreamMeasures(root)
        assert [measures.of(each) for each in runs] == [{"grid.m": n} for n in range(len(runs))]

    ok, counts = grows_in_line(look, make)
    assert ok, counts


def upstream(number, folder):
    """Return a run of the sweep `grid` that has been fetched."""
    launch = Launch(
        id=LAUNCH, token="0123", name="grid", branch="main", base="b" * 40, base_config={},
        fetch=(), config_files=(), remote=Remote("cluster", "clone", "runs"),
    )  # fmt: skip
    run = record(number)
    recorded = RecordedRun(LaunchRecord(launch, {run.commit.sha: run}, folder), run)
    job = Job("1", JobState.COMPLETED)
    return CollectedRun(recorded, Sweep("grid"), job, folder, FetchedOutputs(), ())


def test_the_report(folder):
    """The page of twice as many experiments takes twice the operations."""

    def make(count):
        rows = [
            ReportRow(f"sweeps.py::grid[a={n}]", "PASSED", values={"a": n, "m": 1 / (n + 1)},
                    diff=f"+a = {n}", log="done")
            for n in range(count)
        ]  # fmt: skip
        return Page("grid", {"cluster": "c"}, ("a",), ("m",), rows)

    ok, counts = grows_in_line(lambda page: write_report(folder() / "report.html", page), make)
    assert ok, counts
