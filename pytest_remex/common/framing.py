"""One message of the protocol, one line.

A line is the length of its JSON, a blank, and the JSON, so that one that another program wrote
into, or took a part of, is never acted on.
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
"""A line from the client that only says that it is there."""


class CutLineError(Exception):
    """A line is not as long as it says: its rest, or a part of it, went elsewhere."""


def encode_request(number: int, request: Request) -> bytes:
    """Return a request as a line."""
    return _line({"id": number, "do": type(request).__name__, **to_json(request)})


def decode_request(text: bytes) -> "Tuple[int, Request]":
    """Return the number and request in a line's JSON. Raises `TypedJsonError` for what is none."""
    return _decoded(text, "do", _REQUESTS)


def encode_event(number: int, event: Event) -> bytes:
    """Return an event that answers the request of a number as a line, without the nonce."""
    return _line({"id": number, "event": type(event).__name__, **to_json(event)})


def decode_event(text: bytes) -> "Tuple[int, Event]":
    """Return the number and event in a line's JSON. Raises `TypedJsonError` for what is none."""
    return _decoded(text, "event", _EVENTS)


def whole(line: bytes) -> bytes:
    """Return a line's JSON. Raises `CutLineError` where it is not as long as the line says."""
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
