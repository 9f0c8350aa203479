"""Encode each message of the protocol as one line, and decode it.

A line is the length of its JSON, a space, and the JSON. A line that another program wrote into, or
read part of, has the wrong length and is never acted on.
"""

import json
from typing import Any, Dict, Tuple, Type

from pytest_remex.common.protocol import CONVERSATION, Beat, End, Error, Event, Request
from pytest_remex.common.typed_json import TypedJsonError, from_json, to_json

_REQUESTS = {kind.__name__: kind for kind in CONVERSATION}
_EVENTS = {
    kind.__name__: kind
    for kind in (*(event for events in CONVERSATION.values() for event in events), End, Error, Beat)
}


KEEP_ALIVE = b"0 \n"
"""A line by which the client only shows that it is still connected."""


class CutLineError(Exception):
    """A line does not have the length that it states: part of it was lost."""


def encode_request(number: int, request: Request) -> bytes:
    """Return a request as a line."""
    return _line({"id": number, "do": type(request).__name__, **to_json(request)})


def decode_request(text: bytes) -> "Tuple[int, Request]":
    """Return the number and request in a line's JSON; raises `TypedJsonError` if it is invalid."""
    return _decoded(text, "do", _REQUESTS)


def encode_event(number: int, event: Event) -> bytes:
    """Return an event as a line without the nonce; `number` is that of the request it answers."""
    return _line({"id": number, "event": type(event).__name__, **to_json(event)})


def decode_event(text: bytes) -> "Tuple[int, Event]":
    """Return the number and event in a line's JSON; raises `TypedJsonError` if it is invalid."""
    return _decoded(text, "event", _EVENTS)


def whole(line: bytes) -> bytes:
    """Return a line's JSON. Raises `CutLineError` if its length is not the one stated."""
    size, _, text = line.partition(b" ")
    if not size.isdigit() or not text.endswith(b"\n") or int(size) != len(text) - 1:
        raise CutLineError
    return text[:-1]


def _line(data: Dict[str, Any]) -> bytes:
    text = json.dumps(data, separators=(",", ":")).encode("ascii")
    return b"%d %s\n" % (len(text), text)


def _decoded(text: bytes, field: str, kinds: Dict[str, Type[Any]]) -> "Tuple[int, Any]":
    try:
        data = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise TypedJsonError(f"not JSON ({error})") from error
    if not isinstance(data, dict) or not isinstance(data.get("id"), int):
        raise TypedJsonError("it has no id")
    kind = kinds.get(str(data.get(field)))
    if kind is None:
        raise TypedJsonError(
            f"{field} {data.get(field)!r:.60} is none of {', '.join(sorted(kinds))}"
        )
    return data["id"], from_json(kind, data)
