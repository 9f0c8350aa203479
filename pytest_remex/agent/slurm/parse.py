"""Parse the output of Slurm's commands, and convert its job states."""

import re
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from pytest_remex.agent.slurm.commands import ACCOUNTED, FIELD, LISTED, ROW
from pytest_remex.common.jobs import Job, JobState

_SIZE = re.compile(r"([\d.]+)([KMGTP]?)([nc]?)$")
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}
_SETTING = re.compile(r"^(\w+)\s*= (.*?)\s*$", re.MULTILINE)
_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")
_EXIT_CODE = re.compile(r"(\d+)(?::(\d+))?$", re.ASCII)
_WORK_DIR = re.compile(r" WorkDir=")
_NAME = re.compile(r" +\w+=")
_JOB = re.compile(r"^[ \t]*JobId=", re.MULTILINE)


class SqueueRow(NamedTuple):
    """A row of squeue; `id` is as users see it (`123` or `123_7`), `raw` the task's own number."""

    id: str
    raw: str
    word: str
    reason: str
    elapsed: Optional[float]
    time_limit: Optional[float]
    cores: Optional[int]
    memory_limit: Optional[int]
    comment: str
    work_dir: str

    @property
    def held_by_user(self) -> bool:
        """Whether the job is held by its user."""
        return self.word == "PENDING" and self.reason == "JobHeldUser"


class SacctRow(NamedTuple):
    """A job of sacct, with the highest memory of its steps.

    `shared` says that the row stands for several tasks of an array, which have not started.
    """

    id: str
    raw: str
    word: str
    exit_code: Optional[int]
    signal: Optional[int]
    elapsed: Optional[float]
    time_limit: Optional[float]
    memory: Optional[int]
    memory_limit: Optional[int]
    cores: Optional[int]
    comment: str
    work_dir: str
    shared: bool


def without_colours(text: str) -> str:
    """Return text without the colours that a site's script round a command may add."""
    return _COLOURS.sub("", text)


def listing(text: str) -> List[SqueueRow]:
    """Parse squeue's rows; what is before, between and after them is not Slurm's."""
    rows = (row.split(FIELD) for row in text.split(ROW)[1:])
    return [_listed(row[:-1]) for row in rows if len(row) == len(LISTED) + 1]


def exit_codes(text: str) -> Dict[str, Tuple[int, int]]:
    """Parse exit codes and signals by job id."""
    rows = (line.rstrip().rpartition(" ") for line in whole_lines(text).splitlines())
    codes = ((job.strip(), exit_code(code)) for job, _, code in rows)
    return {job: code for job, code in codes if job and code}


def whole_lines(text: str) -> str:
    """Return a listing without a last line that was cut short: its last field may be wrong."""
    return text[: text.rfind("\n") + 1]


def accounts(
    text: str, is_wanted: Callable[[str, str], bool] = lambda _job, _work_dir: True
) -> Dict[str, SacctRow]:
    """Parse sacct's rows by job id, the last that is wanted by id and WorkDir.

    Tasks that never started share a row, as in `3_[0-2]`.
    """
    jobs: Dict[str, SacctRow] = {}
    for row in _account_rows(text):
        name, _, step = row["JobID"].partition(".")
        if not step:
            wanted = (task for task in tasks(name) if is_wanted(task, row["WorkDir"]))
            jobs.update((task, _accounted(task, row)) for task in wanted)
        elif name in jobs:
            memory = max(size(row["MaxRSS"]) or 0, jobs[name].memory or 0)
            jobs[name] = jobs[name]._replace(memory=memory or None)
    return jobs


def shown(text: str) -> Dict[str, str]:
    """Parse the `Name=value` words of `scontrol -o show job`; the first of each name counts.

    Names of folders come last, and may contain words of this form.
    """
    words = (word.split("=", 1) for word in text.split() if "=" in word)
    first: Dict[str, str] = {}
    for name, value in words:
        first.setdefault(name, value)
    return first


def described(text: str) -> str:
    """Return what scontrol shows of a job, without what a site's script printed before it."""
    found = _JOB.search(text)
    return text[found.start() :] if found else ""


def work_dirs(text: str) -> Iterator[str]:
    """Yield what may be the WorkDir of the jobs that `scontrol -o show job` shows.

    The name of a folder may contain words of the form `Name=value`; line breaks in it are blanks.
    """
    for job in _JOB.split(text):
        line = job.replace("\n", " ")
        for start in _WORK_DIR.finditer(line):
            rest = line[start.end() :].rstrip()
            ends = [found.start() for found in _NAME.finditer(rest)]
            yield from (rest[:end] for end in [*ends, len(rest)] if end)


def shows_held(text: str) -> bool:
    """Return whether `scontrol -o show job` shows a job that is held by its user."""
    described_jobs = (shown(line) for line in text.splitlines() if _JOB.match(line))
    return any(
        job.get("JobState") == "PENDING" and job.get("Reason") == "JobHeldUser"
        for job in described_jobs
    )


def settings(text: str) -> Dict[str, str]:
    """Parse `scontrol show config`."""
    return dict(_SETTING.findall(text))


def job_limits(associations: str, qualities: str) -> "Tuple[Optional[int], Optional[int]]":
    """Return how many jobs a user may have submitted and running: the lowest of all limits.

    Args:
        associations: The user's associations, as `submitted|running|qos,qos`.
        qualities: Each QOS, as `name|submitted|running`.

    """
    rows, of_qualities = _limits(associations, qualities)
    named = {name for row in rows for name in row[2].split(",")}
    limits = [row[:2] for row in rows]
    limits += [limit for name, limit in of_qualities.items() if name in named]
    return _lowest(submitted for submitted, _ in limits), _lowest(running for _, running in limits)


def array_limit(associations: str, qualities: str) -> Optional[int]:
    """Return how many tasks an array may have in any account and QOS; None if a job has no limit.

    Takes the same as `job_limits`. The limit of a QOS takes precedence over the association's.
    """
    rows, of_qualities = _limits(associations, qualities)
    found = [of_qualities.get(name, row)[0] or row[0] for row in rows for name in row[2].split(",")]
    return max(map(int, found), default=None) if all(map(str.isdigit, found)) else None


def _limits(associations: str, qualities: str) -> "Tuple[List[List[str]], Dict[str, List[str]]]":
    """Return the rows of associations, and the two limits of each QOS by its name."""
    rows = [line.split("|") for line in associations.splitlines() if line.count("|") > 1]
    split = [line.split("|") for line in qualities.splitlines()]
    return rows, {name: [*limits, "", ""][:2] for name, *limits in split}


def _lowest(limits: Iterable[str]) -> Optional[int]:
    return min((int(limit) for limit in limits if limit.isdigit()), default=None)


def exit_code(text: str) -> Optional[Tuple[int, int]]:
    """Parse `code:signal`, or a wait status, as (code, signal); None if it is neither."""
    match = _EXIT_CODE.match(text.strip())
    if match is None:
        return None
    code, number = match.groups()
    return (int(code), int(number)) if number else (int(code) >> 8, int(code) & 0x7F)


def duration(text: str) -> Optional[float]:
    """Parse `[days-][[hours:]minutes:]seconds`; None for UNLIMITED and the like."""
    days, dash, rest = text.strip().rpartition("-")
    parts = rest.split(":")
    if not all(part.isdigit() for part in parts) or (dash and not days.isdigit()):
        return None
    seconds = 0
    for part in parts:
        seconds = seconds * 60 + int(part)
    return float(seconds + 86400 * int(days or 0))


def size(text: str) -> Optional[int]:
    """Parse a memory size in bytes; without a unit it is in bytes, and 0 means none.

    Slurm before 21.08 appends `n` or `c` to ReqMem (per node or core); this is ignored.
    """
    match = _SIZE.match(text.strip())
    if match is None:
        return None
    return int(float(match.group(1)) * 1024 ** _POWERS[match.group(2)]) or None


def tasks(name: str) -> Iterator[str]:
    """Yield the ids that `123`, `123_7` or `123_[0-4:2,9%3]` stands for."""
    job, _, rest = name.partition("_[")
    if not rest:
        yield name
        return
    for part in rest.rstrip("]").partition("%")[0].split(","):
        bounds, _, step = part.partition(":")
        first, _, last = bounds.partition("-")
        if first.isdigit() and (last or first).isdigit():
            for number in range(int(first), int(last or first) + 1, int(step or 1)):
                yield f"{job}_{number}"


def _listed(row: List[str]) -> SqueueRow:
    job, raw, word, reason, elapsed, limit, cores, memory, comment, folder = _unpadded(row)
    return SqueueRow(
        id=job,
        raw=raw,
        word=word,
        reason="" if reason == "None" else reason,
        elapsed=duration(elapsed),
        time_limit=duration(limit),
        cores=_number(cores),
        memory_limit=size(memory),
        comment="" if comment == "(null)" else comment,
        work_dir=folder,
    )


def _unpadded(row: List[str]) -> List[str]:
    """Return a row's fields without the blanks of a script that aligns columns.

    Job ids have no blanks. The last field is a folder, whose own name may begin or end with some.
    """
    fields = [field.strip() for field in row]
    return fields if row[0] != fields[0] else [*fields[:-1], row[-1]]


def _account_rows(text: str) -> Iterator[Dict[str, str]]:
    """Yield sacct's rows; a work directory whose name contains a line break has several lines."""
    row: List[str] = []
    for line in text.split("\n"):
        parts = line.split(FIELD)
        if len(parts) >= len(ACCOUNTED):
            row = parts
        elif row:
            row = [*row[:-1], row[-1] + "\n" + parts[0], *parts[1:]]
        if len(row) == len(ACCOUNTED) + 1:
            yield _named(_unpadded(row[:-1]))
            row = []


def _named(row: List[str]) -> Dict[str, str]:
    return {name: row[number] for number, name in enumerate(ACCOUNTED)}


def _accounted(task: str, row: Dict[str, str]) -> SacctRow:
    code, number = exit_code(row["ExitCode"]) or (None, None)
    minutes = _number(row["TimelimitRaw"])
    return SacctRow(
        id=task,
        raw=row["JobIDRaw"],
        word=row["State"],
        exit_code=code,
        signal=number,
        elapsed=_number(row["ElapsedRaw"]),
        time_limit=None if minutes is None else minutes * 60.0,
        memory=None,
        memory_limit=size(row["ReqMem"]),
        cores=_number(row["AllocCPUS"]) or None,
        comment=row["Comment"],
        work_dir=row["WorkDir"],
        shared="[" in row["JobID"],
    )


def _number(text: str) -> Optional[int]:
    return int(text) if text.strip().isdigit() else None


_HOLDS = (
    "JobHeldAdmin",
    "JobHeldUser",
    "JobHoldMaxRequeue",
    "job requeued in held state",
    "launch failed requeued held",
)
"""The reasons of pending jobs that Slurm runs only after `scontrol release`."""

REVOKED = "REVOKED"
"""The state of a job that another cluster of a federation has started."""
_WORDS: Dict[str, JobState] = {
    "BOOT_FAIL": JobState.BOOT_FAIL,
    "CANCELLED": JobState.CANCELLED,
    "COMPLETED": JobState.COMPLETED,
    "COMPLETING": JobState.COMPLETING,
    "CONFIGURING": JobState.PENDING,
    "DEADLINE": JobState.DEADLINE,
    "EXPEDITING": JobState.PENDING,
    "FAILED": JobState.FAILED,
    "LAUNCH_FAILED": JobState.NODE_FAIL,
    "NODE_FAIL": JobState.NODE_FAIL,
    "OUT_OF_MEMORY": JobState.OUT_OF_MEMORY,
    "PENDING": JobState.PENDING,
    "POWER_UP_NODE": JobState.PENDING,
    "PREEMPTED": JobState.PREEMPTED,
    "RECONFIG_FAIL": JobState.NODE_FAIL,
    "REQUEUED": JobState.PENDING,
    "REQUEUE_FED": JobState.PENDING,
    "REQUEUE_HOLD": JobState.HELD,
    "RESIZING": JobState.RUNNING,
    "RESV_DEL_HOLD": JobState.HELD,
    "RUNNING": JobState.RUNNING,
    "SIGNALING": JobState.RUNNING,
    "SPECIAL_EXIT": JobState.HELD,
    "STAGE_OUT": JobState.COMPLETING,
    "STOPPED": JobState.SUSPENDED,
    "SUSPENDED": JobState.SUSPENDED,
    "TIMEOUT": JobState.TIMEOUT,
}


def state_of(word: str, reason: str = "") -> JobState:
    """Return the state for a word of squeue, sacct or scontrol; UNKNOWN for an unknown word.

    sacct adds details after the word, as in `CANCELLED by 1000`.
    """
    first = word.split(None, 1)[0].rstrip("+") if word.strip() else ""
    state = _WORDS.get(first, JobState.UNKNOWN)
    is_hold = reason.replace("_", " ") in _HOLDS  # scontrol shows no blanks
    return JobState.HELD if state is JobState.PENDING and is_hold else state


def _unknown_word(state: JobState, word: str) -> str:
    """Return why a state is unknown if Slurm has a word for it that we do not know."""
    return f"Slurm says {word}" if state is JobState.UNKNOWN else ""


def from_listing(row: SqueueRow) -> Job:
    """Return a job as squeue reports it; exit codes come from a separate command."""
    state = state_of(row.word, row.reason)
    return Job(
        id=row.id,
        state=state,
        reason=row.reason or _unknown_word(state, row.word),
        elapsed=row.elapsed,
        time_limit=row.time_limit,
        memory_limit=row.memory_limit,
        cores=row.cores,
        source="squeue",
    )


def from_account(account: SacctRow) -> Job:
    """Return a job as sacct reports it."""
    return Job(
        id=account.id,
        state=state_of(account.word),
        reason=account.word if " " in account.word else "",
        exit_code=account.exit_code,
        signal=account.signal or None,
        elapsed=account.elapsed,
        time_limit=account.time_limit,
        memory=account.memory,
        memory_limit=account.memory_limit,
        cores=account.cores,
        source="sacct",
    )


def from_scontrol(job: str, shown: Dict[str, str]) -> Job:
    """Return a job as `scontrol show job` reports it."""
    code, number = exit_code(shown.get("ExitCode", "0:0")) or (None, None)
    word, reason = shown.get("JobState", ""), shown.get("Reason", "")
    state = state_of(word, reason)
    return Job(
        id=job,
        state=state,
        reason=_unknown_word(state, word) if reason == "None" else reason,
        exit_code=code,
        signal=number or None,
        elapsed=duration(shown.get("RunTime", "")),
        time_limit=duration(shown.get("TimeLimit", "")),
        source="scontrol",
    )
