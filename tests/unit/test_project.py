"""The repository is consistent: versions agree, links have targets."""

import re
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    ROOT / "example_project" / "README.md",
]
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(page):
    """Return the anchors of a page's headings, as renderers of Markdown make them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_citation():
    """CITATION.cff is YAML with what its format asks for, and of this version and licence."""
    found = YAML(typ="safe").load(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= found.keys()
    assert found["version"] == PROJECT["version"]
    assert found["license"] == PROJECT["license"]


def test_changelog_knows_the_version():
    """The changelog has a section for the version of the package."""
    assert f"## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links(page):
    """A link within the repository leads to a file, and to a heading of it."""
    for target, anchor in LINK.findall(FENCE.sub("", page.read_text())):
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), target
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path), f"{target}#{anchor}"


def test_contents_of_the_site():
    """Each page of the docs is in the site's contents."""
    docs = ROOT / "docs"
    index = (docs / "index.md").read_text()
    named = set(re.findall(r"^[\w/-]+$", index, re.MULTILINE))
    pages = [*docs.glob("*.md"), *(docs / "decisions").glob("*.md")]
    assert {str(page.relative_to(docs).with_suffix("")) for page in pages} - {"index"} <= named


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_modules_that_pages_name(page):
    """A module that a page names by its path is there."""
    for path in re.findall(r"`([a-z_]+/[a-z_/]+\.py)`", page.read_text()):
        assert (ROOT / path).exists() or (ROOT / "pytest_remex" / path).exists(), path


def test_commands_of_contributing():
    """A pytest command that CONTRIBUTING names finds its files, and the tests that it selects."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    commands = re.findall(r"-m pytest ([^`]*)`", text)
    assert len(commands) > 3
    for command in commands:
        paths, _, word = command.partition(" -k ")
        files = [ROOT / path for path in paths.split() if path.startswith("tests/")]
        assert files
        assert all(path.exists() for path in files), command
        if word:
            assert re.search(rf"^def test_\w*{word}", files[0].read_text(), re.MULTILINE), command


def test_all_extras_of_config_files():
    """The extra `config` brings the library of each kind of config file."""
    extras = PROJECT["optional-dependencies"]
    assert extras["config"] == ["pytest-remex[yaml,toml,json5]"]
