"""Lines of launch records: JSON objects, each with a checksum."""

from __future__ import annotations

import json
import re
import zlib

from pytest_remex.records.fields import Json

_CHECKSUM = re.compile(rb', "crc": "([0-9a-f]{8})"}')
_CHECKSUM_SIZE = len(b', "crc": "00000000"}')


def encoded(data: Json) -> bytes:
    """Return a line of a record; its last field is a checksum of the rest."""
    text = json.dumps(data, ensure_ascii=False).encode("utf-8", "backslashreplace")[:-1]
    return b'%s, "crc": "%08x"}\n' % (text, zlib.crc32(text))


def check(line: bytes) -> None:
    """Raise `ValueError` if a line's checksum is wrong; lines of earlier releases have none."""
    checked = _CHECKSUM.fullmatch(line, max(0, len(line) - _CHECKSUM_SIZE))
    if checked and int(checked[1], 16) != zlib.crc32(line[:-_CHECKSUM_SIZE]):
        raise ValueError("its checksum is wrong: it was changed after it was written")


def parsed(line: bytes) -> Json:
    """Return the object in a line of a record. Raises `ValueError` if there is none."""
    data = json.loads(line.decode())
    if not isinstance(data, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - damaged data, not a bug
    return data
