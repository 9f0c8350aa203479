"""Reads the config back from a patched checkout, as a collect does from the run directory."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pluggy

from pytest_remex.collect.failure import config_differences, config_omissions
from pytest_remex.errors import SweepError
from pytest_remex.model import Config, Experiment, Value


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What a checkout's config files hold, and what their readers warned of.

    `config` is None where no reader reads them.
    """

    config: Config | None
    warnings: tuple[str, ...]


def refuse_missing_config_file(experiment: Experiment, tracked: Iterable[bytes]) -> None:
    """Refuse a `config_file` that is not in the patched checkout.

    Args:
        experiment: The experiment; its `path` is the patched checkout.
        tracked: The files of the base, whose near names the message tells.

    Raises:
        SweepError: It is not there.

    """
    for name in experiment.sweep.config_files:
        if not (experiment.path / name).is_file():
            known = [path.decode("utf-8", "replace") for path in tracked]
            near = difflib.get_close_matches(name, known, n=3)
            instead = f"did you mean {' or '.join(near)}?" if near else "name one that is there"
            raise SweepError(
                f"{experiment.id}: config_file={name!r} is not in the checkout after the patch: "
                f"{instead}"
            )


def check_config(experiment: Experiment, hook: pluggy.HookRelay) -> Iterator[str]:
    """Compare the config in a patched checkout with the config asked for.

    Args:
        experiment: The experiment; its `path` is the patched checkout.
        hook: The hooks that read configs.

    Yields:
        What could not be compared, one sentence each.

    Raises:
        SweepError: A name that is there has another value, or no reader reads the `config_file`.

    """
    files, read = experiment.sweep.config_files, _read_back(experiment, hook)
    yield from (f"reading the config back: {text}" for text in read.warnings)
    if read.config is None:
        if files and not read.warnings:
            raise SweepError(
                f"{experiment.id}: no reader reads the config_file {' or '.join(files)}: name a "
                f"file that one reads, or implement the hook pytest_remex_config in conftest.py"
            )
        return
    if wrong := config_differences(experiment.config, read.config, found="the checkout has"):
        raise SweepError(
            f"{experiment.id}: after the patch the config is not the one asked for: "
            f"{'; '.join(wrong)}; let the patch write it, or correct the sweep"
        )
    if missing := config_omissions(experiment.config, read.config):
        yield (
            f"{' and '.join(files) or 'the config'} does not have {', '.join(missing)}, so that "
            f"their values cannot be compared"
        )


def _read_back(experiment: Experiment, hook: pluggy.HookRelay) -> ReadBack:
    config: dict[str, Value] | Config | None = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for name in experiment.sweep.config_files or (None,):
            found: Config | None = hook.pytest_remex_config(path=experiment.path, config_file=name)
            # A reader's mapping may know other spellings: where it is alone, it stays as it is.
            config = {**config, **found} if config and found else found or config
    return ReadBack(config, tuple(dict.fromkeys(str(each.message) for each in caught)))
