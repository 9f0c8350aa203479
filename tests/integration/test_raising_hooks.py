"""A user's hook that raises is named with its place, in every mode; the rest continues."""

import textwrap
import time

import pytest

MODES = ("plan", "submit", "status", "collect")

ADDING = ("inspect", "ended", "measures", "uniform", "link_name", "figures")
"""Hooks that add something: without them an experiment is judged all the same."""
TOLD = ("submitted", "collected")
ARGUMENTS = {
    "config": "path, config_file",
    "inspect": "experiment, originals",
    "continue_probe": "experiment",
    "continue": "run",
    "progress": "run",
    "ended": "jobs",
    "measures": "run",
    "uniform": "",
    "link_name": "row, output",
    "figures": "results, folder",
    "submitted": "launch, jobs",
    "collected": "results, folder",
}


def write_hook(project, name):
    """Write a conftest.py whose hook of this name raises in its second line."""
    project.write(
        "conftest.py",
        f"""\
        def pytest_remex_{name}({ARGUMENTS[name]}):
            raise ValueError("no luck")
        """,
    )
    return (
        f"the hook pytest_remex_{name} at {project.path}/conftest.py:2 raised ValueError: no luck"
    )


def run_modes(project):
    """Run all modes, one after the other; return what each showed."""
    shown = {}
    for mode in MODES:
        result = project.pytest(f"--remex-{mode}", *(["--remex-wait"] if mode == "status" else []))
        shown[mode] = result.stdout.str() + result.stderr.str()
        assert "INTERNALERROR" not in shown[mode]
        assert "pytest_remex/" not in shown[mode]
        assert result.ret == 0, shown[mode]
        project.wait()
    return shown


@pytest.mark.parametrize("name", [*ADDING, *TOLD])
def test_hook_that_adds(project, name):
    """It is one warning per mode; table, verdicts, links and report are written."""
    message = write_hook(project, name)
    shown = run_modes(project)
    counts = {mode: text.count(message) for mode, text in shown.items()}
    assert set(counts.values()) <= {0, 1}
    assert sum(counts.values()), shown
    assert "PASSED" in (project.output / "grid" / "results.csv").read_text()
    assert (project.output / "grid" / "report.html").is_file()
    assert len(list((project.output / "grid" / "links").iterdir())) == 6


def test_progress(project):
    """If the hook that reads a job's progress raises, status shows the rest."""
    project.edit("sweeps.py", 'f"a = {experiment.config', 'f"wait = {experiment.config')
    project.submit()
    message = write_hook(project, "progress")
    end = time.monotonic() + 30
    while message not in (shown := project.pytest("--remex-status").stdout.str()):
        assert time.monotonic() < end, shown  # the first job has written nothing yet
        time.sleep(0.1)
    assert shown.count(message) == 1
    assert "RUNNING" in shown
    project.release_waiting()


@pytest.mark.parametrize("mode", ["plan", "submit", "collect"])
def test_reader_of_configs(project, mode):
    """If the config cannot be compared, each experiment fails with one plain message."""
    if mode == "collect":
        project.ran()
    message = write_hook(project, "config")
    result = project.pytest(f"--remex-{mode}")
    result.assert_outcomes(failed=3)
    text = result.stdout.str()
    assert message in text
    assert "INTERNALERROR" not in text
    assert "pytest_remex/" not in text


RAISING_READER = """\
    def refuse(text):
        if "2" in text:
            raise ValueError("no luck")

    def pytest_remex_read(path):
        refuse(path.read_text())
    """


@pytest.mark.parametrize(
    "options", [(), ("-v", "--tb=long"), ("--tb=native",), ("-p", "xdist.plugin", "-n2")], ids=str
)
def test_reader_of_outputs(project, options):
    """The run whose output cannot be read fails, with the hook's place; the others are judged."""
    project.edit("sweeps.py", '(run.path / "result.txt").read_text()', 'run.read("result.txt")')
    project.ran()
    project.write("conftest.py", RAISING_READER)
    result = project.pytest("--remex-collect", *options)
    result.assert_outcomes(passed=2, failed=1)
    text = result.stdout.str() + result.stderr.str()
    assert f"the hook pytest_remex_read at {project.path}/conftest.py:3 raised ValueError" in text
    for frames_of in ("pluggy/", "_hookexec", "pytest_remex/", "INTERNALERROR"):
        assert frames_of not in text
    table = (project.output / "grid" / "results.csv").read_text()
    assert (table.count("PASSED"), table.count("FAILED")) == (2, 1)


SETTINGS = """\
    from pytest_remex import sweep

    @sweep({"a": [1, 2, 3]}, config_file="settings.json")
    def grid(experiment):
        (experiment.path / "settings.json").write_text('{"a": %s}' % experiment.config["a"])
        yield
    """


@pytest.mark.parametrize("mode", ["plan", "submit", "collect"])
def test_reader_of_outputs_reads_configs(project, mode):
    """A reader that raises for a config file is named too; the other experiments continue."""
    project.write("settings.json", "{}")
    project.commit()
    project.sweeps(textwrap.dedent(SETTINGS))
    if mode == "collect":
        project.ran()
    project.write("conftest.py", RAISING_READER)
    result = project.pytest(f"--remex-{mode}")
    result.assert_outcomes(passed=2, failed=1)
    text = result.stdout.str()
    assert f"the hook pytest_remex_read at {project.path}/conftest.py:3 raised ValueError" in text
    for frames_of in ("pluggy/", "_hookexec", "pytest_remex/", "INTERNALERROR"):
        assert frames_of not in text


TIMEOUT = """\
    #!/bin/sh
    #SBATCH -o job.out
    #SBATCH -t 00:00:01
    if grep -q 2 input.txt; then exec sleep 60; fi
    exit 3
    """


@pytest.mark.parametrize("name", ["continue_probe", "continue"])
def test_hook_that_continues(project, name):
    """A run that it cannot continue does not start over, and the other runs are retried."""
    project.commit(run_sbatch=TIMEOUT)
    project.ran()
    message = write_hook(project, name)
    if name == "continue_probe":  # without one, only submit fetches what decides
        plan = project.pytest("--remex-plan", "--remex-retry")
        plan.stdout.fnmatch_lines([f"*{message}*"])
    result = project.pytest("--remex-submit", "--remex-retry", "-v")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*a=2] FAILED*", f"*{message}*"])
    text = result.stdout.str()
    assert text.count("Traceback") == 0
    assert "pytest_remex/" not in text
    project.write("conftest.py", "")
    project.submit("--remex-retry", "-k", "a=2").assert_outcomes(passed=1)
