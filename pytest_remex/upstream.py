"""The upstream of an experiment, and the files to bring from its run directory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pytest_remex.errors import SweepError
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


def config_at(plan: Sweep, point: Config) -> Config:
    """Return the config of a point: the sweep's base config, with its own parameters on top."""
    first = len(plan.after.dimensions) if plan.after else 0
    last = len(plan.dimensions) - (plan.replicates > 1)
    own = [name for dimension in plan.dimensions[first:last] for name in dimension.names]
    return {**plan.base_config, **{name: point[name] for name in own}}


def refuse_cycle(plan: Sweep) -> None:
    """Raise `SweepError` for a sweep that comes after one of its own name, however far above."""
    before = plan.after
    while before is not None:
        if before.name == plan.name:
            raise SweepError(
                f"sweep {plan.name!r} comes after a sweep of its own name: a chain has no cycle, "
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
