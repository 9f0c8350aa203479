"""Copies of patched checkouts, for a person to look at and to run by hand."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from pytest_remex import names
from pytest_remex.errors import SweepError
from pytest_remex.io import writing
from pytest_remex.model import Experiment
from pytest_remex.repo.workspace import Prepared


class CheckoutCopies:
    """Patched checkouts in a folder of the user's, each named by its sweep and its experiment.

    Args:
        folder: The folder; it is made where it is not there.

    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def copy(self, experiment: Experiment) -> None:
        """Copy an experiment's patched checkout.

        Raises:
            SweepError: Something is there already.
            RecordError: It cannot be written.

        """
        target = self._target(experiment)
        if os.path.lexists(target):
            raise SweepError(
                f"{target} is there already: remove it, or name another folder for --remex-checkout"
            )
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(experiment.path, target, symlinks=True, ignore=_no_part_of_it)

    def leave_out(self, prepared: Prepared) -> None:
        """Remove from the copy what .gitignore leaves out of the experiment.

        Raises `RecordError` where it cannot be removed.
        """
        target = self._target(prepared.experiment)
        with writing(target):
            for name in prepared.ignored:
                (target / name).unlink()

    def _target(self, experiment: Experiment) -> Path:
        return self.folder / names.label(experiment.sweep.name) / names.label(experiment.id)


def _no_part_of_it(folder: str, entries: Sequence[str]) -> list[str]:
    """Return git's own file, and what is neither a file, a folder nor a link."""
    paths = {name: Path(folder, name) for name in entries}
    return [
        name
        for name, path in paths.items()
        if name == ".git" or not (path.is_symlink() or path.is_file() or path.is_dir())
    ]
