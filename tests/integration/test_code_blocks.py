"""The code blocks of README and docs parse, and name things that exist."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import subprocess
import textwrap
import tomllib
from pathlib import Path

import pytest

from pytest_remex import Remote, sweep

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "example_project" / "README.md", *(ROOT / "docs").rglob("*.md")]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SIGNATURES = {"sweep": inspect.signature(sweep), "Remote": inspect.signature(Remote)}
KNOWN = {
    "python",
    "bash",
    "toml",
    "ini",
    "json",
    "mermaid",
    "text",
    "console",
    "yaml",
    "fortran",
    "cpp",
}


def blocks():
    """Return each block of the pages that says what language it is in."""
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield pytest.param(*match.groups(), id=f"{page.relative_to(ROOT)}:{line}")


def check_python(text):
    """Parse a block; what it imports of pytest-remex is there, and takes the arguments given."""
    for node in ast.walk(ast.parse(textwrap.dedent(text))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pytest_remex"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert getattr(module, alias.name)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            signature = SIGNATURES.get(node.func.id)
            if signature and not any(word.arg is None for word in node.keywords):
                names = {word.arg: None for word in node.keywords}
                signature.bind(*[None] * len(node.args), **names)


def check_bash(text):
    """Have bash parse a block."""
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


CHECKS = {"python": check_python, "bash": check_bash, "toml": tomllib.loads, "json": json.loads}


@pytest.mark.parametrize(("language", "text"), list(blocks()))
def test_block(language, text):
    """A block parses in its language, and uses names and arguments that there are."""
    assert language in KNOWN
    CHECKS.get(language, str)(text)
