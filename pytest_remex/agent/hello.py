"""The first request: look at what is there, and refuse what cannot work."""

import getpass
import os
import platform
import shutil
import socket

from pytest_remex.agent.errors import AgentError
from pytest_remex.agent.local import slots
from pytest_remex.agent.place import git
from pytest_remex.agent.slurm import client, packs
from pytest_remex.agent.wire import Reply, Request


def hello(request: Request, talk: Reply) -> None:
    """Tell who and what is there; an error names the path that does not do."""
    here = request["scheduler"] == "local"
    clone = request["clone"]
    if clone:
        git.check_clone(clone)
    runs = _runs(request["runs"], create=here)
    talk.event(
        "hello",
        python=platform.python_version(),
        user=getpass.getuser(),
        host=socket.gethostname(),
        clone=clone,
        runs=runs,
        cores=slots.cores(),
        disbatch=packs.program(),
        free_bytes=shutil.disk_usage(runs).free,
        **(_none() if here else client.limits())._asdict(),
    )


def _none() -> client.Limits:
    """Give what the local scheduler has of Slurm's limits."""
    return client.Limits(
        None, sacct=False, max_array_size=None, max_submit=None, message_timeout=None
    )


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
