"""The reference names all that there is: its tables are made from the code, or compared with it."""

import importlib.util
import re
from pathlib import Path

import pytest

from pytest_remex import results
from pytest_remex.pytest_plugin.mode import NOT_ENDED

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference.md").read_text("utf-8")
FETCHED = "remex-output/runs/<run directory>/"


@pytest.fixture(scope="module")
def reference():
    """Return tools/reference.py, which makes the tables."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "tools" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def section(title):
    """Return the first cells of the table in a section of the page."""
    text = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    return [cell.strip("`") for cell in re.findall(r"^\| ([^|]+?) \|", text, re.MULTILINE)]


def is_named(path, names):
    """Return whether a file is among the names, or lies in a folder that is."""
    patterns = [re.sub(r"<[^<>]+>", ".+", re.escape(name.rstrip("/"))) for name in names]
    places = [str(path), *map(str, list(path.parents)[:-1])]
    return any(re.fullmatch(pattern, place) for pattern in patterns for place in places)


def test_everything_is_described(reference):
    """Each state, outcome, column, fixture and file is described, and the page has each table."""
    for name, rows in reference.TABLES.items():
        assert rows(), name
        assert {each for each, text in rows().items() if len(text) < 8} == set(), name
        assert f"_build/{name}.md" in PAGE


def test_all_fixtures(project, reference):
    """The fixtures are those that pytest lists as this plugin's."""
    listed = project.pytest("--fixtures", "-q").stdout.str()
    ours = re.findall(r"^(\w+)(?: \[\w+ scope\])? -- .*pytest_remex/", listed, re.MULTILINE)
    assert set(reference.fixtures()) == set(ours) != set()


def test_all_exit_codes():
    """The codes are pytest's and the one of experiments that have not ended."""
    codes = {int(code) for code in section("Exit codes") if code.strip().isdecimal()}
    assert codes >= {*map(int, pytest.ExitCode), NOT_ENDED}


def test_all_columns(project, reference):
    """A table of results has the columns that the page names, the parameters and the measures."""
    project.ran()
    project.pytest("--remex-collect").assert_outcomes(passed=3)
    *first, directory, path, outputs, launch, note = list(reference.columns())[2:]
    assert list(results(project.output / "grid").columns) == [
        *("node", "id", "a", "double"),
        *(*first, "date", directory, path, outputs, launch, note),
    ]


def test_all_files(project, reference):
    """The page names all files of a grid in the runs folder and in remex-output."""
    project.edit("sweeps.py", "[1, 2, 3]", "[1, 2]")
    project.ran("--remex-array")
    project.edit("sweeps.py", "[1, 2]", "[1, 2, 3]")
    project.ran()
    project.pytest("--remex-collect", "--remex-portable").assert_outcomes(passed=3)
    launch = project.record_paths()[0].stem
    project.pytest("--remex-collect", f"--remex-launch={launch}")
    local, named = project.output / "local", list(reference.files())
    there = [path.relative_to(local) for path in local.rglob("*") if ".remex" in path.parts]
    too_wide = "<runs>/.remex/arrays"
    names = [name.removeprefix("<runs>/") for name in named if name != too_wide]
    assert [str(path) for path in there if path.is_file() and not is_named(path, names)] == []
    names = [*section("Files on this machine"), "runs/.+/.remex/.+"]
    here = [
        path.relative_to(project.output)
        for path in project.output.rglob("*")
        if local not in path.parents and path.is_file()
    ]
    assert [str(path) for path in here if not is_named(path, names)] == []
