"""Which files hold sweeps, when they are collected, and what is refused there."""

import pytest
from support.projects import plain_text

TEST = "def test_one(): pass\n"
BROKEN = "raise RuntimeError('this file must not be imported')\n"


def test_a_walk_leaves_sweep_files_alone(empty_project):
    """A bare pytest does not even import sweep files."""
    empty_project.sweeps(BROKEN)
    empty_project.write("grids/sweep_a.py", BROKEN)
    empty_project.write("grids/a_sweep.py", BROKEN)
    empty_project.write("test_unit.py", TEST)
    empty_project.pytest().assert_outcomes(passed=1)


def test_a_walk_leaves_sweeps_in_test_files_alone(project):
    """A sweep in a test file is deselected in a walk without a mode."""
    project.write("test_both.py", (project.path / "sweeps.py").read_text() + TEST)
    project.pytest(".").assert_outcomes(passed=1, deselected=3)


def test_a_walk_leaves_outputs_alone(empty_project):
    """Files in fetched outputs are not collected as tests, whatever their names."""
    empty_project.write("remex-output/runs/one/test_of_a_run.py", BROKEN)
    empty_project.write("test_unit.py", TEST)
    empty_project.pytest().assert_outcomes(passed=1)


@pytest.mark.parametrize("argument", ["sweeps.py", "sweeps.py::grid", "sweeps.py::grid[a=2]"])
def test_a_named_file_is_tried(project, argument):
    """Sweeps named on the command line are dry-run, and leave nothing behind."""
    refs = project.refs()
    result = project.pytest(argument)
    result.assert_outcomes(passed=1 if "[" in argument else 3)
    assert not project.output.exists()
    assert project.refs() == refs


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("@sweep({'a': [1]})\ndef own(): pass\n", 1),
    ],
)
def test_imported_from_another_file(empty_project, text, count):
    """A sweep imported from a file that is no sweep file is named, with a fix that works."""
    library = "from pytest_remex import sweep\n@sweep()\ndef grid(): pass\n"
    empty_project.write("library.py", library)
    empty_project.commit()
    empty_project.sweeps(f"from library import grid\nfrom pytest_remex import sweep\n{text}")
    result = empty_project.pytest("--remex-plan", "-W", "default")
    result.assert_outcomes(passed=count, warnings=1)
    result.stdout.fnmatch_lines(
        ["*sweeps.py imports the sweep grid from library.py, *: rename that file sweep_library.py*"]
    )
    both = empty_project.pytest("--remex-plan", "sweeps.py", "library.py", "-W", "default")
    both.assert_outcomes(passed=count + 1, warnings=0)
    (empty_project.path / "library.py").rename(empty_project.path / "sweep_library.py")
    empty_project.sweeps(f"from sweep_library import grid\nfrom pytest_remex import sweep\n{text}")
    empty_project.pytest("--remex-plan").assert_outcomes(passed=count + 1)


def test_imported_for_what_comes_after(empty_project):
    """A sweep imported from another file because one comes after it needs no warning."""
    empty_project.write("library.py", "from pytest_remex import sweep\n@sweep()\ndef one(): pass\n")
    empty_project.commit()
    empty_project.sweeps("""
        from library import one
        from pytest_remex import sweep
        @sweep({"a": [1]}, after=one)
        def grid(): pass
        """)
    empty_project.pytest("--remex-plan").assert_outcomes(passed=2, warnings=0)


def test_dry_run_stops_at_yield(empty_project):
    """A dry run executes the body up to its yield, and not beyond; `finally` runs."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep()
        def one(experiment):
            print("before")
            try:
                yield
                print("after")
            finally:
                print("cleaned")
        """)
    result = empty_project.pytest("sweeps.py", "-s")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*before*", "*cleaned*"])
    result.stdout.no_fnmatch_line("*after*")


def test_modes_find_sweep_files(project):
    """In a mode a bare pytest finds sweeps.py, sweep_*.py and *_sweep.py in all folders."""
    text = (project.path / "sweeps.py").read_text()
    for number, name in enumerate(("sweep_more.py", "grids/more_sweep.py"), start=1):
        project.write(name, text.replace("[1, 2, 3]", f"[{number}0]").replace("grid", f"g{number}"))
    result = project.pytest("--remex-plan", "-v")
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["*g2[[]a=20]*", "*g1[[]a=10]*", "*sweeps.py::grid[[]a=1]*"])


def test_a_folder_without_sweeps(project):
    """A mode that finds no sweep, or selects none, says what to type."""
    (project.path / "thesis").mkdir()
    nothing = project.pytest("--remex-status", "thesis")
    assert nothing.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    nothing.stdout.fnmatch_lines(["next: name the file with the sweeps, such as *sweeps.py *"])
    none = project.pytest("--remex-status", "-k", "a:17")
    none.stdout.fnmatch_lines(["next: correct -k, or leave it out: it selected none of 3"])
    project.write("thesis/test_other.py", "def test_other(): pass\n")
    tests = project.pytest("--remex-status", "thesis")
    tests.stdout.fnmatch_lines(["next: name the file with the sweeps, such as *sweeps.py *"])
    project.write(
        "conftest.py",
        """
        def pytest_collection_modifyitems(config, items):
            config.hook.pytest_deselected(items=items[:])
            items.clear()
        """,
    )
    other = project.pytest("--remex-status")
    other.stdout.fnmatch_lines(["next: leave out the option of another plugin*none of 3*"])


def test_only_sweeps_run_in_a_mode(project):
    """In a mode tests are deselected, and the count shows."""
    project.write("test_unit.py", "def test_fails(): assert False\n")
    result = project.pytest("--remex-plan")
    result.assert_outcomes(passed=3, deselected=1)
    result.stdout.fnmatch_lines(["*4 items / 1 deselected / 3 selected*"])


def test_sweeps_are_tried_beside_tests(project):
    """Without a mode, tests and the sweeps of a file that is named run together."""
    project.write("test_unit.py", "def test_passes(): pass\ndef test_fails(): assert False\n")
    result = project.pytest("test_unit.py", "sweeps.py")
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(["*remex dry run on this machine*"])


def test_ini_names_other_places(empty_project):
    """The ini key remex_sweeps says where a bare pytest looks in a mode."""
    empty_project.sweeps(BROKEN)
    empty_project.write(
        "studies/mine.py", "from pytest_remex import sweep\n@sweep()\ndef s(): pass\n"
    )
    empty_project.write("pytest.ini", "[pytest]\nremex_sweeps = studies/mine.py\n")
    empty_project.pytest("--remex-plan").assert_outcomes(passed=1)


def test_arguments_win_over_ini(project):
    """Paths on the command line count more than remex_sweeps."""
    project.write("studies/mine.py", BROKEN)
    project.write("pytest.ini", "[pytest]\nremex_sweeps = studies/mine.py\n")
    project.pytest("--remex-plan", "sweeps.py").assert_outcomes(passed=3)


def test_asserts_are_rewritten(empty_project):
    """An assert in a sweep file shows its values, as in any test file."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep({"mass": [10]})
        def star(experiment):
            limit = 8
            assert experiment.config["mass"] < limit
            yield
        """)
    result = empty_project.pytest("sweeps.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E       assert 10 < 8"])
    assert "pytest_remex/" not in result.stdout.str()


def test_asserts_are_rewritten_in_modes(empty_project):
    """Asserts are also rewritten in sweep files that a mode finds without being told."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep()
        def star(experiment):
            mass, limit = 10, 8
            assert mass < limit
        """)
    empty_project.pytest("--remex-plan").stdout.fnmatch_lines(["E       assert 10 < 8"])


def test_forms_of_a_body(empty_project):
    """A sweep may patch without yield, ask for no fixture, and be a method."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep({"a": [1]})
        def without_yield(experiment):
            (experiment.path / "input.txt").write_text("changed")
        @sweep()
        def without_fixture():
            pass
        class TestGroup:
            @sweep({"b": [1, 2]})
            def method(self, experiment):
                (experiment.path / "input.txt").write_text(str(experiment.config["b"]))
                yield
        """)
    empty_project.pytest("sweeps.py").assert_outcomes(passed=4)


def test_base_config_and_point(empty_project):
    """experiment.config is the base config with the point laid over it."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep({("a", "b"): [(1, [2, 3])]}, base_config={"a": 0, "z": 0.02}, name="named")
        def one(experiment):
            assert experiment.config == {"a": 1, "b": [2, 3], "z": 0.02}
            assert experiment.point == {"a": 1, "b": [2, 3]}
            assert experiment.id == "a=1-b=[2,3]"
            assert experiment.sweep.name == "named"
            assert (experiment.path / "input.txt").read_text() == "base\\n"
        """)
    empty_project.pytest("sweeps.py").assert_outcomes(passed=1)


def test_every_patch_starts_from_the_base(empty_project):
    """Changes of one experiment to the checkout are undone before the next."""
    empty_project.sweeps("""
        import shutil
        from pytest_remex import sweep
        @sweep({"a": [1, 2, 3]})
        def one(experiment):
            names = sorted(path.name for path in experiment.path.iterdir() if path.name != ".git")
            assert names == [".gitignore", "input.txt", "notes", "pytest.ini", "run.sbatch"]
            assert (experiment.path / "notes/about").exists()
            shutil.rmtree(experiment.path / "notes")
            (experiment.path / "run.sbatch").chmod(0o755)
            (experiment.path / "new/folder").mkdir(parents=True)
            (experiment.path / "new/folder/file").write_text(str(experiment.config["a"]))
        """)
    empty_project.pytest("sweeps.py").assert_outcomes(passed=3)


@pytest.mark.parametrize(
    "replace",
    [
        "os.link(file, outside)",
        "file.rename(outside); file.symlink_to(outside)",
        "file.rename(outside); os.mkfifo(file)",
        "file.rename(outside); file.mkdir(); (file / 'inside').touch()",
    ],
)
def test_odd_edits_are_taken_back(empty_project, tmp_path_factory, replace):
    """A file that became a link, a pipe or a folder comes back, and nothing outside changes."""
    outside = tmp_path_factory.mktemp("outside") / "file"
    empty_project.sweeps(f"""
        import os
        from pathlib import Path
        from pytest_remex import sweep
        @sweep({{"a": [1, 2]}})
        def one(experiment):
            file, outside = experiment.path / "input.txt", Path({str(outside)!r})
            assert file.read_text() == "base\\n"
            assert not file.is_symlink() and file.stat().st_nlink == 1
            outside.unlink(missing_ok=True)
            file.write_text(f"a = {{experiment.config['a']}}\\n")
            {replace}
            (experiment.path / "a.txt").write_text(str(experiment.config["a"]))
        """)
    empty_project.pytest("sweeps.py").assert_outcomes(passed=2)
    assert outside.read_text() == "a = 2\n"


def test_what_a_failed_patch_writes_late(empty_project):
    """A patch that failed with a file open, written when it is let go, changes no later one."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep({"a": [1, 2, 3]})
        def one(experiment):
            a = experiment.config["a"]
            if a == 1:
                one.late = open(experiment.path / "input.txt", "w")
                one.late.write("of the first")
                raise ValueError("before it was closed")
            one.late.close()
            assert (experiment.path / "input.txt").read_text() == "base\\n"
            (experiment.path / "a.txt").write_text(str(a))
        """)
    result = empty_project.pytest("sweeps.py")
    result.assert_outcomes(failed=1, passed=2)


@pytest.mark.parametrize("order", ["@keep\n@sweep()", "@sweep()\n@keep"])
def test_decorator_that_returns_nothing(empty_project, order):
    """A function with a `yield` did not run if its decorator drops what it returns: refused."""
    empty_project.sweeps(
        "import functools\nfrom pytest_remex import sweep\n\n"
        "def keep(function):\n    @functools.wraps(function)\n"
        "    def inner(*args, **kwargs):\n        function(*args, **kwargs)\n    return inner\n\n"
        f"{order}\ndef one(experiment):\n    (experiment.path / 'input.txt').write_text('x')\n"
        "    yield\n"
    )
    result = empty_project.pytest("--remex-submit")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["sweep one has a yield, but its call returned None, so it did*"])
    assert not empty_project.jobs()


def test_decorator_that_hides_the_sweep(empty_project):
    """A decorator without functools.wraps above a sweep is refused; a helper that holds one is not.

    So is one whose cell is empty.
    """
    keep = "def keep(function):\n    def inner():\n        return function()\n    return inner\n\n"
    empty = "def late():\n    def inner():\n        return x\n    return inner\n    x = 1\n\n"
    sweeps = f"from pytest_remex import sweep\n\n{keep}{empty}"
    one = "@sweep()\ndef one(experiment):\n    yield\n\n"
    empty_project.sweeps(f"{sweeps}{one}helper, other = keep(one), late()\n")
    empty_project.pytest("sweeps.py").assert_outcomes(passed=1)
    empty_project.sweeps(f"{sweeps}@keep\n{one}")
    result = empty_project.pytest("--remex-submit")
    result.stdout.fnmatch_lines(["sweeps.py*: the decorator above @sweep hides the sweep one *"])
    assert result.ret == pytest.ExitCode.INTERRUPTED
    plain_text(result)


@pytest.mark.parametrize(
    ("decorator", "message"),
    [
        ('{"a": [1], ("a", "b"): [(1, 2)]}', "*'a' is in two dimensions: leave it in one"),
        ('{("a", "b"): [(1, 2), (3,)]}', "*(3,) must be a tuple of 2*"),
        ('{("a", "b"): [(1, 2), "xy"]}', "*'xy' must be a tuple of 2*"),
        ('{"a": []}', "*dimension 'a' is empty: list at least one value"),
        ('{"a": [1, 2, 1]}', "*two points are 'a=1': remove one"),
        ('{"a": "10"}', "*dimension 'a': '10' must be a list of values"),
        ('{"a": [float("nan")]}', "*a = nan: a parameter must be a finite number"),
        ('{"a": [object]}', "*a = <class 'object'>: a type cannot be stored*"),
        ('{"": [1]}', "*dimension '': its key must be*"),
        ('fetch="LOGS"', "*fetch='LOGS' is one string: write fetch=['LOGS']"),
    ],
)
def test_refusals(empty_project, decorator, message):
    """A sweep that cannot be is refused at collection: place and message, no traceback."""
    empty_project.sweeps(
        f"from pytest_remex import sweep\n\n@sweep({decorator})\ndef one(): pass\n"
    )
    result = empty_project.pytest("sweeps.py")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["sweeps.py:3: " + message.replace("[", "[[]")])
    plain_text(result)


def test_missing_parentheses(empty_project):
    """@sweep without parentheses is recognized and refused."""
    empty_project.sweeps("from pytest_remex import sweep\n@sweep\ndef one(): pass\n")
    result = empty_project.pytest("sweeps.py")
    result.stdout.fnmatch_lines(["*write @sweep() or @sweep({...})"])
    plain_text(result)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("sweep()(len)", "*:2: @sweep decorates <built-in function len>: it must decorate a func*"),
        ("sweep()(int)", "*:2: @sweep decorates <class 'int'>: it must decorate a function*"),
        ("sweep()(staticmethod(len))", "*:2: @sweep is above @staticmethod: write @static*"),
        ("class T:\n @sweep()\n @classmethod\n def one(cls): pass", "*:3: @sweep is above @class*"),
        ("@sweep({'b': [1]})\n@sweep({'a': [1]})\ndef one(): pass", "*:2: 'one' is a sweep alr*"),
        (
            "import unittest\nclass T(unittest.TestCase):\n @sweep()\n def test_one(self): pass",
            "*sweeps.py::T::test_one: the methods of a unittest.TestCase get no fixtures: *",
        ),
    ],
)
def test_no_function(empty_project, code, message):
    """@sweep above what pytest cannot call with fixtures, or above a sweep, is refused."""
    empty_project.sweeps(f"from pytest_remex import sweep\n{code}\n")
    result = empty_project.pytest("sweeps.py")
    assert result.ret in {pytest.ExitCode.INTERRUPTED, pytest.ExitCode.USAGE_ERROR}
    (result.stderr if "unittest" in code else result.stdout).fnmatch_lines([message])
    plain_text(result)


def test_two_sweeps_of_one_name(project):
    """They are refused, even if one is deselected; with another name all rows are in results."""
    text = (project.path / "sweeps.py").read_text()
    project.submit()
    (project.path / "others.py").write_text(text.replace("[1, 2, 3]", "[4, 5]"))
    project.pytest("others.py", "--remex-submit").assert_outcomes(passed=2)
    files = ("sweeps.py", "others.py")
    for words in (["--remex-collect"], ["--remex-collect", "-k", "a=4"], []):
        result = project.pytest(*files, *words)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        message = "*sweeps.py::grid and others.py::grid are two sweeps with the name 'grid'*name=*"
        result.stderr.fnmatch_lines([message])
    project.edit("others.py", "@sweep(", '@sweep(name="Grid", dimensions=')
    result = project.pytest(*files, "--remex-status")
    result.stderr.fnmatch_lines(["*two sweeps with the name 'Grid'*"])
    project.edit("others.py", '"Grid"', '"other"')
    project.pytest(*files, "--remex-collect", "--remex-wait").assert_outcomes(passed=5)
    tables = [project.output / name / "results.csv" for name in ("grid", "other")]
    assert [len(table.read_text().splitlines()) for table in tables] == [4, 3]


def test_a_sweep_that_two_classes_inherit(empty_project):
    """A collect of the experiments of one class leaves the rows of the other in the results."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        class Base:
            @sweep({"a": [1, 2]})
            def grid(self, experiment):
                (experiment.path / "input.txt").write_text(f"{self.name} {experiment.point}")
        class TestOne(Base):
            name = "one"
        class TestTwo(Base):
            name = "two"
        """)
    empty_project.ran()
    for words in ([], ["-k", "TestOne"]):
        assert empty_project.pytest("--remex-collect", *words).ret == 0
        with (empty_project.output / "grid/results.csv").open() as file:
            assert len(file.readlines()) == 5


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("async def one(): pass", "*sweep one is async: write a plain function"),
        ("def one():\n    yield\n    yield", "*sweep one yields twice*"),
        ("def one():\n    yield\n    return 3", "*sweep one returns 3: return a dict of measures*"),
    ],
)
def test_bad_bodies(empty_project, body, message):
    """A body that cannot be a sweep's fails its experiment with a message."""
    empty_project.sweeps(f"from pytest_remex import sweep\n@sweep()\n{body}\n")
    if "yield" in body:
        empty_project.ran()
    result = empty_project.pytest("sweeps.py" if "async" in body else "--remex-collect")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([message])
    plain_text(result)


def test_fixtures_of_another_plugin(empty_project):
    """A plugin that a conftest.py names may provide `remote`: it wins over ours."""
    empty_project.write(
        "our_cluster.py",
        """
        import pytest
        from pytest_remex import Remote
        @pytest.fixture(scope="session")
        def remote():
            return Remote(host=None, clone="/clone", runs="/runs")
        """,
    )
    empty_project.write("conftest.py", "pytest_plugins = ['our_cluster']\n")
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep()
        def one(experiment, remote):
            assert remote.runs == "/runs"
        """)
    empty_project.pytest("sweeps.py").assert_outcomes(passed=1)


def test_experiment_outside_a_sweep(empty_project):
    """A test that asks for the fixture experiment is told how to become a sweep."""
    empty_project.write("test_it.py", "def test_it(experiment): pass\n")
    result = empty_project.pytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*test_it uses the fixture experiment but is not a sweep*"])
    plain_text(result)


LOCATIONS = """
import pytest
from pathlib import Path

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    file, line, name = item.reportinfo()
    assert item.location == (str(Path(file).relative_to(item.config.rootpath)), line, name)
    return (yield)
"""


def test_each_experiment_has_its_location(empty_project):
    """Experiments are reported at the line of their own function, with their own names."""
    empty_project.write("conftest.py", LOCATIONS)
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep({"a": [1, 2]})
        def first(experiment):
            (experiment.path / "out.txt").write_text(f"{experiment.id}")
        class TestTwo:
            @sweep({"a": [1, 2]})
            def second(self, experiment):
                (experiment.path / "out.txt").write_text(f"{experiment.id}")
        class TestThree:
            @sweep({"a": [1, 2]}, name="third")
            def second(self, experiment):
                (experiment.path / "out.txt").write_text(f"{experiment.id}")
    """)
    again = (empty_project.path / "sweeps.py").read_text().replace("out.txt", "again.txt")
    empty_project.write("grids/a_sweep.py", again)
    empty_project.pytest("sweeps.py", "grids/a_sweep.py").assert_outcomes(passed=12)
