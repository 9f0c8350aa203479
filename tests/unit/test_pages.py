"""Tables and file names of the pages, compared with the code."""

import re
from pathlib import Path

import pytest

from pytest_remex.common.protocol import CONVERSATION
from pytest_remex.pytest_plugin.command_line import MODIFIERS, ModeName

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ALL = frozenset(ModeName) - {ModeName.DRY}
MODIFIER = {each.name: each for group in MODIFIERS.values() for each in group}
NAMED = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|sh))`")


def modes_in(cell):
    """Return the modes that a cell of the guide's table of options names."""
    before, every, without = cell.partition("every mode")
    named = {
        ModeName(name) for name in re.findall(r"\w+", before if every else cell) if name in ALL
    }
    if every:
        left_out = {ModeName(name) for name in re.findall(r"\w+", without) if name in ALL}
        named |= ALL - left_out
    return named | ({ModeName.DRY} if "dry run" in before else set())


def rows(page):
    """Return the cells of all rows of a page's tables."""
    lines = (DOCS / page).read_text("utf-8").splitlines()
    return [line.strip("|").split(" | ") for line in lines if line.startswith("|")]


@pytest.mark.parametrize("name", MODIFIER)
def test_the_guide_names_the_modes_of_an_option(name):
    """The guide's table has each option, with the modes that take it."""
    option = re.compile(rf" ?`--remex-{name}[=\[`]")
    cells = [row[1] for row in rows("guide.md") if option.match(row[0])]
    assert cells
    assert [modes_in(cell) for cell in cells] == [MODIFIER[name].modes] * len(cells)


@pytest.mark.parametrize("request_type", CONVERSATION, ids=lambda kind: kind.__name__)
def test_the_protocol_page_names_the_events_of_a_request(request_type):
    """The page about the protocol has each request, with the events that may answer it."""
    name = f"`{request_type.__name__}`"
    (cell,) = [row[1] for row in rows("protocol.md") if row[0].strip() == name]
    events = [each.__name__ for each in CONVERSATION[request_type]]
    assert sorted(re.findall(r"\w+", cell)) == sorted(events)


def test_files_that_pages_name_exist():
    """A page about the code names only files that exist, from the top or from the package."""
    pages = [ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]
    named = {path for page in pages for path in NAMED.findall(page.read_text("utf-8"))}
    assert named
    places = (ROOT, ROOT / "pytest_remex")
    user_files = {"more/sweeps.py"}
    assert not [
        path
        for path in named - user_files
        if not any((place / path).exists() for place in places) and not path.startswith(".venv/")
    ]
