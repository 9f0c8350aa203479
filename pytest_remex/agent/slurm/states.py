"""Slurm's words for states, as the words that the client knows."""

from typing import Dict

from pytest_remex.common.jobs import JobState

_HOLDS = ("JobHeldUser", "JobHeldAdmin")

_WORDS: Dict[str, JobState] = {
    "BOOT_FAIL": JobState.BOOT_FAIL,
    "CANCELLED": JobState.CANCELLED,
    "COMPLETED": JobState.COMPLETED,
    "COMPLETING": JobState.COMPLETING,
    "CONFIGURING": JobState.PENDING,
    "DEADLINE": JobState.DEADLINE,
    "EXPEDITING": JobState.PENDING,
    "FAILED": JobState.FAILED,
    "LAUNCH_FAILED": JobState.NODE_FAIL,
    "NODE_FAIL": JobState.NODE_FAIL,
    "OUT_OF_MEMORY": JobState.OUT_OF_MEMORY,
    "PENDING": JobState.PENDING,
    "POWER_UP_NODE": JobState.PENDING,
    "PREEMPTED": JobState.PREEMPTED,
    "RECONFIG_FAIL": JobState.NODE_FAIL,
    "REQUEUED": JobState.PENDING,
    "REQUEUE_FED": JobState.PENDING,
    "REQUEUE_HOLD": JobState.HELD,
    "RESIZING": JobState.RUNNING,
    "RESV_DEL_HOLD": JobState.HELD,
    "RUNNING": JobState.RUNNING,
    "SIGNALING": JobState.RUNNING,
    "SPECIAL_EXIT": JobState.HELD,
    "STAGE_OUT": JobState.COMPLETING,
    "STOPPED": JobState.SUSPENDED,
    "SUSPENDED": JobState.SUSPENDED,
    "TIMEOUT": JobState.TIMEOUT,
}


def state_of(word: str, reason: str = "") -> JobState:
    """Return the state for a word of squeue, sacct or scontrol; a new word is UNKNOWN.

    sacct says more than the word, as in `CANCELLED by 1000`.
    """
    first = word.split(None, 1)[0].rstrip("+") if word.strip() else ""
    state = _WORDS.get(first, JobState.UNKNOWN)
    return JobState.HELD if state is JobState.PENDING and reason in _HOLDS else state
