"""The command line and the ini keys, and what they say together."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_remex.errors import RecordError
from pytest_remex.io import unwritable
from pytest_remex.launch.grouping import Grouping, GroupingKind
from pytest_remex.model import Remote, Repo

if TYPE_CHECKING:
    from collections.abc import Sequence


class Mode(StrEnum):
    """What a pytest run does with experiments."""

    DRY = "dry run"
    PLAN = "plan"
    SUBMIT = "submit"
    STATUS = "status"
    COLLECT = "collect"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line and the ini keys ask for.

    `wait` is None for not at all, and else the most seconds (0: no limit).
    """

    mode: Mode
    output: Path
    confirm: int
    layout: str
    retry: bool
    again: bool
    yes: bool
    offline: bool
    partial: bool
    grouping: Grouping
    wait: float | None
    launch: str | None
    json: Path | None

    def prepare_output(self) -> None:
        """Make the output folder, and keep it out of the user's repository.

        Raises `RecordError` where it cannot be made.
        """
        away = "move away what is there or set remex_output to another folder"
        ignore = self.output / ".gitignore"
        draft = self.output / ".gitignore.new"  # a full disk would leave it empty
        try:
            self.output.mkdir(parents=True, exist_ok=True)
            if not ignore.exists():
                draft.write_text("# made by pytest-remex\n*\n", "utf-8")
                draft.replace(ignore)
        except OSError as error:
            raise RecordError(unwritable(self.output, error, away)) from None

    @property
    def launches(self) -> Path:
        """The folder of the launch records."""
        return self.output / "launches"

    @property
    def runs(self) -> Path:
        """The folder of the fetched outputs."""
        return self.output / "runs"


def add_options(parser: pytest.Parser) -> None:
    """Add the options and ini keys to pytest's parser."""
    group = parser.getgroup(
        "remex", "remex: experiments on a cluster (see also the remex_* ini keys)"
    )
    for option, text in (
        ("--remex-plan", "show what submit would send: diffs, new or submitted, cost"),
        ("--remex-submit", "commit, push, place and sbatch each experiment"),
        ("--remex-status", "show where each experiment is"),
        ("--remex-collect", "fetch outputs, check, and write results, links and report"),
        ("--remex-cancel", "cancel the jobs of experiments that have not ended"),
    ):
        group.addoption(
            option,
            action="append_const",
            dest="remex_modes",
            const=Mode(option.removeprefix("--remex-")),
            help=text,
        )
    _add_modifiers(group)
    _add_ini_keys(parser)


def settings(config: pytest.Config) -> Settings:
    """Read what was asked for. Raises `pytest.UsageError` for what does not go together."""
    option = config.option
    _refuse_conflicts(config)
    output = config.getini("remex_output")
    return Settings(
        mode=mode(config),
        output=config.rootpath / str(output),
        confirm=_count(config, "remex_confirm"),
        layout=_layout(config),
        retry=option.remex_retry,
        again=option.remex_again,
        yes=option.remex_yes,
        offline=option.remex_offline,
        partial=option.remex_partial,
        grouping=_grouping(config),
        wait=option.remex_wait,
        launch=option.remex_launch,
        json=option.remex_json,
    )


def mode(config: pytest.Config) -> Mode:
    """Give the mode; without one, sweeps are only tried."""
    modes: Sequence[Mode] = config.option.remex_modes or [Mode.DRY]
    return modes[0]


def default_repo(config: pytest.Config) -> Repo:
    """Give the repository that the ini keys name."""
    return Repo(config.rootpath / str(config.getini("remex_repo")))


def default_remote(config: pytest.Config) -> Remote:
    """Give the remote that the ini keys name; this machine where they name none."""
    host, clone, runs, shell = (
        str(config.getini(f"remex_{key}")) for key in ("host", "clone", "runs", "shell")
    )
    if not host:
        here = Path(runs).expanduser() if runs else settings(config).output / "local"
        return Remote(None, "", str(config.rootpath / here))
    for key, value in (("remex_clone", clone), ("remex_runs", runs)):
        if not value:
            raise pytest.UsageError(
                f"remex_host = {host} is set and {key} is not: name the "
                f"{'clone of the repository' if key == 'remex_clone' else 'folder for runs'} there"
            )
    return Remote(host, clone, runs, shell=shell)


def _add_modifiers(group: pytest.OptionGroup) -> None:
    add = group.addoption
    add("--remex-retry", action="store_true", help="submit: also where the last job ended badly")
    add("--remex-again", action="store_true", help="submit: also what was submitted before")
    add("--remex-array", nargs="?", type=_whole, const=0, metavar="N",
        help="submit: as job arrays, at most N tasks running")  # fmt: skip
    add("--remex-pack", type=_whole, metavar="K",
        help="submit: many runs in one job, K at a time, through disBatch")  # fmt: skip
    add("--remex-yes", action="store_true", help="submit: more jobs than remex_confirm")
    add("--remex-wait", nargs="?", type=_seconds, const=0.0, metavar="S",
        help="status, collect: until all have ended, or S seconds")  # fmt: skip
    add(
        "--remex-offline", action="store_true", help="collect: only judge the outputs that are here"
    )
    add("--remex-partial", action="store_true", help="collect: also outputs of running jobs")
    add("--remex-launch", metavar="ID", help="status, collect, cancel: an older launch")
    add("--remex-json", type=Path, metavar="FILE", help="status: also as JSON, for scripts")


def _add_ini_keys(parser: pytest.Parser) -> None:
    for name, default, text in (
        ("host", "", "user@machine or ssh_config alias of the cluster; empty: this machine"),
        ("clone", "", "path of the repository's clone on the cluster"),
        ("runs", "", "path of the folder for run directories there"),
        ("repo", ".", "path of the repository here, relative to rootdir"),
        ("output", "remex-output", "folder for launch records, outputs, results and report"),
        ("confirm", "1000", "most jobs that submit sends without --remex-yes"),
        ("shell", "bash -lc", "command on the cluster that starts what runs there"),
        ("layout", "links", "names in links/: links (by parameters) or flat (by run directory)"),
    ):
        parser.addini(f"remex_{name}", text, default=default)
    parser.addini("remex_sweeps", "paths of sweep files and folders", type="args", default=[])


def _refuse_conflicts(config: pytest.Config) -> None:
    modes = config.option.remex_modes or []
    if len(set(modes)) > 1:
        named = " and ".join(f"--remex-{each}" for each in modes)
        raise pytest.UsageError(f"{named} cannot be asked for together: choose one")
    chosen = mode(config)
    for name, value, fitting in (
        ("retry", config.option.remex_retry, {Mode.SUBMIT, Mode.PLAN}),
        ("again", config.option.remex_again, {Mode.SUBMIT, Mode.PLAN}),
        ("array", config.option.remex_array is not None, {Mode.SUBMIT, Mode.PLAN}),
        ("pack", config.option.remex_pack is not None, {Mode.SUBMIT, Mode.PLAN}),
        ("yes", config.option.remex_yes, {Mode.SUBMIT}),
        ("wait", config.option.remex_wait is not None, {Mode.STATUS, Mode.COLLECT}),
        ("offline", config.option.remex_offline, {Mode.COLLECT}),
        ("partial", config.option.remex_partial, {Mode.COLLECT}),
        ("launch", config.option.remex_launch, {Mode.STATUS, Mode.COLLECT, Mode.CANCEL}),
        ("json", config.option.remex_json, {Mode.STATUS}),
    ):
        if value and chosen not in fitting:
            wanted = " or ".join(sorted(f"--remex-{each}" for each in fitting))
            raise pytest.UsageError(f"--remex-{name} goes with {wanted}")
    if config.option.remex_array is not None and config.option.remex_pack is not None:
        raise pytest.UsageError("--remex-array and --remex-pack cannot be asked for together")


def _grouping(config: pytest.Config) -> Grouping:
    if config.option.remex_array is not None:
        return Grouping(GroupingKind.ARRAY, config.option.remex_array)
    if config.option.remex_pack is not None:
        return Grouping(GroupingKind.PACK, config.option.remex_pack)
    return Grouping()


def _layout(config: pytest.Config) -> str:
    layout = str(config.getini("remex_layout"))
    if layout not in {"links", "flat"}:
        raise pytest.UsageError(f"remex_layout = {layout!r}: write links or flat")
    return layout


def _count(config: pytest.Config, key: str) -> int:
    text = str(config.getini(key))
    if not text.isdecimal():
        raise pytest.UsageError(f"{key} = {text!r}: write a whole number")
    return int(text)


def _whole(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds
