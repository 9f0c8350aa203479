"""Prepare the experiments of a sweep file by calling its functions, for scripts: without pytest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_remex.launch.preparation import (
    by_recipe,
    prepare,
    recipes_for_retry,
    rules_of,
    run_patch,
    warnings_of,
)
from pytest_remex.model import CONTROL, Config, Remote, Repo, Sweep
from pytest_remex.names import point_id
from pytest_remex.repo.workspace import Named, Prepared, Workspaces
from pytest_remex.sweep_file import SweepFunction, call_of, experiment_at

if TYPE_CHECKING:
    from pytest_remex.launch.preparation import Inspect
    from pytest_remex.sweep import SweepCall


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """A point of a sweep, with the function that patches its experiment."""

    function: SweepFunction
    sweep: Sweep
    point: Config


@dataclass(frozen=True, slots=True)
class SweepCalls:
    """Calls the functions of a sweep file up to their `yield`, and commits what they change.

    `scripts` are the batch scripts of all sweeps in the file; `tell` is called with warnings.
    """

    path: Path
    repo: Repo
    remote: Remote
    scripts: Sequence[str]
    workspaces: Workspaces
    tell: Callable[[str], None]
    _prepared: dict[str, Prepared] = field(default_factory=dict)
    """Those prepared so far, by sweep and id."""

    def prepare(self, at: SweepPoint, inspect: Inspect | None = None) -> Prepared:
        """Prepare the experiment at a point, by the first of the sweep's recipes.

        Raises `RemexError` if it cannot be prepared.
        """
        prepared = self._prepare(at, inspect, 0)
        self._prepared[f"{at.sweep.name}[{prepared.experiment.id}]"] = prepared
        return prepared

    def for_retry(
        self, first: Prepared, at: SweepPoint, last: int | None
    ) -> Mapping[int, Prepared]:
        """Return an experiment prepared for a retry: by its run's recipe, and by the next one.

        Args:
            first: The experiment by the first recipe, which identifies it.
            at: Its point.
            last: The number of its run's recipe; None if it has no run.

        Raises:
            SweepError: A recipe makes the same files as the first one.

        """
        return {
            each: by_recipe(first, self._prepare(at, None, each), each)
            for each in recipes_for_retry(at.sweep, last)
        }

    def _prepare(self, at: SweepPoint, inspect: Inspect | None, recipe: int) -> Prepared:
        workspace = self.workspaces.at(self.repo, at.sweep.branch)
        experiment = experiment_at(at.sweep, at.point, workspace.scratch.checkout(), recipe)
        call = call_of(at.function, experiment, self.repo, self.remote)
        try:
            self._patch(at, call, workspace.scratch.path)
            rules = rules_of(at.sweep, [self.path], self.scripts, CONTROL)
            inputs = self.workspaces.inputs(self.repo, rules)
            before = experiment.comes_after
            upstream = self._prepared.get(f"{before.sweep.name}[{before.id}]") if before else None
            named = Named(self._node(at), experiment, {}, self.repo, self.remote, upstream)
            prepared = prepare(named, workspace, inputs, inspect)
        finally:
            workspace.scratch.restore()
        for warning in warnings_of(self.workspaces.git(self.repo), prepared):
            self.tell(warning.text)
        return prepared

    def _patch(self, at: SweepPoint, call: SweepCall, checkout: Path) -> None:
        try:
            run_patch(call, checkout)
        except Exception as error:
            error.add_note(f"in the patch of {self._node(at)}")
            raise
        call.close()

    def _node(self, at: SweepPoint) -> str:
        """Return the node ID that pytest would use with the repository as its rootdir."""
        top, file = self.repo.path.resolve(), self.path.resolve()
        shown = file.relative_to(top).as_posix() if file.is_relative_to(top) else self.path.name
        title = f"[{point_id(at.sweep, at.point)}]" if at.point else ""
        return f"{shown}::{getattr(at.function, '__name__', '')}{title}"
