"""The few colours that verdicts and states share."""

from __future__ import annotations

_TONES = {
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


def tone(verdict: str) -> str:
    """Give the tone of a verdict, by its first word; `odd` where it passed with a remark."""
    first, _, remark = verdict.partition(",")
    found = _TONES.get(first.split(maxsplit=1)[0].upper() if first.strip() else "", "unknown")
    return "odd" if remark and found == "good" else found
