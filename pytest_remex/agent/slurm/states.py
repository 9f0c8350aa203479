"""Slurm's words for states, as the words that the client knows."""

from typing import Dict

_HOLDS = ("JobHeldUser", "JobHeldAdmin")

_WORDS: Dict[str, str] = {
    "BOOT_FAIL": "BOOT_FAIL",
    "CANCELLED": "CANCELLED",
    "COMPLETED": "COMPLETED",
    "COMPLETING": "COMPLETING",
    "CONFIGURING": "PENDING",
    "DEADLINE": "DEADLINE",
    "EXPEDITING": "PENDING",
    "FAILED": "FAILED",
    "LAUNCH_FAILED": "NODE_FAIL",
    "NODE_FAIL": "NODE_FAIL",
    "OUT_OF_MEMORY": "OUT_OF_MEMORY",
    "PENDING": "PENDING",
    "POWER_UP_NODE": "PENDING",
    "PREEMPTED": "PREEMPTED",
    "RECONFIG_FAIL": "NODE_FAIL",
    "REQUEUED": "PENDING",
    "REQUEUE_FED": "PENDING",
    "REQUEUE_HOLD": "HELD",
    "RESIZING": "RUNNING",
    "RESV_DEL_HOLD": "HELD",
    "RUNNING": "RUNNING",
    "SIGNALING": "RUNNING",
    "SPECIAL_EXIT": "HELD",
    "STAGE_OUT": "COMPLETING",
    "STOPPED": "SUSPENDED",
    "SUSPENDED": "SUSPENDED",
    "TIMEOUT": "TIMEOUT",
}


def state_of(word: str, reason: str = "") -> str:
    """Give the state for a word of squeue, sacct or scontrol; a new word is UNKNOWN.

    sacct says more than the word, as in `CANCELLED by 1000`.
    """
    first = word.split(None, 1)[0].rstrip("+") if word.strip() else ""
    state = _WORDS.get(first, "UNKNOWN")
    return "HELD" if state == "PENDING" and reason in _HOLDS else state
