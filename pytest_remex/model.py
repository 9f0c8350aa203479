"""The frozen data behind the words: dimension, sweep, experiment, commit, job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pytest_remex.common.jobs import Job
from pytest_remex.errors import RemoteError, SweepError

Scalar: TypeAlias = str | int | float | bool | None
Value: TypeAlias = "Scalar | list[Value] | dict[str, Value]"
"""What a parameter may be: anything that JSON can hold, so that a launch record can keep it."""

Config: TypeAlias = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Dimension:
    """Parameter names and the value tuples that they take together."""

    names: tuple[str, ...]
    values: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True, slots=True)
class Sweep:
    """A decorated function's dimensions and base config: the plan of a grid."""

    name: str
    dimensions: tuple[Dimension, ...] = ()
    base_config: Config = field(default_factory=dict)
    branch: str = "HEAD"
    fetch: tuple[str, ...] = ()
    config_file: str | None = None
    link_name: str | None = None


@dataclass(frozen=True, slots=True)
class Experiment:
    """One point of the grid, as a sweep function sees it.

    `config` is the base config with the point laid over it; `path` is a scratch checkout of the
    base commit, whose edits become the experiment's commit.
    """

    sweep: Sweep = field(repr=False)
    id: str
    point: Config = field(repr=False)
    config: Config
    path: Path = field(repr=False)


@dataclass(frozen=True, slots=True)
class Commit:
    """An experiment's identity: base commit and tree. `sha` also covers the message."""

    sha: str
    tree: str
    base: str

    @property
    def identity(self) -> tuple[str, str]:
        """Two commits of equal identity are the same experiment, whatever their messages."""
        return self.base, self.tree


@dataclass(frozen=True, slots=True)
class Repo:
    """The user's repository: a description, not a connection. `path` is its work tree."""

    path: Path

    def __init__(self, path: str | Path) -> None:
        object.__setattr__(self, "path", Path(path).expanduser().absolute())


@dataclass(frozen=True, slots=True)
class Remote:
    """Where runs happen: a description, not a connection.

    `host` is `user@machine` or an ssh_config alias, or None for this machine; `clone` is the
    repository's clone there, and `runs` the folder that holds the run directories (both as paths
    of the cluster, `~` allowed). `via="connection"` sends commits as a git bundle over the ssh
    connection instead of through origin. `shared` names paths of the repository that run
    directories link to, from one read-only copy per base commit. `shell` is a command line (one
    string, split as by sh) that starts programs on the cluster: it receives the command to run as
    a single argument after its own, as in `bash -lc COMMAND`.
    """

    host: str | None
    clone: str = ""
    runs: str = ""
    via: Literal["origin", "connection"] = "origin"
    shared: Sequence[str] = ()
    shell: str = "bash -lc"

    def __post_init__(self) -> None:
        """Take paths of any kind. Raises `SweepError` for what cannot be meant."""
        if isinstance(self.shared, str):
            raise SweepError(f"shared={self.shared!r} is one string: write shared=[...]")
        if self.via not in {"origin", "connection"}:
            raise SweepError(f"via={self.via!r}: write 'origin' or 'connection'")
        if self.host is not None and (not self.host or self.host.startswith("-")):
            raise SweepError(f"host {self.host!r} is no machine: write user@machine, or None")
        object.__setattr__(self, "clone", str(self.clone))
        object.__setattr__(self, "runs", str(self.runs))
        object.__setattr__(self, "shared", tuple(map(str, self.shared)))


@dataclass(frozen=True, slots=True)
class Run:
    """An experiment that ran, as a sweep function gets it back from `yield`.

    `path` holds the fetched outputs, `config` what was read back from what ran (None where nothing
    could be), `output` the file of the job's output (None where it is not here).
    """

    path: Path
    config: Config | None = field(repr=False)
    job: Job = field(repr=False)
    output: Path | None = field(repr=False)
    experiment: Experiment = field(repr=False)
    reader: Callable[[Path], object] = field(repr=False)

    @property
    def log(self) -> str:
        """The text of the job's output; empty where it is not here."""
        return "" if self.output is None else self.output.read_text("utf-8", "replace")

    def read(self, name: str) -> Any:  # noqa: ANN401 - the reader of the file's kind decides
        """Read an output by its path in the run directory, with the reader of its kind.

        Raises `RemoteError` where the output was not fetched, and `SweepError` where `name`
        leaves the run directory.
        """
        path = (self.path / name).resolve()
        if not path.is_relative_to(self.path.resolve()):
            raise SweepError(f"{name!r} leaves the run directory: name an output inside it")
        if not path.exists():
            raise RemoteError(
                f"{name!r} is not among the fetched outputs in {self.path}: "
                f"add it to the sweep's fetch=[...], or see whether the job wrote it"
            )
        return self.reader(path)
