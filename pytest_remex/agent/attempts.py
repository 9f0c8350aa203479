"""The notes of attempts to submit: made before sbatch starts, filled by what it prints.

A note is one file, `submit-<serial>.<number>`: a line of JSON about who tries, then both outputs
of sbatch as they come, then, if the agent lived to see it, a line with sbatch's exit code. Where
Slurm disproves what sbatch said, another such line is added, and the last one counts. A note's
exclusive creation is the lock of the attempt.
"""

import functools
import json
import os
import socket
import time
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple, Union

from . import files, paths, processes
from .verdicts import REJECTED, Verdict, judge


class Attempt(NamedTuple):
    """An attempt as its note tells it; `touched` is the note's last change, by the file's clock."""

    number: int
    path: str
    about: Dict[str, Any]
    said: str
    end: Dict[str, Any]
    touched: float

    @property
    def verdict(self) -> Verdict:
        """What became of it, as far as the note tells."""
        refused = self.end.get("refused")
        if refused is not None:
            return Verdict(REJECTED, words=str(refused))
        return judge(self.said, self.end.get("exit"))

    @property
    def ended(self) -> bool:
        """Whether sbatch is known to have ended."""
        return "exit" in self.end

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


def end(note: int, code: int) -> Verdict:
    """Write how sbatch ended, close the note and judge it."""
    said = os.pread(note, os.fstat(note).st_size, 0)
    os.write(note, _line(exit=code))
    os.close(note)
    return judge(os.fsdecode(said).partition("\n")[2], code)


def close(path: str) -> None:
    """Write into a note that its sbatch has ended, nobody knows how: its id is in doubt."""
    _add(path, exit=None)


def refuse(home: str, serial: int, number: int, words: str) -> None:
    """Write into a note that its job was given up, and why."""
    _add(paths.attempt(home, serial, number), exit=None, refused=words)
    files.remove(paths.adopted(home, serial))


def disown(home: str, serial: int, number: int) -> None:
    """Put a job that Slurm does not have for this submission in doubt again."""
    close(paths.attempt(home, serial, number))
    files.remove(paths.adopted(home, serial))


def serials(home: str) -> List[int]:
    """Give the numbers of the submissions that a home has notes of."""
    names = (name for name in files.listing(home) if name.startswith(paths.SUBMIT))
    found = (name[len(paths.SUBMIT) :].partition(".")[0] for name in names)
    return sorted({int(number) for number in found if number.isdigit()})


def read(home: str, serial: int) -> List[Attempt]:
    """Give the attempts of a submission, the first one first."""
    prefix = f"{paths.SUBMIT}{serial}."
    numbers = [name[len(prefix) :] for name in files.listing(home) if name.startswith(prefix)]
    found = sorted(int(number) for number in numbers if number.isdigit())
    return [_read(paths.attempt(home, serial, number), number) for number in found]


def settled(home: str, serial: int, attempts: List[Attempt]) -> Optional[str]:
    """Give the job that a submission became, None while that is open.

    More than one attempt may have made a job; the first to be settled on is the one that counts.
    """
    adopted = files.read(paths.adopted(home, serial))
    if adopted is not None:
        return adopted.strip()
    jobs = [attempt.verdict.job for attempt in attempts if attempt.verdict.job]
    if not jobs:
        return None
    return jobs[0] if len(attempts) == 1 else adopt(home, serial, jobs[0])


def adopt(home: str, serial: int, job: str) -> str:
    """Settle on a job; gives the one that another agent settled on if it was faster."""
    path = paths.adopted(home, serial)
    if files.create(path, job + "\n"):
        return job
    return (files.read(path) or job).strip()


def settled_jobs(home: str) -> Optional[Set[str]]:
    """Give the jobs that all of a home's submissions became, None while one is open."""
    jobs = {settled(home, serial, read(home, serial)) for serial in serials(home)}
    return None if None in jobs else {job for job in jobs if job}


def jobs_of_others(home: str, serial: int) -> Set[str]:
    """Give every job that the notes of a home's other submissions name."""
    others = [other for other in serials(home) if other != serial]
    jobs = {attempt.verdict.job for other in others for attempt in read(home, other)}
    return jobs | {files.read(paths.adopted(home, other)) or "" for other in others}


def _read(path: str, number: int) -> Attempt:
    first, _, rest = (files.read(path) or "").partition("\n")
    said, last = _split(rest)
    end = last
    while last:
        said, last = _split(said)
    return Attempt(
        number=number,
        path=path,
        about=_json(first),
        said=said,
        end=end,
        touched=os.stat(path).st_mtime,
    )


def _split(text: str) -> Tuple[str, Dict[str, Any]]:
    """Split the line about sbatch's end from what precedes it; empty where there is none."""
    before, _, line = text.rstrip("\n").rpartition("\n")
    end = _json(line)
    return (before, end) if "exit" in end else (text, {})


def _add(path: str, **facts: Optional[str]) -> None:
    with open(path, "ab", 0) as file:
        file.write(_line(**facts))


def _line(**facts: Union[int, str, None]) -> bytes:
    return b"\n" + json.dumps(facts).encode("ascii") + b"\n"


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
