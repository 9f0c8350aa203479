"""Commands, measured: wall time, peak memory, and the peak memory of an agent that they talk to."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

LOOK = 0.5
"""Seconds between two looks at the processes of this machine."""


@dataclass(frozen=True)
class Ran:
    """A command that has ended: its wall time in s, its peak memory in MB, and what it printed."""

    seconds: float
    megabytes: float
    output: str
    busy: float = 0.0
    """Seconds of processors, of the processes that it waited for too."""


def run(
    words: list[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    text: str = "",
    codes: tuple[int, ...] = (0,),
) -> Ran:
    """Run a command with `text` as its input; RuntimeError with its last lines where it fails.

    The memory is that of the largest process that it started and waited for, itself included.
    """
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as sink:
        source.write(text.encode())
        source.seek(0)
        begun = time.perf_counter()
        process = subprocess.Popen(
            words, cwd=folder, env=environment, stdin=source, stdout=sink, stderr=sink
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        sink.seek(0)
        output = sink.read().decode(errors="replace")
    if process.returncode not in codes:
        tail = "\n".join(output.splitlines()[-30:])
        raise RuntimeError(f"{' '.join(words)}: exit code {process.returncode}\n{tail}")
    return Ran(seconds, usage.ru_maxrss / 1024, output, usage.ru_utime + usage.ru_stime)


class AgentMemory:
    """Watches the agents that sessions of one home start, for the length of a with block."""

    def __init__(self, home: Path) -> None:
        self.megabytes = 0.0
        self._sign = f"HOME={home}".encode()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK):
            agents = (entry for entry in Path("/proc").glob("[0-9]*") if self._is_agent(entry))
            self.megabytes = max(self.megabytes, *(_peak(entry) for entry in agents), 0.0)

    def _is_agent(self, entry: Path) -> bool:
        with suppress(OSError):
            command = (entry / "cmdline").read_bytes().split(b"\0")
            ours = self._sign in (entry / "environ").read_bytes().split(b"\0")
            return ours and command[0].endswith(b"python3") and b"-c" in command
        return False


def _peak(entry: Path) -> float:
    with suppress(OSError):
        for line in (entry / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0
