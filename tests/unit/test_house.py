"""The house: who may import whom, one door for each outside thing, and small rooms."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "pytest_remex"

FLOORS = {
    "words": "errors mends model grouping",
    "pure: no I/O, no pytest": "sweep names body sbatch_options sbatch cost",
    "doors: one outside thing each": "records repo remote agent tables report",
    "phases: each reads as a list of steps": "launch collect",
    "pytest": "hookspecs options modes plugin",
}
"""From the ground up. A file imports only from its own floor and those below it."""

FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS.values()) for room in rooms.split()}
TOP = len(FLOORS) - 1

DOORS = {
    "git": {"repo/process.py"},
    "fabric": {"remote"},
    "paramiko": {"remote"},
    "pandas": {"tables/frames.py", "extensions"},
    "plotly": {"report", "extensions"},
    "jinja2": {"report"},
    "filelock": {"launch/launcher.py", "modes/finish.py"},
    "rich": {"modes/terminal.py", "modes/board.py", "cost.py", "collect/phase.py"},
}
"""Who may import what from outside; what only type checkers import does not count."""

FILES = sorted(ROOT.rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 250, 40


def room_of(path):
    """Give the room that a file belongs to: a file of the package, or a folder in it."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path):
    """Give what a file imports when it runs: not what stands under TYPE_CHECKING."""
    todo = [ast.parse(path.read_text("utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            todo += node.orelse
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module)
        else:
            todo += ast.iter_child_nodes(node)


def rooms_used(path):
    """Give the rooms of this package that a file imports from."""
    parts = (name.split(".") for name in imports(path) if name.startswith("pytest_remex."))
    return {names[1] for names in parts if (ROOT / names[1]).exists() or names[1] in FLOOR_OF}


def name_of(path):
    """Give a file's name as test ids show it."""
    return path.relative_to(ROOT).as_posix()


CORE = [path for path in FILES if room_of(path) not in {"__init__", "extensions"}]


@pytest.mark.parametrize("path", CORE, ids=name_of)
def test_floors(path):
    """A file imports only from its own floor and those below."""
    room = room_of(path)
    assert room in FLOOR_OF, f"give {room} a floor in FLOORS"
    above = {used for used in rooms_used(path) if FLOOR_OF.get(used, TOP) > FLOOR_OF[room]}
    assert not above, f"{name_of(path)} reaches up to {above}"


def test_no_cycles():
    """No room needs itself, by whatever way round."""
    graph: dict[str, set[str]] = {}
    for path in CORE:
        graph.setdefault(room_of(path), set()).update(rooms_used(path) - {room_of(path)})
    graph["plugin"].discard("modes")  # deferred: the plugin of a mode is loaded when it is on
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_doors(path):
    """One outside thing has one door."""
    outside = {name.partition(".")[0] for name in imports(path)}
    for thing, doors in DOORS.items():
        at_door = {room_of(path), name_of(path)} & doors
        assert thing not in outside or at_door, f"{thing} has its door in {doors}"


@pytest.mark.parametrize("path", CORE, ids=name_of)
def test_pytest_is_on_the_top_floor(path):
    """Only the top floor knows pytest."""
    if FLOOR_OF.get(room_of(path), TOP) < TOP:
        assert {"pytest", "_pytest"}.isdisjoint(name.partition(".")[0] for name in imports(path))


@pytest.mark.parametrize("path", [path for path in FILES if room_of(path) == "agent"], ids=name_of)
def test_agent_stands_alone(path):
    """The agent imports nothing of the package: it runs where that is not installed."""
    assert not [name for name in imports(path) if name.startswith("pytest_remex")]


@pytest.mark.parametrize(
    "path", [path for path in FILES if room_of(path) == "extensions"], ids=name_of
)
def test_extensions_are_guests(path):
    """An extension uses the words and the hooks, as a third party's would."""
    assert rooms_used(path) <= {"errors", "model", "hookspecs", "extensions"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_small_rooms(path):
    """A file is at most 250 lines, a function at most 40, its docstring and head included."""
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{node.name} has {length} lines"


def test_no_pickle_no_shell():
    """Nothing is unpickled or evaluated, and no command is a shell's string."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in {"eval", "exec", "os.system", "os.popen"} or (
                    room_of(path) == "agent" and called == "exec"
                ), f"{name_of(path)}: {called}"
                shell = [word for word in node.keywords if word.arg == "shell"]
                assert not [w for w in shell if ast.unparse(w.value) == "True"], name_of(path)
        assert {"pickle", "marshal", "shelve"}.isdisjoint(imports(path)), name_of(path)
