"""The notes of attempts to submit: made before sbatch starts, filled by what it prints.

A note is one file, `submit-<serial>.<number>`: a line of JSON about who tries, then both outputs
of sbatch as they come, then, if the agent lived to see it, a line with sbatch's exit code. Its
exclusive creation is the lock of the attempt.
"""

import json
import os
import socket
import time
from typing import Any, Dict, List, NamedTuple, Optional

from . import files, paths, processes
from .units import Unit
from .verdicts import Verdict, judge


class Attempt(NamedTuple):
    """An attempt as its note tells it; `touched` is the note's last change, by the file's clock."""

    number: int
    path: str
    about: Dict[str, Any]
    said: str
    ended: bool
    touched: float

    @property
    def verdict(self) -> Verdict:
        """What became of it, as far as the note tells."""
        return judge(self.said)

    @property
    def elsewhere(self) -> bool:
        """Whether sbatch was started on another machine, whose processes cannot be seen."""
        return self.about.get("host") != socket.gethostname()

    @property
    def watched(self) -> bool:
        """Whether the agent that started sbatch lives, on this machine, and so will see its end."""
        born = self.about.get("birth")
        return not self.elsewhere and born is not None and processes.birth(self.about["pid"]) == born


def begin(unit: Unit, number: int) -> Optional[int]:
    """Note a new attempt and give its open file; None when it is noted already."""
    path = paths.attempt(unit.home, unit.serial, number)
    try:
        note = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
    except FileExistsError:
        return None
    os.write(note, json.dumps(_about()).encode("ascii") + b"\n")
    return note


def end(note: int, code: Optional[int]) -> Verdict:
    """Write how sbatch ended, close the note and judge it."""
    said = os.pread(note, os.fstat(note).st_size, 0)
    os.write(note, b"\n" + json.dumps({"exit": code}).encode("ascii") + b"\n")
    os.close(note)
    return judge(os.fsdecode(said).partition("\n")[2])


def close(path: str, code: Optional[int]) -> None:
    """Write into another agent's note that its sbatch is no more."""
    with open(path, "ab", 0) as file:
        file.write(b"\n" + json.dumps({"exit": code}).encode("ascii") + b"\n")


def read(unit: Unit) -> List[Attempt]:
    """Give the attempts of a submission, the first one first."""
    prefix = os.path.basename(paths.attempt(unit.home, unit.serial, 0))[:-1]
    numbers = [name[len(prefix) :] for name in files.listing(unit.home) if name.startswith(prefix)]
    return [_read(unit, number) for number in sorted(int(text) for text in numbers if text.isdigit())]


def settled(unit: Unit, attempts: List[Attempt]) -> Optional[str]:
    """Give the job that a submission became, None while that is open.

    More than one attempt may have made a job; the first to be settled on is the one that counts.
    """
    adopted = files.read(paths.adopted(unit.home, unit.serial))
    if adopted is not None:
        return adopted.strip()
    jobs = [attempt.verdict.job for attempt in attempts if attempt.verdict.job]
    if not jobs:
        return None
    return jobs[0] if len(attempts) == 1 else adopt(unit, jobs[0])


def adopt(unit: Unit, job: str) -> str:
    """Settle on a job; gives the one that another agent settled on if it was faster."""
    path = paths.adopted(unit.home, unit.serial)
    if files.create(path, job + "\n"):
        return job
    return (files.read(path) or job).strip()


def known_jobs(home: str) -> List[str]:
    """Give the ids of all submissions that a home's notes tell of."""
    jobs = []
    for name in files.listing(home):
        text = files.read(os.path.join(home, name)) or ""
        if name.startswith("submit-") and name.endswith(".job"):
            jobs.append(text.strip())
        elif name.startswith("submit-"):
            jobs.append(judge(text.partition("\n")[2]).job)
    return [job for job in jobs if job]


def _read(unit: Unit, number: int) -> Attempt:
    path = paths.attempt(unit.home, unit.serial, number)
    first, _, rest = (files.read(path) or "").partition("\n")
    before, _, last = rest.rstrip("\n").rpartition("\n")
    ended = "exit" in _json(last)
    return Attempt(
        number=number,
        path=path,
        about=_json(first),
        said=before if ended else rest,
        ended=ended,
        touched=os.stat(path).st_mtime,
    )


def _json(line: str) -> Dict[str, Any]:
    try:
        data = json.loads(line)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _about() -> Dict[str, Any]:
    pid = os.getpid()
    host = socket.gethostname()
    return {"host": host, "pid": pid, "birth": processes.birth(pid), "time": time.time()}
