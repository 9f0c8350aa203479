"""Lint the report's scripts with oxlint, joined as the page joins them: they share one scope.

A name that is declared in one file and used in another is then neither unknown nor unused.
What is found is told by file and line. The rules are in `oxlint.json`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(
    path
    for path in (ROOT / "pytest_remex" / "report").rglob("*.js")
    if "vendor" not in path.parts  # other people's, as they released them
)


def lines() -> list[tuple[Path, int, str]]:
    """Return all lines of the scripts, each with its file and number."""
    return [
        (path, number, line)
        for path in SCRIPTS
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
    ]


def lint(text: str) -> list[dict[str, object]]:
    """Return what oxlint says of a script, one dictionary a finding."""
    oxlint = Path(sysconfig.get_path("scripts")) / "oxlint"
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.js"
        page.write_text(text, "utf-8")
        command = [str(oxlint), f"--config={ROOT}/oxlint.json", "--format=json", str(page)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    try:
        found: list[dict[str, object]] = json.loads(done.stdout)["diagnostics"]
    except (ValueError, KeyError):
        sys.exit(f"oxlint failed:\n{done.stdout}{done.stderr}")
    return found


def main() -> None:
    """Print what was found, and exit with 1 where something was."""
    joined = lines()
    found = lint("\n".join(line for _, _, line in joined) + "\n")
    for each in found:
        labels = each["labels"]
        at = labels[0]["span"]["line"] if isinstance(labels, list) and labels else 1
        path, number, _ = joined[at - 1]
        print(
            f"{path.relative_to(ROOT)}:{number}: {each['message']} ({each.get('code', 'syntax')})"
        )
    print(f"{len(SCRIPTS)} scripts, {len(found)} findings")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
