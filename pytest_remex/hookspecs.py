"""The hooks that an extension, or a user's conftest.py, can implement.

The MESA extension uses only these. All hooks run on this machine, none on the cluster.
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
    from pytest_remex.experiment import Experiment, Run
    from pytest_remex.model import Config, Scalar

hookspec = pluggy.HookspecMarker("pytest")
"""The same marker as pytest's; these hooks are also called without pytest."""


class RunFile(NamedTuple):
    """A file in a run directory.

    Args:
        path: Its path in the run directory.
        size: Its size in bytes.
        modified: When it was last written, in seconds since 1970.

    """

    path: str
    size: int
    modified: float


@dataclass(frozen=True, slots=True)
class ContinueProbe:
    """What an extension needs to know before it decides how a run continues.

    Args:
        patterns: Globs of files to list, relative to the run directory; if very many match, only
            the newest are listed.
        memo: Any object to pass to `pytest_remex_continue`, such as settings read from the
            checkout.
    """

    patterns: tuple[str, ...]
    memo: object = None


@dataclass(frozen=True, slots=True)
class Continuation:
    """How to continue a run whose job was ended early.

    Args:
        command: The command, as words, to run in its run directory; empty to start the experiment
            from scratch in a new run directory.
        reason: A clause that says why, shown by plan and submit.
    """

    command: tuple[str, ...] = ()
    reason: str = ""


@hookspec(firstresult=True)
def pytest_remex_read(path: Path, options: Mapping[str, object]) -> object | None:
    """Read an output for `run.read(name, **options)`.

    Args:
        path: The output's file on this machine.
        options: The keyword arguments of `run.read`, such as `columns`; a reader uses those that
            it knows. As with any hook, an implementation can leave out the argument.

    Returns:
        The file's content, in any form; None leaves it to the next hook.
    """


@hookspec(firstresult=True)
def pytest_remex_config(path: Path, config_file: str | Sequence[str] | None) -> Config | None:
    """Read back the config that ran, from a run's outputs.

    Args:
        path: The folder of the outputs.
        config_file: The sweep's config file, relative to `path`; a list if there are several, None
            if there is none.

    Returns:
        The config, with the names that sweeps use; names that are not in the sweep's config are
        ignored. None leaves it to the next hook.
    """


@hookspec
def pytest_remex_inspect(
    experiment: Experiment, originals: Mapping[str, bytes]
) -> Sequence[str] | None:
    """Inspect a patched checkout before anything is submitted.

    Args:
        experiment: The experiment; its `path` is the patched checkout.
        originals: The bytes in the base of the files that the patch changed, by path.

    Returns:
        Warnings, one sentence each.
    """


@hookspec(firstresult=True)
def pytest_remex_continue_probe(experiment: Experiment) -> ContinueProbe | None:
    """Say which files in a run directory decide how a run continues.

    A retry calls this before it queries the job's state.

    Args:
        experiment: The experiment; its `path` is the patched checkout that the run started from.

    Returns:
        The files to list on the cluster for `pytest_remex_continue`; None leaves it to the next
        hook.
    """


@hookspec(firstresult=True)
def pytest_remex_continue(
    run: Run, files: Sequence[RunFile] | None, memo: object
) -> Continuation | Sequence[str] | None:
    """Continue a run that hit its time limit, was preempted, or lost its node.

    The batch script gets the command in the environment variable REMEX_COMMAND, and runs it instead
    of its usual command. The output is appended to that of the earlier jobs.

    Args:
        run: The run, with its outputs so far; a plan does not fetch any.
        files: The files in the run directory on the cluster that match the patterns of
            `pytest_remex_continue_probe`; None if nothing was listed.
        memo: The memo of the probe.

    Returns:
        The command, with the reason or only as words; None or an empty command starts the
        experiment from scratch in a new run directory.
    """


@hookspec(firstresult=True)
def pytest_remex_progress(run: Run) -> float | None:
    r"""Read a running job's progress from its output, for `--remex-status`.

    Args:
        run: The run: `run.log` is the end of its job's output so far, at most 8 KB of each file;
            nothing else has been fetched yet.

    Returns:
        The progress from 0 to 1, such as 0.4 for 40 %; None leaves it to the next hook.

    Example:
        >>> def pytest_remex_progress(run):
        ...     steps = re.findall(r"step (\d+)", run.log)
        ...     return int(steps[-1]) / run.experiment.config["steps"] if steps else None

    """


@hookspec
def pytest_remex_ended(jobs: Mapping[str, Job]) -> None:
    """Receive the jobs when `--remex-wait` is over because all have ended.

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
    """Add columns to the results for a run whose outputs have been fetched.

    Args:
        run: The run.

    Returns:
        Values by column; values that the sweep function returns override them.
    """


@hookspec
def pytest_remex_uniform() -> Sequence[str] | None:
    """Name columns of the results that should be equal in all rows, such as a program's version.

    Returns:
        The names; if a column has several values, collect and the report say how many rows have
        each.
    """


@hookspec(firstresult=True)
def pytest_remex_link_name(row: Mapping[str, Scalar], output: str) -> str | None:
    """Name the link to an output.

    Args:
        row: The run's row of the results, by column.
        output: The output's path in the run directory.

    Returns:
        The name; unsafe characters are replaced. None leaves it to the next hook.
    """


@hookspec
def pytest_remex_figures(results: pd.DataFrame, folder: Path) -> Sequence[object] | None:
    """Add figures to the report.

    Args:
        results: A sweep's results; column `path` is relative to `folder`.
        folder: The folder of the results.

    Returns:
        Plotly figures, which are shown unchanged; `pytest_remex.report.Overlay`s: observed or
        reference data, drawn over the page's own figure when its axes are the columns `x` and `y`,
        or over the curves named `curve`; and `pytest_remex.report.Curve`s of experiments, in full,
        which the page treats like those recorded with `run.curve`.

    Example:
        >>> def pytest_remex_figures(results, folder):
        ...     return [Overlay("observed", xs=[10, 15], ys=[4.1, 4.6], x="mass", y="log_L")]

    """


@hookspec
def pytest_remex_submitted(launch: str, jobs: Mapping[str, str]) -> None:
    """Receive the job ids of a batch that has been submitted.

    Args:
        launch: The launch's id.
        jobs: The job ids of the batch, by node ID.
    """


@hookspec
def pytest_remex_collected(results: pd.DataFrame, folder: Path) -> None:
    """Receive a sweep's results after the results, links and report have been written.

    Args:
        results: The results.
        folder: The folder that contains them.
    """
