"""The notes of attempts to submit: made before sbatch starts, filled by what it prints.

A note is one file, `submit-<serial>.<number>`: a line of JSON about who tries, then both outputs
of sbatch as they come, then, if the agent lived to see it, a line with sbatch's exit code. Its
exclusive creation is the lock of the attempt.
"""

import functools
import json
import os
import socket
import time
from typing import Any, Dict, List, NamedTuple, Optional, Set

from pytest_remex.agent import fs, processes
from pytest_remex.agent.slurm.sbatch_result import SbatchResult, judge
from pytest_remex.common import paths


class Attempt(NamedTuple):
    """An attempt as its note tells it; `touched` is the note's last change, by the file's clock."""

    number: int
    path: str
    about: Dict[str, Any]
    said: str
    ended: bool
    touched: float

    @property
    def verdict(self) -> SbatchResult:
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
        return (
            not self.elsewhere and born is not None and processes.birth(self.about["pid"]) == born
        )


def begin(home: str, serial: int, number: int) -> Optional[int]:
    """Note a new attempt and give its open file; None when it is noted already."""
    path = paths.attempt(home, serial, number)
    try:
        note = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
    except FileExistsError:
        return None
    os.write(note, json.dumps(_about()).encode("ascii") + b"\n")
    return note


def end(note: int, code: Optional[int]) -> SbatchResult:
    """Write how sbatch ended, close the note and judge it."""
    said = os.pread(note, os.fstat(note).st_size, 0)
    os.write(note, b"\n" + json.dumps({"exit": code}).encode("ascii") + b"\n")
    os.close(note)
    return judge(os.fsdecode(said).partition("\n")[2])


def close(path: str, code: Optional[int]) -> None:
    """Write into another agent's note that its sbatch is no more."""
    with open(path, "ab", 0) as file:
        file.write(b"\n" + json.dumps({"exit": code}).encode("ascii") + b"\n")


def serials(home: str) -> List[int]:
    """Give the numbers of the submissions that a home has notes of."""
    names = (name for name in fs.listing(home) if name.startswith(paths.SUBMIT))
    found = (name[len(paths.SUBMIT) :].partition(".")[0] for name in names)
    return sorted({int(number) for number in found if number.isdigit()})


def read(home: str, serial: int) -> List[Attempt]:
    """Give the attempts of a submission, the first one first."""
    prefix = f"{paths.SUBMIT}{serial}."
    numbers = [name[len(prefix) :] for name in fs.listing(home) if name.startswith(prefix)]
    found = sorted(int(number) for number in numbers if number.isdigit())
    return [_read(paths.attempt(home, serial, number), number) for number in found]


def settled(home: str, serial: int, attempts: List[Attempt]) -> Optional[str]:
    """Give the job that a submission became, None while that is open.

    More than one attempt may have made a job; the first to be settled on is the one that counts.
    """
    adopted = fs.read(paths.adopted(home, serial))
    if adopted is not None:
        return adopted.strip()
    jobs = [attempt.verdict.job for attempt in attempts if attempt.verdict.job]
    if not jobs:
        return None
    return jobs[0] if len(attempts) == 1 else adopt(home, serial, jobs[0])


def adopt(home: str, serial: int, job: str) -> str:
    """Settle on a job; gives the one that another agent settled on if it was faster."""
    path = paths.adopted(home, serial)
    if fs.create(path, job + "\n"):
        return job
    return (fs.read(path) or job).strip()


def settled_jobs(home: str) -> Optional[Set[str]]:
    """Give the jobs that all of a home's submissions became, None while one is open."""
    jobs = {settled(home, serial, read(home, serial)) for serial in serials(home)}
    return None if None in jobs else {job for job in jobs if job}


def jobs_of_others(home: str, serial: int) -> Set[str]:
    """Give every job that the notes of a home's other submissions name."""
    others = [other for other in serials(home) if other != serial]
    jobs = {attempt.verdict.job for other in others for attempt in read(home, other)}
    return jobs | {fs.read(paths.adopted(home, other)) or "" for other in others}


def _read(path: str, number: int) -> Attempt:
    first, _, rest = (fs.read(path) or "").partition("\n")
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
    return {**_agent(os.getpid()), "time": time.time()}


@functools.lru_cache(maxsize=1)
def _agent(pid: int) -> Dict[str, Any]:
    return {"host": socket.gethostname(), "pid": pid, "birth": processes.birth(pid)}
