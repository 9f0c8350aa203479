"""The command line and the ini file: modes, their options, and keys, with their help texts."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple


class ModeName(StrEnum):
    """The name of a mode."""

    DRY = "dry run"
    PLAN = "plan"
    SUBMIT = "submit"
    STATUS = "status"
    COLLECT = "collect"
    LOG = "log"
    CANCEL = "cancel"
    CLEAN = "clean"
    DOCTOR = "doctor"
    BISECT = "bisect"


PREPARING = frozenset({ModeName.DRY, ModeName.PLAN, ModeName.SUBMIT})
"""The modes that only run patches: an experiment that passes was not judged."""


_FLAG: Mapping[str, object] = {"action": "store_true"}


class Modifier(NamedTuple):
    """An option of some modes, and its arguments for argparse.

    `words` are what can be written after a `=`; each is an option for argparse, so that a path can
    follow the option without one, and an error names them all.
    """

    name: str
    modes: frozenset[ModeName]
    help: str
    parsing: Mapping[str, object] = _FLAG
    words: tuple[str, ...] = ()

    @property
    def options(self) -> list[str]:
        """The option as it can be written."""
        plain = f"--remex-{self.name}"
        return [plain, *(f"{plain}={word}" for word in self.words)]

    @property
    def dest(self) -> str:
        """The attribute of pytest's options with its value."""
        return f"remex_{self.name.replace('-', '_')}"

    @property
    def description(self) -> str:
        """The help text, after the modes that take the option."""
        others = [mode for mode in ModeName if mode not in self.modes]
        words = ", ".join(mode for mode in ModeName if mode in self.modes)
        if len(others) < len(self.modes):
            words = f"all modes but {', '.join(others)}" if others else "all modes"
        return f"{words}: {self.help}"


class StoreWord(argparse.Action):
    """Store the word after an option's `=`; empty for the option alone."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        _values: object,
        option_string: str | None = None,
    ) -> None:
        """See `argparse.Action`."""
        setattr(namespace, self.dest, (option_string or "").partition("=")[2])


MODES = {
    ModeName.PLAN: "show what submit would do: diffs, new or already submitted, cost",
    ModeName.SUBMIT: "commit, push, make run directories, and sbatch each experiment",
    ModeName.STATUS: "show the state of each experiment",
    ModeName.COLLECT: "fetch outputs, check them, and write results, links and report",
    ModeName.LOG: "show the output of the selected experiments' jobs; follow a single running one",
    ModeName.CANCEL: "cancel the jobs of experiments that have not ended",
    ModeName.CLEAN: "show how much disk space the selected experiments use; "
    "--remex-yes removes them",
    ModeName.DOCTOR: "check the connection, the cluster and the clone, with a fix for each fault",
}

PATHS = "paths go before this option"
"""What to do if a path was taken for the value of an option that may have one."""

INI_KEYS = (
    ("host", "", "user@machine or ssh_config alias of the cluster; empty: this machine"),
    ("clone", "", "path of the repository's clone on the cluster"),
    ("runs", "", "path of the folder for run directories on the cluster"),
    ("repo", ".", "path of the repository on this machine, relative to rootdir"),
    ("output", "remex-output", "folder for launch records, outputs, results and report"),
    ("confirm", "1000", "most jobs that submit allows without --remex-yes"),
    ("confirm_bytes", "10G", "most bytes that collect fetches without --remex-yes; 0: no limit"),
    ("rate", "", "most sbatch calls per second of a submit, such as 2 or 0.5; empty: no limit"),
    ("poll", "30", "seconds between queries of a cluster while --remex-wait waits"),
    ("shell", "bash -lc", "shell on the cluster that starts our programs"),
    ("transport", "auto", "ssh client: fabric, openssh (ssh), or auto (ssh if it is connected)"),
    ("via", "origin", "how commits get to the clone: origin, or connection (the ssh connection)"),
    ("transfer_host", "", "host that outputs are fetched through, such as a data node"),
    ("sbatch", "", "options for sbatch that override the script's, such as --partition=long"),
    ("max_file", "", "largest output to fetch, such as 500M or 2G; empty: no limit"),
    ("layout", "links", "names in links/: links (by parameters) or flat (by run directory)"),
)


def _whole(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0; {PATHS}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0; {PATHS}")
    return seconds


SENDING = frozenset({ModeName.PLAN, ModeName.SUBMIT})
GROUPED = SENDING | {ModeName.BISECT}
"""The modes that may put several runs into one submission."""
COLLECTING = frozenset({ModeName.COLLECT})

MODIFIERS: Mapping[str, Sequence[Modifier]] = {
    "submitting": (
        Modifier(
            "retry",
            SENDING,
            "also experiments whose job failed; =check: the same, and those that failed their "
            "check in the last collect; =forgotten: the same as without a word, and jobs Slurm has "
            "no trace of; =all: all again, whatever the state of their runs; the new runs count "
            "(default: no)",
            {"action": StoreWord, "nargs": 0},
            words=("check", "forgotten", "all"),
        ),
        Modifier("again", SENDING, "add a replicate to each chosen experiment (default: no)"),
        Modifier(
            "new-base",
            SENDING,
            "also experiments with a run on another base, if inputs changed since (default: no)",
        ),
        Modifier(
            "array",
            GROUPED,
            "submit job arrays, at most N tasks at a time (default: one job per run; N: no limit)",
            {"nargs": "?", "type": _whole, "const": 0, "metavar": "N"},
        ),
        Modifier(
            "pack",
            GROUPED,
            "many runs in one job, K at a time (default: one job per run)",
            {"type": _whole, "metavar": "K"},
        ),
        Modifier(
            "sbatch",
            GROUPED,
            "options for sbatch that override the script's header: '--time=4:00:00 --mem=8G'"
            " (default: remex_sbatch, then $REMEX_SBATCH)",
            {"metavar": "OPTIONS"},
        ),
        Modifier(
            "checkout",
            frozenset({ModeName.PLAN}),
            "also copy each experiment's patched checkout to DIR (default: none)",
            {"type": Path, "metavar": "DIR"},
        ),
        Modifier(
            "note",
            frozenset({ModeName.SUBMIT, ModeName.BISECT}),
            "the reason, shown in status, results and report (default: none)",
            {"metavar": "WHY"},
        ),
        Modifier(
            "yes",
            frozenset({ModeName.SUBMIT, ModeName.COLLECT, ModeName.CLEAN, ModeName.BISECT}),
            "go above remex_confirm and remex_confirm_bytes; clean: remove (default: no)",
        ),
    ),
    "what was submitted": (
        Modifier(
            "wait",
            frozenset({ModeName.STATUS, ModeName.COLLECT, ModeName.BISECT}),
            "wait until all have ended, or S seconds (default: do not wait; S: no limit)",
            {"nargs": "?", "type": _seconds, "const": 0.0, "metavar": "S"},
        ),
        Modifier(
            "offline",
            COLLECTING,
            "make no connection, judge the outputs on this machine (default: no)",
        ),
        Modifier(
            "fresh",
            COLLECTING,
            "fetch what changed in complete runs too, and judge all, even if nothing "
            "changed since a check passed (default: no)",
        ),
        Modifier(
            "partial",
            COLLECTING,
            "also fetch outputs of running jobs (default: no)",
        ),
        Modifier(
            "portable",
            COLLECTING,
            "also make a zip of the report and its linked outputs (default: no)",
        ),
        Modifier(
            "launch",
            frozenset(
                {ModeName.STATUS, ModeName.COLLECT, ModeName.LOG, ModeName.CANCEL, ModeName.CLEAN}
            ),
            "use an older launch (default: each experiment's newest run)",
            {"metavar": "ID"},
        ),
        Modifier(
            "only",
            frozenset({ModeName.CLEAN}),
            "only run directories, or only outputs on this machine (default: both)",
            {"choices": ("runs", "outputs")},
        ),
        Modifier(
            "json",
            frozenset({*ModeName} - {ModeName.DRY, ModeName.BISECT}),
            "also write each experiment's facts to FILE, as JSON (default: no)",
            {"type": Path, "metavar": "FILE"},
        ),
    ),
    "variants of the grid": (
        Modifier(
            "base",
            frozenset({*ModeName} - {ModeName.DOCTOR, ModeName.BISECT}),
            "the same grid on another branch, tag or commit, instead of branch= of all chosen "
            "sweeps; its runs appear with this option only (default: no)",
            {"metavar": "REF"},
        ),
        Modifier(
            "remote",
            frozenset(ModeName),
            "the same grid on a remote that [tool.remex.remotes.NAME] describes; its runs appear "
            "with this option only (default: as the fixture remote or remex_host says)",
            {"metavar": "NAME"},
        ),
        Modifier(
            "against",
            frozenset({*ModeName} - {ModeName.DRY, ModeName.DOCTOR, ModeName.BISECT}),
            "the grid and the same on another branch, tag or commit; collect: judge each "
            "experiment by its measures there, within the sweep's tolerance (default: no)",
            {"metavar": "REF"},
        ),
        Modifier(
            "round",
            frozenset({ModeName.BISECT}),
            "try at most N commits at a time (default: 32)",
            {"type": _whole, "metavar": "N"},
        ),
    ),
}
"""The options of modes, by the title of their group in the help."""
