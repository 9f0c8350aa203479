"""The results of a campaign's faults: tried, survived, lost, doubled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from support.invariants import executions
from support.launches import User

COLUMNS = ("faults", "experiments", "survived", "lost", "doubled")


@dataclass(frozen=True)
class Case:
    """One fault on its way: what is counted of it so far."""

    counts: Counter[str]

    def injected(self, number: int = 1) -> None:
        """Count faults that met a command before its end."""
        self.counts["faults"] += number

    def check(self, user: User, experiments: int) -> None:
        """Count how often each experiment ran, and assert that it is once."""
        ran = executions(user)
        lost = experiments - sum(times > 0 for times in ran.values())
        doubled = sum(times > 1 for times in ran.values())
        self.counts.update(experiments=experiments, lost=lost, doubled=doubled)
        assert (lost, doubled) == (0, 0), ran


@dataclass(frozen=True)
class Tally:
    """The counts of a test session, by fault."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)

    @contextmanager
    def case(self, fault: str) -> Iterator[Case]:
        """Count what happens in a with block as a case of this fault, survived if it ends well."""
        case = Case(Counter())
        total = self.counts.setdefault(fault, Counter())
        try:
            yield case
            case.counts["survived"] = case.counts["faults"]
        finally:
            total.update(case.counts)

    def lines(self) -> Iterator[str]:
        """Yield the rows of a table in Markdown."""
        if not self.counts:
            return
        yield "| fault | " + " | ".join(COLUMNS) + " |"
        yield "|---|" + "---:|" * len(COLUMNS)
        for fault, counts in sorted(self.counts.items()):
            yield f"| {fault} | " + " | ".join(f"{counts[name]:,}" for name in COLUMNS) + " |"
