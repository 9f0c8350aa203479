"""Says which points have runs on another base than today's, and what may be done about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from pytest_remex.launch.recognition import EarlierRun
from pytest_remex.repo.workspace import Prepared

SHOWN = 5
"""Changed files that are named."""


def moved_bases(
    held: Iterable[tuple[Prepared, EarlierRun]], selected: Iterable[Prepared]
) -> list[str]:
    """Return a message for each sweep and base.

    Args:
        held: The experiments that are not sent, with their points' runs.
        selected: All experiments of the command.
    """
    totals = Counter(each.experiment.sweep.name for each in selected)
    groups: dict[tuple[str, str], list[tuple[Prepared, EarlierRun]]] = {}
    for prepared, earlier in held:
        key = prepared.experiment.sweep.name, earlier.recorded.launch.base
        groups.setdefault(key, []).append((prepared, earlier))
    return [_message(totals[sweep], base, group) for (sweep, base), group in groups.items()]


def _message(total: int, base: str, group: Sequence[tuple[Prepared, EarlierRun]]) -> str:
    prepared, earlier = group[0]
    short, today = base[:7], prepared.commit.base[:7]
    those = "it" if len(group) == 1 else "them"
    return (
        f"{_counts(group, total)} on base {short}; since then changed: {_some(earlier.changed)}\n"
        f'not sent: --remex-new-base sends {those} on {today}; branch="{short}" in '
        f"@sweep(...) stays with that base; and if no job reads what changed, name it in the ini "
        f"key remex_control"
    )


def _counts(group: Sequence[tuple[Prepared, EarlierRun]], total: int) -> str:
    completed = sum(earlier.completed for _, earlier in group)
    others = len(group) - completed
    if not others:
        return f"{completed} of these {total} completed"
    if not completed:
        return f"{others} of these {total} {'was' if others == 1 else 'were'} submitted"
    more = f"{others} more {'was' if others == 1 else 'were'} submitted"
    return f"{completed} of these {total} completed, and {more},"


def _some(paths: Sequence[str]) -> str:
    shown = [path if path.isprintable() else ascii(path) for path in paths[:SHOWN]]
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(shown) + more
