"""Notes about attempts to submit: created before sbatch starts, and filled with its output.

A note is one file, `submit-<job number>.<attempt>`: a line of JSON about the agent that tries, then
both outputs of sbatch, then a line with sbatch's exit code, unless the agent was killed before. If
Slurm contradicts what sbatch printed, another such line is added; the last one counts. Each note
can be created only once, which makes it the lock of the attempt.

What sbatch printed is interpreted in `sbatch_result`.
"""

import functools
import json
import os
import socket
import time
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple, Type, TypeVar, Union

from pytest_remex.agent import fs, process
from pytest_remex.agent.sbatch_result import DOUBT, HELD, REJECTED, SbatchResult, judge
from pytest_remex.common import paths
from pytest_remex.common.jobs import JobId
from pytest_remex.common.typed_json import from_json

PIECE = 1 << 16
"""The bytes that are read of the beginning and of the end of a note that is too large."""
_ENDING = '{"exit":'
"""The beginning of the line about sbatch's end."""

Typed = TypeVar("Typed")


class Author(NamedTuple):
    """The agent that makes an attempt: its machine, and its process id and start time."""

    host: str = ""
    pid: int = 0
    birth: Optional[str] = None


class Ending(NamedTuple):
    """How an attempt ended: sbatch's exit code (None if unknown); `refused`: why we gave it up."""

    exit: Optional[int] = None
    refused: Optional[str] = None


class Attempt(NamedTuple):
    """An attempt, read from its note; `touched` is the modification time of the note."""

    number: int
    path: str
    author: Author
    said: str
    ending: Optional[Ending]
    touched: float

    @property
    def result(self) -> SbatchResult:
        """The attempt's result, according to the note."""
        ending = self.ending or Ending()
        if ending.refused is not None:
            return SbatchResult(REJECTED, words=ending.refused)
        return judge(self.said, ending.exit)

    @property
    def ended(self) -> bool:
        """Whether sbatch is known to have ended."""
        return self.ending is not None

    @property
    def elsewhere(self) -> bool:
        """Whether sbatch was started on another machine, whose processes cannot be seen."""
        return self.author.host != socket.gethostname()

    @property
    def watched(self) -> bool:
        """Whether the agent that started sbatch is alive on this machine, and will see its end."""
        born = self.author.birth
        return not self.elsewhere and born is not None and process.birth(self.author.pid) == born


class Attempts(NamedTuple):
    """The attempts of one submission: the folder with their notes, and its job number."""

    notes: str
    job_number: int

    def begin(self, number: int) -> Optional[int]:
        """Create the note of a new attempt and return it open; None if it exists already.

        It never exists without its first line: an attempt of an unknown author, which may still run
        elsewhere, is waited for.
        """
        path = self._note(number)
        if not fs.create(path, json.dumps(_author_and_time()) + "\n"):
            return None
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW)

    def refuse(self, number: int, words: str) -> None:
        """Write into a note that its job was given up on, and why."""
        _add(self._note(number), exit=None, refused=words)
        fs.remove(self.settled_note)

    def disown(self, number: int) -> None:
        """Mark a job as in doubt again, because Slurm does not have it for this submission."""
        close(self._note(number))
        fs.remove(self.settled_note)

    def read(self) -> List[Attempt]:
        """Return the attempts, in order."""
        prefix, names = f"{paths.SUBMIT}{self.job_number}.", fs.listing(self.notes)
        numbers = [name[len(prefix) :] for name in names if name.startswith(prefix)]
        found = sorted(int(number) for number in numbers if number.isdigit())
        return [_read(self._note(number), number) for number in found]

    def settled(self, made: List[Attempt]) -> Optional[str]:
        """Return the job that the submission became; None while that is undecided.

        Several attempts may have made a job; the first one that an agent settles on counts.
        """
        adopted = fs.read(self.settled_note)
        if adopted is not None:
            return adopted.strip()
        jobs = [attempt.result.job for attempt in made if attempt.result.job]
        if not jobs:
            return None
        return jobs[0] if len(made) == 1 else self.adopt(jobs[0])

    def adopt(self, job: str) -> str:
        """Settle on a job; if another agent was faster, return the job that it settled on."""
        if fs.create(self.settled_note, job + "\n"):
            return job
        return (fs.read(self.settled_note) or job).strip()

    def refusal(self) -> str:
        """Return why the submission was refused; empty if it was not."""
        made = self.read()
        is_refused = bool(made) and made[-1].result.kind == REJECTED
        return made[-1].result.words if is_refused else ""

    def jobs_of_others(self) -> Set[str]:
        """Return every job that is named in the notes of other submissions in the folder."""
        others = [each for each in attempts_in(self.notes) if each != self]
        jobs = {attempt.result.job for other in others for attempt in other.read()}
        return jobs | {(fs.read(other.settled_note) or "").strip() for other in others}

    @property
    def settled_note(self) -> str:
        """The path of the file with the job that an agent settled on."""
        return paths.settled_job(self.notes, self.job_number)

    def _note(self, number: int) -> str:
        return paths.attempt(self.notes, self.job_number, number)


def attempts_in(notes: str) -> List[Attempts]:
    """Return those of each submission that has notes in a folder, by ascending job number."""
    names = (name for name in fs.listing(notes) if name.startswith(paths.SUBMIT))
    found = (name[len(paths.SUBMIT) :].partition(".")[0] for name in names)
    numbers = sorted({int(number) for number in found if number.isdigit()})
    return [Attempts(notes, number) for number in numbers]


def end(note: int, code: int) -> SbatchResult:
    """Write sbatch's exit code, close the note, and return the result."""
    said = os.pread(note, fs.LARGEST, 0)
    os.write(note, _line(exit=code))
    os.close(note)
    return judge(os.fsdecode(said).partition("\n")[2], code)


def close(path: str) -> None:
    """Write into a note that its sbatch ended in an unknown way: its job is in doubt."""
    _add(path, exit=None)


def is_orphan(notes: str, number: str, *, is_marked: bool) -> bool:
    """Return whether one of our attempts made a job in a folder that belongs to no submission.

    This needs proof: every submission has its job, and an attempt made another one, or may have, or
    the job has our comment (`is_marked`). Otherwise the job is the user's own.
    """
    made = {each: each.read() for each in attempts_in(notes)}
    settled_on = [each.settled(found) for each, found in made.items()]
    if not settled_on or None in settled_on:
        return False
    counted = {JobId.parse(job or "").on_cluster for job in settled_on}
    results = [attempt.result for found in made.values() for attempt in found]
    others = [JobId.parse(each.job).on_cluster for each in results if each.kind == HELD]
    more = any(each.kind == DOUBT for each in results) or not counted.issuperset(others)
    return number not in counted and (more or is_marked)


def _read(path: str, number: int) -> Attempt:
    first, _, rest = _text(path).partition("\n")
    said, last = _split(rest)
    ending = last
    while last:
        said, last = _split(said)
    return Attempt(
        number=number,
        path=path,
        author=_typed(Author, first) or Author(),
        said=said,
        ending=ending,
        touched=os.lstat(path).st_mtime,
    )


def _text(path: str) -> str:
    """Return a note's text; if sbatch wrote megabytes, only its first and its last lines."""
    if os.lstat(path).st_size <= fs.LARGEST:
        return fs.read(path) or ""
    begin, end = (fs.read_piece(path, start, PIECE)[2] for start in (0, -PIECE))
    return begin.rpartition("\n")[0] + "\n" + end.partition("\n")[2]


def _split(text: str) -> Tuple[str, Optional[Ending]]:
    """Split off the line about sbatch's end; None if there is none."""
    before, _, line = text.rstrip("\n").rpartition("\n")
    ending = _typed(Ending, line) if line.startswith(_ENDING) else None
    return (text, None) if ending is None else (before, ending)


def _add(path: str, **facts: Optional[str]) -> None:
    with open(path, "ab", 0) as file:
        file.write(_line(**facts))


def _line(**facts: Union[int, str, None]) -> bytes:
    return b"\n" + json.dumps(facts).encode("ascii") + b"\n"


def _typed(kind: Type[Typed], line: str) -> Optional[Typed]:
    """Parse a line of a note; None if it is not a `kind`."""
    try:
        return from_json(kind, json.loads(line))
    except (ValueError, RecursionError):
        return None


def _author_and_time() -> Dict[str, Any]:
    return {**_author(os.getpid())._asdict(), "time": time.time()}


@functools.lru_cache(maxsize=1)
def _author(pid: int) -> Author:
    return Author(socket.gethostname(), pid, process.birth(pid))
