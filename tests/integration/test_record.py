"""Measures and curves that a sweep function records, and where they come back."""

from datetime import datetime

import pytest

import pytest_remex

RECORDING = """
from pytest_remex import sweep

@sweep({"a": [1, 2]}, fetch=["result.txt"])
def grid(experiment):
    a = experiment.config["a"]
    (experiment.path / "input.txt").write_text(f"a = {a}\\n")
    run = yield
    run.record(double=2 * a)
    run.record({"L1 error": 0.5 * a})
    run.curve("line", [0, 1, 2], [0, a, 2 * a], x_label="t", y_label="v")
    assert a != 2
    return {"late": True}
"""


def test_measures_outlive_a_failed_assertion(empty_project):
    """Measures recorded before an assertion failed are in results and report, marked FAILED."""
    empty_project.sweeps(RECORDING)
    empty_project.ran()
    empty_project.pytest("--remex-collect").assert_outcomes(passed=1, failed=1)
    table = empty_project.rows()
    assert (table["a=2"]["verdict"], table["a=2"]["double"]) == ("FAILED", "4")
    assert (table["a=2"]["L1 error"], table["a=2"]["late"]) == ("1.0", "")
    assert (table["a=1"]["verdict"], table["a=1"]["late"]) == ("PASSED", "True")


def test_curves_and_runs_come_back(empty_project, monkeypatch):
    """`curves` and `runs` return what was recorded and fetched, for every experiment."""
    empty_project.sweeps(RECORDING)
    empty_project.ran()
    empty_project.pytest("--remex-collect")
    monkeypatch.chdir(empty_project.path)
    found = pytest_remex.curves("grid")
    assert list(found) == ["experiment", "name", "x", "y", "a"]
    assert found[found.a == 2].y.tolist() == [0, 2, 4]
    assert found.attrs["labels"] == {"line": ["t", "v"]}
    assert pytest_remex.curves("grid", "line").equals(found)
    with pytest.raises(pytest_remex.RemexError, match=r"no run recorded a curve 'lines': .* line"):
        pytest_remex.curves("grid", "lines")
    assert [run.experiment.point for run in pytest_remex.runs("grid", a=2)] == [{"a": 2}]
    assert pytest_remex.runs("grid", a=7) == []
    with pytest.raises(pytest_remex.RemexError, match=r"has no parameter 'b': .* a"):
        pytest_remex.runs("grid", b=1)
    first, second = pytest_remex.runs("grid")
    assert (first.experiment.point, second.experiment.point) == ({"a": 1}, {"a": 2})
    assert second.read("result.txt") == "a = 2\n"
    assert (second.job.state, second.job.exit_code) == ("COMPLETED", 0)
    with pytest.raises(pytest_remex.RemexError, match="not being judged"):
        second.record(x=1)
    page = (empty_project.output / "grid" / "report.html").read_text()
    assert '"xLabel":"t"' in page


TWO_SWEEPS = """
from pytest_remex import sweep

@sweep({"a": [1, 2]}, base_config={"z": 0.02}, branch="main", fetch=["result.txt"])
def one(experiment):
    (experiment.path / "input.txt").write_text(f"a = {experiment.config['a']}\\n")
    yield

@sweep({"a": [2, 3], "b": [4]}, base_config={"z": 0.03}, branch="main", fetch=["result.txt"])
def other(experiment):
    (experiment.path / "input.txt").write_text(f"b = {experiment.config['a']}\\n")
    yield
"""


def test_runs_of_all_sweeps(empty_project, monkeypatch):
    """`runs` without a sweep searches all for the values that a config has, varied or not."""
    empty_project.sweeps(TWO_SWEEPS)
    empty_project.ran()
    empty_project.pytest("--remex-collect").assert_outcomes(passed=4)
    monkeypatch.chdir(empty_project.path)

    def nodes(**chosen):
        return [
            (run.experiment.sweep.name, run.experiment.id) for run in pytest_remex.runs(**chosen)
        ]

    assert nodes(a=2) == [("one", "a=2"), ("other", "a=2-b=4")]
    assert nodes(z=0.03) == [("other", "a=2-b=4"), ("other", "a=3-b=4")]
    assert nodes(a=1, z=0.03) == []
    assert len(nodes()) == 4
    with pytest.raises(pytest_remex.RemexError, match=r"no config has 'c': there are a, b, z"):
        nodes(c=1)


SETTINGS = """
import json
from pytest_remex import sweep

@sweep({"a": [1, 2]}, base_config={"z": 0.02}, config_file=["settings.json", "more.json"])
def grid(experiment):
    own = {"a": experiment.config["a"], "z": 0.02, "job": 1, "size": {"x": 1, "y": 2}}
    other = {"job": 5, "b": experiment.config["a"] / 2, "tilt": {"x": 0, "list": [1, 2]}}
    (experiment.path / "settings.json").write_text(json.dumps(own))
    (experiment.path / "more.json").write_text(json.dumps(other))
    run = yield
    run.record(y=experiment.config["a"])
"""


def test_configs_read_back_are_columns(empty_project, monkeypatch):
    """`results` adds the settings of all config files, read back, and the date of the submit."""
    for name in ("settings.json", "more.json"):
        empty_project.write(name, "{}")
    empty_project.commit()
    empty_project.sweeps(SETTINGS)
    empty_project.ran()
    empty_project.pytest("--remex-collect").assert_outcomes(passed=2)
    monkeypatch.chdir(empty_project.path)
    plain = pytest_remex.results("grid")
    ago = datetime.now() - plain["date"]  # noqa: DTZ005 - local time, as in the names
    assert list(plain["date"].index) == [0, 1]
    assert ago.dt.total_seconds().between(0, 600).all()
    assert "b" not in plain
    found = pytest_remex.results("grid", config=True)
    read = ["z", "config.job", "size.x", "config.y", "b", "tilt.x", "list"]
    assert found.attrs["config"] == read
    assert list(found)[2:12] == ["a", "y", *read, "state"]
    assert found["b"].tolist() == [0.5, 1.0]
    assert found["config.job"].tolist() == [1, 1]
    assert found["list"].tolist() == [[1, 2], [1, 2]]
    assert found[list(plain)].equals(plain)
    some = pytest_remex.results("grid", config=["a", "size.y", "tilt.x"], grid=True)
    assert some["config.a"].tolist() == [1, 2]
    assert some["size.y"].tolist() == [2, 2]
    assert "b" not in some
    with pytest.raises(pytest_remex.RemexError, match="no config that was read back has 'bb'"):
        pytest_remex.results("grid", config=["b", "bb"])
    assert pytest_remex.runs("grid", a=2)[0].config["b"] == 1.0


def test_config_file_named_after_the_launch(empty_project, monkeypatch):
    """A config file that the sweep names only when it collects is read back by `results`."""
    for name in ("settings.json", "more.json"):
        empty_project.write(name, "{}")
    empty_project.commit()
    empty_project.sweeps(SETTINGS.replace(', config_file=["settings.json", "more.json"]', ""))
    empty_project.ran()
    empty_project.sweeps(SETTINGS)
    empty_project.pytest("--remex-collect").assert_outcomes(passed=2)
    monkeypatch.chdir(empty_project.path)
    assert pytest_remex.results("grid", config=["b"])["b"].tolist() == [0.5, 1.0]
    assert pytest_remex.runs("grid", a=2)[0].config["b"] == 1.0


def test_no_config_to_read_back(empty_project, monkeypatch):
    """Of a sweep without config files `results` says how to have one read back."""
    empty_project.sweeps(RECORDING)
    empty_project.ran()
    empty_project.pytest("--remex-collect")
    monkeypatch.chdir(empty_project.path)
    with pytest.raises(pytest_remex.RemexError, match=r"no config was read back .* config_file="):
        pytest_remex.results("grid", config=True)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("run.record(double=1)", "'double' is recorded twice"),
        ("return {'double': 1}", "'double' is recorded twice"),
        ("run.record(a=1)", "'a' is the name of a parameter"),
        ("return {'job': 1}", "'job' is the name of a column"),
        ("run.record(late=[1])", "'late' is [[]1], of type list"),
        ("run.record(late=10**5000)", "'late' is an integer of 16610 bits"),
    ],
)
def test_a_refused_measure_fails_by_its_key(empty_project, code, why):
    """A measure that is refused fails the experiment with the key, and keeps those before it."""
    empty_project.sweeps(RECORDING.replace("assert a != 2", code))
    empty_project.ran("-k", "a:1")
    result = empty_project.pytest("--remex-collect", "-k", "a:1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*the measure {why}*"])
    assert empty_project.rows()["a=1"]["double"] == "2"


def test_a_raising_hook_is_a_warning(project):
    """Hooks that raise are named with their place and left out; table and verdicts are written."""
    project.write(
        "conftest.py",
        """
        def pytest_remex_measures(run):
            raise ValueError("no measures")

        def pytest_remex_figures(results, folder):
            return [1 / 0]

        def pytest_remex_link_name(row, output):
            raise KeyError(output)

        def pytest_remex_collected(results, folder):
            raise RuntimeError("no mail")

        def pytest_remex_submitted(launch, jobs):
            raise RuntimeError("no chat")
        """,
    )
    project.ran()
    result = project.pytest("--remex-collect")
    result.assert_outcomes(passed=3)
    for name, line, said in (
        ("measures", 3, "ValueError: no measures"),
        ("collected", 12, "RuntimeError: no mail"),
        ("figures", 6, "ZeroDivisionError: *"),
        ("link_name", 9, "KeyError: *"),
    ):
        message = f"the hook pytest_remex_{name} at */conftest.py:{line} raised {said}"
        assert (
            len(
                [1 for each in result.outlines if each.startswith(f"the hook pytest_remex_{name} ")]
            )
            == 1
        )
        result.stdout.fnmatch_lines_random([f"{message}*"])
    assert [row["verdict"] for row in project.rows().values()] == ["PASSED"] * 3
    assert len(list((project.output / "grid" / "links").iterdir())) == 6


def test_a_user_s_hooks_win_over_mesa_s(empty_project):
    """A conftest's reader, config and measures are asked before the MESA extension's."""
    empty_project.sweeps(
        """
        from pytest_remex import sweep

        @sweep({"a": [1]}, fetch=["inlist"], config_file="inlist")
        def grid(experiment):
            (experiment.path / "inlist").write_text("&controls\\n  a = 2\\n/\\n")
            run = yield
            return {"read": run.read("inlist"), "config": run.config["b"]}
        """
    )
    empty_project.write(
        "conftest.py",
        """
        def pytest_remex_read(path):
            return "mine" if path.name == "inlist" else None

        def pytest_remex_config(path, config_file):
            return {"b": config_file}
        """,
    )
    empty_project.ran()
    empty_project.pytest("--remex-collect").assert_outcomes(passed=1)
    row = empty_project.rows()["a=1"]
    assert (row["read"], row["config"]) == ("mine", "inlist")


def test_a_raising_reader_fails_its_experiment_alone(empty_project):
    """If a hook that reads configs raises, that experiment fails, and the table is written."""
    empty_project.sweeps(RECORDING.replace("assert a != 2", "pass"))
    empty_project.write(
        "conftest.py",
        """
        def pytest_remex_config(path, config_file):
            result = path / "result.txt"
            if result.exists() and "a = 2" in result.read_text():
                raise ValueError("no config")
        """,
    )
    empty_project.ran()
    result = empty_project.pytest("--remex-collect")
    result.assert_outcomes(passed=1, failed=1)
    assert {name: row["verdict"] for name, row in empty_project.rows().items()} == {
        "a=1": "PASSED",
        "a=2": "FAILED",
    }


def test_measures_of_a_hook(empty_project):
    """Measures of a hook are kept with those of the function, which take precedence."""
    empty_project.sweeps(RECORDING.replace("assert a != 2", "pass"))
    empty_project.write(
        "conftest.py",
        """
        def pytest_remex_measures(run):
            return {"double": -1, "code": run.job.exit_code}
        """,
    )
    empty_project.ran()
    empty_project.pytest("--remex-collect").assert_outcomes(passed=2)
    row = empty_project.rows()["a=2"]
    assert (row["double"], row["code"]) == ("4", "0")
