"""Files that version 0.1.0 wrote stay readable: launch records, notes, and `.remex/` of runs."""

import json
import shutil
from pathlib import Path

import pytest

from pytest_remex.agent.attempts import Attempts, attempts_in
from pytest_remex.agent.fs import RunFiles
from pytest_remex.agent.local.store import Store, tasks
from pytest_remex.agent.slurm.groups import left_exit_code
from pytest_remex.collect.manifest import read_judged, read_outputs
from pytest_remex.collect.query import recorded_jobs
from pytest_remex.common import paths
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.records.index import RecordedRun, RunIndex
from pytest_remex.records.journal import Journal
from pytest_remex.records.launch import launch_from_json, launch_to_json
from pytest_remex.records.schema import Stage, event_from_json, event_to_json
from pytest_remex.records.store import read_records
from pytest_remex.sbatch.script import parse_header

FORMAT1 = Path(__file__).parents[2] / "data" / "format1"
RECORDS = sorted(FORMAT1.glob("*/launches/*.jsonl"))
SCRIPT = """\
#!/bin/bash
#SBATCH --job-name=star
#SBATCH --output=%x-%j.out
#SBATCH --time=0:20
#SBATCH --cpus-per-task=1
"""
"""The beginning of the run.sbatch of all launches but `rejected`."""


def stages(place):
    """Return the stages of all runs by launch name, in their order."""
    records = read_records(FORMAT1 / place / "launches")
    return {each.launch.name: [str(run.stage) for run in each.runs.values()] for each in records}


def record_of(place, name):
    """Return a launch record by its launch's name."""
    (record,) = (e for e in read_records(FORMAT1 / place / "launches") if e.launch.name == name)
    return record


@pytest.fixture(params=["local", "slurm"])
def runs(request, tmp_path):
    """Return the folder of run directories, as far as they hold `.remex/`."""
    return shutil.copytree(FORMAT1 / request.param / "runs", tmp_path / request.param)


def run_directories(runs):
    """Return the run directories in a runs folder."""
    return [path for path in sorted(runs.iterdir()) if path.name != ".remex"]


def test_stages():
    """Each launch record says how far each of its runs came."""
    assert stages("local") == {
        "plain": ["RELEASED"] * 3,
        "group": ["RELEASED"] * 2,
        "renamed": ["RELEASED"] * 2,
        "killed": ["SUBMITTING", "PLACED"],
        "half": ["PLACED"],
        "continued": ["RELEASED"],
    }
    assert stages("slurm") == {
        "plain": ["RELEASED"] * 3,
        "group": ["RELEASED"] * 2,
        "killed": ["SUBMITTING", "PLACED"],
        "held": ["HELD"],
        "rejected": ["REJECTED"],
        "packed": ["SUBMITTING"] * 2,
    }


def test_launch():
    """The head of a record says what was launched, from where, to where."""
    launch = record_of("slurm", "plain").launch
    assert (launch.name, launch.branch, launch.fetch) == ("plain", "main", ("result.txt",))
    assert (launch.base_config, launch.config_files) == ({"z": 0.02}, ())
    remote = launch.remote
    assert (remote.host, remote.clone, remote.runs) == (
        "cluster",
        "/cluster/clone",
        "/cluster/runs",
    )
    assert (remote.via, remote.shared) == ("origin", ())
    assert record_of("slurm", "packed").launch.remote.via == "connection"
    assert record_of("local", "plain").launch.remote.host is None


@pytest.mark.parametrize("place", ["local", "slurm"])
def test_header(place):
    """A run's header is the one that was read from its script, in every field."""
    for record in read_records(FORMAT1 / place / "launches"):
        for run in record.runs.values():
            lines = "#SBATCH --partition=nowhere\n" if record.launch.name == "rejected" else ""
            before, after = SCRIPT.split("#SBATCH --cpus")
            assert run.header == parse_header(f"{before}{lines}#SBATCH --cpus{after}")


def test_what_became_of_jobs():
    """Final states are known from the record, rejected and interrupted runs have none to ask."""
    jobs = {}
    for place in ("local", "slurm"):
        for record in read_records(FORMAT1 / place / "launches"):
            runs = [RecordedRun(record, run) for run in record.runs.values()]
            found = recorded_jobs(runs)
            jobs[place, record.launch.name] = [str(job.state) for job in found.values()]
    assert jobs["local", "plain"] == jobs["slurm", "plain"] == ["COMPLETED", "COMPLETED", "FAILED"]
    assert jobs["slurm", "group"] == ["COMPLETED"] * 2
    assert jobs["local", "continued"] == ["COMPLETED"]
    assert jobs["slurm", "rejected"] == ["REJECTED"]
    assert jobs["slurm", "killed"] == jobs["slurm", "held"] + ["UNKNOWN"] == ["UNKNOWN"] * 2


def test_who_can_finish_a_launch():
    """Another user's interrupted launch is left to them: one's own submit does not finish it."""
    record = record_of("slurm", "killed")
    reasons = {
        owner: {job.reason for job in recorded_jobs(runs).values() if not job.state.ended}
        for owner in ("", "bob")
        for runs in [[RecordedRun(record._replace(owner=owner), e) for e in record.runs.values()]]
    }
    assert all("run --remex-submit again to finish it" in why for why in reasons[""])
    assert all(": only bob can finish it, with --remex-submit" in why for why in reasons["bob"])
    assert reasons[""]


def test_renamed():
    """A run that was submitted again under another parameter name is found by that name."""
    index = RunIndex.read(FORMAT1 / "local" / "launches")
    recorded = index.newest("sweeps.py::renamed[mass=21]", {"mass": 21})
    assert recorded.run.point == {"mass": 21}
    assert recorded == next(index.of_sweep("renamed", {"mass": 21}))
    assert index.newest("sweeps.py::renamed[a=21]", {"a": 21}) is None


def test_continued():
    """A continued run has a second job, and the command that continues it."""
    (run,) = record_of("local", "continued").runs.values()
    assert (run.job_number, run.command, run.job) == (2, "./go-on 'photo 1'", "8")
    assert run.submission == run.directory + "-2"
    assert run.final.state is JobState.COMPLETED


def test_array():
    """The runs of an array share a submission, and their jobs are its tasks."""
    runs = list(record_of("slurm", "group").runs.values())
    assert {run.submission for run in runs} == {"array-637780dae1ee"}
    assert [run.job for run in runs] == ["142_0", "142_1"]


def test_rejected():
    """A rejected run keeps Slurm's words, and may be submitted again."""
    record = record_of("slurm", "rejected")
    (run,) = record.runs.values()
    assert (run.stage, record.tidied) == (Stage.REJECTED, True)
    assert "Invalid partition name specified" in run.why
    alike = RunIndex([record]).alike(run.commit, None)
    assert not [each for each in alike if each.counts(local=False)]


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: f"{path.parts[-3]}-{path.stem[:-20]}")
def test_written_as_it_was(path):
    """Each line is written again with the same keys in the same order, and the same values."""
    head, *events = map(json.loads, path.read_text().splitlines())
    launch = launch_from_json(head)
    again = [launch_to_json(launch)]
    again += [event_to_json(event_from_json(event, launch.base)) for event in events]
    for was, now in zip([head, *events], again, strict=True):
        was.pop("time")
        assert json.dumps(now) == json.dumps(was)


def test_goes_on(tmp_path):
    """A record of the released version is appended to, and reads as before with more."""
    for path in RECORDS:
        copied = Path(shutil.copy(path, tmp_path))
        (record,) = (each for each in read_records(tmp_path) if each.path == copied)
        Journal.resume(record).close()
        assert copied.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("place", ["local", "slurm"])
def test_notes_of_outputs(place):
    """Fetched and judged outputs of each run are known, so nothing is fetched again."""
    folders = list((FORMAT1 / place / "outputs").iterdir())
    assert folders
    for folder in folders:
        outputs, judged = read_outputs(folder), read_judged(folder)
        assert outputs.complete
        assert outputs.job == judged.job != ""
        assert outputs.patterns[0] == "result.txt"
        assert ("result.txt" in outputs.files) == (outputs.missing == ())
        assert judged.log.startswith("a = ")
        assert judged.changed is False


def test_whose_a_run_directory_is(runs):
    """`.remex/run.json` says which commit runs there, and with which config."""
    for path in run_directories(runs):
        about = json.loads(Path(paths.in_run(str(path), paths.RUN)).read_text())
        assert about["sha"].startswith(path.name[-12:])
        assert about["config"] == {"z": 0.02, **about["point"]}


def test_final_states(runs):
    """`.remex/state.json` and the exit code left behind show how a job ended."""
    seen = 0
    for path in run_directories(runs):
        folder = str(path)
        job = (
            (path / ".remex" / "job").read_text().strip() if (path / ".remex/job").exists() else ""
        )
        state = RunFiles(folder).load(Job, paths.STATE)
        if state is not None:
            seen += 1
            assert (state.id, state.state.ended) == (job, True)
            assert state.exit_code == (3 if state.state is JobState.FAILED else 0)
        left = left_exit_code(folder, job)
        assert left is None or left.exit_code == int((path / ".remex" / "exit").read_text())
    assert seen == (5 if runs.name == "slurm" else 0)


def test_attempts(runs):
    """The notes of attempts name the job that a submission became, or Slurm's refusal."""
    homes = [path / ".remex" for path in run_directories(runs)]
    homes += [path / ".remex" for path in (runs / ".remex" / "arrays").iterdir()]
    jobs = {}
    for home in map(str, homes):
        for each in attempts_in(home):
            jobs[home, each.job_number] = each.settled(each.read())
    if runs.name == "local":
        assert sorted(jobs.values(), key=int) == ["1", "2", "3", "4", "5", "6", "7", "8"]
    else:
        assert sorted(filter(None, jobs.values())) == ["139", "140", "141", "142", "144"]
        (refused,) = (home for (home, _), job in jobs.items() if job is None)
        (attempt,) = Attempts(refused, 1).read()
        assert attempt.ended
        assert "Invalid partition name" in attempt.result.words


def test_local_scheduler(tmp_path):
    """The local scheduler knows its jobs, an array's tasks, and how each ended."""
    runs = shutil.copytree(FORMAT1 / "local" / "runs", tmp_path / "runs")
    store = Store(str(runs))
    assert store.next_id() == 9
    assert [task.id for task in tasks(store.spec("4"))] == ["4_0", "4_1"]
    assert store.spec("8").extra == {"REMEX_COMMAND": "./go-on 'photo 1'"}
    states = {job: str(store.state(job).state) for job in ("1", "4_0", "4_1", "7", "8")}
    assert states == dict.fromkeys(states, "COMPLETED") | {"7": "TIMEOUT"}
