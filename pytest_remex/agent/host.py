"""Describe the remote, and check item by item what a launch needs, with a fix for each fault."""

import getpass
import grp
import os
import platform
import shutil
import socket
import stat
import time
from shlex import quote
from typing import Iterator, List, Optional

from pytest_remex.agent import capacity, process
from pytest_remex.agent.errors import AgentError, missing_program, no_runs_folder
from pytest_remex.agent.place import git
from pytest_remex.agent.slurm.client import SlurmClient
from pytest_remex.agent.wire import Reply
from pytest_remex.common import paths, protocol
from pytest_remex.common.parts import OVER_CONNECTION
from pytest_remex.common.protocol import FAULT, FINE, NOTE, Check
from pytest_remex.common.redact import redact

PATIENCE = 20.0
"""Seconds for origin to answer."""
_SAVE_EXIT_CODE = (
    "rm -f .remex/exit; trap 'echo $? > .remex/exit' EXIT; trap 'exit 1' HUP INT TERM USR1 USR2"
)


def look_at_host(
    request: protocol.LookAtHost, reply: Reply, slurm: Optional[SlurmClient] = None
) -> None:
    """Report user, host, folders and limits; an error names the path that cannot be used.

    A client that only reads there needs the runs folder alone, which may be read-only. Jobs run on
    this machine if there is no `slurm`.
    """
    local = slurm is None
    if request.clone and not request.reads_only:
        git.check_clone(request.clone, local=local)
    if request.reads_only and not os.path.isdir(request.runs):
        raise no_runs_folder(request.runs)
    runs = request.runs if request.reads_only else _usable_runs(request.runs, create=local)
    host = protocol.Host(
        python=platform.python_version(),
        user=getpass.getuser(),
        host=socket.gethostname(),
        clone=request.clone,
        runs=runs,
        cores=process.cores(),
    )
    if slurm is not None and not request.reads_only:
        host = host._replace(**slurm.limits()._asdict())
    reply.send(host)


def _usable_runs(path: str, *, create: bool) -> str:
    if create:
        try:
            os.makedirs(path, exist_ok=True)
        except OSError as error:
            raise AgentError(
                "runs", f"cannot make the runs folder {path}: {error.strerror}"
            ) from error
    if not os.path.isdir(path):
        what = f"the runs folder {path} does not exist; run: mkdir -p {quote(path)}"
        raise AgentError("runs", what)
    if not os.access(path, os.W_OK | os.X_OK):
        what = f"the runs folder {path} is not writable{_why_not(path)}; choose another one"
        raise AgentError("runs", what)
    return path


def _why_not(path: str) -> str:
    is_read_only = os.statvfs(path).f_flag & os.ST_RDONLY
    return ": it is on a read-only file system" if is_read_only else " for you"


def examine(request: protocol.Examine, reply: Reply, slurm: Optional[SlurmClient] = None) -> None:
    """Send each check as soon as it is done."""
    for check in _checks(request, slurm):
        reply.send(check._replace(found=redact(check.found)))


def _checks(request: protocol.Examine, slurm: Optional[SlurmClient]) -> Iterator[Check]:
    local = slurm is None
    yield Check("python3", FINE, platform.python_version())
    yield _program("git", ["git", "--version"], local=local)
    if request.clone:
        yield from _clone(request)
    if slurm is not None:
        yield _rsync()
        yield from _slurm(slurm, thorough=request.thorough)
        if shutil.which("sbatch"):
            yield from capacity.jobs(request.needs, slurm)
    yield from _runs(request, local=local)
    if request.thorough:
        yield Check("clock", FINE, repr(time.time()))


def _program(name: str, words: List[str], *, local: bool = False) -> Check:
    ran = process.run(words, timeout=PATIENCE)
    if ran.code == process.MISSING:
        found, fix = missing_program(name, local=local)
        return Check(name, FAULT, found, fix)
    if ran.code == process.NOT_STARTED:
        fix = (
            "raise that limit in the login files there, end programs of yours, or use another node"
        )
        return Check(name, FAULT, ran.message(), fix)
    lines = ran.out.splitlines()
    if lines and not lines[0].startswith(name):
        what = f"{name} there prints other text before its answer: {lines[0]!r:.80}"
        return Check(name, FAULT, what, "let the script around it write to stderr")
    return Check(name, FINE, lines[0] if lines else name)


def _rsync() -> Check:
    check = _program("rsync", ["rsync", "--version"])
    if check.state == FINE:
        return check
    return check._replace(state=NOTE, found=f"{check.found}: files are copied through the agent")


def _clone(request: protocol.Examine) -> Iterator[Check]:
    try:
        git.check_clone(request.clone, local=request.scheduler == protocol.LOCAL)
    except git.CloneError as error:
        yield Check("clone", FAULT, error.found, error.fix)
        return
    folder = git.unwritable_folder(request.clone)
    if folder:
        found = f"{folder}, into which commits are fetched, is not writable{_why_not(folder)}"
        yield Check("clone", FAULT, found, _to_write(request.clone, folder))
        return
    yield Check("clone", FINE, request.clone)
    if not request.origin:
        return
    address = git.run(request.clone, "config", "remote.origin.url")
    if not address.ok:
        add = f"git -C {quote(request.clone)} remote add origin <address>"
        fix = f"{add}, or {OVER_CONNECTION}"
        yield Check("origin", FAULT, f"{request.clone} has no remote called origin", fix)
    else:
        yield _answer_of_origin(request.clone, address.out.strip())


def _to_write(clone: str, folder: str) -> str:
    if "for you" not in _why_not(folder):
        return "make that writable, or choose another clone"
    share = f"git -C {quote(clone)} config core.sharedRepository group"
    above = quote(os.path.dirname(folder))
    return f"clone for yourself, or let its owner run: {share} && chmod -R g+rwX {above}"


def _answer_of_origin(clone: str, address: str) -> Check:
    words = git.command(clone, "ls-remote", "origin", "HEAD")
    ran = process.run(words, timeout=PATIENCE, env=git.environment())
    if ran.ok:
        return Check("origin", FINE, f"{address} answers")
    there = f"git -C {quote(clone)}"
    fix = (
        f"on the cluster: {there} ls-remote origin; if it has moved: {there} remote set-url origin "
        f"<address>; or {OVER_CONNECTION}"
    )
    return Check("origin", FAULT, f"{address} does not answer: {ran.message()}", fix)


def _slurm(slurm: SlurmClient, *, thorough: bool) -> Iterator[Check]:
    if shutil.which("sbatch") is None:
        fix = "load Slurm's module in a login file on the cluster"
        yield Check("Slurm", FAULT, "sbatch is not on PATH on the cluster", fix)
        return
    why = slurm.config_failure() if thorough else slurm.outage()
    if why:
        fix = "try again when it is up (on the cluster: scontrol ping)"
        yield Check("Slurm", FAULT, f"Slurm's controller does not answer: {why}", fix)
        return
    if not thorough:
        yield Check("Slurm", FINE, "sbatch")
        return
    limits = slurm.limits()
    yield Check("Slurm", FINE, f"Slurm {limits.slurm}, arrays below {limits.max_array_size}")
    if limits.sacct:
        yield Check("accounting", FINE, "sacct")
    else:
        fix = "let run.sbatch save its exit code: " + _SAVE_EXIT_CODE
        yield Check("accounting", NOTE, "none: Slurm soon forgets ended jobs", fix)


def _runs(request: protocol.Examine, *, local: bool) -> Iterator[Check]:
    there = request.runs
    while local and not os.path.exists(there):  # a local one is made by the first submit
        there = os.path.dirname(there)
    fault = _fault_of_folder(there, local=local)
    if fault is not None:
        yield fault
        return
    yield Check("runs folder", FINE, request.runs) if local else _owners(there)
    yield from capacity.room(there, request.needs)


def _fault_of_folder(path: str, *, local: bool) -> Optional[Check]:
    name = "runs folder"
    if not os.path.isdir(path):
        what = f"the runs folder {path} does not exist"
        return Check(name, FAULT, what, f"mkdir -p {quote(path)}")
    if not os.access(path, os.W_OK | os.X_OK):
        why = _why_not(path)
        another = "choose another one"
        fix = f"chmod u+rwx {quote(path)}, or {another}" if "for you" in why else another
        return Check(name, FAULT, f"the runs folder {path} is not writable{why}", fix)
    ours = paths.remex(path)
    if os.path.isdir(ours) and os.stat(ours).st_dev != os.stat(path).st_dev:
        what = f"{ours} is on another file system than {path}"
        move = f"mv {quote(os.path.realpath(ours))} {quote(ours)}"
        fix = f"rm {quote(ours)} && {move}" if os.path.islink(ours) else "choose another one"
        return Check(name, FAULT, what, fix)
    mode = os.stat(path).st_mode
    if mode & 0o002:
        what = f"the runs folder {path} is writable for everyone, so anyone could run code as you"
        own = f"make your own in it: mkdir -m 700 {quote(os.path.join(path, getpass.getuser()))}"
        return Check(name, FAULT, what, own if mode & stat.S_ISVTX else f"chmod o-w {quote(path)}")
    special = "" if local else _read_by_slurm(path)
    if special:
        what = f"the runs folder {path} has {special} in its path, which Slurm reads as a pattern"
        return Check(name, FAULT, what, f"choose a folder without {special} in its path")
    return None


def _read_by_slurm(path: str) -> str:
    """Return a character of the path that Slurm would interpret in a job's output path."""
    return next((each for each in "%\\" if each in path), "")


def _owners(path: str) -> Check:
    """Check who else can write to the runs folder, and so run code as anyone who submits there."""
    about = os.stat(path)
    if not about.st_mode & 0o020:
        return Check("runs folder", FINE, path)
    try:
        group = grp.getgrgid(about.st_gid).gr_name
    except KeyError:
        group = str(about.st_gid)
    found = f"{path}: members of the group {group} can run code as anyone who submits there"
    fix = f"share it only with people you trust with your account, or: chmod g-w {quote(path)}"
    return Check("runs folder", NOTE, found, fix)
