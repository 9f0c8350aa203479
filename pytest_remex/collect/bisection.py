"""Which commits to try next to find the one that changed a result, and what is known by then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Known(Enum):
    """What is known of an experiment on one commit."""

    NOTHING = "nothing"
    PENDING = "its job has not ended"
    SAME = "its result is that of the first commit"
    CHANGED = "its result is another one"
    SKIPPED = "it does not run there"


@dataclass(frozen=True, slots=True)
class Narrowed:
    """How far the search has come, as positions in the list of commits.

    Attributes:
        same: The last commit before the change that is known to be the same.
        changed: The first that is known to be changed.
        untried: Those between, of which nothing is known yet.
        pending: Those between whose jobs have not ended.

    """

    same: int
    changed: int
    untried: tuple[int, ...]
    pending: tuple[int, ...]

    @property
    def suspects(self) -> range:
        """The commits of which one made the change, as far as can be told now."""
        return range(self.same + 1, self.changed + 1)

    @property
    def is_final(self) -> bool:
        """Whether nothing is left to try."""
        return not self.untried and not self.pending


def narrowed(known: Sequence[Known]) -> Narrowed | None:
    """Return how far the search has come; None where the ends do not differ, or are not known.

    Args:
        known: What is known of each commit, the oldest first.

    """
    if known[0] is not Known.SAME or known[-1] is not Known.CHANGED:
        return None
    changed = known.index(Known.CHANGED)
    same = max(place for place in range(changed) if known[place] is Known.SAME)
    between = range(same + 1, changed)
    return Narrowed(
        same,
        changed,
        tuple(place for place in between if known[place] is Known.NOTHING),
        tuple(place for place in between if known[place] is Known.PENDING),
    )


def next_round(known: Sequence[Known], most: int) -> list[int]:
    """Return the commits to try next, none while those of a round are pending.

    All at once where they are no more than `most`; else `most` of them, as far apart as can be. The
    first round has both ends.

    Args:
        known: What is known of each commit, the oldest first.
        most: The largest number of commits of a round; the ends come on top of that.

    """
    found = narrowed(known)
    if found is not None:
        return [] if found.pending else _spread(found.untried, most)
    ends = [place for place in (0, len(known) - 1) if known[place] is Known.NOTHING]
    if not ends:
        return []
    between = [p for p in range(1, len(known) - 1) if known[p] is Known.NOTHING]
    return sorted({*ends, *_spread(between, most)})


def _spread(places: Sequence[int], most: int) -> list[int]:
    """Return some of the places, evenly spread; all if there are no more than `most`."""
    if len(places) <= most:
        return list(places)
    step = len(places) / (most + 1)
    return sorted({places[int(step * (number + 1))] for number in range(most)})
