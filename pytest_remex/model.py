"""The shared data types: dimension, sweep, commit, repository, remote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path, PurePath
from typing import Literal, NamedTuple, TypeAlias, cast

from pytest_remex.errors import SweepError

Scalar: TypeAlias = str | int | float | bool | None
Value: TypeAlias = "Scalar | list[Value] | dict[str, Value]"
"""The possible types of a parameter: those of JSON, so that launch records can store it."""

Config: TypeAlias = Mapping[str, Value]

Members: TypeAlias = dict[tuple[str, str], Enum]
"""Members of enums of text or numbers, by the parameter and the `repr` of the value stored."""

LARGEST_EXACT = 2**53
"""Up to this size a float holds any whole number exactly."""


REPLICATE = "replicate"
"""The dimension that counts replicates, and its column in the results."""
SCRIPT = "run.sbatch"
"""The default batch script of a sweep."""
CONTROL = ("README*", "docs/", "*.ipynb")
"""The default of `remex_control`: patterns of files that no job reads."""


class OptionalOutput(str):
    """A pattern in `fetch` for outputs that need not exist; otherwise an ordinary string."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return its notation in a sweep file."""
        return f"optional({str(self)!r})"


class Dimension(NamedTuple):
    """Parameter names and the value tuples that they take together."""

    names: tuple[str, ...]
    values: tuple[tuple[Value, ...], ...]


class Tolerance(NamedTuple):
    """How far a measure may be from what it is compared with; one bound that holds is enough.

    Args:
        rel: The largest relative difference; None for no such bound.
        abs: The largest absolute difference; None for no such bound.
        sigma: With replicates: the largest difference of the means, in standard errors of it.

    """

    rel: float | None = None
    abs: float | None = None
    sigma: float = 3.0


@dataclass(frozen=True, slots=True)
class Sweep:
    """A decorated function's dimensions, base config and options."""

    name: str
    dimensions: tuple[Dimension, ...] = ()
    base_config: Config = field(default_factory=dict)
    branch: str = "HEAD"
    fetch: tuple[str, ...] = ()
    """Patterns of outputs to fetch; outputs of an `OptionalOutput` need not exist."""
    config_files: tuple[str, ...] = ()
    link_name: str | None = None
    inputs: tuple[str, ...] | None = None
    """Patterns of the declared inputs; None if all files except control files are inputs."""
    script: str = SCRIPT
    float_texts: Mapping[str, Mapping[float, str]] = field(
        default_factory=dict, repr=False, compare=False
    )
    """The texts in ids for a parameter's floats that have many digits."""
    recipes: tuple[Config, ...] = ()
    """Variants of the patch, tried in turn when a run fails; empty if there is only one."""
    after: Sweep | None = None
    """The sweep that it comes after, whose dimensions are the first of `dimensions`."""
    file: str = field(default="", compare=False)  # where its function is written
    replicates: int = 1
    """How often each point is run; above 1, the last dimension counts them."""
    tolerance: Mapping[str, Tolerance] = field(default_factory=dict)
    """By the measure's name, "" for all others: how far they may be from those of another base."""
    members: Members = field(default_factory=dict, repr=False, compare=False)
    """The members of enums that the user wrote; everything else here has their plain values."""

    @property
    def is_replicated(self) -> bool:
        """Whether its points, or those of a sweep that it comes after, have replicates."""
        return self.replicates > 1 or (self.after is not None and self.after.is_replicated)

    @property
    def counts_replicates(self) -> bool:
        """Whether `replicate` counts replicates in its points: unless a parameter is called so."""
        return self.is_replicated or all(REPLICATE not in each.names for each in self.dimensions)

    @property
    def stated_replicates(self) -> int:
        """How many replicates of a point `replicates=` asks for, here or in a sweep before it."""
        return max(self.replicates, self.after.stated_replicates if self.after else 1)

    def replicate_in(self, point: Config) -> int:
        """Return which replicate a point is, from 1 on."""
        number = point.get(REPLICATE) if self.counts_replicates else 1
        return number if isinstance(number, int) else 1

    def is_added(self, point: Config) -> bool:
        """Return whether a point is an added replicate, above those that the sweep states."""
        return self.replicate_in(point) > self.stated_replicates

    def as_written(self, config: Config) -> dict[str, Value]:
        """Return a config or point with the members of enums that the user wrote as values."""
        return {name: _as_written(value, name, self.members) for name, value in config.items()}

    def recipe(self, number: int) -> Config:
        """Return a recipe; an empty one if the sweep does not (or no longer) have that many."""
        return self.recipes[number] if number < len(self.recipes) else {}

    @property
    def config_file(self) -> str | None:
        """The config file, or the first of several; None if there is none."""
        return next(iter(self.config_files), None)


def _as_written(value: Value, name: str, members: Members) -> Value:
    if isinstance(value, list):
        return [_as_written(one, name, members) for one in value]
    if isinstance(value, dict):
        return {key: _as_written(one, f"{name}.{key}", members) for key, one in value.items()}
    return cast("Value", members.get((name, repr(value)), value))


class Commit(NamedTuple):
    """An experiment's commit: base and patch. The `sha` also depends on the message."""

    sha: str
    tree: str
    base: str

    @property
    def identity(self) -> tuple[str, str]:
        """Base and tree: if both are equal, two commits are the same experiment."""
        return self.base, self.tree


class Identity(NamedTuple):
    """What identifies an experiment on every machine and under every name.

    `fingerprint` is the git tree id of its inputs; `patterns` the digest of the rules that say what
    is an input; `changed` what its patch did to inputs: path, mode and blob of each, mode and blob
    empty if it was removed. If it comes after another experiment, `fingerprint` also covers
    that one's and what is brought, and `inputs` is the tree id.
    """

    fingerprint: str
    patterns: str
    changed: tuple[tuple[str, str, str], ...] = ()
    replicate: int = 0
    inputs: str = ""


@dataclass(frozen=True, slots=True)
class Repo:
    """The user's repository: a description, not a connection.

    Args:
        path: A folder in its work tree. `~` is the home folder; a relative path is relative to the
            working directory.

    Raises:
        SweepError: The path is neither a string nor a path.

    Example:
        >>> Repo("~/codes/star").path
        PosixPath('/home/me/codes/star')

    """

    path: Path

    def __init__(self, path: str | Path) -> None:
        if not isinstance(path, str | PurePath):
            raise SweepError(f"Repo({path!r}): write the repository's path as a string")
        object.__setattr__(self, "path", Path(path).expanduser().absolute())


@dataclass(frozen=True, slots=True)
class Remote:
    """Where jobs run: a description, not a connection.

    Args:
        host: `user@machine` or an alias of ssh_config; None for this machine.
        clone: The path of the repository's clone on the cluster; `~` is the home folder there.
        runs: The path of the folder on the cluster for the run directories.
        via: How commits get to the clone: `"origin"`, through a temporary branch on the git remote
            origin; or `"connection"`, as a git bundle over the ssh connection.
        shared: Paths of the repository that run directories link to, in one read-only copy per base
            commit.
        shell: A command line (one string, split as by sh) that starts programs on the cluster: it
            receives the command to run as a single argument after its own, as in
            `bash -lc COMMAND`.
        transport: How this machine gets there: `"fabric"`, by a login of our own; `"openssh"`, by
            the ssh command, with all that it knows (GSSAPI, security keys, open connections);
            `"auto"`: ssh if it has an open connection (ControlMaster), else Fabric.
        transfer_host: `user@machine` or an alias through which outputs are fetched, such as a data
            node, where `runs` is the same folder; empty: through `host`.

    Raises:
        SweepError: A value is invalid, such as a host that begins with `-`.

    Example:
        >>> Remote("me@login.cluster.org", clone="~/star", runs="/scratch/me/runs")

    """

    host: str | None
    clone: str = ""
    runs: str = ""
    via: Literal["origin", "connection"] = "origin"
    shared: Sequence[str] = ()
    shell: str = "bash -lc"
    transport: Literal["auto", "fabric", "openssh"] = field(default="auto", compare=False)
    transfer_host: str = field(default="", compare=False)

    @property
    def place(self) -> str:
        """The place as text: `cluster:/path/runs`, or `this machine`."""
        return "this machine" if self.host is None else f"{self.host}:{self.runs}"

    def is_same_place(self, other: Remote) -> bool:
        """Return whether another remote is the same place; other settings are ignored."""
        return (self.host, self.clone, self.runs) == (other.host, other.clone, other.runs)

    def reached_as(self, other: Remote) -> Remote:
        """Return this place, reached as another remote on its host is now; else as it is."""
        if self.host != other.host:
            return self
        return replace(
            self,
            shell=other.shell,
            transport=other.transport,
            transfer_host=other.transfer_host,
        )

    def __post_init__(self) -> None:
        """Check the values, and convert paths to text."""
        for name in ("host", "clone", "runs", "shell", "transfer_host"):
            if name != "host" or self.host is not None:
                object.__setattr__(self, name, _text(getattr(self, name), name))
        if isinstance(self.shared, str | bytes) or not isinstance(self.shared, Iterable):
            raise SweepError(f"shared={self.shared!r} is not a list of paths: write shared=[...]")
        if self.via not in ("origin", "connection"):
            raise SweepError(f"via={self.via!r}: write 'origin' or 'connection'")
        if self.transport not in ("auto", "fabric", "openssh"):
            raise SweepError(f"transport={self.transport!r}: write 'auto', 'fabric' or 'openssh'")
        if self.host is not None and (not self.host or self.host.startswith("-")):
            raise SweepError(f"{self.host!r} is not a host name: write user@machine, or None")
        if self.transfer_host.startswith("-"):
            raise SweepError(f"transfer_host={self.transfer_host!r}: write user@machine")
        if self.transfer_host and self.host is None:
            raise SweepError(f"transfer_host={self.transfer_host!r} needs a host too")
        object.__setattr__(self, "shared", tuple(map(str, self.shared)))


def _text(value: object, name: str) -> str:
    """Return a string, or a path as one. Raises `SweepError` for anything else."""
    if not isinstance(value, str | PurePath):
        raise SweepError(f"Remote(..., {name}={value!r}): write a string")
    return str(value)
