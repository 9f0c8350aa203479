"""Add the command line options and ini keys to pytest, and read the settings from them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_remex.errors import SweepError
from pytest_remex.launch.options import Grouping, GroupingKind, LaunchOptions, Resubmit
from pytest_remex.model import CONTROL, Remote, Repo
from pytest_remex.pytest_plugin.command_line import INI_KEYS, MODES, MODIFIERS, ModeName
from pytest_remex.pytest_plugin.project import project_folders
from pytest_remex.pytest_plugin.remotes import local_folder, remotes_of
from pytest_remex.sbatch.options import OptionText, SbatchOptions
from pytest_remex.variant import Variant

ROUND = 32
"""The most commits that a bisection tries at a time, unless the user says otherwise."""
REMOTE_WORDS = {"transport": ("auto", "fabric", "openssh"), "via": ("origin", "connection")}
"""The words of the ini keys that choose how a remote is reached."""
SLOWEST, FASTEST = 0.01, 1000.0
"""The sbatch calls per second that `remex_rate` can ask for."""


class Settings(NamedTuple):
    """The settings from the command line and the ini file.

    `wait` is None for no wait, else the most seconds (0: no limit); `poll` is the least number of
    seconds between queries of a cluster; `largest` is how many bytes an output may have to be
    fetched, `most` how many a collect may fetch in all, None for no limit.
    """

    mode: ModeName
    output: Path
    layout: str
    launching: LaunchOptions
    offline: bool
    fresh: bool
    partial: bool
    portable: bool
    wait: float | None
    largest: int | None
    most: int | None
    poll: float
    launch: str | None
    yes: bool
    only: str | None
    checkout: Path | None
    sbatch_defaults: tuple[OptionText, ...]
    sbatch: OptionText
    variant: Variant
    against: Variant | None
    bisect: tuple[str, str] | None
    round: int

    @property
    def asked(self) -> str:
        """The options that ask for other variants of the grid; empty for the grid itself."""
        against = f"--remex-against={self.against.base}" if self.against else ""
        return f"{self.variant.options} {against}".strip()

    def following(self, command: str) -> str:
        """Return what to do next, with the options that ask for this variant of the grid."""
        takes_them = bool(self.asked) and "--remex-" in command
        return f"{command} (with {self.asked})" if takes_them else command

    def sbatch_options(self) -> SbatchOptions:
        """Return the options for sbatch. Raises `SweepError` if one is invalid."""
        return SbatchOptions.of(self.sbatch_defaults, self.sbatch)

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
    modes = parser.getgroup(
        "remex", "remex, modes: what to do with the experiments of sweep files (default: dry run)"
    )
    for mode, text in MODES.items():
        modes.addoption(
            f"--remex-{mode}",
            action="append_const",
            dest="remex_modes",
            const=mode,
            help=text,
        )
    modes.addoption(
        "--remex-bisect",
        metavar="GOOD..BAD",
        help="find the commit that changed the verdict or a measure of the selected experiments; "
        "run it again to continue",
    )
    modes.addoption(
        "--remex-init",
        action="store_true",
        help="write the files that this repository lacks for a first sweep; overwrite nothing",
    )
    for title, group in MODIFIERS.items():
        options = parser.getgroup(f"remex-{title}", f"remex, options for {title}")
        for each in group:
            options.addoption(*each.options, help=each.description, dest=each.dest, **each.parsing)
    for name, default, text in INI_KEYS:
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
    """Return the settings. Raises `pytest.UsageError` for options that cannot be combined."""
    option = config.option
    _refuse_conflicts(config)
    for key in REMOTE_WORDS:
        _word_of(config, key)
    return Settings(
        mode=mode(config),
        output=project_folders(config).output,
        layout=_layout(config),
        launching=_launching(config),
        offline=option.remex_offline,
        fresh=option.remex_fresh,
        partial=option.remex_partial,
        portable=option.remex_portable,
        wait=option.remex_wait,
        largest=_bytes(config, "remex_max_file"),
        most=None if option.remex_yes else _bytes(config, "remex_confirm_bytes") or None,
        poll=float(_count(config, "remex_poll")),
        launch=option.remex_launch,
        yes=option.remex_yes,
        only=option.remex_only,
        sbatch_defaults=(
            OptionText("remex_sbatch", str(config.getini("remex_sbatch"))),
            OptionText("REMEX_SBATCH", os.environ.get("REMEX_SBATCH", "")),
        ),
        sbatch=OptionText("--remex-sbatch", option.remex_sbatch or ""),
        checkout=option.remex_checkout and option.remex_checkout.absolute(),
        variant=_variant(config),
        against=_against(config),
        bisect=_bisect(config),
        round=config.option.remex_round or ROUND,
    )


def mode(config: pytest.Config) -> ModeName:
    """Return the mode; the default is the dry run."""
    return next(iter(_modes(config)), ModeName.DRY)


def _modes(config: pytest.Config) -> list[ModeName]:
    bisect = [] if config.option.remex_bisect is None else [ModeName.BISECT]
    return [*(config.option.remex_modes or []), *bisect]


def processes(config: pytest.Config) -> int:
    """Return how many processes -n of pytest-xdist asks for; one for a debugger."""
    wanted = config.option.numprocesses
    if wanted in {"auto", "logical"}:
        wanted = config.hook.pytest_xdist_auto_num_workers(config=config)
    if not wanted or config.getoption("usepdb", default=False):
        return 1
    return min(int(wanted), int(config.option.maxprocesses or wanted))


def default_repo(config: pytest.Config) -> Repo:
    """Return the repository from the ini keys."""
    return Repo(config.rootpath / str(config.getini("remex_repo")))


def default_remote(config: pytest.Config) -> Remote:
    """Return the remote that --remex-remote names, or the ini keys describe; or this machine."""
    if chosen := _remote_name(config):
        return remotes_of(config)[chosen]
    host, clone, runs, shell = (
        str(config.getini(f"remex_{key}")) for key in ("host", "clone", "runs", "shell")
    )
    if not (host or runs):
        _refuse_no_choice(config)
    if not host:
        usual = str(project_folders(config).output / "local")
        return Remote(None, "", local_folder(config, runs) if runs else usual)
    for key, value in (("remex_clone", clone), ("remex_runs", runs)):
        if not value:
            raise pytest.UsageError(
                f"remex_host = {host} is set but {key} is not: set it to the path of the "
                f"{'clone' if key == 'remex_clone' else 'folder for runs'} on the cluster"
            )
    through = str(config.getini("remex_transfer_host"))
    via, transport = _word_of(config, "via"), _word_of(config, "transport")
    try:
        return Remote(
            host, clone, runs, via, shell=shell, transport=transport, transfer_host=through
        )
    except SweepError as error:
        raise pytest.UsageError(f"remex_host or remex_transfer_host: {error}") from None


def _refuse_no_choice(config: pytest.Config) -> None:
    """Refuse to run on this machine if the configuration names remotes, and none is chosen."""
    names = [*remotes_of(config)]
    if names and mode(config) is not ModeName.DRY:
        raise pytest.UsageError(
            f"the configuration names the {'remotes' if names[1:] else 'remote'} "
            f"{' and '.join(names)}: choose with --remex-remote={names[0]}, here or in addopts"
        )


def _word_of(config: pytest.Config, key: str) -> Any:  # noqa: ANN401 - one of the words of Remote
    word = str(config.getini(f"remex_{key}"))
    *words, last = REMOTE_WORDS[key]
    if word not in {*words, last}:
        raise pytest.UsageError(f"remex_{key} = {word!r}: write {', '.join(words)} or {last}")
    return word


def _refuse_conflicts(config: pytest.Config) -> None:
    modes = _modes(config)
    if len(set(modes)) > 1:
        named = " and ".join(f"--remex-{each}" for each in modes)
        raise pytest.UsageError(f"{named} cannot be combined: choose one")
    chosen = mode(config)
    for each in (modifier for group in MODIFIERS.values() for modifier in group):
        value = getattr(config.option, each.dest)
        if value is not None and value is not False and chosen not in each.modes:
            wanted = " or ".join(sorted(f"--remex-{mode}" for mode in each.modes - {ModeName.DRY}))
            raise pytest.UsageError(f"--remex-{each.name} can only be used with {wanted}")
    if config.option.remex_array is not None and config.option.remex_pack is not None:
        raise pytest.UsageError("--remex-array and --remex-pack cannot be combined: choose one")
    if chosen is not ModeName.DRY and config.getoption("trace", default=False):
        raise pytest.UsageError(
            f"with --trace no patch and no check would run, so it cannot be used with "
            f"--remex-{chosen}: write breakpoint() into the sweep function, or use --pdb"
        )
    for name in ("setupplan", "setuponly"):  # the first implies the second
        if chosen is not ModeName.DRY and config.getoption(name, default=False):
            raise pytest.UsageError(
                f"--setup-{name.removeprefix('setup')} runs no experiment, so it cannot be used "
                f"with --remex-{chosen}: --collect-only lists the experiments"
            )


def _variant(config: pytest.Config) -> Variant:
    return Variant(base=_base(config, "base"), remote=_remote_name(config))


def _against(config: pytest.Config) -> Variant | None:
    base, variant = _base(config, "against"), _variant(config)
    if base and base == variant.base:
        raise pytest.UsageError(f"--remex-base and --remex-against are both {base!r}: name another")
    return variant._replace(base=base) if base else None


def _bisect(config: pytest.Config) -> tuple[str, str] | None:
    """Return the two commits of --remex-bisect; the second one is HEAD if none is named."""
    given: str | None = config.option.remex_bisect
    if given is None:
        return None
    good, dots, bad = (each.strip() for each in given.partition(".."))
    if not good or not dots or bad.startswith(".") or not given.isprintable():
        raise pytest.UsageError(
            f"--remex-bisect={given!r}: name two commits, GOOD..BAD, such as v1.2..main"
        )
    return good, bad or "HEAD"


def _base(config: pytest.Config, name: str) -> str:
    base: str | None = getattr(config.option, f"remex_{name}")
    if base is not None and (not base.strip() or not base.isprintable()):
        raise pytest.UsageError(f"--remex-{name}={base!r}: name a branch, tag or commit")
    return base or ""


def _remote_name(config: pytest.Config) -> str:
    """Return the name of the remote that the command line chooses; empty if it chooses none."""
    name: str | None = config.option.remex_remote
    if name is None:
        return ""
    try:
        known = remotes_of(config)
    except SweepError as error:
        raise pytest.UsageError(str(error)) from None
    if name in known:
        return name
    names = f"names {' and '.join(known)}" if known else f"has no [tool.remex.remotes.{name}]"
    raise pytest.UsageError(f"--remex-remote={name!r}: the configuration {names}")


def _launching(config: pytest.Config) -> LaunchOptions:
    option = config.option
    retry: str | None = option.remex_retry
    return LaunchOptions(
        grouping=_grouping(config),
        resubmit=Resubmit.NEVER if retry is None else Resubmit(retry or Resubmit.FAILED),
        confirm=None if option.remex_yes else _count(config, "remex_confirm"),
        new_base=option.remex_new_base or bool(option.remex_against),
        again=option.remex_again,
        note=option.remex_note or "",
        rate=_rate(config),
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


def _rate(config: pytest.Config) -> float | None:
    text = str(config.getini("remex_rate")).strip()
    if not text:
        return None
    if not re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII) or not SLOWEST <= float(text) <= FASTEST:
        what = f"remex_rate = {text!r}: write how many sbatch calls there may be per second"
        raise pytest.UsageError(f"{what}, from {SLOWEST:g} to {FASTEST:g}, or nothing for no limit")
    return float(text)


def _bytes(config: pytest.Config, key: str) -> int | None:
    text = str(config.getini(key)).strip()
    if not text:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?", text, re.ASCII)
    if match is None:
        raise pytest.UsageError(f"{key} = {text!r}: write a size, such as 500M or 2G")
    scale: int = 1000 ** " kMGT".index(match[2] or " ")
    return round(float(match[1]) * scale)
