"""Read notes stored with outputs; these may be copies from elsewhere and contain anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pytest_remex.common.disk import open_regular

LARGEST = 256 << 20
"""The most bytes of a note; one about 100,000 outputs has fewer than a tenth."""


def read_note(path: Path) -> dict[str, Any]:
    """Return the object in a note.

    Raises:
        ValueError: It is missing, no regular file, too large or damaged.

    """
    try:
        opened = open_regular(path)
        if opened is None:
            raise ValueError(f"{path} is not a regular file")
        with open(opened, "rb") as file:  # noqa: PTH123 - a descriptor
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ValueError(f"{path} has more than {LARGEST} bytes")
        found = json.loads(content.decode("utf-8", "surrogateescape"))
    except (OSError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} has no JSON object")  # noqa: TRY004 - damaged data, not a bug
    return found
