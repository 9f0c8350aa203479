"""The arguments of a sweep function: the experiment before its `yield`, the run after it.

An experiment may come after another, its upstream, and bring files from its run directory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from pytest_remex.common.jobs import Job, JobState
from pytest_remex.errors import RemoteError, SweepError
from pytest_remex.model import Config, Sweep

_SHA256 = 64
"""Hexadecimal digits of a SHA-256."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """The experiment that another one comes after: `experiment.upstream`.

    Args:
        sweep: Its sweep.
        id: Its name in that sweep.
        point: The parameters that vary there, with their values here.
        config: Its config.
        comes_after: The experiment that it comes after itself; None for none.
        brought: The files to bring so far: paths in the run directory, and in the upstream's.
        copied: Those of the paths in the run directory that are copies.

    Example:
        >>> def evolve(experiment):
        ...     mass = experiment.upstream.config["initial_mass"]
        ...     experiment.upstream.bring("final.mod", "start.mod")

    """

    sweep: Sweep = field(repr=False)
    id: str
    point: Config = field(repr=False)
    config: Config
    comes_after: Upstream | None = field(default=None, repr=False)
    brought: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    copied: set[str] = field(default_factory=set, repr=False, compare=False)

    @property
    def upstream(self) -> Upstream:
        """The experiment that it comes after itself."""
        if self.comes_after is None:
            raise SweepError(f"sweep {self.sweep.name} comes after no other: it has no after=")
        return self.comes_after

    def bring(self, source: str, target: str | None = None, *, copy: bool = False) -> None:
        """Bring a file or folder of its run directory into this one before the job starts.

        The job does not run if it is missing or empty.

        Args:
            source: The path in the upstream's run directory, such as `final.mod`.
            target: The path in this run directory; None for the same.
            copy: Whether it is a copy, which the job may change, and not a link. A job that starts
                over gets a new one; one that continues keeps its own.

        Raises:
            SweepError: A path is absolute, leaves the run directory, or `target` is there already.

        """
        to = _path(source if target is None else target)
        if to in self.brought:
            raise SweepError(f"bring: {to!r} is brought twice: give one of them another name")
        self.brought[to] = _path(source)
        if copy:
            self.copied.add(to)


def _path(text: str) -> str:
    if not isinstance(text, str):
        raise SweepError(f"bring: {text!r} must be a path in a run directory, as text")
    path = PurePosixPath(text)
    wrong = path.is_absolute() or not path.parts or {"..", ".remex", ".git"} & {*path.parts}
    if wrong or "\n" in text or "\0" in text or len(text) > 1000:  # noqa: PLR2004 - any path is shorter
        raise SweepError(f"bring: {text!r:.80} must be a relative path inside the run directory")
    return str(path)


def config_at(sweep: Sweep, point: Config) -> Config:
    """Return the config of a point: the sweep's base config, with its own parameters on top."""
    first = len(sweep.after.dimensions) if sweep.after else 0
    last = len(sweep.dimensions) - (sweep.replicates > 1)
    own = [name for dimension in sweep.dimensions[first:last] for name in dimension.names]
    return {**sweep.base_config, **{name: point[name] for name in own}}


def refuse_cycle(sweep: Sweep) -> None:
    """Raise `SweepError` for a sweep that comes after one of its own name, however far above."""
    before = sweep.after
    while before is not None:
        if before.name == sweep.name:
            raise SweepError(
                f"sweep {sweep.name!r} comes after a sweep of its own name: a chain has no cycle, "
                f"and each of its sweeps a name of its own"
            )
        before = before.after


def staged_fingerprint(tree: str, upstream: str, brought: Mapping[str, str]) -> str:
    """Return the fingerprint of an experiment that comes after another.

    Args:
        tree: The git tree id of its own inputs.
        upstream: The fingerprint of the other.
        brought: The files to bring: paths in its run directory, and the paths in the other's.

    Returns:
        As many hexadecimal digits as `tree` has.

    """
    digest = hashlib.new("sha256" if len(tree) == _SHA256 else "sha1")
    files = (f"bring {source}\0{target}" for target, source in sorted(brought.items()))
    for line in (f"inputs {tree}", f"after {upstream}", *files):
        digest.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Experiment:
    """One point of the grid, as a sweep function sees it: the fixture `experiment`.

    Args:
        sweep: The sweep that it belongs to.
        id: Its name in the sweep, such as `initial_mass=10-initial_y=0.27`.
        point: The values of the parameters that vary.
        config: The sweep's base config, updated with the point.
        path: A scratch checkout of the base commit. The function's changes in it, before its
            `yield`, become the experiment's commit.
        sbatch_options: The options that `sbatch` has set, by their long names.
        recipe: The variant of the patch to use: one of the sweep's `recipes`.
        comes_after: The value of `upstream`; None if its sweep comes after no other.

    Example:
        >>> def tams(experiment):
        ...     inlist = experiment.path / "inlist_project"
        ...     inlist.write_text(f"initial_mass = {experiment.config['initial_mass']}")

    """

    sweep: Sweep = field(repr=False)
    id: str
    point: Config = field(repr=False)
    config: Config
    path: Path = field(repr=False)
    sbatch_options: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    recipe: Config = field(default_factory=dict, repr=False)
    comes_after: Upstream | None = field(default=None, repr=False)

    @property
    def replicate(self) -> int:
        """Which of the point's replicates it is, from 1 on: for a seed, say."""
        return self.sweep.replicate_in(self.point)

    @property
    def upstream(self) -> Upstream:
        """The experiment that this one comes after; `SweepError` if its sweep has no `after=`."""
        if self.comes_after is None:
            raise SweepError(f"sweep {self.sweep.name} has no after=: it comes after no other")
        return self.comes_after

    @property
    def asked(self) -> Config:
        """The config that the patch should write: the recipe's values override the sweep's."""
        return {name: self.recipe.get(name, value) for name, value in self.config.items()}

    def sbatch(self, **options: str | int) -> None:
        """Set options of sbatch for this experiment, before its `yield`.

        They say when and where it may run. They override the script's header; `--remex-sbatch` on
        the command line overrides them.

        Args:
            options: Long names with `_` for `-`, such as `time`, `mem`, `partition`, `mail_type`.
                The submit refuses those that do more than say when and where a job runs.

        Example:
            >>> def tams(experiment):
            ...     if experiment.config["initial_mass"] > 50:
            ...         experiment.sbatch(time="2-0", mem="8G")

        """
        for name, value in options.items():
            self.sbatch_options[name.replace("_", "-")] = str(value)


def full_name(experiment: Experiment | Upstream) -> str:
    """Return an experiment's name for messages: its sweep's, with its id if it has one.

    Example:
        >>> full_name(Experiment(Sweep("tams"), "mass=10", {"mass": 10}, {"mass": 10}, Path()))
        'tams[mass=10]'

    """
    name = experiment.sweep.name
    return f"{name}[{experiment.id}]" if experiment.id else name


def as_written(experiment: Experiment) -> Experiment:
    """Return an experiment for its sweep function, with the members of enums that the user wrote.

    It shares with the given one what the function sets in it.
    """
    sweep = experiment.sweep
    if not sweep.members:
        return experiment
    return replace(
        experiment,
        point=sweep.as_written(experiment.point),
        config=sweep.as_written(experiment.config),
        recipe=sweep.as_written(experiment.recipe),
        comes_after=_upstream_as_written(experiment.comes_after),
    )


def _upstream_as_written(upstream: Upstream | None) -> Upstream | None:
    if upstream is None:
        return None
    return replace(
        upstream,
        point=upstream.sweep.as_written(upstream.point),
        config=upstream.sweep.as_written(upstream.config),
        comes_after=_upstream_as_written(upstream.comes_after),
    )


class Recorder(Protocol):
    """Stores what a sweep function records: see `Run.record` and `Run.curve`."""

    def record(self, measures: Mapping[str, object]) -> None:
        """Store measures."""

    def curve(  # noqa: PLR0913 - as Run.curve
        self,
        name: str,
        x: Sequence[float],
        y: Sequence[float],
        *,
        x_label: str,
        y_label: str,
        x_reversed: bool,
    ) -> None:
        """Store a curve."""


@dataclass(frozen=True, slots=True)
class Run:
    """An experiment that ran, as a sweep function gets it back from `yield`.

    Args:
        path: The folder of the fetched outputs.
        config: The config read back from the files that ran; None if it could not be read.
        job: The job's id, state, exit code, and times in seconds.
        output: The file with the job's standard output; None if it was not fetched.
        experiment: The experiment that ran.
        reader: Reads an output file by its kind.
        recorder: Stores what is recorded; None if the run is not being judged.
        upstream: The run that it came after, with its fetched outputs; None if there is none.

    Example:
        >>> def tams(experiment):
        ...     run = yield
        ...     history = run.read("LOGS/history.data")
        ...     assert history.center_h1.iloc[-1] < 1e-3

    """

    path: Path
    config: Config | None = field(repr=False)
    job: Job = field(repr=False)
    output: Path | None = field(repr=False)
    experiment: Experiment = field(repr=False)
    reader: Callable[[Path, Mapping[str, object]], object] = field(repr=False)
    recorder: Recorder | None = field(default=None, repr=False)
    upstream: Run | None = field(default=None, repr=False)

    @property
    def log(self) -> str:
        """The text of the job's output; empty if it was not fetched."""
        return "" if self.output is None else self.output.read_text("utf-8", "replace")

    def read(self, name: str, **options: object) -> Any:  # noqa: ANN401 - the file's reader decides
        """Read an output with the reader for its kind of file.

        Args:
            name: The output's path in the run directory.
            options: Options of the reader, such as `columns=[...]` for a table.

        Returns:
            The result of the reader, such as a DataFrame for a CSV file.

        Raises:
            RemoteError: The output was not fetched.
            SweepError: `name` leaves the run directory.

        Example:
            >>> run.read("LOGS/history.data", columns=["star_age"]).star_age.iloc[-1]
            11524000.0

        """
        path = (self.path / name).resolve()
        if not path.is_relative_to(self.path.resolve()):
            raise SweepError(f"{name!r} leaves the run directory: use the path of an output in it")
        if not path.exists() and self.job.state is JobState.PURGED:
            raise RemoteError(
                f"{name!r} of {full_name(self.experiment)} is lost: {self.job.reason}"
            )
        if not path.exists():
            raise RemoteError(
                f"{name!r} is not among the fetched outputs in {self.path}: "
                f"add it to the sweep's fetch=[...], or check whether the job wrote it"
            )
        return self.reader(path, options)

    def record(self, measures: Mapping[str, object] | None = None, /, **more: object) -> None:
        """Record measures: columns of the results, kept even if an assertion fails later.

        Args:
            measures: Numbers (also nan), texts and booleans by name, as in `{"L1 error": 0.01}`.
            more: The same, as keyword arguments.

        Raises:
            SweepError: A name was recorded before, or is the name of a parameter or of a column of
                the results; or a value has another type. Earlier measures are kept.

        Example:
            >>> def tams(experiment):
            ...     run = yield
            ...     run.record(age=run.read("LOGS/history.data").star_age.iloc[-1])

        """
        recorder = self._recorder()
        recorder.record(measures or {})
        recorder.record(more)

    def curve(  # noqa: PLR0913 - the contract with users
        self,
        name: str,
        x: Sequence[float],
        y: Sequence[float],
        *,
        x_label: str = "",
        y_label: str = "",
        x_reversed: bool = False,
    ) -> None:
        """Record a curve at full resolution: the report shows it, `curves("tams")` returns it.

        Args:
            name: The curve's name; curves of the same name are drawn in one figure.
            x: The x values of its points, in the order of the line.
            y: The y values; a value that is not finite makes a gap.
            x_label: The title of the x axis.
            y_label: The title of the y axis.
            x_reversed: Whether x increases to the left, as in a Hertzsprung-Russell diagram.

        Raises:
            SweepError: The name was recorded before, or x and y are not equally many numbers.

        Example:
            >>> def tams(experiment):
            ...     run = yield
            ...     history = run.read("LOGS/history.data")
            ...     run.curve("radius", history.star_age, history.radius, x_label="age (yr)")

        """
        self._recorder().curve(name, x, y, x_label=x_label, y_label=y_label, x_reversed=x_reversed)

    def _recorder(self) -> Recorder:
        if self.recorder is None:
            raise SweepError(
                "this run is not being judged: record in the sweep function, after its yield"
            )
        return self.recorder
