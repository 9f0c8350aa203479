"""Where symbolic links lead, within a checkout that nothing of ours may leave."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TypeAlias

Target: TypeAlias = Callable[[bytes], bytes | None]
"""Returns what the link at a path points to; None where there is no link."""

MOST = 40
"""Links that Linux follows in one path; a longer way leads nowhere."""
NOWHERE = b"/dev/null/this-link-leaves-the-checkout/"
"""Below a file that is no folder: nothing can be there, nor be made there."""


def follow(path: bytes, target_of: Target) -> bytes | None:
    """Return where a path leads, from the checkout's root; None where that is outside of it.

    A way of links without an end is the path itself.
    """
    todo = path.split(b"/")[::-1]
    place: list[bytes] = []
    followed = 0
    while todo:
        part = todo.pop()
        if part == b"..":
            if not place:
                return None
            place.pop()
        elif part not in {b"", b"."}:
            place.append(part)
            target = target_of(b"/".join(place))
            if target is not None:
                if target.startswith(b"/"):
                    return None
                followed += 1
                if followed > MOST:
                    return path
                place.pop()
                todo += target.split(b"/")[::-1]
    return b"/".join(place)


def leaving(links: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return those of a checkout's links that lead out of it."""
    return {path: to for path, to in links.items() if follow(path, links.get) is None}


def target_in(root: bytes) -> Target:
    """Return what tells of the links that stand below a folder."""

    def target_of(path: bytes) -> bytes | None:
        try:
            return os.readlink(os.path.join(root, path))
        except OSError:
            return None

    return target_of
