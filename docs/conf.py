"""The docs site: `make docs` builds it, and takes a warning for an error."""

import os
import subprocess
import sys
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tools"))

import reference  # noqa: E402 - it lies in tools/

project = "pytest-remex"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 4
suppress_warnings = [
    "myst.xref_missing",  # links to files of the repository; a test follows them
    "misc.highlighting_failure",  # mermaid is no language of Pygments
    "myst.header",  # a page may begin with a table of its own
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "pytest-remex"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
napoleon_use_rtype = False


def write_tables(_app: Sphinx) -> None:
    """Write what the code says of itself to files that the reference shows."""
    folder = HERE / "_build"
    folder.mkdir(exist_ok=True)
    groups = [part for part in shown(width=100).split("\n\n") if part.startswith("remex")]
    keys = [line.strip() for line in shown(width=300).splitlines() if line.startswith("  remex_")]
    (folder / "options.txt").write_text("\n\n".join(groups) + "\n")
    (folder / "ini_keys.txt").write_text("\n".join(keys) + "\n")
    reference.write(folder)


def shown(width: int) -> str:
    """Return pytest's help at a width of the terminal."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=HERE,
        env={**os.environ, "COLUMNS": str(width)},
    ).stdout


def setup(app: Sphinx) -> None:
    """See Sphinx."""
    app.connect("builder-inited", write_tables)
