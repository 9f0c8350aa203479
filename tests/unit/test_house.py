"""Rules that neither ruff nor import-linter can check."""

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2] / "pytest_remex"
FILES = sorted(ROOT.rglob("*.py"))
SENT_TO_THE_CLUSTER = ("agent", "common")
LONGEST_FILE, LONGEST_FUNCTION = 400, 40


def name_of(path):
    """Return a file's name as the messages show it."""
    return path.relative_to(ROOT).as_posix()


def functions(path):
    """Return each function of a file, with the number of its lines, its docstring left out."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            docstring = node.body[0] if ast.get_docstring(node) else None
            explained = (docstring.end_lineno - docstring.lineno + 1) if docstring else 0
            yield node.name, (node.end_lineno or node.lineno) - first + 1 - explained


def outside(path):
    """Return the top-level packages that a file imports, wherever in it; its own is not one."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).partition(".")[0]


def module_of(path):
    """Return the dotted name of the module in a file."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path) for path in FILES}


def imported(path):
    """Return what a file imports, wherever in it: modules, and names that may be modules."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name for name in names if name in MODULES]
            yield from modules or [str(node.module)]


def test_no_file_is_long():
    """A file has at most 400 lines."""
    lines = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in FILES}
    assert lines
    assert {name: count for name, count in lines.items() if count > LONGEST_FILE} == {}


def test_no_function_is_long():
    """A function has at most 40 lines, its decorators and its head included."""
    counts = {
        f"{name_of(path)}: {name}": count for path in FILES for name, count in functions(path)
    }
    assert counts
    assert {name: count for name, count in counts.items() if count > LONGEST_FUNCTION} == {}


def test_what_runs_on_the_cluster_needs_nothing_installed():
    """The agent, and what it shares with the client, import the standard library and each other."""
    sent = [path for path in FILES if path.relative_to(ROOT).parts[0] in SENT_TO_THE_CLUSTER]
    assert {path.relative_to(ROOT).parts[0] for path in sent} == set(SENT_TO_THE_CLUSTER)
    present = sys.stdlib_module_names | {"pytest_remex"}  # import-linter says which of its packages
    foreign = {name_of(path): set(outside(path)) - present for path in sent}
    assert {name: packages for name, packages in foreign.items() if packages} == {}


def test_no_circle_of_types():
    """No modules import each other in a circle, not even for their types."""
    graph = {module_of(path): MODULES.intersection(imported(path)) for path in FILES}
    assert sum(map(len, graph.values())) > len(FILES)
    TopologicalSorter(graph).prepare()
