"""What the connection's tests do again and again."""

from __future__ import annotations

import os


def hello(connection):
    """Ask a connection's agent what it is: one round trip."""
    runs = connection.remote.runs
    events = list(connection.ask("hello", clone="", runs=runs, scheduler="local"))
    return events[0]


class Typist:
    """A user who answers prompts with the given texts, and remembers what was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def __call__(self, text, *, echo):
        self.asked.append((text, echo))
        return self.answers.pop(0)


def write(folder, name, text="x", when=1_700_000_000_123_456_789):
    """Write a file with a known time."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.utime(path, ns=(when, when))
    return path


def files(folder):
    """List what lies below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())
