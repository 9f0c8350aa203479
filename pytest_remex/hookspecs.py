"""The hooks: what an extension, or a user's conftest.py, can add.

The MESA extension uses these and nothing else. Each runs on this machine; none on the cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import pluggy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from pytest_remex.common.jobs import Job
    from pytest_remex.model import Config, Experiment, Run, Scalar

hookspec = pluggy.HookspecMarker("pytest")
"""As pytest's own: the engines call these hooks without pytest too."""


class RunFile(NamedTuple):
    """A file of a run directory: its path there, its size in bytes, its time of change in s."""

    path: str
    size: int
    modified: float


@dataclass(frozen=True, slots=True)
class ContinueProbe:
    """What an extension wants to know before it decides how a run goes on.

    Args:
        patterns: Globs, relative to the run directory, of files to list there; of a run with very
            many, the newest are listed.
        memo: Anything to be handed on to `pytest_remex_continue`, such as what stood in the
            checkout.
    """

    patterns: tuple[str, ...]
    memo: object = None


@dataclass(frozen=True, slots=True)
class Continuation:
    """How a run goes on whose job was ended early.

    Args:
        command: The command, as words, to run in its run directory; empty where the experiment
            starts afresh, in a new run directory.
        reason: A clause that says why so, for plan and submit.
    """

    command: tuple[str, ...] = ()
    reason: str = ""


@hookspec(firstresult=True)
def pytest_remex_read(path: Path, options: Mapping[str, object]) -> object | None:
    """Read an output for `run.read(name, **options)`.

    Args:
        path: The output's file here.
        options: The keyword arguments of `run.read`, such as `columns`; a reader takes those that
            it knows. As with any hook, an implementation may leave the argument out.

    Returns:
        What the file holds, in any form; None leaves it to the next hook.
    """


@hookspec(firstresult=True)
def pytest_remex_config(path: Path, config_file: str | Sequence[str] | None) -> Config | None:
    """Read back the config that ran, from a run's outputs.

    Args:
        path: The folder of the outputs.
        config_file: The sweep's config file, relative to `path`; a list where it names several,
            None where it names none.

    Returns:
        The config, by the names that a sweep's config uses; a name that is not in the sweep's
        config is ignored. None leaves it to the next hook.
    """


@hookspec
def pytest_remex_inspect(
    experiment: Experiment, originals: Mapping[str, bytes]
) -> Sequence[str] | None:
    """Look at a patched checkout before anything is sent.

    Args:
        experiment: The experiment; its `path` is the patched checkout.
        originals: What the files that the patch touched were in the base, by path.

    Returns:
        Warnings, one sentence each.
    """


@hookspec(firstresult=True)
def pytest_remex_continue_probe(experiment: Experiment) -> ContinueProbe | None:
    """Say which files of a run directory decide how a run goes on.

    Called by a retry, before its job's state is asked for.

    Args:
        experiment: The experiment; its `path` is the patched checkout, as the run began with it.

    Returns:
        What is to be listed on the cluster for `pytest_remex_continue`; None leaves it to the next
        hook.
    """


@hookspec(firstresult=True)
def pytest_remex_continue(
    run: Run, files: Sequence[RunFile] | None, memo: object
) -> Continuation | Sequence[str] | None:
    """Continue a run that hit its time limit, was preempted, or lost its node.

    The batch script gets the command in the environment variable REMEX_COMMAND, and runs it in
    place of its usual one. Its output is appended to that of the jobs before it.

    Args:
        run: The run, with the outputs that it left; a plan fetches none.
        files: What matched the patterns of `pytest_remex_continue_probe` in the run directory on
            the cluster; None where nothing was listed.
        memo: That of the probe.

    Returns:
        The command, with the reason or only as words; None, and an empty command, start the
        experiment afresh in a new run directory.
    """


@hookspec(firstresult=True)
def pytest_remex_progress(run: Run) -> float | None:
    r"""Read from the output of a running job how far it is; `--remex-status` shows it.

    Args:
        run: The run: `run.log` is the end of its job's output so far, at most 8 KB of each file;
            nothing else is fetched yet.

    Returns:
        A part of 1, as 0.4 for 40 %; None leaves it to the next hook.

    Example:
        >>> def pytest_remex_progress(run):
        ...     steps = re.findall(r"step (\d+)", run.log)
        ...     return int(steps[-1]) / run.experiment.config["steps"] if steps else None

    """


@hookspec
def pytest_remex_ended(jobs: Mapping[str, Job]) -> None:
    """Learn that `--remex-wait` is over: all jobs have ended.

    Args:
        jobs: The jobs by node ID.

    Example:
        >>> def pytest_remex_ended(jobs):
        ...     failed = sum(job.state.failed for job in jobs.values())
        ...     text = f"{len(jobs)} jobs have ended, {failed} failed"
        ...     subprocess.run(["mail", "-s", text, "me@example.org"], input=b"", check=True)

    """


@hookspec
def pytest_remex_measures(run: Run) -> Mapping[str, Scalar] | None:
    """Add columns to the results for a run whose outputs are here.

    Args:
        run: The run.

    Returns:
        Values by column; those that the sweep function returns win.
    """


@hookspec
def pytest_remex_uniform() -> Sequence[str] | None:
    """Name columns of the results that should be one in all rows, such as a program's version.

    Returns:
        The names; where a column has several values, collect and report tell how many rows each
        has.
    """


@hookspec(firstresult=True)
def pytest_remex_link_name(row: Mapping[str, Scalar], output: str) -> str | None:
    """Name the link to an output.

    Args:
        row: The run's row of the results, by column.
        output: The output's path in the run directory.

    Returns:
        The name, which is made safe afterwards; None leaves it to the next hook.
    """


@hookspec
def pytest_remex_figures(results: pd.DataFrame, folder: Path) -> Sequence[object] | None:
    """Add figures to the report.

    Args:
        results: A sweep's results; column `path` is relative to `folder`.
        folder: The folder of the results.

    Returns:
        Plotly figures, which are shown as they are; `pytest_remex.report.Overlay`s: observed or
        reference data, laid over the page's own figure where its axes are the columns `x` and `y`,
        or over the curves named `curve`; and `pytest_remex.report.Curve`s of experiments, in full,
        which the page treats as those that `run.curve` keeps.

    Example:
        >>> def pytest_remex_figures(results, folder):
        ...     return [Overlay("observed", xs=[10, 15], ys=[4.1, 4.6], x="mass", y="log_L")]

    """


@hookspec
def pytest_remex_submitted(launch: str, jobs: Mapping[str, str]) -> None:
    """Learn that a batch has been submitted.

    Args:
        launch: The launch's id.
        jobs: The job ids of the batch, by node ID.
    """


@hookspec
def pytest_remex_collected(results: pd.DataFrame, folder: Path) -> None:
    """Learn that a sweep's results, links and report have been written.

    Args:
        results: The results.
        folder: The folder that holds them.
    """
