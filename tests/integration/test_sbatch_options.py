"""--remex-sbatch and its like: options that win over the script's header."""

import pytest

SLOW = """
from pytest_remex import sweep

@sweep({"a": [1, 2]}, fetch=["result.txt"])
def grid(experiment):
    (experiment.path / "input.txt").write_text(f"wait {experiment.config['a']}\\n")
    if experiment.config["a"] == 2:
        experiment.sbatch(time="2-0", mail_type="END")
"""


def introduced(project):
    """Return the options and time limits of all runs, as they were recorded."""
    events = [event for event in project.events() if event.get("state") == "COMMITTED"]
    return [(event.get("sbatch"), event["header"]["time_limit"]) for event in events]


def test_plan_shows_the_core_hours_that_follow(project):
    """A plan counts with the options, and shows them."""
    result = project.pytest("--remex-plan", "--remex-sbatch=--time=4:00:00 --mem=8G")
    result.stdout.fnmatch_lines(
        ["*asks for 3 jobs, at most 12 core-hours*; 3 with sbatch --time=4:00:00 --mem=8G"]
    )
    assert not project.output.exists()


def test_options_are_recorded(project):
    """The record says what was asked for; without options it has no such field."""
    project.submit("-k", "a=1")
    project.submit("--remex-sbatch", "-t 60 --mem=8G", "-k", "a=2")
    assert introduced(project) == [(None, 300.0), (["--time=60", "--mem=8G"], 3600.0)]


def test_order_of_the_places(project, monkeypatch):
    """The ini file loses against the environment, that against the point, that against all."""
    project.sweeps(SLOW)
    project.write("pytest.ini", "[pytest]\nremex_sbatch = --time=1 --qos=a --account=me\n")
    monkeypatch.setenv("REMEX_SBATCH", "--qos=b --time=2")
    project.submit("--remex-sbatch=--mail-type=FAIL")
    assert introduced(project) == [
        (["--time=2", "--qos=b", "--account=me", "--mail-type=FAIL"], 120.0),
        (["--time=2-0", "--qos=b", "--account=me", "--mail-type=FAIL"], 172800.0),
    ]
    project.release_waiting()


def test_more_time_for_a_retry(project):
    """A run that hit its limit names the option, and runs through with more time."""
    project.sweeps(SLOW)
    project.submit("--remex-sbatch=--time=0:1", "-k", "a=1")
    project.wait()
    result = project.pytest("--remex-collect", "-k", "a=1")
    result.stdout.fnmatch_lines(["*ended TIMEOUT*", '*--remex-retry --remex-sbatch="--time=..."'])
    same = project.pytest("--remex-plan", "--remex-retry", "--remex-sbatch=--time=0:1", "-k", "a=1")
    same.stdout.fnmatch_lines(["*a=1] *RETRY after job 1, TIMEOUT after 00:00:01, and again *"])
    more = project.pytest("--remex-plan", "--remex-retry", "--remex-sbatch=--time=5", "-k", "a=1")
    more.stdout.fnmatch_lines(
        [
            "*a=1] *RETRY after job 1, TIMEOUT after 00:00:01, now 00:05:00",
            "*asks for 1 job, at most 0.08333 core-hours, *1 of them again; 1 with * --time=5",
        ]
    )
    project.release_waiting()
    result = project.submit("--remex-retry", "--remex-sbatch=--time=5", "-k", "a=1")
    result.stdout.fnmatch_lines(["asked for: 1 job, at most 0.08333 core-hours, *"])
    assert introduced(project) == [(["--time=0:1"], 1.0), (["--time=5"], 300.0)]
    project.wait()
    project.pytest("--remex-collect", "-k", "a=1").assert_outcomes(passed=1, deselected=1)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--ntasks=4", "--ntasks is not allowed here, only options that say when and where"),
        ("--comment=x", "--comment is not allowed here"),
        ("--array=1-3", "--array is not allowed here"),
        ("4:00:00", "write sbatch options like --time=4:00:00 --mem=8G"),
        ("--time='4", "close the quote"),
        ("--time=4\x1b", "has a control character: remove it"),
    ],
)
def test_what_is_refused(project, option, words):
    """Options that would change the experiment, or are unknown, are refused before anything."""
    result = project.pytest("--remex-submit", f"--remex-sbatch={option}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--remex-sbatch*{words}*"])
    assert not project.record_paths()


def test_bad_time(project, monkeypatch):
    """A time that sbatch does not accept is refused, with the value and its origin."""
    result = project.pytest("--remex-plan", "--remex-sbatch=--time=soon")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--remex-sbatch: --time='soon' is not a time limit*"])
    monkeypatch.setenv("REMEX_SBATCH", "-t soon")
    result = project.pytest("--remex-submit")
    result.stderr.fnmatch_lines(["*REMEX_SBATCH: --time='soon' is not a time limit*"])
    monkeypatch.delenv("REMEX_SBATCH")
    project.edit(
        "sweeps.py", "    run = yield", '    experiment.sbatch(time="soon")\n    run = yield'
    )
    result = project.pytest("--remex-submit")
    result.stdout.fnmatch_lines(["*experiment.sbatch: --time='soon' is not a time limit*"])
    assert not project.record_paths()


def test_environment_of_others(project, monkeypatch):
    """A damaged $REMEX_SBATCH disturbs no run of pytest without experiments."""
    monkeypatch.setenv("REMEX_SBATCH", "--time='")
    project.write("test_other.py", "def test_other(): pass")
    project.pytest("test_other.py").assert_outcomes(passed=1)
    result = project.pytest("--remex-plan")
    result.stderr.fnmatch_lines(["*REMEX_SBATCH*close the quote*"])


def test_identity_is_the_same(project):
    """More time does not make another experiment."""
    project.submit()
    result = project.pytest("--remex-submit", "--remex-sbatch=--time=10")
    result.stdout.fnmatch_lines(["3 already submitted*"])
