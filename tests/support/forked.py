"""Fork pytest commands from a process that has imported what they import.

Imports are most of a short command's processor time. `forks.Forks` runs this file and sends it
one message for each command; a forked command ends as any Python program does, but does not
free its memory one object after another: that copies what it shares with this process.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
import time
import warnings
from typing import TypedDict

THIRD_PARTY = ("pytest", "fabric", "git", "jinja2", "pandas", "plotly", "rich.progress")
"""What the plugin imports when it needs it."""

LARGEST = 1 << 20


class Request(TypedDict):
    """A command's arguments, folder and environment."""

    arguments: list[str]
    folder: str
    environment: dict[str, str]


def preload() -> None:
    """Import the plugin's modules and what they import; a warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in THIRD_PARTY:
            importlib.import_module(name)
        package = importlib.import_module("pytest_remex")
        for module in pkgutil.walk_packages(package.__path__, "pytest_remex."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    gc.freeze()


class Server:
    """Forks a command for each request, and reports its end to who asked for it."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._running: dict[int, tuple[int, socket.socket]] = {}

    def serve(self) -> Request:
        """Serve until the other side closes the control socket; return in each fork."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is not self._control:
                        selector.unregister(key.fd)
                        self._report(key.fd)
                    elif (request := self._fork()) is not None:
                        return request
                    else:
                        selector.register(next(reversed(self._running)), selectors.EVENT_READ)

    def _fork(self) -> Request | None:
        """Fork the next command; return its request in the fork, None in the server."""
        message, files, _, _ = socket.recv_fds(self._control, LARGEST, 2, socket.MSG_CMSG_CLOEXEC)
        if not message:
            sys.exit()
        status, output = socket.socket(fileno=files[0]), files[1]
        pid = os.fork()
        if not pid:
            status.close()
            self._leave(output)
            request: Request = json.loads(message)
            return request
        os.close(output)
        process = os.pidfd_open(pid)
        self._running[process] = pid, status
        socket.send_fds(status, [str(pid).encode()], [process])
        return None

    def _report(self, process: int) -> None:
        pid, status = self._running.pop(process)
        os.close(process)
        with status:
            status.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())

    def _leave(self, output: int) -> None:
        """Close in a fork what is the server's, and write to the command's output."""
        for process, (_, status) in self._running.items():
            os.close(process)
            status.close()
        empty = os.open(os.devnull, os.O_RDONLY)
        os.dup2(empty, self._control.detach())  # the control socket is standard input
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(empty)
        os.close(output)


def take_over(request: Request) -> None:
    """Set what a new process would have been started with."""
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.chdir(request["folder"])
    sys.path.insert(0, request["folder"])
    sys.argv[1:] = request["arguments"]
    # What a shell starts in the background ignores Ctrl-C, and so would its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def leave(codes: list[int]) -> None:
    """End the process with its exit code, if it has one, after all else that runs at its end."""
    for code in codes:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    codes: list[int] = []
    atexit.register(leave, codes)  # what is registered first is called last
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    del sys.path[0]  # this folder, which is not on a command's path
    preload()
    take_over(Server(socket.socket(fileno=0)).serve())
    try:
        runpy.run_module("pytest", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, int):
            codes.append(end.code)
        raise
