"""Sweeps of one command that run in several places, and remotes with names."""

import re
import shutil

import pytest

from pytest_remex import results, runs

REMOTE = """
import pytest
from pytest_remex import Remote
@pytest.fixture(scope={scope!r})
def remote():
    return Remote(None, "", {runs!r})
"""


@pytest.fixture
def placed(project):
    """Return a project whose two folders of sweeps run in two places."""
    grid = (project.path / "sweeps.py").read_text()
    (project.path / "sweeps.py").unlink()
    for name in ("one", "two"):
        project.write(f"{name}/{name}_sweep.py", grid.replace("def grid", f"def {name}"))
        place(project, name)
    project.write(".git/info/exclude", "one/\ntwo/\nruns/\n")
    return project


@pytest.fixture
def two(placed):
    """Return the project after all was submitted and has ended."""
    placed.pytest("one", "two", "--remex-submit").assert_outcomes(passed=6)
    placed.pytest("one", "two", "--remex-status", "--remex-wait")
    return placed


def place(project, name, scope="session"):
    """Write the remote of a folder's sweeps."""
    text = REMOTE.format(scope=scope, runs=str(project.path / "runs" / name))
    project.write(f"{name}/conftest.py", text)


def test_all_places_are_asked(two):
    """Without its own records, each mode reads the runs folders of all chosen items."""
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


def test_the_log_of_the_only_run(placed):
    """A single run is shown, whichever of the places has it."""
    placed.pytest("one", "-k", "a=1", "--remex-submit").assert_outcomes(passed=1)
    placed.pytest("one", "-k", "a=1", "--remex-status", "--remex-wait")
    for order in (("one", "two"), ("two", "one")):
        log = placed.pytest(*order, "-k", "a=1", "--remex-log")
        assert log.ret == 0
        log.stdout.fnmatch_lines(["=== one/one_sweep.py::one?a=1?  COMPLETED job 1", "a = 1"])


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


SEVERAL = """
[tool.remex.remotes.one]
runs = "{runs}/one"
[tool.remex.remotes.two]
runs = "{runs}/two"
"""
NAMED = """
import pytest

@pytest.fixture(scope="session", params=["one", "two"])
def remote(request, remotes):
    return remotes[request.param]
"""


@pytest.fixture
def several(project):
    """Return a project whose configuration names two remotes, both on this machine."""
    project.write("pyproject.toml", SEVERAL.format(runs=project.path / "runs"))
    project.write(".git/info/exclude", "runs/\npyproject.toml\n")
    return project


def words(result):
    """Return the word of each experiment, by its id."""
    shown = re.findall(r"::grid\[(\S+)\] (\S.*?) +\[", result.stdout.str())
    return {name: re.sub(r" job \S+| \(.*", "", word) for name, word in shown}


def names_in(folder):
    """Return the names of the run directories in a folder."""
    return {each.name for each in folder.iterdir() if each.name != ".remex"}


def test_one_grid_on_two_remotes(several):
    """A parametrized fixture runs the same grid on both; status, results and report say which."""
    several.write("conftest.py", NAMED)
    several.pytest("sweeps.py").assert_outcomes(passed=6)
    assert [*words(several.pytest("--remex-plan", "-v")).values()] == ["NEW"] * 6
    assert [*words(several.submit("-v")).values()] == ["SUBMITTED"] * 6
    status = several.pytest("--remex-status", "--remex-wait", "-v")
    status.stdout.fnmatch_lines(["*remote*", "*= 6 completed in *"])
    for mode in ("plan", "submit"):
        found = words(several.pytest(f"--remex-{mode}", "-v"))
        assert [*found.values()] == ["ALREADY SUBMITTED"] * 6
    several.pytest("--remex-collect").assert_outcomes(passed=6)
    table = results(several.output / "grid")
    for name in ("one", "two"):
        rows = table[table["remote"] == name]
        assert sorted(rows["a"]) == [1, 2, 3]
        assert {*rows["run_directory"]} == names_in(several.path / "runs" / name)
    assert "remote" in (several.output / "grid" / "report.html").read_text()
    assert (several.output / "grid" / "links" / "a=1_remote=two_result.txt").is_symlink()


def test_another_remote_is_added(several):
    """A grid's runs on one remote still count there if it gets another remote."""
    alone = NAMED.replace(', params=["one", "two"]', "").replace("request.param", "'one'")
    several.write("conftest.py", alone)
    several.submit()
    several.pytest("--remex-status", "--remex-wait")
    several.write("conftest.py", NAMED)
    found = words(several.submit("-v"))
    assert {found[f"one-a={a}"] for a in (1, 2, 3)} == {"ALREADY SUBMITTED"}
    assert {found[f"two-a={a}"] for a in (1, 2, 3)} == {"SUBMITTED"}
    several.pytest("--remex-status", "--remex-wait").stdout.fnmatch_lines(["*= 6 completed in *"])


def test_remotes_as_parameters(several):
    """If the parameters are remotes themselves, the column shows their places."""
    runs = several.path / "runs"
    several.write(
        "conftest.py",
        f"""
        import pytest
        from pytest_remex import Remote

        PLACES = [Remote(None, "", runs) for runs in ("{runs}/a", "{runs}/b")]

        @pytest.fixture(scope="session", params=PLACES)
        def remote(request):
            return request.param
        """,
    )
    several.submit("-k", "a=1")
    several.pytest("--remex-status", "--remex-wait", "-k", "a=1")
    several.pytest("--remex-collect", "-k", "a=1").assert_outcomes(passed=2)
    assert {*results(several.output / "grid")["remote"]} == {f"{runs}/a", f"{runs}/b"}


def test_doctor_looks_at_each(several):
    """Doctor checks each remote of a sweep file, and names its runs folder."""
    several.write("conftest.py", NAMED)
    doctor = several.pytest("--remex-doctor")
    doctor.assert_outcomes(passed=2)
    for name in ("one", "two"):
        doctor.stdout.fnmatch_lines([f"ok * runs folder: {several.path}/runs/{name}"])


def test_sections_of_an_ini_file(several):
    """pytest.ini takes the same keys in sections; remex_shell is the default of `shell`."""
    (several.path / "pyproject.toml").unlink()
    several.write(
        "pytest.ini",
        """
        [pytest]
        remex_shell = sh -c
        [remex.remotes.one]
        host = me@cluster
        clone = ~/clone
        runs = ~/runs
        shared = data src
        [remex.remotes.two]
        host = other
        clone = c
        runs = r
        via = connection
        shell = zsh -lc
        transport = openssh
        """,
    )
    several.write(
        "test_remotes.py",
        """
        from pytest_remex import Remote

        def test_remotes(remotes):
            assert [*remotes] == ["one", "two"]
            one = Remote("me@cluster", "~/clone", "~/runs", shared=["data", "src"], shell="sh -c")
            two = Remote("other", "c", "r", via="connection", shell="zsh -lc")
            assert remotes == {"one": one, "two": two}
            assert remotes["two"].transport == "openssh"
        """,
    )
    several.pytest("test_remotes.py").assert_outcomes(passed=1)


ON = "--remex-remote=two"


def test_a_chosen_remote(several):
    """The option sends the grid there; its runs appear only with it, in their own tables."""
    assert [*words(several.submit("-v", ON)).values()] == ["SUBMITTED"] * 3
    assert len(names_in(several.path / "runs" / "two")) == 3
    assert [*words(several.submit("-v", ON)).values()] == ["ALREADY SUBMITTED"] * 3
    first = "--remex-remote=one"
    assert [*words(several.pytest("--remex-plan", "-v", first)).values()] == ["NEW"] * 3
    assert [*words(several.submit("-v", first)).values()] == ["SUBMITTED"] * 3
    shutil.rmtree(several.output / "launches")
    status = several.pytest("--remex-status", "--remex-wait", ON)
    status.stdout.fnmatch_lines(["*remex status, --remex-remote=two*", "*= 3 completed in *"])
    several.pytest("--remex-collect", ON).assert_outcomes(passed=3)
    several.pytest("--remex-status", "--remex-wait", first).stdout.fnmatch_lines(
        ["*= 3 completed*"]
    )
    several.pytest("--remex-collect", first).assert_outcomes(passed=3)
    for name in ("one", "two"):
        folder = several.output / "grid" / "remotes" / name
        assert {*results("grid", remote=name)["run_directory"]} == names_in(
            several.path / "runs" / name
        )
        assert f"grid at {name}" in (folder / "report.html").read_text()
        assert [run.experiment.point for run in runs("grid", remote=name, a=2)] == [{"a": 2}]
    assert not (several.output / "grid" / "results.csv").exists()
    index = (several.output / "index.html").read_text()
    assert "grid/remotes/one/report.html" in index
    several.pytest("--remex-clean", "--remex-yes", ON)
    assert not names_in(several.path / "runs" / "two")
    assert len(names_in(several.path / "runs" / "one")) == 3


def test_a_choice_is_asked_for(several):
    """If remotes have names and none is chosen, a mode refuses; a dry run needs none."""
    several.pytest("sweeps.py").assert_outcomes(passed=3)
    result = several.pytest("--remex-submit")
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(
        ["the configuration names the remotes one and two: choose with --remex-remote=one, *"]
    )
    several.write("pytest.ini", "[pytest]\naddopts = --remex-remote=one\n")
    several.submit()
    assert len(names_in(several.path / "runs" / "one")) == 3
    assert len(names_in(several.path / "runs" / "one")) == 3
    doctor = several.pytest("--remex-doctor", ON)
    plan = f"next: --remex-plan shows what would be sent (with {ON})"
    doctor.stdout.fnmatch_lines(["ok * runs folder: */runs/two", plan])


def test_the_same_place_by_another_way(several):
    """Runs that a fixture or remex_runs sent to a remote's runs folder belong to that remote."""
    several.write("pytest.ini", f"[pytest]\nremex_runs = {several.path}/runs/two\n")
    several.submit()
    assert [*words(several.submit("-v", ON)).values()] == ["ALREADY SUBMITTED"] * 3
    several.pytest("--remex-status", "--remex-wait", ON).stdout.fnmatch_lines(["*= 3 completed*"])
    several.pytest("--remex-status").stdout.fnmatch_lines(["*= 3 completed in *"])
    assert len(names_in(several.path / "runs" / "two")) == 3


def test_wrong_choices(several):
    """An unknown name is refused with the known ones, and so is a fixture with the option."""
    unknown = several.pytest("--remex-plan", "--remex-remote=three")
    unknown.stderr.fnmatch_lines(["*--remex-remote='three': the configuration names one and two"])
    several.write("conftest.py", NAMED)
    both = several.pytest("--remex-plan", ON)
    both.stderr.fnmatch_lines(
        ["*--remex-remote=two, and the fixture remote in */conftest.py says*"]
    )
    (several.path / "pyproject.toml").unlink()
    none = several.pytest("--remex-plan", ON)
    none.stderr.fnmatch_lines(["*the configuration has no *tool.remex.remotes.two]"])


def test_base_and_remote(several):
    """Both options together name one more variant of the grid."""
    several.git("tag", "v1")
    several.commit(input_txt="new\n")
    several.submit(ON, "--remex-base=v1")
    several.pytest("--remex-status", ON).assert_outcomes(skipped=3)
    both = (ON, "--remex-base=v1")
    several.pytest("--remex-status", "--remex-wait", *both).stdout.fnmatch_lines(
        ["*= 3 completed*"]
    )
    several.pytest("--remex-collect", *both).assert_outcomes(passed=3)
    assert len(results("grid", base="v1", remote="two")) == 3


def test_results_of_a_column(several):
    """If one command runs a grid on several remotes, `remote=` selects the rows of one."""
    several.write("conftest.py", NAMED)
    several.submit("-k", "a=1")
    several.pytest("--remex-status", "--remex-wait", "-k", "a=1")
    several.pytest("--remex-collect", "-k", "a=1")
    assert [*results("grid", remote="two")["remote"]] == ["two"]
    assert len(runs("grid", remote="two")) == 1


def test_stages_on_parametrized_remotes(several):
    """A stage after another one cannot run on several remotes in one command: the option can."""
    several.write("conftest.py", NAMED)
    several.sweeps(STAGES)
    refused = several.pytest("--remex-plan")
    refused.stderr.fnmatch_lines(["*another sweep comes after it: choose one with --remex-remote*"])
    (several.path / "conftest.py").unlink()
    several.submit(ON)
    waited = several.pytest("--remex-status", "--remex-wait", ON)
    waited.stdout.fnmatch_lines(["*= 2 completed in *"])


STAGES = """
from pytest_remex import sweep

@sweep({"a": [1]})
def first(experiment):
    (experiment.path / "input.txt").write_text("first")

@sweep({"b": [1]}, after=first)
def second(experiment):
    experiment.upstream.bring("result.txt", "before.txt")
"""

TABLE = '[tool.remex.remotes.one]\nhost = "h"\nclone = "c"\nruns = "r"\n'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (TABLE + 'hots = "h"', "one] has no key 'hots': did you mean 'host'? its keys are host,*"),
        (TABLE.replace('clone = "c"', ""), "one] lacks clone: write clone = *"),
        ("[tool.remex.remotes.one]", "one] lacks runs: write runs = *"),
        (TABLE + "shell = 3", "one]: shell = 3: write a text"),
        (TABLE + "shared = [1]", "one]: shared = [[]1]: write a list of texts"),
        (TABLE + 'via = "mail"', "one]: via='mail': write 'origin' or 'connection'"),
        (TABLE.replace('"h"', '"-h"'), "one]: '-h' is not a host name*"),
        (TABLE.replace("remotes.one", 'remotes."a/b"'), "a/b]: use letters, digits*in the name"),
        ("[tool.remex.remotes]\none = 3", "one] is not a table*"),
        (
            TABLE + TABLE.replace("remotes.one", "remotes.two"),
            "*one and two have one runs folder, h:r: give each*",
        ),
    ],
)
def test_wrong_tables(several, text, why):
    """A table that cannot be used is refused, with what is wrong and what to write."""
    (several.path / "pytest.ini").write_text("[pytest]\n")
    several.write("pyproject.toml", text)
    several.write("conftest.py", NAMED)
    result = several.pytest("--remex-plan")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{why}"])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (TABLE, "pytest.ini: *one]: another file has a remote 'one' too: keep one"),
        (TABLE + "= 3", "pyproject.toml cannot be read (*): correct it"),
    ],
)
def test_tables_in_two_files(several, text, why):
    """A remote that two files name is refused, and so is a file that pytest was told to skip."""
    (several.path / "pytest.ini").write_text("[pytest]\n[remex.remotes.one]\nruns = r\n")
    several.write("pyproject.toml", text)
    several.write("conftest.py", NAMED)
    result = several.pytest("-c", "pytest.ini", "--remex-plan")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{why}"])
