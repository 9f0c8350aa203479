"""Options that select and show tests select and show experiments."""

import importlib.util
import xml.etree.ElementTree as ET

import pytest

MARKED = """
import pytest
from pytest_remex import sweep

@pytest.mark.slow
@sweep({"a": [1, 2]})
def heavy(experiment):
    (experiment.path / "input.txt").write_text(f"heavy {experiment.config['a']}")

@sweep({"b": [1]})
def light(experiment):
    (experiment.path / "input.txt").write_text("light")
"""

FAILING = """
import pytest
from pytest_remex import sweep

@sweep({"a": [1, 2, 3, 4]})
def grid(experiment):
    assert experiment.config["a"] not in (2, 3), "a bad patch"
    (experiment.path / "input.txt").write_text(f"{experiment.config['a']}")
"""


@pytest.mark.parametrize(
    ("expression", "count"),
    [("a=2", 1), ("a=2 or a=3", 2), ("grid", 3), ("not a=1", 2), ("a:1", 1), ("nothing", 0)],
)
def test_keyword(project, expression, count):
    """-k chooses experiments by their ids, also by `name=value`."""
    result = project.pytest("sweeps.py", "-k", expression)
    result.assert_outcomes(passed=count, deselected=3 - count)


def test_keyword_with_dots(empty_project):
    """-k takes a decimal value."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep({"y": [0.27, 0.28], "z": [0.02, 1e-3]})
        def one(experiment): pass
        """)
    result = empty_project.pytest("sweeps.py", "-k", "y=0.27 and z=0.02", "-v")
    result.stdout.fnmatch_lines(["*one[[]y=0.27-z=0.02] *", "*1 passed, 3 deselected*"])


def test_marks(empty_project):
    """-m chooses experiments by marks, and `sweep` marks them all."""
    empty_project.sweeps(MARKED)
    empty_project.write("pytest.ini", "[pytest]\nmarkers = slow: slow\n")
    empty_project.pytest("sweeps.py", "-m", "slow").assert_outcomes(passed=2, deselected=1)
    empty_project.pytest("sweeps.py", "-m", "sweep").assert_outcomes(passed=3)


def test_submit_by_mark_and_keyword(empty_project):
    """Only what -m and -k choose is submitted."""
    empty_project.sweeps(MARKED)
    empty_project.write("pytest.ini", "[pytest]\nmarkers = slow: slow\n")
    empty_project.submit("-m", "slow", "-k", "a=1").assert_outcomes(passed=1, deselected=2)
    assert len(empty_project.jobs()) == 1


def test_skip_and_xfail(empty_project):
    """The marks skip and xfail mean for experiments what they mean for tests."""
    empty_project.sweeps("""
        import pytest
        from pytest_remex import sweep
        @pytest.mark.skip(reason="later")
        @sweep()
        def skipped(experiment): pass
        @pytest.mark.xfail(reason="known")
        @sweep()
        def failing(experiment): assert False
        """)
    empty_project.pytest("sweeps.py").assert_outcomes(skipped=1, xfailed=1)
    empty_project.submit().assert_outcomes(skipped=1, xfailed=1)
    assert empty_project.jobs() == []


def test_strict_xfail(empty_project):
    """A strict xfail is about the check: only collect fails where the check passes after all."""
    empty_project.sweeps("""
        import pytest
        from pytest_remex import sweep
        @pytest.mark.xfail(reason="known", strict=True)
        @sweep({"a": [1, 2]})
        def stalls(experiment):
            (experiment.path / "input.txt").write_text(str(experiment.config["a"]))
            run = yield
            assert experiment.config["a"] == 1
        """)
    empty_project.pytest("sweeps.py").assert_outcomes(passed=2)
    empty_project.pytest("--remex-plan").assert_outcomes(passed=2)
    empty_project.submit().assert_outcomes(passed=2)
    empty_project.submit().assert_outcomes(skipped=2)
    empty_project.wait()
    empty_project.pytest("--remex-collect").assert_outcomes(xfailed=1, failed=1)


def test_reasons_of_expected_failures(empty_project):
    """The results say why a run was expected to fail, by the mark, the call or the assertion."""
    empty_project.sweeps("""
        import pytest
        from pytest_remex import sweep
        @pytest.mark.parametrize("way", [
            pytest.param("mark", marks=pytest.mark.xfail(reason="known")),
            pytest.param("bare", marks=pytest.mark.xfail),
            "call",
        ])
        @sweep()
        def stalls(experiment, way):
            (experiment.path / "input.txt").write_text(way)
            run = yield
            if way == "call":
                pytest.xfail("also known")
            assert way == ""
        """)
    empty_project.ran()
    empty_project.pytest("--remex-collect").assert_outcomes(xfailed=3)
    reasons = [row["reason"] for row in empty_project.rows("stalls").values()]
    expected = ["known", "AssertionError: assert 'bare' == ''", "also known"]
    assert reasons == [f"expected to fail: {why}" for why in expected]


def test_parametrize(empty_project):
    """Stacked parametrize multiplies the grid, and the launch record keeps its parameters."""
    empty_project.sweeps("""
        import pytest
        from pytest_remex import sweep
        @pytest.mark.parametrize("code", ["x", "y"])
        @sweep({"a": [1, 2]})
        def grid(experiment, code):
            (experiment.path / "input.txt").write_text(f"{code}{experiment.config['a']}")
        """)
    empty_project.submit().assert_outcomes(passed=4)
    committed = [event for event in empty_project.events() if event.get("state") == "COMMITTED"]
    assert sorted(event["parameters"]["code"] for event in committed) == ["x", "x", "y", "y"]
    assert {event["point"]["a"] for event in committed} == {1, 2}


def test_fixtures(empty_project):
    """A sweep uses fixtures of every scope, and each is torn down."""
    empty_project.write(
        "conftest.py",
        """
        import pytest
        @pytest.fixture(scope="session")
        def table():
            yield "table"
            print("session down")
        @pytest.fixture
        def each(tmp_path, table):
            yield f"{table} {tmp_path.name}"
            print("function down")
        """,
    )
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep({"a": [1, 2]})
        def grid(experiment, each):
            (experiment.path / "input.txt").write_text(f"{each} {experiment.config['a']}")
        """)
    result = empty_project.submit("-s")
    result.assert_outcomes(passed=2)
    assert result.stdout.str().count("function down") == 2
    assert result.stdout.str().count("session down") == 1


@pytest.mark.parametrize(
    ("option", "counts"),
    [
        ("-x", {"passed": 1, "failed": 1}),
        ("--maxfail=2", {"passed": 1, "failed": 2}),
        ("--maxfail=9", {"passed": 2, "failed": 2}),
    ],
)
def test_stopping(empty_project, option, counts):
    """-x and --maxfail stop a submit at its failures; what was prepared before is submitted."""
    empty_project.sweeps(FAILING)
    result = empty_project.pytest("--remex-submit", option)
    result.assert_outcomes(**counts)
    assert result.ret in {pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED}
    assert len(empty_project.jobs()) == counts["passed"]


def test_last_failed(empty_project):
    """--lf submits only what failed before."""
    empty_project.sweeps(FAILING)
    empty_project.pytest("--remex-submit").assert_outcomes(passed=2, failed=2)
    empty_project.edit("sweeps.py", "not in (2, 3)", "not in (3,)")
    empty_project.pytest("--remex-submit", "--lf").assert_outcomes(passed=1, failed=1)
    assert len(empty_project.jobs()) == 3


def test_last_failed_checks_stay_until_they_are_judged_again(project):
    """After a plan and a dry run, --lf still has a submit send only what failed in the collect."""
    project.ran()
    project.edit("sweeps.py", "assert text ==", "assert experiment.id != 'a=2' and text ==")
    project.pytest("--remex-collect").assert_outcomes(passed=2, failed=1)
    project.pytest("sweeps.py").assert_outcomes(passed=3)
    again = ("--lf", "--remex-retry=all")
    project.pytest("--remex-plan", *again).assert_outcomes(passed=1)
    for _ in range(2):
        project.pytest("--remex-submit", *again).assert_outcomes(passed=1)
    assert len(project.jobs()) == 5
    project.wait()
    project.edit("sweeps.py", "a=2", "a=9")
    project.pytest("--remex-collect", "--lf").assert_outcomes(passed=1)
    project.pytest("--remex-plan", "--lf").assert_outcomes(passed=3)


@pytest.mark.parametrize("option", ["--setup-only", "--setup-plan"])
def test_setting_up_only(project, option):
    """What would run no experiment is refused in a mode: a collect keeps verdicts and measures."""
    project.ran()
    project.pytest("--remex-collect").assert_outcomes(passed=3)
    table = (project.output / "grid" / "results.csv").read_text()
    for mode in ("--remex-collect", "--remex-submit", "--remex-cancel"):
        result = project.pytest(mode, option)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"*{option} runs no experiment*{mode}: --collect-only lists*"])
    assert (project.output / "grid" / "results.csv").read_text() == table


def test_tracing(project):
    """--trace is refused in a mode, since pytest's wrapper then runs no patch."""
    result = project.pytest("--remex-submit", "--trace")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--trace no patch*--remex-submit: write breakpoint() into the*"])
    assert not project.jobs()


def test_collect_only(project):
    """--collect-only lists experiments by node id, and does nothing else."""
    result = project.pytest("--remex-submit", "--collect-only", "-q")
    result.stdout.fnmatch_lines([f"sweeps.py::grid[[]a={a}]" for a in (1, 2, 3)])
    assert not project.output.exists()


def test_junit(project):
    """--junitxml names each experiment and its job."""
    project.submit("--junitxml=out.xml")
    cases = ET.parse(project.path / "out.xml").getroot().findall(".//testcase")  # noqa: S314 - ours
    assert [case.get("name") for case in cases] == ["grid[a=1]", "grid[a=2]", "grid[a=3]"]
    noted = [
        {each.get("name"): each.get("value") for each in case.findall("properties/property")}
        for case in cases
    ]
    assert [properties["remex_job"] for properties in noted] == project.jobs()


def test_junit_failures(empty_project):
    """--junitxml has a failed patch's message, even if reports were held back."""
    empty_project.sweeps(FAILING)
    empty_project.pytest("--remex-submit", "--junitxml=out.xml")
    suite = ET.parse(empty_project.path / "out.xml").getroot()[0]  # noqa: S314 - ours
    assert (suite.get("tests"), suite.get("failures")) == ("4", "2")
    assert "a bad patch" in suite.find(".//failure").get("message")


def test_words(project):
    """-v shows each experiment's own word, and -q one letter each."""
    result = project.submit("-v")
    result.stdout.fnmatch_lines(
        [
            f"sweeps.py::grid[[]a={a}] SUBMITTED job {job} *"
            for a, job in zip("123", project.jobs(), strict=True)
        ]
    )
    result = project.submit("-v")
    result.stdout.fnmatch_lines(["sweeps.py::grid[[]a=1] ALREADY SUBMITTED job 1*"])
    result = project.submit("-q")
    result.stdout.fnmatch_lines(["sss*", "3 skipped*"])


def test_outcomes_come_in_order(empty_project):
    """Held reports come out in the order of the experiments, failures of patches included."""
    empty_project.sweeps(FAILING)
    result = empty_project.pytest("--remex-submit", "-v")
    result.stdout.fnmatch_lines(
        ["*a=1] SUBMITTED*", "*a=2] FAILED*", "*a=3] FAILED*", "*a=4] SUBMITTED*"]
    )


@pytest.mark.skipif(not importlib.util.find_spec("xdist"), reason="needs pytest-xdist")
@pytest.mark.parametrize(
    "options",
    ["-p xdist -n 2", "-p xdist.plugin -n 2 --dist each", "-p xdist.plugin -d --tx 2*popen"],
)
def test_xdist_is_off_in_modes(project, monkeypatch, options):
    """Under -n a mode that judges nothing runs in one process: one launch, one batch."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    result = project.pytest_alone(*options.split(), "--remex-submit", "-v")
    result.assert_outcomes(passed=3)
    result.stdout.no_fnmatch_line("*[[]gw0[]]*")
    assert len(project.record_paths()) == 1
