"""The serve loop: one request after the other until the client goes away."""

import os
import sys
import threading
import traceback
from typing import Any, Callable, Dict

from pytest_remex.agent import hello, outputs, schedulers
from pytest_remex.agent.errors import AgentError, LinkGoneError, disk_error, is_full, scrub
from pytest_remex.agent.local import queue
from pytest_remex.agent.place import place
from pytest_remex.agent.wire import Reply, Request, Wire

Handler = Callable[[Request, Reply], None]

ACTIONS: Dict[str, Handler] = {
    "hello": hello.hello,
    "tips": place.tips,
    "place": place.place,
    "submit": schedulers.submit,
    "release": schedulers.release,
    "query": schedulers.query,
    "cancel": schedulers.cancel,
    "outputs": outputs.outputs,
    "tail": outputs.tail,
    "tidy": place.tidy,
}


def start(line: Dict[str, Any]) -> None:
    """Begin as the start line says: serve a client, or be the local queue of a runs folder."""
    if "queue" in line:
        queue.keep(line["queue"])
        return
    serve(Wire(line["nonce"], sys.stdin.buffer, sys.stdout.buffer), line["modules"])
    # a thread may still wait for stdin, and python's own way out would wait for that thread
    os._exit(0)


def serve(wire: Wire, modules: str) -> None:
    """Answer requests until the client goes away."""
    for request in iter(wire.next_request, None):
        done = threading.Event()
        pulse = threading.Thread(target=wire.beat, args=(done,), daemon=True)
        pulse.start()
        try:
            answer(request, Reply(wire, request["id"], modules))
        finally:
            done.set()
            pulse.join()
        if wire.gone.is_set():
            return


def answer(request: Request, talk: Reply) -> None:
    """Carry out one request and say how it ended."""
    try:
        _handler(request)({**request, **_absolute(request)}, talk)
    except LinkGoneError:
        return
    except AgentError as error:
        talk.error(error.as_json())
    except Exception as error:  # noqa: BLE001 - an agent's fault must reach the client as an answer
        if is_full(error):
            talk.error(disk_error(error, request.get("runs", "")).as_json())
            return
        detail = scrub("".join(traceback.format_exc().splitlines(keepends=True)[-12:]))
        message = scrub(f"{type(error).__name__}: {error}")
        talk.error({"kind": "internal", "message": message, "detail": detail})
    else:
        talk.end()


def _absolute(request: Request) -> Dict[str, str]:
    """Give the request's folders as hello gives them: `~` means the home there."""
    given = {key: request[key] for key in ("clone", "runs") if request.get(key)}
    found = {key: os.path.abspath(os.path.expanduser(path)) for key, path in given.items()}
    return {key: os.path.realpath(path) if key == "runs" else path for key, path in found.items()}


def _handler(request: Request) -> Handler:
    name = request["action"]
    if name not in ACTIONS:
        raise AgentError("request", f"unknown action {name!r}; use one of {', '.join(ACTIONS)}")
    return ACTIONS[name]
