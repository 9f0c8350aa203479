"""The first request: look at what is there, and refuse what cannot work."""

import getpass
import os
import platform
import shutil
import socket

from pytest_remex.agent import process
from pytest_remex.agent.errors import AgentError
from pytest_remex.agent.place import git
from pytest_remex.agent.slurm import client, groups
from pytest_remex.agent.wire import Reply
from pytest_remex.common import protocol


def look_at_host(request: protocol.LookAtHost, reply: Reply) -> None:
    """Tell who and what is there; an error names the path that cannot be used."""
    local = request.scheduler == protocol.LOCAL
    if request.clone:
        git.check_clone(request.clone)
    runs = _runs(request.runs, create=local)
    host = protocol.Host(
        python=platform.python_version(),
        user=getpass.getuser(),
        host=socket.gethostname(),
        clone=request.clone,
        runs=runs,
        cores=process.cores(),
        disbatch=groups.disbatch(),
        free_bytes=shutil.disk_usage(runs).free,
    )
    reply.send(host if local else host._replace(**client.limits()._asdict()))


def _runs(path: str, *, create: bool) -> str:
    if create:
        try:
            os.makedirs(path, exist_ok=True)
        except OSError as error:
            raise AgentError(
                "runs", f"cannot make the runs folder {path}: {error.strerror}"
            ) from error
    if not os.path.isdir(path):
        raise AgentError("runs", f"there is no runs folder {path}; make it with: mkdir -p {path}")
    if not os.access(path, os.W_OK | os.X_OK):
        message = f"the runs folder {path} is not writable for you; name another one"
        raise AgentError("runs", message)
    return path
