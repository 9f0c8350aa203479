"""The command line and the ini keys, and the settings that follow from them."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import pytest

from pytest_remex.io import prepare_output_folder
from pytest_remex.launch.options import Grouping, GroupingKind, LaunchOptions, Resubmit
from pytest_remex.model import CONTROL, Remote, Repo
from pytest_remex.pytest_plugin.anchor import anchor_of
from pytest_remex.sbatch.scheduling import OptionText, SbatchOptions


class Mode(StrEnum):
    """What a pytest run does with experiments."""

    DRY = "dry run"
    PLAN = "plan"
    SUBMIT = "submit"
    STATUS = "status"
    COLLECT = "collect"
    LOG = "log"
    CANCEL = "cancel"
    DOCTOR = "doctor"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line and the ini keys ask for.

    `wait` is None for not at all, and else the most seconds (0: no limit); `largest` is how many
    bytes an output may have to be fetched, None for no limit.
    """

    mode: Mode
    output: Path
    layout: str
    launching: LaunchOptions
    offline: bool
    partial: bool
    portable: bool
    wait: float | None
    largest: int | None
    launch: str | None
    json: Path | None
    checkout: Path | None
    sbatch_defaults: tuple[OptionText, ...]
    sbatch: OptionText

    def sbatch_options(self) -> SbatchOptions:
        """Return the options for sbatch. Raises `SweepError` for what is none."""
        return SbatchOptions.of(self.sbatch_defaults, self.sbatch)

    def prepare_output(self) -> None:
        """Make the output folder. Raises `RecordError` where it cannot be made."""
        prepare_output_folder(self.output)

    @property
    def launches(self) -> Path:
        """The folder of the launch records."""
        return self.output / "launches"

    @property
    def runs(self) -> Path:
        """The folder of the fetched outputs."""
        return self.output / "runs"


@dataclass(frozen=True, slots=True)
class Modifier:
    """An option that goes with some modes, and how argparse takes it."""

    name: str
    modes: frozenset[Mode]
    help: str
    parsing: Mapping[str, object] = field(default_factory=lambda: {"action": "store_true"})

    @property
    def dest(self) -> str:
        """The attribute of pytest's options that holds its value."""
        return f"remex_{self.name.replace('-', '_').replace('=', '_')}"


def add_options(parser: pytest.Parser) -> None:
    """Add the options and ini keys to pytest's parser."""
    modes = parser.getgroup(
        "remex", "remex, modes: what is done with the experiments of sweep files (default: dry run)"
    )
    for mode, text in _MODES.items():
        modes.addoption(
            f"--remex-{mode}",
            action="append_const",
            dest="remex_modes",
            const=mode,
            help=text,
        )
    modes.addoption(
        "--remex-init",
        action="store_true",
        help="write what this repository lacks for a first sweep; nothing is overwritten",
    )
    for title, modifiers in _modifiers().items():
        group = parser.getgroup(f"remex-{title}", f"remex, options of {title}")
        for each in modifiers:
            group.addoption(f"--remex-{each.name}", help=each.help, dest=each.dest, **each.parsing)
    for name, default, text in _INI_KEYS:
        parser.addini(f"remex_{name}", f"{text} (default: {default or 'empty'})", default=default)
    parser.addini(
        "remex_control",
        f"patterns, as in .gitignore, of files that no job reads (default: {' '.join(CONTROL)})",
        "args",
        default=list(CONTROL),
    )
    parser.addini(
        "remex_sweeps", "paths of sweep files and folders (default: none)", "args", default=[]
    )


def settings(config: pytest.Config) -> Settings:
    """Return what was asked for. Raises `pytest.UsageError` for what does not go together."""
    option = config.option
    _refuse_conflicts(config)
    return Settings(
        mode=mode(config),
        output=anchor_of(config).output,
        layout=_layout(config),
        launching=_launching(config),
        offline=option.remex_offline,
        partial=option.remex_partial,
        portable=option.remex_portable,
        wait=option.remex_wait,
        largest=_bytes(config, "remex_max_file"),
        launch=option.remex_launch,
        json=option.remex_json,
        sbatch_defaults=(
            OptionText("remex_sbatch", str(config.getini("remex_sbatch"))),
            OptionText("REMEX_SBATCH", os.environ.get("REMEX_SBATCH", "")),
        ),
        sbatch=OptionText("--remex-sbatch", option.remex_sbatch or ""),
        checkout=option.remex_checkout and option.remex_checkout.absolute(),
    )


def mode(config: pytest.Config) -> Mode:
    """Return the mode; without one, sweeps are only tried."""
    modes: Sequence[Mode] = config.option.remex_modes or [Mode.DRY]
    return modes[0]


def default_repo(config: pytest.Config) -> Repo:
    """Return the repository that the ini keys name."""
    return Repo(config.rootpath / str(config.getini("remex_repo")))


def default_remote(config: pytest.Config) -> Remote:
    """Return the remote that the ini keys name; this machine where they name none."""
    host, clone, runs, shell = (
        str(config.getini(f"remex_{key}")) for key in ("host", "clone", "runs", "shell")
    )
    if not host:
        here = Path(runs).expanduser() if runs else anchor_of(config).output / "local"
        return Remote(None, "", str(config.rootpath / here))
    for key, value in (("remex_clone", clone), ("remex_runs", runs)):
        if not value:
            raise pytest.UsageError(
                f"remex_host = {host} is set and {key} is not: name the "
                f"{'clone of the repository' if key == 'remex_clone' else 'folder for runs'} there"
            )
    return Remote(host, clone, runs, shell=shell)


_MODES = {
    Mode.PLAN: "show what submit would send: diffs, new or already submitted, cost",
    Mode.SUBMIT: "commit, push, place and sbatch each experiment",
    Mode.STATUS: "show where each experiment is",
    Mode.COLLECT: "fetch outputs, check them, and write results, links and report",
    Mode.LOG: "show the output of the jobs of chosen experiments; one that runs is followed",
    Mode.CANCEL: "cancel the jobs of experiments that have not ended",
    Mode.DOCTOR: "examine the connection, the cluster and the clone line by line, with fixes",
}

_INI_KEYS = (
    ("host", "", "user@machine or ssh_config alias of the cluster; empty: this machine"),
    ("clone", "", "path of the repository's clone on the cluster"),
    ("runs", "", "path of the folder for run directories there"),
    ("repo", ".", "path of the repository here, relative to rootdir"),
    ("output", "remex-output", "folder for launch records, outputs, results and report"),
    ("confirm", "1000", "most jobs that submit sends without --remex-yes"),
    ("shell", "bash -lc", "command on the cluster that starts what runs there"),
    ("sbatch", "", "options for sbatch that win over the script's, as --partition=long"),
    ("max_file", "", "largest output that is fetched, as 500M or 2G; empty: no limit"),
    ("layout", "links", "names in links/: links (by parameters) or flat (by run directory)"),
)


def _modifiers() -> dict[str, list[Modifier]]:
    """Return the modifiers, by the title of their group in the help."""
    return {
        "plan and submit": _sending_modifiers(),
        "status, collect and cancel": _looking_modifiers(),
    }


def _sending_modifiers() -> list[Modifier]:
    sending = frozenset({Mode.PLAN, Mode.SUBMIT})
    array = {"nargs": "?", "type": _whole, "const": 0, "metavar": "N"}
    return [
        Modifier("retry", sending, "also what has a run whose job failed (default: no)"),
        Modifier(
            "retry=check",
            sending,
            "the same, and what completed and failed its check in the last collect (default: no)",
        ),
        Modifier(
            "again", sending, "also what has a run already, whatever its job did (default: no)"
        ),
        Modifier(
            "new-base",
            sending,
            "also what has a run on another base, since which inputs changed (default: no)",
        ),
        Modifier(
            "array",
            sending,
            "as job arrays, at most N tasks running (default: a job a run; N: no limit)",
            array,
        ),
        Modifier(
            "pack",
            sending,
            "many runs in one job, K at a time, through disBatch (default: a job a run)",
            {"type": _whole, "metavar": "K"},
        ),
        Modifier(
            "sbatch",
            sending,
            "options for sbatch that win over the script's header, as '--time=4:00:00 --mem=8G'"
            " (default: remex_sbatch, then $REMEX_SBATCH)",
            {"metavar": "OPTIONS"},
        ),
        *_plan_or_submit_modifiers(),
    ]


def _plan_or_submit_modifiers() -> list[Modifier]:
    return [
        Modifier(
            "checkout",
            frozenset({Mode.PLAN}),
            "plan: also leave each experiment's patched checkout in DIR (default: none)",
            {"type": Path, "metavar": "DIR"},
        ),
        Modifier(
            "note",
            frozenset({Mode.SUBMIT}),
            "submit: why, kept in the launch record, status, results and report (default: none)",
            {"metavar": "WHY"},
        ),
        Modifier(
            "yes", frozenset({Mode.SUBMIT}), "submit more jobs than remex_confirm (default: no)"
        ),
    ]


def _looking_modifiers() -> list[Modifier]:
    looking = frozenset({Mode.STATUS, Mode.COLLECT})
    wait = {"nargs": "?", "type": _seconds, "const": 0.0, "metavar": "S"}
    return [
        Modifier(
            "wait",
            looking,
            "status, collect: until all have ended, or S seconds "
            "(default: do not wait; S: no limit)",
            wait,
        ),
        Modifier(
            "offline",
            frozenset({Mode.COLLECT}),
            "collect: make no connection, only judge the outputs that are here (default: no)",
        ),
        Modifier(
            "partial",
            frozenset({Mode.COLLECT}),
            "collect: also outputs of running jobs (default: no)",
        ),
        Modifier(
            "portable",
            frozenset({Mode.COLLECT}),
            "collect: also a zip of the report and the outputs that it links to (default: no)",
        ),
        Modifier(
            "launch",
            looking | {Mode.LOG, Mode.CANCEL},
            "an older launch (default: each experiment's newest run)",
            {"metavar": "ID"},
        ),
        Modifier(
            "json",
            frozenset({Mode.STATUS}),
            "status: also write JSON for scripts into FILE (default: none)",
            {"type": Path, "metavar": "FILE"},
        ),
    ]


def _refuse_conflicts(config: pytest.Config) -> None:
    modes = config.option.remex_modes or []
    if len(set(modes)) > 1:
        named = " and ".join(f"--remex-{each}" for each in modes)
        raise pytest.UsageError(f"{named} cannot be asked for together: choose one")
    chosen = mode(config)
    for each in (modifier for group in _modifiers().values() for modifier in group):
        value = getattr(config.option, each.dest)
        if value is not None and value is not False and chosen not in each.modes:
            wanted = " or ".join(sorted(f"--remex-{mode}" for mode in each.modes))
            raise pytest.UsageError(f"--remex-{each.name} goes with {wanted}")
    if config.option.remex_array is not None and config.option.remex_pack is not None:
        raise pytest.UsageError("--remex-array and --remex-pack cannot be asked for together")


def _launching(config: pytest.Config) -> LaunchOptions:
    option = config.option
    chosen = {
        Resubmit.ALWAYS: option.remex_again,
        Resubmit.CHECK: option.remex_retry_check,
        Resubmit.FAILED: option.remex_retry,
    }
    return LaunchOptions(
        grouping=_grouping(config),
        resubmit=next((each for each, asked in chosen.items() if asked), Resubmit.NEVER),
        confirm=None if option.remex_yes else _count(config, "remex_confirm"),
        new_base=option.remex_new_base,
        note=option.remex_note or "",
    )


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


def _bytes(config: pytest.Config, key: str) -> int | None:
    text = str(config.getini(key)).strip()
    if not text:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?", text, re.ASCII)
    if match is None:
        raise pytest.UsageError(f"{key} = {text!r}: write a size, as 500M or 2G")
    scale: int = 1000 ** " kMGT".index(match[2] or " ")
    return round(float(match[1]) * scale)


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
