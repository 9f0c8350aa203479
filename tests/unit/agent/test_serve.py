"""The serve loop: JSON lines after a nonce, on any python from 3.6, despite other output."""

import ast
import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.agents import NONCE, Agent, AgentError, event_in

from pytest_remex import agent as package
from pytest_remex.agent import BOOT, SENT, bundle, folder, stripped
from pytest_remex.agent.serve import HANDLERS, PACKAGE
from pytest_remex.common.framing import encode_request
from pytest_remex.common.parts import ListedRun
from pytest_remex.common.protocol import LOCAL, SLURM, Beat, ListOutputs, LookAtHost
from pytest_remex.common.records import OpenLaunch, ReadRecords

TOP = Path(package.__file__).parents[1]
MODULES = [path for package in SENT for path in sorted((TOP / package).rglob("*.py"))]


def framed(text):
    """Return a request's JSON as the line that the agent takes."""
    return b"%d %s\n" % (len(text), text)


def code(source):
    """Return all statements and their lines, as text, with empty docstrings."""
    tree = ast.parse(source)
    for each in docstrings(tree):
        each.value = ast.Constant("", lineno=each.lineno)
    places = [each.lineno for each in ast.walk(tree) if isinstance(each, ast.stmt)]
    return ast.dump(tree), places


def docstrings(tree):
    """Return the statements that are only a text."""
    return [
        each
        for each in ast.walk(tree)
        if isinstance(each, ast.Expr)
        and isinstance(each.value, ast.Constant)
        and isinstance(each.value.value, str)
    ]


def test_a_look_at_the_host_tells_what_is_there(agent, repository, tmp_path):
    """The first request makes the local runs folder, and returns absolute paths."""
    (host,) = agent.ask(LookAtHost(str(repository.path), str(tmp_path / "runs"), LOCAL))
    assert host.runs == str(tmp_path / "runs")
    assert (tmp_path / "runs").is_dir()
    assert host.cores == len(os.sched_getaffinity(0))
    assert host.slurm is None


def test_home_is_expanded(start_agent, tmp_path):
    """`~` is the home of the machine that the agent runs on, in every request."""
    agent = start_agent(HOME=str(tmp_path))
    (host,) = agent.ask(LookAtHost("", "~/runs", LOCAL))
    assert host.runs == str(tmp_path / "runs")
    (tmp_path / "runs" / "r").mkdir()
    (tmp_path / "runs" / "r" / "x").write_text("")
    (outputs,) = agent.ask(ListOutputs("~/runs", [ListedRun("r", ["x"])]))
    assert [file.path for file in outputs.files] == ["x"]


def test_variables_are_expanded(start_agent, tmp_path):
    """`$SCRATCH/runs` is what the login shell's environment makes of it; a folder is itself."""
    agent = start_agent(SCRATCH=str(tmp_path / "scratch"), USER="me")
    (tmp_path / "scratch" / "runs").mkdir(parents=True)
    (host,) = agent.ask(LookAtHost("", "$SCRATCH/runs", LOCAL))
    assert host.runs == str(tmp_path / "scratch" / "runs")
    (host,) = agent.ask(LookAtHost("", f"{tmp_path}/${{USER}}/$USER", LOCAL))
    assert host.runs == str(tmp_path / "me" / "me")
    odd = tmp_path / "a $USER"
    odd.mkdir()
    (host,) = agent.ask(LookAtHost("", f"{odd}/runs", LOCAL))
    assert host.runs == f"{odd}/runs"
    with pytest.raises(AgentError, match=r"the variable \$NOWHERE, which is not set there"):
        agent.ask(LookAtHost("", "$NOWHERE/runs", LOCAL))


@pytest.mark.parametrize(
    ("fields", "kind", "words"),
    [
        ({"clone": "/no/such", "scheduler": "local"}, "clone", "/no/such"),
        ({"clone": "/", "scheduler": "local"}, "clone", "not a git repository"),
        ({"clone": "", "scheduler": "slurm", "runs": "/no/such"}, "runs", "mkdir -p /no/such"),
        ({"clone": "", "scheduler": "local", "runs": "/proc/x"}, "runs", "/proc/x"),
    ],
)
def test_what_cannot_work_is_refused_by_name(agent, tmp_path, fields, kind, words):
    """An error names the path and the fix."""
    with pytest.raises(AgentError, match=words) as caught:
        agent.ask(LookAtHost(**{"runs": str(tmp_path), **fields}))
    assert caught.value.kind == kind


def test_a_login_node_without_slurm_or_git(start_agent, tmp_path):
    """Missing programs are named, with what to do."""
    agent = start_agent(PATH=str(tmp_path))
    with pytest.raises(AgentError, match="git is not on PATH"):
        agent.ask(LookAtHost(str(tmp_path), str(tmp_path), LOCAL))
    with pytest.raises(AgentError, match="sbatch is not on PATH"):
        agent.ask(LookAtHost("", str(tmp_path), SLURM))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'{"id":1,"do":"Dance"}', "'Dance' is none of AppendRecord, Cancel, "),
        (b'{"id":1,"do":"ListTips"}', "has no 'clone'"),
        (b'{"id":1,"do":"ListTips","clone":3}', "'clone' is 3, not text"),
        (b'{"do":"ListTips","clone":""}', "no id"),
        (b"[" * 100_000, "not JSON"),
        (b"\xff", "not JSON"),
    ],
)
def test_a_request_that_cannot_be_read_is_answered(agent, tmp_path, text, words):
    """Its fault is reported, and the agent continues."""
    agent.write(framed(text))
    _, error = event_in(agent.process.stdout.readline())
    assert error.kind == "request"
    assert words in error.message
    assert agent.ask(LookAtHost("", str(tmp_path), LOCAL))


@pytest.mark.parametrize(("scheduler", "handler"), sorted({(k[1], h) for k, h in HANDLERS.items()}))
def test_a_function_answers_each_request(scheduler, handler):
    """Each name in the table of handlers is a function that takes what it is called with."""
    module, _, name = handler.rpartition(".")
    function = getattr(importlib.import_module(PACKAGE + module), name)
    given = {"slurm": None} if scheduler == SLURM else {}
    assert inspect.signature(function).bind(None, None, **given)


@pytest.mark.parametrize("modules", [bundle, folder])
def test_a_request_imports_only_what_answers_it(tmp_path, modules):
    """An agent that was asked for launch records has not imported what submits and queries."""
    start = json.dumps({"nonce": NONCE, "modules": modules(), "run": "serve"})
    request = encode_request(1, ReadRecords(str(tmp_path), {}))
    done = subprocess.run(
        [sys.executable, "-v", "-u", "-c", BOOT],
        input=start.encode() + b"\n" + request,
        check=False,
        capture_output=True,
    )
    imported = set(re.findall(rb"import '(pytest_remex\.[\w.]+)'", done.stderr))
    assert b"pytest_remex.agent.record_copies" in imported
    assert {each.split(b".")[1] for each in imported} == {b"agent", b"common"}
    assert not {each for each in imported if b".slurm" in each or b".local" in each}


def test_a_scheduler_that_is_not_there_is_named(agent, tmp_path):
    """A request for a scheduler that the agent does not have ends with an error."""
    with pytest.raises(AgentError, match="no scheduler 'pbs'") as caught:
        agent.ask(LookAtHost("", str(tmp_path), "pbs"))
    assert caught.value.kind == "request"


def test_a_fault_of_the_agent_is_an_answer(agent, tmp_path):
    """An unexpected exception ends its request with its last lines, not the agent."""
    with pytest.raises(AgentError, match=r"ValueError: .*embedded null") as caught:
        agent.ask(ListOutputs(str(tmp_path), [ListedRun("a\0b", ["x"])]))
    assert caught.value.kind == "internal"
    assert agent.ask(LookAtHost("", str(tmp_path), LOCAL))


def test_a_file_that_cannot_be_used(agent, tmp_path):
    """A file of the runs folder that fails is named, with what the system said and the fix."""
    (tmp_path / ".remex").write_text("")
    with pytest.raises(AgentError, match=r"\.remex.* cannot be used: .*; correct that") as caught:
        agent.ask(OpenLaunch(str(tmp_path), "a_2026_01_01_00_00_00", "{}\n"))
    assert caught.value.kind == "disk"


def test_a_module_in_the_login_folder_is_not_imported(tmp_path):
    """A user's own json.py in the login folder is not imported."""
    (tmp_path / "json.py").write_text("raise SystemExit('not mine')")
    start = json.dumps({"nonce": NONCE, "modules": bundle()})
    done = subprocess.run(
        [sys.executable, "-u", "-c", BOOT],
        input=start.encode() + b"\n",
        cwd=tmp_path,
        check=False,
        stderr=subprocess.PIPE,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_cut_request_ends_the_agent(tmp_path):
    """Half a line is a broken link: the agent ends without a word."""
    start = json.dumps({"nonce": NONCE, "modules": bundle()}).encode()
    done = subprocess.run(
        [sys.executable, "-u", "-c", BOOT],
        input=start + b'\n40 {"id": 1, "act',
        check=False,
        capture_output=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("taken", [slice(0, 100), slice(5000, 5400), slice(-400, -1)])
def test_a_start_of_which_a_part_is_missing(taken):
    """A start line from which another program read a part is reported, and not run."""
    line = bytearray(json.dumps({"nonce": NONCE, "modules": bundle()}).encode() + b"\n")
    del line[taken]
    done = subprocess.run(
        [sys.executable, "-u", "-c", BOOT], input=bytes(line), check=False, capture_output=True
    )
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"did not arrive complete" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_request_of_which_a_part_is_missing(tmp_path):
    """A request that is JSON still, and shorter than it says, is reported, and not carried out."""
    start = json.dumps({"nonce": NONCE, "modules": bundle()})
    line = encode_request(1, LookAtHost("", f"{tmp_path}/runs", LOCAL)).replace(b"runs", b"run", 1)
    done = subprocess.run(
        [sys.executable, "-u", "-c", BOOT],
        input=start.encode() + b"\n" + line,
        check=False,
        capture_output=True,
    )
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"a request did not arrive complete" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_no_start(tmp_path):
    """An agent that is hung up on before its start ends without a word."""
    done = subprocess.run(
        [sys.executable, "-u", "-c", BOOT], input=b"", check=False, capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_bundle_is_one_harmless_word():
    """The packed sources hold nothing that a shell would run, and are small on a bad link."""
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", bundle())
    assert len(bundle()) < 100_000


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(TOP)))
def test_only_docstrings_are_left_out(path):
    """What is sent of a module is the same code on the same lines, with empty docstrings."""
    here = path.read_text()
    there = stripped(here)
    assert code(there) == code(here)
    assert there.count("\n") == here.count("\n")
    assert not any(each.value.value for each in docstrings(ast.parse(there)))


def test_signs_of_life_while_it_works(start_agent, tmp_path):
    """A request that takes long is accompanied by beats."""
    (tmp_path / "sbatch").write_text("#!/bin/sh\n")
    (tmp_path / "sbatch").chmod(0o755)
    (tmp_path / "scontrol").write_text("#!/bin/sh\nsleep 9\n")
    (tmp_path / "scontrol").chmod(0o755)
    agent = start_agent(PATH=f"{tmp_path}:{os.environ['PATH']}")
    agent.write(encode_request(1, LookAtHost("", str(tmp_path), SLURM)))
    start = time.monotonic()
    line = agent.process.stdout.readline()
    assert event_in(line) == (0, Beat())
    assert 4 < time.monotonic() - start < 9


def _pythons():
    """Find the oldest pythons of this machine, those of pyenv included."""
    root = os.path.join(os.environ.get("PYENV_ROOT", "/opt/pyenv"), "versions")  # noqa: PTH118
    listed = sorted(os.listdir(root)) if os.path.isdir(root) else []  # noqa: PTH112, PTH208
    found = {name[:4].rstrip("."): f"{root}/{name}/bin/python" for name in listed}
    return {name: path for name, path in found.items() if name in ("2.7", "3.6", "3.7", "3.13")}


@pytest.mark.parametrize("version", ["3.6", "3.7", "3.13"])
def test_other_pythons(version, tmp_path):
    """The agent runs on python 3.6 and newer."""
    path = shutil.which(f"python{version}") if version not in _pythons() else _pythons()[version]
    if not path or subprocess.run([path, "--version"], check=False, capture_output=True).returncode:
        pytest.skip(f"python {version} is not on this machine")
    agent = Agent(path)
    (host,) = agent.ask(LookAtHost("", str(tmp_path), LOCAL))
    agent.close()
    assert host.python.startswith(version)


def test_a_python_that_is_too_old_says_so():
    """Python 2.7 answers with an error that the client can read."""
    path = _pythons().get("2.7")
    if not path:
        pytest.skip("python 2.7 is not on this machine")
    start = json.dumps({"nonce": NONCE, "modules": {}}).encode() + b"\n"
    done = subprocess.run([path, "-c", BOOT], input=start, check=False, stdout=subprocess.PIPE)
    _, error = event_in(done.stdout)
    assert error.kind == "python"
    assert "3.6 or newer" in error.message
