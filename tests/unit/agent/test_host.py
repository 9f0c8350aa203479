"""The agent examines its machine line by line, and tells what to do about each fault."""

import getpass
import os
import shutil
import subprocess

import pytest
from support.agents import AgentError

from pytest_remex.common.protocol import FAULT, FINE, LOCAL, NOTE, SLURM, Examine, LookAtHost


def checks(agent, **fields):
    """Return the checks of a request, by name."""
    found = agent.ask(Examine(**{"clone": "", "scheduler": LOCAL, **fields}))
    return {check.name: check for check in found}


def test_what_is_fine(agent, repository, tmp_path):
    """A machine that can take a launch has no fault."""
    repository.git("remote", "add", "origin", str(repository.path))
    found = checks(agent, clone=str(repository.path), runs=str(tmp_path), origin=True)
    assert FAULT not in {check.state for check in found.values()}
    assert list(found) == ["python3", "git", "clone", "origin", "runs folder", "disk"]


def test_all_faults_are_told_together(start_agent, tmp_path):
    """Missing programs, clone and runs folder come in one list, each with its fix."""
    agent = start_agent(PATH=str(tmp_path))
    found = checks(agent, clone="/no/such", runs="/no/runs", scheduler=SLURM, origin=True)
    faults = {name for name, check in found.items() if check.state == FAULT}
    assert faults == {"git", "clone", "Slurm", "runs folder"}
    assert all(found[name].fix for name in faults)
    assert found["runs folder"].fix == "mkdir -p /no/runs"


def test_a_missing_program_is_missing_here(start_agent, repository, tmp_path):
    """Without git, the local target speaks of this machine, and not of a cluster."""
    agent = start_agent(PATH=str(tmp_path))
    found = checks(agent, clone=str(repository.path), runs=str(tmp_path))
    assert "not on PATH on this machine" in found["git"].found
    texts = "".join(each.found + each.fix for each in found.values())
    assert "cluster" not in texts.replace(str(tmp_path), "").replace(str(repository.path), "")
    with pytest.raises(AgentError, match="git is not on PATH on this machine; install it"):
        agent.ask(LookAtHost(str(repository.path), str(tmp_path), LOCAL))


def test_fixes_are_commands(agent, tmp_path):
    """A command with a path that a shell would expand does what it says, and nothing else."""
    odd = tmp_path / "$(touch owned) 'x'; runs"
    for mode in (None, 0o707):
        if mode:
            odd.chmod(mode)
        fault = checks(agent, runs=str(odd), scheduler=SLURM)["runs folder"]
        assert fault.state == FAULT
        subprocess.run(["sh", "-c", fault.fix], check=True)
    assert checks(agent, runs=str(odd), scheduler=SLURM)["runs folder"].state == FINE
    assert [path.name for path in tmp_path.iterdir()] == [odd.name]


def test_programs_that_print_other_text(start_agent, repository, tmp_path):
    """Wrappers of git and rsync that print to stdout are reported, with the fix."""
    for name in ("git", "rsync"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "*** Welcome"; exec {shutil.which(name)} "$@"\n')
        program.chmod(0o755)
    agent = start_agent(PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    found = checks(agent, clone=str(repository.path), runs=str(tmp_path), scheduler=SLURM)
    for name, state in (("git", FAULT), ("rsync", NOTE)):
        assert found[name].state == state
        assert "let the script around it write to stderr" in found[name].fix
        assert "prints other text before its answer: '*** Welcome'" in found[name].found
    assert "git there prints more than its answer" in found["clone"].found


def test_runs_folder_that_everybody_can_write_to(agent, tmp_path):
    """A world-writable runs folder is a fault: anyone could run code as the user."""
    runs = tmp_path / "runs"
    runs.mkdir()
    runs.chmod(0o777)
    check = checks(agent, runs=str(runs))["runs folder"]
    assert (check.state, check.fix) == (FAULT, f"chmod o-w {runs}")
    runs.chmod(0o755)
    assert checks(agent, runs=str(runs))["runs folder"].state == FINE


def test_a_sticky_folder_is_refused_too(agent, tmp_path):
    """In a folder like /tmp, others could make missing folders first; use an own folder."""
    runs = tmp_path / "runs"
    runs.mkdir()
    runs.chmod(0o1777)
    check = checks(agent, runs=str(runs))["runs folder"]
    assert check.state == FAULT
    assert check.fix == f"make your own in it: mkdir -m 700 {runs / getpass.getuser()}"


def test_a_folder_that_a_group_shares_is_told(agent, tmp_path):
    """A group-writable runs folder is used, with a warning: the group can run code."""
    tmp_path.chmod(0o2770)
    check = checks(agent, runs=str(tmp_path), scheduler=SLURM)["runs folder"]
    assert check.state == NOTE
    assert "can run code as anyone who submits there" in check.found
    assert f"chmod g-w {tmp_path}" in check.fix


@pytest.mark.parametrize("name", ["100%", "back\\slash"])
def test_a_path_that_slurm_would_read_as_a_pattern(agent, tmp_path, name):
    """Slurm expands `%` in the path of a job's output, and removes backslashes."""
    runs = tmp_path / name
    runs.mkdir()
    check = checks(agent, runs=str(runs), scheduler=SLURM)["runs folder"]
    assert check.state == FAULT
    assert checks(agent, runs=str(runs))["runs folder"].state == FINE


def test_local_runs_folder_is_not_made(agent, tmp_path):
    """The folder of local runs need not be there, and examining does not make it."""
    found = checks(agent, runs=str(tmp_path / "a" / "b"))
    assert found["runs folder"].state == FINE
    assert not (tmp_path / "a").exists()


def test_origin_that_does_not_answer(agent, repository, tmp_path):
    """Origin is asked from the clone, which fetches from it: what does not answer is a fault."""
    repository.git("remote", "add", "origin", "/nowhere")
    found = checks(agent, clone=str(repository.path), runs=str(tmp_path), origin=True)
    assert found["origin"].state == FAULT
    assert "via='connection'" in found["origin"].fix


def test_clone_without_origin(agent, repository, tmp_path):
    """A clone without origin is a fault if commits come through origin."""
    where = {"clone": str(repository.path), "runs": str(tmp_path)}
    assert checks(agent, **where, origin=True)["origin"].state == FAULT
    assert "origin" not in checks(agent, **where)
