"""Draw the packages, and which imports which, into docs/architecture.md.

Run by `make docs`. The picture is Mermaid text, made from the imports themselves by grimp (the
library below import-linter); arrows that follow from others are left out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import grimp

TOP = "pytest_remex"
PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
BEGIN = "<!-- packages: made by tools/draw_packages.py; `make docs` draws it again -->\n"
END = "<!-- end of packages -->\n"
EVERYWHERE = {"background", "errors", "model", "names", "io", "temporary", "common"}
"""What nearly every other package imports: drawn without arrows."""


def packages() -> dict[str, set[str]]:
    """Return the packages and top-level modules, each with those that it imports."""
    graph = grimp.build_graph(TOP, exclude_type_checking_imports=True)
    found: dict[str, set[str]] = {}
    for module in graph.modules - {TOP}:
        package = _package_of(module)
        used = {_package_of(each) for each in graph.find_modules_directly_imported_by(module)}
        found.setdefault(package, set()).update(used - {package, ""})
    return found


def reduced(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the graph without the arrows that follow from others."""
    return {
        package: {
            used
            for used in imported
            if not any(used in _reached(graph, other) for other in imported - {used})
        }
        for package, imported in graph.items()
    }


def drawing() -> str:
    """Return the picture as a Mermaid block."""
    shown = {
        package: imported - EVERYWHERE
        for package, imported in packages().items()
        if package not in EVERYWHERE
    }
    lines = [
        f"    {package} --> {used}"
        for package, imported in sorted(reduced(shown).items())
        for used in sorted(imported)
    ]
    alone = sorted(
        package for package in shown if not any(package in line.split() for line in lines)
    )
    below = ", ".join(sorted(EVERYWHERE))
    return "\n".join(
        [
            "```mermaid",
            "graph TD",
            *lines,
            *(f"    {package}" for package in alone),
            "```",
            "",
            f"Without arrows here, since all may import them: {below}.",
            "",
        ]
    )


def _package_of(module: str) -> str:
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
