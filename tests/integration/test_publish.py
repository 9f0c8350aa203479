"""The files that a collect writes: causes, launches, the index, a zip, several bases."""

import csv
import errno
import os
from zipfile import ZipFile

import pytest

import pytest_remex

ASSERTING = """
from pytest_remex import sweep

@sweep({"a": [1, 2, 3]}, fetch=["result.txt"])
def grid(experiment):
    a = experiment.config["a"]
    (experiment.path / "input.txt").write_text(f"a = {a}\\n")
    run = yield
    error = a / 10
    assert error < 0.15, "the scheme does not converge"
"""


def test_causes_of_assertions(empty_project):
    """Failed assertions are shown once, as in the source, with the range of the values."""
    empty_project.sweeps(ASSERTING.replace(', "the scheme does not converge"', ""))
    empty_project.ran()
    result = empty_project.pytest("--remex-collect")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["2 failed: assert error < 0.15 (0.2 to 0.3)"])
    page = (empty_project.output / "grid" / "report.html").read_text()
    assert "assert error \\u003c 0.15 (0.2 to 0.3)" in page


def test_causes_of_jobs(project):
    """Failed jobs are grouped by exit code and the best line of their output, without job ids."""
    project.edit("sweeps.py", 'f"a = ', 'f"fail a = ')
    script = (project.path / "run.sbatch").read_text()
    project.commit(run_sbatch=script.replace('"no convergence"', '"ERROR: feed too large"'))
    project.ran()
    result = project.pytest("--remex-collect")
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["3 failed: exit 3: ERROR: feed too large"])
    kept = project.pytest("--remex-collect", "--remex-offline", "-k", "a:1")
    kept.stdout.fnmatch_lines(["1 failed: exit 3: ERROR: feed too large"])
    page = (project.output / "grid" / "report.html").read_text()
    assert '"causes":[["exit 3: ERROR: feed too large",3]]' in page


def test_the_index_and_the_launches(project):
    """index.html lists the sweeps, and a sweep's page its launches."""
    project.ran()
    project.pytest("--remex-collect")
    index = project.output / "index.html"
    assert 'href="grid/report.html"' in index.read_text()
    (launch,) = (path.stem for path in project.record_paths())
    page = (project.output / "grid" / "report.html").read_text()
    assert f'"launches":[{{"id":"{launch}"' in page
    index.unlink()
    project.pytest("--remex-collect")
    assert index.is_file()


@pytest.mark.parametrize("name", ["grid/links", "index.html"])
def test_a_folder_that_the_file_system_lost(project, monkeypatch, name):
    """A stale file handle in the folder of the results is named, with a fix; old results stay."""
    project.ran()
    project.pytest("--remex-collect")
    lost = project.output / name
    kept = {path: path.read_bytes() for path in project.output.glob("grid/*.*")}
    stat = os.stat

    def failing(path, *arguments, **options):
        if not isinstance(path, int) and os.fspath(path) == str(lost):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), path)
        return stat(path, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", failing)
        result = project.pytest("--remex-collect", "--remex-offline", "--remex-portable")
    result.stdout.fnmatch_lines(["*remex-output* cannot be written (Stale file handle): fix that*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    assert result.ret == 1
    assert {path.name for path in kept} <= {path.name for path in project.output.glob("grid/*.*")}


def test_portable(project):
    """--remex-portable writes a zip whose links lead to the outputs in it, and says where it is."""
    project.ran()
    result = project.pytest("--remex-collect", "--remex-portable")
    result.stdout.fnmatch_lines(["zip: *grid/report.zip (*files*"])
    with ZipFile(project.output / "grid" / "report.zip") as archive:
        names = archive.namelist()
        assert "grid/report.html" in names
        for folder in project.run_directories():
            name = f"runs/{folder.name}/result.txt"
            assert archive.read(name) == (folder / "result.txt").read_bytes()


CURVES = """
from pytest_remex.report import Curve, Overlay

def pytest_remex_figures(results, folder):
    first, *_ = (path.rpartition("/")[2] for path in results.path)
    return [
        Curve(first, "track", [3.6, 3.5], [1.0, 2.0], "log Teff", "log L", x_reversed=True),
        Curve(first, "broken", [1.0], []),
        Overlay("observed", [3.55], ["bright"], curve="track"),
    ]
"""


def test_curves_of_a_hook(project):
    """A hook's curves are drawn by the page; a figure that cannot be drawn is named there."""
    project.write("conftest.py", CURVES)
    project.ran()
    project.pytest("--remex-collect").assert_outcomes(passed=3)
    page = (project.output / "grid" / "report.html").read_text()
    assert '"name":"track","xLabel":"log Teff","yLabel":"log L","reversed":true' in page
    assert "broken was left out: a curve needs as many y as x" in page
    assert "observed was left out: could not convert string to float" in page
    assert '"overlays":[]' in page


def test_only_today_s_grid(project, monkeypatch):
    """Points that the sweep has no more leave results, links and to_xarray; everything has them."""
    project.ran()
    project.pytest("--remex-collect")
    project.edit("sweeps.py", "[1, 2, 3]", "[2, 3]")
    project.pytest("--remex-collect", "-k", "a:3")
    assert list(project.rows()) == ["a=2", "a=3"]
    links = project.output / "grid" / "links"
    assert {path.name[:3] for path in links.iterdir()} == {"a=2", "a=3"}
    monkeypatch.chdir(project.path)
    grid = pytest_remex.results("grid", grid=True)
    assert list(grid.double.to_xarray().a) == [2, 3]
    assert list(pytest_remex.results("grid", everything=True).id) == ["a=1", "a=2", "a=3"]


def test_sweeps_of_one_name_in_two_files(project):
    """Collected in turn, each keeps its rows, until its function is gone or its sweep renamed."""
    other = (project.path / "sweeps.py").read_text().replace("[1, 2, 3]", "[3, 4]")
    second = project.write("second.py", other.replace('(f"a', '(f"fail a'))
    files = ("sweeps.py", "second.py")

    def rows_after(*collected, also=()):
        for file in collected:
            project.pytest("--remex-collect", file, *also)
        with (project.output / "grid" / "results.csv").open(newline="") as file:
            return sorted(row["node"] for row in csv.DictReader(file))

    for file in files:
        project.ran(file)
    theirs = [f"second.py::grid[a={a}]" for a in (3, 4)]
    ours = [f"sweeps.py::grid[a={a}]" for a in (1, 2, 3)]
    assert rows_after(*files) == theirs + ours
    assert rows_after("sweeps.py", "second.py::grid[a=4]") == theirs + ours
    message = "the results of grid have rows of sweeps.py and second.py: give one * another name=*"
    project.pytest("--remex-collect", "sweeps.py").stdout.fnmatch_lines([message])
    project.edit("sweeps.py", "[1, 2, 3]", "[1, 3]")
    assert rows_after("second.py") == theirs + ours
    assert rows_after("sweeps.py", also=["-k", "a:1"]) == theirs + ours[::2]
    project.edit("second.py", "@sweep(", '@sweep(name="other", dimensions=')
    assert rows_after(*files, also=files) == ours[::2]
    project.edit("second.py", 'name="other", ', "")
    assert rows_after("second.py") == theirs + ours[::2]
    second.unlink()
    assert rows_after("sweeps.py") == ours[::2]
    project.pytest("--remex-collect", "sweeps.py").stdout.no_fnmatch_line("*have rows of*")


PARAMETRIZED = """
import pytest
from pytest_remex import sweep

class Thing:
    pass

@pytest.fixture(params=["x", "y"])
def code(request):
    return request.param

@pytest.mark.parametrize("thing", [Thing()])
@sweep({"a": [1, 2]}, fetch=["result.txt"])
def grid(experiment, code, thing):
    (experiment.path / "input.txt").write_text(f"{code}{experiment.config['a']}")
    run = yield
"""


def test_only_today_s_values_of_fixtures(empty_project):
    """Rows of a removed value of a fixture leave the results, not those that are not selected."""
    project = empty_project
    project.sweeps(PARAMETRIZED)
    project.ran()
    project.pytest("--remex-collect").assert_outcomes(passed=4)
    for selected, count in ((["-k", "a:1"], 2), (["sweeps.py::grid[y-a=1-thing0]"], 1)):
        project.pytest("--remex-collect", *selected).assert_outcomes(passed=count)
        assert {*project.rows()} == {f"{code}-a={a}-thing0" for code in "xy" for a in (1, 2)}
    project.edit("sweeps.py", '["x", "y"]', '["y", "z"]')
    project.pytest("--remex-collect", "-k", "a:1").assert_outcomes(passed=1, skipped=1)
    assert {*project.rows()} == {"y-a=1-thing0", "y-a=2-thing0"}
    assert len(pytest_remex.results(project.output / "grid", everything=True)) == 4


def test_rows_of_an_earlier_check(project):
    """Where the check was edited, rows that were not judged again are counted, each time."""
    project.ran()
    message = "*of grid have verdicts and measures of an earlier check*"
    project.pytest("--remex-collect").stdout.no_fnmatch_line(message)
    project.edit("sweeps.py", "[1, 2, 3]", "[1, 2, 3, 4]")
    project.edit("sweeps.py", "    run = yield\n", "    # checked:\n    run = yield\n")
    project.pytest("--remex-collect", "-k", "a:1").stdout.no_fnmatch_line(message)
    project.edit("sweeps.py", "2 * experiment", "200 * experiment")
    page = project.output / "grid" / "report.html"
    for _ in range(2):
        project.pytest("--remex-collect", "-k", "a:1").stdout.fnmatch_lines(
            [f"2 of 3 rows {message[1:]}"]
        )
        assert "judged by an earlier check" in page.read_text()
    project.pytest("--remex-collect", "--remex-offline").stdout.no_fnmatch_line(message)
    assert "judged by an earlier check" not in page.read_text()


def test_rows_of_several_bases_are_told(project):
    """If rows ran on several base commits, each has its own, and summary and report say so."""
    project.ran()
    first = project.git("rev-parse", "HEAD")
    project.commit(**{"notes.txt": "another base\n"})
    project.ran("-k", "a:3", "--remex-new-base")
    second = project.git("rev-parse", "HEAD")
    result = project.pytest("--remex-collect")
    message = f"the results of grid have rows of 2 bases: 2 on {first[:12]}, 1 on {second[:12]}"
    result.stdout.fnmatch_lines([message])
    assert [row["base"] for row in project.rows().values()] == [first, first, second]
    page = (project.output / "grid" / "report.html").read_text()
    assert f"{first[:12]} (2 rows), {second[:12]} (1 rows)" in page
    project.pytest("--remex-collect").stdout.fnmatch_lines([message])


VERSIONS = """
def pytest_remex_uniform():
    return ["program", "double", "not_here"]

def pytest_remex_measures(run):
    return {"program": "2.0" if run.experiment.point["a"] == 3 else "1.0"}
"""


def test_several_versions_are_told(project):
    """A column that should be the same in all rows, but is not, is named in summary and report."""
    (project.path / "conftest.py").write_text(VERSIONS)
    project.edit("sweeps.py", '2 * experiment.config["a"]', "7")
    project.ran()
    message = "grid mixes several program: 2 with 1.0, 1 with 2.0"
    for _ in range(2):
        result = project.pytest("--remex-collect")
        result.stdout.fnmatch_lines([message])
        result.stdout.no_fnmatch_line("*mixes several double*")
    page = (project.output / "grid" / "report.html").read_text()
    assert "mixed program" in page
    assert "1.0 (2 rows), 2.0 (1 row)" in page


def test_core_hours_do_not_depend_on_the_selection(project):
    """The core-hours in the report are those of all its rows, also after -k."""
    project.ran()
    project.pytest("--remex-collect")
    hours = [float(row["core_hours"]) for row in project.rows().values()]
    project.pytest("--remex-collect", "-k", "a:1")
    assert [float(row["core_hours"]) for row in project.rows().values()] == pytest.approx(hours)
    page = (project.output / "grid" / "report.html").read_text()
    assert f"{sum(hours):.3g}" in page.partition("core-hours used")[2][:200]
