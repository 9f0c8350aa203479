"""The texts of what can be wrong with a run: its job, its outputs, the config that ran."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_remex.collect.manifest import first_present
from pytest_remex.collect.pipeline import CollectedRun
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.model import Config, Value
from pytest_remex.sbatch.header import format_duration

TAIL_LINES = 30
TAIL_BYTES = 1 << 16
_MORE = {
    JobState.TIMEOUT: ' --remex-sbatch="--time=..."',
    JobState.OUT_OF_MEMORY: ' --remex-sbatch="--mem=..."',
}
"""The option that gives a run more of what it lacked."""


def last_lines(collected: CollectedRun, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a job's output, empty where it is not on this machine."""
    path = first_present(collected.folder, collected.logs)
    if path is None:
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        text = file.read().decode("utf-8", "replace")
    return "\n".join(text.splitlines()[-lines:])


def job_failure(collected: CollectedRun) -> str:
    """Return why a job failed: the reason, then figures, where it ran, and its last lines."""
    job, remote = collected.job, collected.launch.remote
    place = f"{remote.host}:" if remote.host else ""
    path = f"{remote.runs}/{collected.run.directory}"
    shown = [_reason(job), *_figures(job), f"run directory: {place}{path}"]
    tail = last_lines(collected)
    if tail:
        shown.append(f"the last lines of its output:\n{_indented(tail)}")
    if job.state is not JobState.REJECTED:
        shown.append(_what_next(remote.host, path, collected.logs) + _MORE.get(job.state, ""))
    return "\n".join(shown)


def missing_outputs(collected: CollectedRun) -> str | None:
    """Return which outputs a completed job did not leave; None where all are here."""
    outputs, missing = collected.outputs, collected.missing
    linked = [name for name in outputs.links if name in collected.sweep.fetch]
    if linked:
        return f"output {linked[0]} is a symbolic link on the cluster: links are not followed"
    if not missing:
        return None
    names = ", ".join(missing)
    if outputs.gone:
        return (
            f"the run directory is gone: purged? The output {names} was not fetched before: "
            f"--remex-submit --remex-retry runs it again"
        )
    if not set(missing) <= set(outputs.patterns):
        return f"the output {names} was not fetched yet: collect without --remex-offline"
    return (
        f"the job completed without the output {names}: see its output below, correct fetch=[...], "
        f"or write optional({missing[0]!r}) there"
    )


def config_omissions(asked: Config, ran: Config) -> list[str]:
    """Return the settings asked for that the config that ran does not have."""
    return [name for name, _ in _settings(asked) if name not in ran]


def config_differences(asked: Config, ran: Config, found: str = "ran with") -> list[str]:
    """Return the settings whose value in the config that ran is not the one asked for.

    A name that is not in the config that ran could not be read back, and is not compared; `ran`
    may know a name under other spellings than its own. `found` says where its value is.
    """
    return [
        f"{name}: asked for {value!r}, {found} {ran[name]!r}"
        for name, value in _settings(asked)
        if name in ran and not _same(value, ran[name])
    ]


def _settings(config: Config) -> Iterator[tuple[str, Value]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{inner}", one) for inner, one in _settings(value))
        else:
            yield name, value


def _reason(job: Job) -> str:
    if job.state is JobState.REJECTED:
        return f"not submitted: {job.reason}"
    if job.state is JobState.LOST:
        return (
            f"job {job.id} is LOST: {job.reason}; see whether it ran, and submit it again with "
            f"--remex-retry if it did not"
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


def _what_next(host: str | None, path: str, patterns: tuple[str, ...]) -> str:
    where = f"ssh {host} " if host else ""
    file = f"{path}/{patterns[0]}" if patterns else path
    return f"to see more: {where}less '{file}'; to run it again: --remex-submit --remex-retry"


def _size(size: int) -> str:
    scaled, units = float(size), iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while scaled >= 1000 and unit != "TB":  # noqa: PLR2004 - the step between units
        scaled, unit = scaled / 1000, next(units)
    return f"{scaled:.3g} {unit}"


def _same(asked: Value, ran: Value) -> bool:
    if isinstance(asked, bool) or isinstance(ran, bool):
        return asked is ran
    if isinstance(asked, str) and isinstance(ran, str):
        return asked.rstrip() == ran.rstrip()
    return asked == ran


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
