"""Measure every mode as a whole command: wall and processor time."""

from __future__ import annotations

from collect import SMALL, finished
from figures import Figures
from loopback import Loopback, loopback
from star import more_files, write_sweep

CODES = (0, 1, 10)
SETTINGS = {"MaxArraySize": "1001", "MaxJobCount": "60000"}
LAUNCH = {
    "plan": ("--remex-plan",),
    "submit": ("--remex-submit", "--remex-yes"),
    "submit, all submitted": ("--remex-submit",),
    "status": ("--remex-status",),
    "cancel": ("--remex-cancel",),
}
ARRAY = {
    "submit as an array": ("--remex-submit", "--remex-array", "--remex-yes"),
    "cancel of an array": ("--remex-cancel",),
}
NOTHING = {"status, nothing submitted": ("--remex-status",)}
"""What pytest itself and one connection take: the floor."""

QUICK = {"count": 30}


def measure(runs: int, count: int = 1000) -> list[Figures]:
    """Measure all modes, each round on clusters of its own."""
    floors = {next(iter(NOTHING)): "nothing"}
    wall = Figures(f"modes, {count} experiments", "s", floors)
    busy = Figures(f"modes, {count} experiments, processor time", "s", floors)

    def add(site: Loopback, name: str, words: tuple[str, ...]) -> None:
        ran = site.pytest(*words, codes=CODES)
        wall.add(name, ran.seconds)
        busy.add(name, ran.busy)

    for _ in range(runs):
        for ways in ({**NOTHING, **LAUNCH}, ARRAY):
            with loopback(more_files(), settings=SETTINGS) as site:
                write_sweep(site.project.repository, count)
                for name, words in ways.items():
                    add(site, name, words)
        with finished(count, SMALL) as site:
            for name in ("collect", "collect, nothing changed"):
                add(site, name, ("--remex-collect",))
    return [wall, busy]
