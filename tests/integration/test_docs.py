"""The pages' settings, each in the file that it names, do what the page says."""

from __future__ import annotations

import configparser
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "example_project" / "README.md", *(ROOT / "docs").glob("*.md")]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SETTING = re.compile(r"^ *(remex_\w+ *=|def (remote|repo)\(\))", re.MULTILINE)

NATIVE_TOML = 9
"""The release of pytest that reads `[tool.pytest]`."""

TEST = """
def test_settings(pytestconfig, remote):
    for key, value in {expected!r}.items():
        assert pytestconfig.getini(key) == value
    assert remote.host == "user@machine"
    assert remote.clone and remote.runs
"""


def settings():
    """Return each block of the pages that sets something, with its page and its first line."""
    blocks = [(page, text) for page in PAGES for _, text in FENCE.findall(page.read_text("utf-8"))]
    for page, text in blocks:
        if SETTING.search(text):
            first = text.partition("\n")[0]
            yield pytest.param(first, text, id=f"{page.relative_to(ROOT)}: {first}")


def expected(name, text):
    """Return what pytest must make of a block's ini keys."""
    if name == "pyproject.toml":
        table = tomllib.loads(text)["tool"]["pytest"]
        return dict(table.get("ini_options", table))
    if name == "pytest.ini":
        parser = configparser.ConfigParser()
        parser.read_string(text)
        lists = {"remex_sweeps"}
        return {k: v.split() if k in lists else v for k, v in parser["pytest"].items()}
    return {}


@pytest.mark.parametrize(("first", "text"), list(settings()))
def test_settings_of_the_pages(project, first, text):
    """A block of settings names its file in its first line, and counts in that file."""
    name = first.removeprefix("# ")
    if "[tool.pytest]\n" in text and int(pytest.__version__.partition(".")[0]) < NATIVE_TOML:
        pytest.skip("[tool.pytest] is read from pytest 9 on")
    assert name in {"conftest.py", "pyproject.toml", "pytest.ini"}, first
    (project.path / "pytest.ini").unlink()
    project.write(name, text)
    project.write("test_settings.py", TEST.format(expected=expected(name, text)))
    result = project.pytest("--strict-config", "-W", "error", "test_settings.py")
    result.assert_outcomes(passed=1)


def test_both_spellings_of_pyproject():
    """The guide shows `[tool.pytest.ini_options]`, and `[tool.pytest]` of pytest 9."""
    shown = [str(param.values[1]) for param in settings() if param.id.startswith("docs/guide.md")]
    for table in ("[tool.pytest.ini_options]\n", "[tool.pytest]\n"):
        assert any(table in text for text in shown)


def test_both_kinds_of_file():
    """The guide shows pyproject.toml, pytest.ini and conftest.py."""
    shown = {param.values[0] for param in settings() if param.id.startswith("docs/guide.md")}
    assert shown == {"# conftest.py", "# pyproject.toml", "# pytest.ini"}
