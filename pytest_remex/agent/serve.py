"""Serve requests one after the other until the client disconnects."""

import functools
import importlib
import os
import re
import stat
import sys
import threading
import time
from typing import Any, Callable, Dict, Optional, Tuple, Union

from pytest_remex.agent import limits
from pytest_remex.agent.errors import (
    AgentError,
    DisconnectedError,
    disk_error,
    file_error,
    is_unwritable,
)
from pytest_remex.agent.wire import Reply, Wire
from pytest_remex.common import framing, protocol, records
from pytest_remex.common.claims import ClaimRuns, Discard
from pytest_remex.common.protocol import LOCAL, SLURM, Request
from pytest_remex.common.redact import redact
from pytest_remex.common.typed_json import TypedJsonError

PACKAGE = "pytest_remex.agent."
HANDLERS: Dict[Tuple[type, str], str] = {
    (protocol.LookAtHost, SLURM): "host.look_at_host",
    (protocol.LookAtHost, LOCAL): "host.look_at_host",
    (protocol.Examine, SLURM): "host.examine",
    (protocol.Examine, LOCAL): "host.examine",
    (protocol.ListTips, ""): "place.directories.list_tips",
    (protocol.Place, ""): "place.directories.place",
    (protocol.Submit, SLURM): "slurm.submit.submit",
    (protocol.Submit, LOCAL): "local.scheduler.submit",
    (protocol.Release, SLURM): "slurm.control.release",
    (protocol.Release, LOCAL): "local.scheduler.release",
    (protocol.Query, SLURM): "slurm.query.query",
    (protocol.Query, LOCAL): "local.scheduler.query",
    (protocol.Cancel, SLURM): "slurm.control.cancel",
    (protocol.Cancel, LOCAL): "local.scheduler.cancel",
    (protocol.ListOutputs, ""): "outputs.list_outputs",
    (protocol.ReadLogs, ""): "outputs.read_logs",
    (protocol.Remove, ""): "removal.remove",
    (records.OpenLaunch, ""): "record_copies.open_launch",
    (records.ReadRecords, ""): "record_copies.read_records",
    (records.AppendRecord, ""): "record_copies.append_record",
    (records.FindRuns, ""): "found_runs.find_runs",
    (records.ReadPatches, ""): "found_runs.read_patches",
    (ClaimRuns, ""): "claims.claim_runs",
    (Discard, SLURM): "slurm.discard.discard",
    (Discard, LOCAL): "local.scheduler.discard",
    (protocol.Tidy, ""): "place.directories.tidy",
}
"""The function that answers a request, by its type and the scheduler that it names.

It is called with the request and the reply, and for Slurm with its client.

Its module is imported with the first such request: to compile all of them, from their sources,
takes a tenth of a second on each connection.
"""
LOOK = 1.0
"""Seconds between checks whether the client is silent."""
GRACE = 15.0
"""Seconds to finish the current request after the client has disconnected."""
_VARIABLE = re.compile(r"\$(\w+|\{\w+\})")
TRACE = 12
"""How many lines of a traceback are sent to the client."""


def start(line: Dict[str, Any]) -> None:
    """Do what the start line says: serve a client, send files, or run a runs folder's queue."""
    if "queue" in line:
        _imported("local.queue.run_queue")(line["queue"])
        return
    os.nice(line.get("nice", 0))
    os.umask(os.umask(0o077) | stat.S_IWOTH)  # whoever can write to a run can run code as its user
    limits.need_little_memory()
    code = 0
    try:
        wire = Wire(line["nonce"], sys.stdin.buffer, sys.stdout.buffer)
        patience = line.get("silence"), line.get("grace", GRACE)
        threading.Thread(target=_watch, args=(wire, *patience), daemon=True).start()
        serve(wire, line["modules"])
    except Exception as error:  # noqa: BLE001 - stderr is all that still reaches the client
        code = 1
        os.write(2, f"{limits.shortage(error) or _trace()}\n".encode())
    # a thread may still wait for stdin, and a normal exit would wait for that thread
    os._exit(code)


def _watch(wire: Wire, silence: Optional[float], grace: float) -> None:
    """End this process `grace` seconds after the client disconnected or was silent too long.

    Unfinished work is given up then; an sbatch continues, and its note records the result.
    """
    while not wire.disconnected.wait(LOOK):
        if silence is not None and wire.silent_for() > silence:
            wire.hang_up()
    time.sleep(grace)
    _imported("process.end_all")()
    os._exit(0)


def serve(wire: Wire, modules: str) -> None:
    """Answer requests until the client disconnects."""
    responder = Responder()
    for line in iter(wire.next_line, None):
        done = threading.Event()
        pulse = threading.Thread(target=wire.beat, args=(done,), daemon=True)
        pulse.start()
        try:
            number, request = framing.decode_request(line)
            reply = Reply(functools.partial(wire.gather, number), wire.disconnected, modules)
            wire.send(number, responder.answer(request, reply))
        except DisconnectedError:
            return
        except TypedJsonError as error:
            wire.send(0, protocol.Error("request", f"a request cannot be read: {error}"))
        finally:
            done.set()
            pulse.join()
        if wire.disconnected.is_set():
            return


class Responder:
    """Answers a client's requests, and keeps the client of Slurm that they share."""

    def __init__(self) -> None:
        self._slurm: Any = None

    def answer(self, request: Request, reply: Reply) -> Union[protocol.End, protocol.Error]:
        """Carry out one request and return how it ended.

        Raises `DisconnectedError` if the client has disconnected meanwhile.
        """
        try:
            self._handler(request)(_absolute(request), reply)
        except DisconnectedError:
            raise
        except AgentError as error:
            return error.event()
        except Exception as error:  # noqa: BLE001 - a bug must reach the client as an answer
            return _fault(error, request)
        return protocol.End()

    def _handler(self, request: Request) -> Callable[[Any, Reply], None]:
        name = getattr(request, "scheduler", "")
        handler = HANDLERS.get((type(request), name))
        if handler is None:
            raise AgentError("request", f"there is no scheduler {name!r} for this request")
        if name != SLURM:
            return _imported(handler)
        self._slurm = self._slurm or _imported("slurm.client.SlurmClient")()
        return functools.partial(_imported(handler), slurm=self._slurm)


def _imported(function: str) -> Callable[..., Any]:
    """Return a function or class of the agent by its module and name."""
    module, _, name = function.rpartition(".")
    found: Callable[..., Any] = getattr(importlib.import_module(PACKAGE + module), name)
    return found


def _fault(error: Exception, request: Request) -> protocol.Error:
    folder = getattr(request, "runs", "")
    if is_unwritable(error):
        return disk_error(error, folder).event()
    lacked = limits.shortage(error)
    if lacked is not None:
        return protocol.Error("limit", lacked)
    if isinstance(error, OSError) and error.strerror and folder:
        return file_error(error, folder).event()
    trace = "".join(_trace().splitlines(keepends=True)[-TRACE:])
    return protocol.Error("internal", redact(f"{type(error).__name__}: {error}"), redact(trace))


def _trace() -> str:
    import traceback  # noqa: PLC0415 - it imports five modules, and faults are rare

    return traceback.format_exc()


def _absolute(request: Any) -> Any:  # noqa: ANN401 - any request, of which few have these fields
    """Return the request with absolute folders, expanded with the login shell's variables."""
    given = {name: getattr(request, name, "") for name in ("clone", "runs")}
    found = {name: os.path.abspath(_expanded(name, path)) for name, path in given.items() if path}
    if "runs" in found:
        found["runs"] = os.path.realpath(found["runs"])
    return request._replace(**found)


def _expanded(name: str, path: str) -> str:
    """Expand `~` and variables in a path such as `$SCRATCH/runs`, as a shell would.

    An existing folder whose name looks like a variable is left as it is.
    """
    found = os.path.expanduser(path)
    upto = found[: found.rfind("$")] + found[found.rfind("$") :].partition("/")[0]
    if "$" not in found or os.path.lexists(upto):
        return found
    found = os.path.expandvars(found)
    unset = _VARIABLE.search(found)
    if unset is not None:
        message = f"{path} uses the variable {unset.group()}, which is not set there"
        raise AgentError(name, f"{message}: set it in a login file, or write out the path")
    return found
