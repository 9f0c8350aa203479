"""The command line and the ini file: modes, their options, and keys, with their help texts."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Mode(StrEnum):
    """What a pytest run does with experiments."""

    DRY = "dry run"
    PLAN = "plan"
    SUBMIT = "submit"
    STATUS = "status"
    COLLECT = "collect"
    LOG = "log"
    CANCEL = "cancel"
    CLEAN = "clean"
    DOCTOR = "doctor"


@dataclass(frozen=True, slots=True)
class Modifier:
    """An option of some modes, and its arguments for argparse."""

    name: str
    modes: frozenset[Mode]
    help: str
    parsing: Mapping[str, object] = field(default_factory=lambda: {"action": "store_true"})

    @property
    def dest(self) -> str:
        """The attribute of pytest's options with its value."""
        return f"remex_{self.name.replace('-', '_').replace('=', '_')}"


MODES = {
    Mode.PLAN: "show what submit would send: diffs, new or already submitted, cost",
    Mode.SUBMIT: "commit, push, place and sbatch each experiment",
    Mode.STATUS: "show where each experiment is",
    Mode.COLLECT: "fetch outputs, check them, and write results, links and report",
    Mode.LOG: "show the output of the jobs of chosen experiments; one that runs is followed",
    Mode.CANCEL: "cancel the jobs of experiments that have not ended",
    Mode.CLEAN: "say what the chosen experiments take, and with --remex-yes remove it",
    Mode.DOCTOR: "examine the connection, the cluster and the clone line by line, with fixes",
}

INI_KEYS = (
    ("host", "", "user@machine or ssh_config alias of the cluster; empty: this machine"),
    ("clone", "", "path of the repository's clone on the cluster"),
    ("runs", "", "path of the folder for run directories there"),
    ("repo", ".", "path of the repository here, relative to rootdir"),
    ("output", "remex-output", "folder for launch records, outputs, results and report"),
    ("confirm", "1000", "most jobs that submit sends without --remex-yes"),
    ("poll", "30", "seconds between two questions to a cluster while --remex-wait waits"),
    ("shell", "bash -lc", "command on the cluster that starts what runs there"),
    ("transport", "auto", "how to get there: fabric, openssh (by ssh), or auto (ssh if connected)"),
    ("sbatch", "", "options for sbatch that win over the script's, as --partition=long"),
    ("max_file", "", "largest output that is fetched, as 500M or 2G; empty: no limit"),
    ("layout", "links", "names in links/: links (by parameters) or flat (by run directory)"),
)


def modifier_groups() -> dict[str, list[Modifier]]:
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
        Modifier("retry=forgotten", sending, "also what Slurm has no trace of (default: no)"),
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
            "yes",
            frozenset({Mode.SUBMIT, Mode.CLEAN}),
            "submit: more jobs than remex_confirm; clean: remove (default: no)",
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
        *_chosen_modifiers(),
    ]


def _chosen_modifiers() -> list[Modifier]:
    return [
        Modifier(
            "launch",
            frozenset({*Mode} - {Mode.DRY, Mode.PLAN, Mode.SUBMIT, Mode.DOCTOR}),
            "an older launch (default: each experiment's newest run)",
            {"metavar": "ID"},
        ),
        Modifier(
            "only",
            frozenset({Mode.CLEAN}),
            "clean: only run directories, or only the outputs that are here (default: both)",
            {"choices": ("runs", "outputs")},
        ),
        Modifier(
            "json",
            frozenset({*Mode} - {Mode.DRY}),
            "every mode: also what is known of each experiment, for scripts, as JSON (default: no)",
            {"type": Path, "metavar": "FILE"},
        ),
    ]


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
