"""Explain why runs failed: the message for one run, and the cause that it shares with others."""

from __future__ import annotations

import ast
import linecache
import os
import posixpath
import re
import textwrap
import traceback
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_remex.collect.manifest import all_present, belongs_to, first_present
from pytest_remex.collect.runs import WITHOUT_OUTPUT, outside_logs
from pytest_remex.common.grouping import grouped
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.display import clean
from pytest_remex.model import Config, Value
from pytest_remex.sbatch.options import format_duration

if TYPE_CHECKING:
    from pytest_remex.collect.runs import CollectedRun

TAIL_LINES = 30
TAIL_BYTES = 1 << 16


def last_lines(collected: CollectedRun) -> str:
    """Return the last lines of a job's output; empty if it is not on this machine."""
    path = first_present(collected.folder, collected.logs)
    if path is None:
        return ""
    with path.open("rb", buffering=0) as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
        text = file.read().decode("utf-8", "replace")
    return "\n".join(text.splitlines()[-TAIL_LINES:])


def job_failure(collected: CollectedRun) -> str:
    """Return why a job failed: the reason, figures, its run directory, and its last lines."""
    job, remote = collected.job, collected.launch.remote
    place = f"{remote.host}:" if remote.host else ""
    path = f"{remote.runs}/{collected.run.directory}"
    line = "" if job.state in WITHOUT_OUTPUT else telling_line(output_of(collected))
    reason = f"{_reason(job)}: {line}" if line else _reason(job)
    shown = [reason, *_figures(job), f"run directory: {place}{path}"]
    tail = last_lines(collected)
    if tail:
        shown.append(f"the last lines of its output:\n{_indented(tail)}")
    if job.state not in {JobState.REJECTED, JobState.PURGED}:
        shown.append(_what_next(remote.host, _output_there(collected, path)) + _more(job))
    return "\n".join(shown)


def missing_outputs(collected: CollectedRun) -> str | None:
    """Return which outputs of a completed job are missing, and why; None if all are here."""
    outputs, missing = collected.outputs, collected.missing
    if outputs.gone:
        missing = (*missing, *collected.missing_config)
    for pattern in collected.sweep.fetch:
        for link in outputs.links:
            if link == pattern or (pattern in missing and _is_link_of(link, pattern)):
                return _why_linked(collected, pattern, link)
    if not missing:
        return None
    return _why_not_fetched(collected, missing) or _why_not_left(collected, missing)


def _is_link_of(link: str, pattern: str) -> bool:
    """Return whether a pattern would match a link, or lead through it or to a folder with it."""
    above = "/".join(pattern.split("/")[: link.count("/") + 1])
    return "**" in pattern or fnmatchcase(link, above) or belongs_to(link, pattern)


def _why_linked(collected: CollectedRun, pattern: str, link: str) -> str:
    upstream = collected.run.upstream
    source = upstream.brought.get(link) if upstream else None
    if upstream is None or source is None:
        where = "is" if link == pattern else f"is not fetched, as {link} is"
        return (
            f"output {pattern} {where} a symbolic link on the cluster, and links are not followed: "
            f"put a copy in its place (cp -rL), at the end of the script or by hand, and collect "
            f"again"
        )
    function = upstream.node.rpartition("::")[2].partition("[")[0]
    return (
        f"output {link} is a link to {source} of {upstream.node}: fetch {source} in the sweep "
        f"{function}, read it as run.upstream.read({source!r}), and remove {pattern} from "
        f"fetch=[...]"
    )


def _why_not_fetched(collected: CollectedRun, missing: Sequence[str]) -> str | None:
    outputs, names = collected.outputs, ", ".join(missing)
    if outputs.refused:
        return f"the output {names} was not fetched: {outputs.refused}"
    if outputs.gone:
        return (
            f"the run directory is gone (purged?) before the output {names} was fetched: "
            f"--remex-submit --remex-retry runs it again"
        )
    if not set(missing) <= set(outputs.patterns):
        return f"the output {names} has not been fetched yet: collect without --remex-offline"
    return None


def _why_not_left(collected: CollectedRun, missing: Sequence[str]) -> str:
    for name, size in collected.outputs.too_large.items():
        for pattern in missing:
            if belongs_to(name, pattern):
                return (
                    f"the output {name} ({_size(size)}) is larger than remex_max_file and stays on "
                    f"the cluster: raise the limit and collect again, or write "
                    f"optional({pattern!r}) in fetch=[...]"
                )
    names = ", ".join(missing)
    if who := collected.run.collected:
        return (
            f"{names} is not in the run directory: either it was removed since {who.by} collected "
            f"the run on {who.on}, then copy {collected.run.directory} from the folder runs of the "
            f"remex-output there; or the job did not write it, then correct fetch=[...], or write "
            f"optional({missing[0]!r}) in it"
        )
    return (
        f"the job completed but did not write {names}: see its output below; correct fetch=[...], "
        f"or write optional({missing[0]!r}) in it"
    )


def oversized(collected: CollectedRun) -> list[str]:
    """Return the outputs that are too large to fetch, each with its size."""
    return [f"{name} ({_size(size)})" for name, size in collected.outputs.too_large.items()]


def config_omissions(asked: Config, ran: Config) -> list[str]:
    """Return the requested settings that the config that ran does not have."""
    return [name for name, _ in _settings(asked) if name not in ran]


def config_differences(asked: Config, ran: Config, found: str = "ran with") -> list[str]:
    """Return the settings whose value in the config that ran differs from the requested one.

    A name that is not in the config that ran could not be read back, and is not compared; `ran` may
    find a name under other spellings too. `found` introduces the value found, in the message.
    """
    present = [(name, value) for name, value in _settings(asked) if name in ran]
    pairs = [(name, value, _as_asked(name, value, ran)) for name, value in present]
    return [
        f"{name}: asked for {value!r}, {found} {there!r}"
        for name, value, there in pairs
        if not _same(value, there)
    ]


def _as_asked(name: str, asked: Value, ran: Config) -> Value:
    """Return the value that ran; in a namelist, one value may be a list's only element."""
    found = ran[name]
    is_one = isinstance(asked, list) and len(asked) == 1 and not isinstance(found, list)
    return [found] if is_one and f"{name}(1)" in ran else found


def _settings(config: Config) -> Iterator[tuple[str, Value]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{inner}", one) for inner, one in _settings(value))
        else:
            yield name, value


def _reason(job: Job) -> str:
    if job.state is JobState.REJECTED:
        return f"not submitted: {job.reason}"
    if job.state is JobState.PURGED:
        return f"the run was {job.reason}: --remex-submit --remex-retry runs it again"
    if job.state is JobState.LOST:
        return (
            f"job {job.id} is LOST: {job.reason}; check whether it ran, and if not, submit it "
            f"again with --remex-retry"
        )
    reason = f" ({job.reason})" if job.reason and job.reason != "None" else ""
    return f"job {job.id} ended {job.state}{reason}"


def _figures(job: Job) -> list[str]:
    figures = []
    if job.exit_code is not None:
        signal = f", signal {job.signal}" if job.signal else ""
        figures.append(f"exit code {job.exit_code}{signal}")
    if job.elapsed is not None:
        limit = f" of {format_duration(job.time_limit)} allowed" if job.time_limit else ""
        figures.append(f"ran {format_duration(job.elapsed)}{limit}")
    if job.memory is not None:
        limit = f" of {_size(job.memory_limit)} allowed" if job.memory_limit else ""
        figures.append(f"used {_size(job.memory)} of memory{limit}")
    return [", ".join(figures)] if figures else []


def _more(job: Job) -> str:
    """Return the option that gives a run more time or memory, if it had too little."""
    if job.state is JobState.TIMEOUT:
        return ' --remex-sbatch="--time=..."'
    # some sites end such a job without saying so in its state
    is_above = bool(job.memory and job.memory_limit and job.memory >= job.memory_limit)
    if job.state is JobState.OUT_OF_MEMORY or is_above:
        return ' --remex-sbatch="--mem=..."'
    return ""


def _output_there(collected: CollectedRun, path: str) -> str:
    patterns = collected.logs or outside_logs(collected.run)
    return posixpath.join(path, patterns[0]) if patterns else path


def _what_next(host: str | None, file: str) -> str:
    where = f"ssh {host} " if host else ""
    return f"to see more: {where}less '{file}'; to run it again: --remex-submit --remex-retry"


def _size(size: int) -> str:
    scaled, units = float(size), iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while scaled >= 1000 and unit != "TB":  # noqa: PLR2004 - the step between units
        scaled, unit = scaled / 1000, next(units)
    return f"{scaled:.3g} {unit}"


def _same(asked: Value, ran: object) -> bool:
    if isinstance(asked, list) and isinstance(ran, list):
        return len(asked) == len(ran) and all(map(_same, asked, ran))
    if isinstance(asked, bool) or isinstance(ran, bool):
        return asked is ran
    if isinstance(asked, str) and isinstance(ran, date):  # as YAML and TOML have it
        return asked in (str(ran), ran.isoformat())
    if isinstance(asked, str) and isinstance(ran, str):
        return asked.rstrip() == ran.rstrip()
    return asked == ran


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


NUMBER = re.compile(
    r"(?<![\w.])(?<!exit )(?<!signal )[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eEdD][-+]?\d+)?(?!\w)"
)
"""A number that may differ between failures of one cause: an exit code or a signal may not."""
HEAD, TAIL = 1 << 17, 1 << 16
"""How many bytes are read from the start and the end of a job's output."""
LONGEST = 200
_LONGEST_NUMBER = 7
"""The most characters of a number that is shown as written."""
_TELLING = re.compile(
    r"Fortran runtime error|\b[Ee]rror:|\b\w+(?:Error|Exception):|\bERROR\b|\bFATAL\b"
    r"|^\s*(?:ERROR )?STOP\b|Segmentation fault|\bSIG(?:SEGV|FPE|ABRT|BUS|ILL)\b"
)
_BY_SLURM = ("slurmstepd: ", "srun: ")
_TRACEBACK = "Traceback (most recent call last)"
_MENTION = re.compile(r"\berror\b(?!s?\s*(?:[=:<>]|is|of)?\s*[-+]?[\d.])", re.IGNORECASE)


def telling_line(text: str) -> str:
    """Return the line of a job's output that best explains its failure; empty if there is none.

    This is the first line that looks like an error, or the last line of a Python traceback; one
    that Slurm wrote only if the job wrote none.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    own = [line for line in lines if not line.startswith(_BY_SLURM)]
    lines.sort(key=lambda line: line.startswith(_BY_SLURM))  # stable
    for place, line in enumerate(lines):
        if _TRACEBACK in line:
            return _shortened(_end_of_traceback(lines[place + 1 :]))
        if _TELLING.search(line):
            return _shortened(line)
    mentions = (line for line in lines if _MENTION.search(line))
    return _shortened(next(mentions, (own or lines or [""])[-1]))


def job_cause(job: Job, output: str) -> str:
    """Return why a job failed, in one line that is the same for jobs that failed alike."""
    how = str(job.state)
    if job.state is JobState.FAILED and job.exit_code is not None:
        how = f"signal {job.signal}" if job.signal else f"exit {job.exit_code}"
    line = telling_line(output)
    return f"{how}: {line}" if line else how


def output_of(collected: CollectedRun) -> str:
    """Return the start and end of a job's output, from all its files on this machine."""
    return "\n".join(map(ends_of, all_present(collected.folder, collected.logs)))


def assertion_of(error: BaseException | None) -> str:
    """Return the source of a failed assertion: `assert l1 < 0.02`; empty for other errors."""
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    if not isinstance(error, AssertionError) or not frames:
        return ""
    last = frames[-1]
    start, end = last.lineno or 1, last.end_lineno or last.lineno or 1
    lines = (linecache.getline(last.filename, number) for number in range(start, end + 1))
    try:
        (statement,) = ast.parse(textwrap.dedent("".join(lines))).body
    except (SyntaxError, ValueError):
        return ""
    return f"assert {ast.unparse(statement.test)}" if isinstance(statement, ast.Assert) else ""


def without_numbers(text: str) -> str:
    """Return a text without its numbers, so that it is equal for failures with one cause."""
    return NUMBER.sub("…", text)


def causes_of(failures: Sequence[tuple[str, str]]) -> list[str]:
    """Return the cause of each failure, the same text for all failures that share it.

    Args:
        failures: For each failure its cause, as returned by `assertion_of` or `job_cause`, or
            empty; and its reason, one line.

    Returns:
        The causes, such as `exit 3: ERROR: feed too large` or, with the values in an assertion,
        `assert l1 < 0.02 (0.021 to 0.09)`.

    """
    keys = [without_numbers(cause or reason) for cause, reason in failures]
    groups = grouped(zip(keys, failures, strict=True))
    titles = {key: _title(group) for key, group in groups.items()}
    return [titles[key] for key in keys]


def _title(group: Sequence[tuple[str, str]]) -> str:
    texts = [cause or reason for cause, reason in group]
    title = _common(texts) or "no reason was given"
    if not all(cause.startswith("assert ") for cause, _ in group):
        return title
    return title + _values([reason for _, reason in group], title)


def _common(texts: Sequence[str]) -> str:
    """Merge texts that differ only in numbers into one, with `…` for numbers that differ."""
    columns = list(zip(*(NUMBER.findall(text) for text in texts), strict=False))
    numbers = iter([each[0] if len(set(each)) == 1 else "…" for each in columns])
    return NUMBER.sub(lambda _: next(numbers, "…"), texts[0])


def _values(reasons: Sequence[str], title: str) -> str:
    """Return the range of the one number that varies in a group's assertions."""
    found = [NUMBER.findall(reason) for reason in reasons]
    if len({len(numbers) for numbers in found}) != 1:
        return ""
    spelt_out = NUMBER.findall(title)
    columns = [each for each in zip(*found, strict=True) if not set(each) <= set(spelt_out)]
    if len(columns) != 1:
        return ""
    seen = sorted(columns[0], key=_float)
    low, high = seen[0], seen[-1]
    if _float(low) == _float(high):
        return f" ({_brief(low)})"
    return f" ({_brief(low)} to {_brief(high)})"


def _brief(number: str) -> str:
    return number if len(number) <= _LONGEST_NUMBER else f"{_float(number):.4g}"


def _float(text: str) -> float:
    return float(text.lower().replace("d", "e"))


def _end_of_traceback(lines: Sequence[str]) -> str:
    return next((line for line in lines if not line[0].isspace()), _TRACEBACK)


def ends_of(path: Path) -> str:
    """Return the start and end of a file's text, or all of it if it is small."""
    with path.open("rb") as file:
        size = path.stat().st_size
        if size <= HEAD + TAIL:
            return file.read(HEAD + TAIL).decode("utf-8", "replace")
        start = file.read(HEAD)
        file.seek(size - TAIL)
        return f"{start.decode('utf-8', 'replace')}\n{file.read(TAIL).decode('utf-8', 'replace')}"


def _shortened(line: str) -> str:
    text = clean(" ".join(line.split()))
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
