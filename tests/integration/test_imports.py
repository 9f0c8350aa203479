"""The modules that the plugin loads, and when."""

import json
import subprocess
import sys

import pytest

HEAVY = ("fabric", "paramiko", "git", "pandas", "numpy", "plotly", "rich", "jinja2", "filelock")


def loaded(statement):
    """Return the heavy modules that a statement loads, in a process of its own."""
    program = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    return set(json.loads(done.stdout)) & set(HEAVY)


@pytest.mark.parametrize(
    "module",
    ["pytest_remex", "pytest_remex.plugin", "pytest_remex.extensions.mesa.plugin"],
)
def test_nothing_heavy_is_loaded(module):
    """Importing the package and its plugins loads nothing that takes long."""
    assert loaded(f"import {module}") == set()


def test_results_load_pandas():
    """pytest_remex.results loads pandas when it is first asked for, and no connection."""
    assert loaded("from pytest_remex import results") <= {"pandas", "numpy"}


def test_tables_are_loaded_while_files_are_copied():
    """Pandas is loaded while a collect waits for the files that it fetches, and not before."""
    statement = (
        "from pytest_remex.collect.fetch import FETCHING\n"
        "from pytest_remex.tables.publish import TablesImport\n"
        "tables = TablesImport()\n"
        "tell = tables.during(FETCHING, lambda *_: None)\n"
        "tell('listing', 0, 1)\ntables.wait()\nassert 'pandas' not in sys.modules\n"
        "tell(FETCHING, 0, 1)\ntell(FETCHING, 1, 1)\ntables.wait()"
    )
    assert {"pandas", "jinja2"} <= loaded(statement)


def test_plain_pytest(empty_project):
    """A plain run of tests loads none of it either."""
    empty_project.write(
        "test_it.py",
        f"""
        import sys
        def test_it():
            assert not set(sys.modules) & set({HEAVY!r})
            assert "pytest_remex.repo.git" not in sys.modules
        """,
    )
    result = empty_project.pytest_alone("-p", "no:hypothesispytest")
    result.assert_outcomes(passed=1)


def test_dry_run_loads_no_connection(project):
    """A dry run loads neither GitPython, nor the connection, nor pandas."""
    project.write(
        "conftest.py",
        """
        import sys
        def pytest_sessionfinish():
            print("LOADED", sorted({"git", "fabric", "paramiko", "pandas"} & set(sys.modules)))
        """,
    )
    result = project.pytest_alone("sweeps.py", "-s", "-p", "no:hypothesispytest")
    result.stdout.fnmatch_lines(["*LOADED [[][]]*"])


NOT_NEEDED = {
    "--remex-plan": {
        "pytest_remex.launch.launcher",
        "pytest_remex.launch.session",
        "pytest_remex.tables.frame",
        "pytest_remex.report.page",
    },
    "--remex-submit": {"pytest_remex.launch.plan", "pytest_remex.tables.frame"},
}
"""Modules that a mode for jobs on this machine does not need, besides those of the others."""
NEVER = {
    "pytest_remex.config",
    "pytest_remex.extensions.mesa.chains",
    "pytest_remex.extensions.mesa.restarts",
    "pytest_remex.namelists.values",
    "pytest_remex.transport.openssh",
    "rich.console",
    "rich.progress",
}
"""Needed only if a config is read back, a host is named, bars are drawn, or for inlists."""


@pytest.mark.parametrize("mode", NOT_NEEDED)
def test_a_mode_loads_only_what_it_needs(project, mode):
    """A plan, and a submit that finds all submitted, load no ssh, no config formats, no bars."""
    project.submit()
    project.write(
        "conftest.py",
        """
        import json, sys
        def pytest_unconfigure():
            with open("loaded.json", "w") as file:
                json.dump(sorted(sys.modules), file)
        """,
    )
    result = project.pytest_alone(mode, "-p", "no:hypothesispytest")
    result.stdout.fnmatch_lines(["*3 already submitted*"])
    modules = set(json.loads((project.path / "loaded.json").read_text()))
    assert "pytest_remex.transport.local" in modules
    assert not modules & (NOT_NEEDED[mode] | NEVER | {*HEAVY} - {"rich", "filelock"})
