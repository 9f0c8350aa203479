"""Two users on one clone and runs folder: another user's runs are named, never lost."""

import base64
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import pytest
from support.agent_launch import Launch as OwnLaunch
from support.agent_launch import held
from support.agents import Agent, AgentError, Repository
from support.sites import WITH_ACCOUNTING
from support.slurm import version

from pytest_remex.common.jobs import JobState
from pytest_remex.common.parts import Array, ListedRun, Pack, RunJob, WantedSubmission
from pytest_remex.common.protocol import (
    FINE,
    LOCAL,
    SLURM,
    Cancel,
    Examine,
    ListOutputs,
    LookAtHost,
    Query,
    Release,
    Released,
)
from pytest_remex.common.records import (
    AppendRecord,
    LaunchOpened,
    OpenLaunch,
    ReadRecords,
    RecordClosed,
    RecordPart,
    RecordRefused,
)

NOBODY = 65534
LIMITS_RATES = (23, 2)
"""From this Slurm on a controller can limit each user's requests."""


@pytest.fixture
def shared():
    """Yield a folder that every user can enter: pytest's own are private."""
    folder = Path(tempfile.mkdtemp(prefix="remex-shared-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def nobody(shared):
    """Yield a function that starts an agent of another user."""
    agents = []
    python = shared / "python"
    interpreter = Path(sys.base_prefix, "bin", "python3").resolve()
    usable = os.access(interpreter, os.X_OK) and not str(interpreter).startswith("/root")
    program = interpreter if usable else Path("/usr/bin/python3")
    python.write_text(
        f'#!/bin/sh\nexec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups {program} "$@"\n'
    )
    python.chmod(0o755)
    (shared / "home").mkdir()
    os.chown(shared / "home", NOBODY, NOBODY)

    def start(**variables):
        agents.append(Agent(python=str(python), HOME=str(shared / "home"), **variables))
        return agents[-1]

    yield start
    for agent in agents:
        agent.kill()


def test_a_clone_of_another_user(shared, nobody):
    """Git does not use it unasked: the error says so, with the command that lets it."""
    repository = Repository(shared / "clone")
    agent = nobody()
    with pytest.raises(AgentError, match="belongs to another user") as refused:
        agent.ask(LookAtHost(str(repository.path), str(shared / "home"), LOCAL))
    trust = str(refused.value).rpartition("cluster: git config --global ")[2].split()
    config = shared / "home" / ".gitconfig"
    config.write_text(f"[safe]\n\tdirectory = {trust[-1]}\n")
    assert agent.ask(LookAtHost(str(repository.path), str(shared / "home"), LOCAL))


@WITH_ACCOUNTING
@pytest.mark.parametrize("hidden", [False, True])
def test_a_job_of_another_user(site, shared, nobody, hidden):
    """Its state is reported if Slurm shows it; if not, it is neither lost nor forgotten."""
    launch = OwnLaunch(site, shared / "runs")
    site.cluster.down()
    job = held(launch.submit(launch.add("hidden")))
    agent = nobody(**site.cluster.variables)
    request = Query(str(launch.runs), SLURM, [RunJob("hidden", job, released=True)], certain=True)
    with site.cluster.changed(**({"PrivateData": "jobs"} if hidden else {})):
        (event,) = agent.ask(request)
    launch.close()
    assert (event.job.state, event.job.is_forgotten) == (
        (JobState.UNKNOWN, False) if hidden else (JobState.HELD, False)
    )
    if hidden:
        assert "it belongs to root" in event.job.reason
    assert launch.jobs("hidden")[0].held


def test_a_cancel_of_another_users_job(site, shared, nobody):
    """It is left alone, and the message says whose it is."""
    launch = OwnLaunch(site, shared / "runs")
    job = held(launch.submit(launch.add("not-theirs")))
    agent = nobody(**site.cluster.variables)
    (refused,) = agent.ask(Cancel(str(launch.runs), SLURM, [RunJob("not-theirs", job)]))
    assert refused.message.endswith("; it belongs to root")
    assert launch.jobs("not-theirs")[0].held
    launch.close()


@pytest.mark.skipif(version() < LIMITS_RATES, reason="this Slurm cannot limit requests")
def test_requests_above_the_controllers_rate(site, shared, nobody):
    """If the controller limits a user's requests (not root's), ours succeed in the end."""
    launch = OwnLaunch(site, shared / "runs")
    runs = [launch.add(f"r{number}") for number in range(15)]
    for path in (launch.runs, *launch.runs.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    limits = "rl_enable,rl_bucket_size=3,rl_refill_rate=2,rl_log_freq=0"
    agent = nobody(**site.cluster.variables)
    with site.cluster.changed(SlurmctldParameters=limits):
        site.cluster.down()
        events = agent.ask(launch.request(*runs, patience=180.0))
        jobs = {name: job for event in events for name, job in event.jobs.items()}
        asked = [RunJob(name, job) for name, job in jobs.items()]
        released = agent.ask(Release(str(launch.runs), SLURM, asked))
        events = agent.ask(Query(str(launch.runs), SLURM, asked))
        agent.ask(Cancel(str(launch.runs), SLURM, asked))
    assert sorted(jobs) == sorted(run.key for run in runs)
    assert released == [Released(list(jobs.values()))]
    assert {each.job.state for each in events} == {JobState.PENDING}
    assert "limit" in (site.cluster.folder / "slurmctld.log").read_text()


def test_a_clone_that_only_its_owner_can_write_to(shared, nobody):
    """It is refused before a launch, with what its owner can do, which works."""
    repository = Repository(shared / "clone")
    repository.commit({"a": b"1"})
    (shared / "home/.gitconfig").write_text("[safe]\n\tdirectory = *\n")
    runs = shared / "runs"
    runs.mkdir()
    os.chown(runs, NOBODY, NOBODY)
    agent = nobody()
    request = Examine(str(repository.path), str(runs), SLURM)
    refused = {check.name: check for check in agent.ask(request)}["clone"]
    assert "is not writable for you" in refused.found
    shutil.chown(repository.path / ".git", group=NOBODY)
    for path in (repository.path / ".git").rglob("*"):
        shutil.chown(path, group=NOBODY)
    share = refused.fix.partition("let its owner run: ")[2]
    subprocess.run(["sh", "-c", share], check=True)
    assert {check.name: check for check in agent.ask(request)}["clone"].state == FINE


@pytest.mark.parametrize("is_shared", [True, False])
def test_what_users_of_a_group_can_read(shared, nobody, is_shared):
    """With umask 077 too, claims in a shared runs folder can be read, and only there."""
    runs = shared / "runs"
    runs.mkdir()
    shutil.chown(runs, group=NOBODY)
    runs.chmod(0o2770 if is_shared else 0o700)
    mask = os.umask(0o077)
    try:
        own = Agent()
    finally:
        os.umask(mask)
    launch = "grid_2026_01_01_00_00_00"
    opened = own.ask(OpenLaunch(str(runs), launch, '{"format": 1}\n'))
    own.kill()
    assert opened == [LaunchOpened()]
    copy = runs / f".remex/launches/{launch}.jsonl"
    assert stat.S_IMODE(copy.stat().st_mode) == (0o640 if is_shared else 0o600)
    if is_shared:
        (part,) = nobody().ask(ReadRecords(str(runs), {}))
        assert (part.record, part.owner) == (launch, "root")


def test_a_record_that_may_not_be_read(shared, nobody):
    """It is named with its owner, beside those that can be read."""
    record = shared / "runs/.remex/launches/grid_2026_01_01_00_00_00.jsonl"
    record.parent.mkdir(parents=True)
    record.write_text("{}\n")
    record.with_stem("other").write_text("{}\n")
    record.chmod(0o600)
    closed, part = nobody().ask(ReadRecords(str(shared / "runs"), {}))
    assert closed == RecordClosed(record.stem, "root")
    assert (part.record, part.owner) == ("other", "root")


@pytest.mark.parametrize("owner", [NOBODY, 0])
def test_a_record_that_cannot_be_written(shared, nobody, owner):
    """Only another user's counts as another output folder's; one's own is named, with the fix."""
    record = shared / "runs/.remex/launches/grid_2026_01_01_00_00_00.jsonl"
    record.parent.mkdir(parents=True)
    record.write_text("{}\n")
    record.chmod(0o444)
    os.chown(record, owner, owner)
    line = base64.b64encode(zlib.compress(b"{}\n{}\n")).decode()
    request = AppendRecord(str(shared / "runs"), RecordPart(record.stem, 0, line))
    if owner:
        with pytest.raises(AgentError, match="cannot be used: Permission denied; correct that"):
            nobody().ask(request)
    else:
        assert nobody().ask(request) == [RecordRefused(record.stem)]


def test_a_run_directory_that_cannot_be_read(shared, nobody):
    """Its outputs do not count as missing: whose it is is reported, and what helps."""
    run = shared / "runs/r"
    run.mkdir(parents=True, mode=0o700)
    (run / "result.txt").write_text("1\n")
    agent = nobody()
    request = ListOutputs(str(shared / "runs"), [ListedRun("r", ["result.txt"])])
    (listed,) = agent.ask(request)
    assert "it is root's, and not readable for you" in listed.refused
    subprocess.run(["chmod", "-R", "o+rX", str(run)], check=True)
    (listed,) = agent.ask(request)
    assert [file.path for file in listed.files] == ["result.txt"]


@pytest.mark.parametrize("mode", [0o755, 0o700], ids=["readable", "private"])
def test_an_array_of_another_user(site, shared, nobody, mode):
    """Its tasks are never LOST, even if the folder that says whose they are is private."""
    launch = OwnLaunch(site, shared / "runs")
    names = [launch.add(f"r{number}").key for number in range(2)]
    array = Array(["#SBATCH --time=1"], "#!/bin/sh")
    (event,) = launch.submit(WantedSubmission("a", names, "remex:a", array=array))
    (group,) = (launch.runs / ".remex/arrays").iterdir()
    group.chmod(mode)
    agent = nobody(**site.cluster.variables)
    asked = [RunJob(name, event.jobs[name]) for name in names]
    states = agent.ask(Query(str(launch.runs), SLURM, asked, certain=True))
    launch.cancel(*event.jobs.values())
    launch.close()
    assert [state.job.state for state in states] == [JobState.HELD] * 2


@pytest.mark.parametrize(("script", "ended"), [("true", "COMPLETED"), ("exit {}", "UNKNOWN")])
def test_a_pack_of_another_user(site, shared, nobody, script, ended):
    """If its run directories are private, its runs have the states that all of them must have."""
    launch = OwnLaunch(site, shared / "runs")
    codes = {"r0": 0, "r1": 3}
    runs = [launch.add(name, script.format(code)) for name, code in codes.items()]
    for run in runs:
        (launch.runs / run.key).chmod(0o700)
    packed = Pack(["#SBATCH --time=1"], "#!/bin/sh")
    (event,) = launch.submit(WantedSubmission("p", list(codes), "remex:p", pack=packed))
    agent = nobody(**site.cluster.variables)
    asked = Query(str(launch.runs), SLURM, [RunJob(name, event.jobs[name]) for name in codes])
    before = [state.job.state for state in agent.ask(asked)]
    launch.release(*event.jobs.values())
    site.cluster.wait()
    after = [state.job.state for state in agent.ask(asked)]
    launch.close()
    assert before == [JobState.HELD] * 2
    assert after == [JobState(ended)] * 2
