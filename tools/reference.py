"""Make the tables of docs/reference.md from the code: docs/conf.py writes them when it builds.

What a name means is its docstring beside it: a text right after a constant or a member of an enum.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_remex import names
from pytest_remex.common import paths
from pytest_remex.common.jobs import JobState
from pytest_remex.launch.candidate import State
from pytest_remex.pytest_plugin.fixtures import fixtures_of

PLACES = {
    "In a runs folder's": f"<runs>/{paths.REMEX}/",
    "In a run directory's": f"<runs>/<run directory>/{paths.REMEX}/",
    "In the folder of an array or a pack": paths.group("<runs>", "<launch>", "<key>") + "/",
    "In the `.remex/` of a folder of outputs": f"remex-output/runs/<run directory>/{paths.REMEX}/",
}
"""How the docstring of a file's name begins, and the folder that is meant."""


def fixtures() -> dict[str, str]:
    """Return the fixtures, with their scope and what they are for."""
    found = {}
    for node in ast.walk(ast.parse(inspect.getsource(fixtures_of))):
        marks = getattr(node, "decorator_list", ())
        calls = [mark for mark in marks if ast.unparse(mark).startswith("pytest.fixture")]
        if calls and isinstance(node, ast.FunctionDef):
            scope = "session" if "session" in ast.unparse(calls[0]) else "function"
            found[node.name] = f"{scope}: {ast.get_docstring(node)}"
    return found


def columns() -> dict[str, str]:
    """Return the columns of the results that every sweep has."""
    return {**names.FIRST_COLUMNS, **names.LAST_COLUMNS}


def job_states() -> dict[str, str]:
    """Return the states of jobs."""
    said = documented(inspect.getsource(JobState))
    return {each.value: said.get(each.name, "") for each in JobState}


def outcomes() -> dict[str, str]:
    """Return what plan and submit say of an experiment."""
    said = documented(inspect.getsource(State))
    return {each.value: said.get(each.name, "") for each in State}


def files() -> dict[str, str]:
    """Return the files in the folders `.remex`."""
    return dict(sorted([*_named_files(), *_made_paths()]))


def documented(source: str) -> dict[str, str]:
    """Return the names that a module, or a class in it, gives a value and a docstring."""
    body = ast.parse(source).body
    if len(body) == 1 and isinstance(body[0], ast.ClassDef):
        body = body[0].body
    found = {}
    for name, text in itertools.pairwise(body):
        value = text.value if isinstance(text, ast.Expr) else None
        if isinstance(name, ast.Assign) and isinstance(value, ast.Constant):
            found[ast.unparse(name.targets[0])] = inspect.cleandoc(str(value.value))
    return found


def table(rows: Mapping[str, str]) -> str:
    """Return a table in Markdown."""
    lines = [f"| `{name}` | {' '.join(text.split())} |" for name, text in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines, ""])


def _named_files() -> Iterator[tuple[str, str]]:
    for name, text in documented(inspect.getsource(paths)).items():
        for words, folder in PLACES.items():
            if text.startswith(words):
                value = getattr(paths, name)
                yield f"{folder}{value}", text.partition(": ")[2]


def _made_paths() -> Iterator[tuple[str, str]]:
    """Yield the paths that functions make below a runs folder or a run directory."""
    within = f"<runs>/<run directory>/{paths.REMEX}"
    for name, function in inspect.getmembers(paths, inspect.isfunction):
        asked = [
            parameter.name
            for parameter in inspect.signature(function).parameters.values()
            if parameter.default is parameter.empty
        ]
        if asked[0] in {"runs", "notes", "job_number"} and name != "group":
            known = {"runs": "<runs>", "notes": within}
            path = function(*(known.get(each, f"<{each.replace('_', ' ')}>") for each in asked))
            path = path if path.startswith("<") else f"{within}/{path}"
            yield path, re.sub(r"^Return (?:the )?", "", inspect.getdoc(function) or "")


TABLES = {
    "fixtures": fixtures,
    "columns": columns,
    "job_states": job_states,
    "outcomes": outcomes,
    "files": files,
}


def write(folder: Path) -> None:
    """Write each table into a folder, as `<name>.md`."""
    for name, rows in TABLES.items():
        (folder / f"{name}.md").write_text(table(rows()), encoding="utf-8")
