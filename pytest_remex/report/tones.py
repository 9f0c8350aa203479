"""The few colours that verdicts and states share."""

from __future__ import annotations

TONES = {
    "PASSED": "good",
    "COMPLETED": "good",
    "SUBMITTED": "good",
    "PENDING": "wait",
    "HELD": "wait",
    "SKIPPED": "wait",
    "RUNNING": "live",
    "COMPLETING": "live",
    "SUSPENDED": "live",
    "PARTIAL": "live",
    "CHANGED": "odd",
    "PREEMPTED": "odd",
    "CANCELLED": "odd",
    "FAILED": "bad",
    "ERROR": "bad",
    "TIMEOUT": "bad",
    "OUT_OF_MEMORY": "bad",
    "NODE_FAIL": "bad",
    "BOOT_FAIL": "bad",
    "DEADLINE": "bad",
    "REJECTED": "bad",
    "LOST": "bad",
}


def tone(word: str) -> str:
    """Give the tone of a verdict or state, by its first word; `unknown` where there is none."""
    first, *_ = word.split(maxsplit=1) or [""]
    return TONES.get(first.upper(), "unknown")
