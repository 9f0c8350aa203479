"""Draw the rooms of the package and who imports whom, into docs/architecture.md.

Run by `make docs`. The picture is Mermaid text, made from the imports themselves by grimp (the
library below import-linter); arrows that follow from others are left out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import grimp

PACKAGE = "pytest_remex"
PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
BEGIN = "<!-- rooms: made by tools/draw_rooms.py; `make docs` draws it again -->\n"
END = "<!-- end of rooms -->\n"
EVERYWHERE = {"errors", "model", "names", "io", "temporary", "common"}
"""The words and the shared room, which nearly every other one imports: drawn without arrows."""


def rooms() -> dict[str, set[str]]:
    """Return the rooms, each with the rooms that it imports."""
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True)
    found: dict[str, set[str]] = {}
    for module in graph.modules - {PACKAGE}:
        room = _room(module)
        used = {_room(each) for each in graph.find_modules_directly_imported_by(module)}
        found.setdefault(room, set()).update(used - {room, ""})
    return found


def reduced(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the graph without the arrows that follow from others."""
    return {
        room: {
            used
            for used in imported
            if not any(used in _reached(graph, other) for other in imported - {used})
        }
        for room, imported in graph.items()
    }


def drawing() -> str:
    """Return the picture as a Mermaid block."""
    shown = {
        room: imported - EVERYWHERE for room, imported in rooms().items() if room not in EVERYWHERE
    }
    lines = [
        f"    {room} --> {used}"
        for room, imported in sorted(reduced(shown).items())
        for used in sorted(imported)
    ]
    alone = sorted(room for room in shown if not any(room in line.split() for line in lines))
    below = ", ".join(sorted(EVERYWHERE))
    return "\n".join(
        [
            "```mermaid",
            "graph TD",
            *lines,
            *(f"    {room}" for room in alone),
            "```",
            "",
            f"Without arrows here, since all may import them: {below}.",
            "",
        ]
    )


def _room(module: str) -> str:
    return [*module.split("."), ""][1]


def _reached(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    todo = [start]
    while todo:
        for used in graph.get(todo.pop(), set()) - seen:
            seen.add(used)
            todo.append(used)
    return seen


def main() -> None:
    """Write the picture into the page; with --check, fail where it is not there already."""
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    new = before + BEGIN + drawing() + END + after
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(new, "utf-8")
    elif new != text:
        sys.exit(f"{PAGE} is not what `make docs` draws: run it, and commit the page")


if __name__ == "__main__":
    main()
