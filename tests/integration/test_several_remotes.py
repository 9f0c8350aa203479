"""Sweeps of one command that run in several places."""

import shutil

import pytest

REMOTE = """
import pytest
from pytest_remex import Remote
@pytest.fixture(scope={scope!r})
def remote():
    return Remote(None, "", {runs!r})
"""


@pytest.fixture
def two(project):
    """Return a project whose two folders of sweeps run in two places, which were submitted."""
    grid = (project.path / "sweeps.py").read_text()
    (project.path / "sweeps.py").unlink()
    for name in ("one", "two"):
        project.write(f"{name}/{name}_sweep.py", grid.replace("def grid", f"def {name}"))
        place(project, name)
    project.write(".git/info/exclude", "one/\ntwo/\nruns/\n")
    project.pytest("one", "two", "--remex-submit").assert_outcomes(passed=6)
    project.pytest("one", "two", "--remex-status", "--remex-wait")
    return project


def place(project, name, scope="session"):
    """Write where the sweeps of a folder run."""
    text = REMOTE.format(scope=scope, runs=str(project.path / "runs" / name))
    project.write(f"{name}/conftest.py", text)


def test_all_places_are_asked(two):
    """Without its own records, each mode learns from the runs folders of all chosen items."""
    for number in range(2):
        shutil.rmtree(two.output)
        order = ("one", "two") if number else ("two", "one")
        status = two.pytest(*order, "--remex-status", "-v")
        status.stdout.fnmatch_lines(["*= 6 completed in *"])
    shutil.rmtree(two.output)
    two.pytest("two", "one", "--remex-collect").assert_outcomes(passed=6)
    shutil.rmtree(two.output)
    cancel = two.pytest("one", "two", "--remex-cancel")
    cancel.stdout.fnmatch_lines(["*= 6 completed in *"])


def test_a_launch_in_another_place(two):
    """A launch that is asked for may be in any of the places; elsewhere nothing is shown."""
    (launch,) = (each.stem for each in two.record_paths() if each.stem.startswith("two"))
    shutil.rmtree(two.output)
    status = two.pytest("one", "two", "--remex-status", f"--remex-launch={launch}")
    status.stdout.fnmatch_lines(["*= 3 skipped, 3 completed in *"])
    wrong = two.pytest("one", "two", "--remex-status", "--remex-launch=none")
    wrong.stdout.fnmatch_lines(["*no launch 'none' in *"])


@pytest.mark.parametrize("scope", ["function", "module"])
def test_a_place_of_its_own_for_each_test(two, scope):
    """Whatever scope the fixture has."""
    place(two, "two", scope)
    shutil.rmtree(two.output)
    two.pytest("one", "two", "--remex-status").stdout.fnmatch_lines(["*= 6 completed in *"])


def test_a_parametrized_remote(project):
    """Each parameter of the fixture is asked for its own runs."""
    project.write(
        "conftest.py",
        """
        import pytest
        from pytest_remex import Remote
        @pytest.fixture(scope="session", params=["one", "two"])
        def remote(request):
            return Remote(None, "", request.config.rootpath / "runs" / request.param)
        """,
    )
    project.write(".git/info/exclude", "runs/\n")
    status = project.pytest("--remex-status")
    status.stdout.fnmatch_lines(["*= 6 skipped in *"])
