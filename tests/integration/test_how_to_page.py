"""The answers on the how-to page work."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pytest_remex import results
from pytest_remex.config.yaml_file import read_yaml

PAGE = (Path(__file__).parents[2] / "docs" / "how-to.md").read_text("utf-8")
WORKFLOWS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
LEFT_OUT, COMPARED, TOLERANT, ON_BOTH = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(CLUSTERS,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
PLUGINS = "-p pytest_remex.plugin -p no:cacheprovider"


def steps(workflow):
    """Return the commands of a workflow, of all its jobs."""
    jobs = read_yaml(workflow)["jobs"].values()
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


def run_step(project, script):
    """Run a step as a runner does: by bash, which ends at the first command that fails."""
    folder = project.path / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "pytest").write_text(f'#!/bin/sh\nexec {sys.executable} -m pytest {PLUGINS} "$@"\n')
    (folder / "pytest").chmod(0o755)
    return subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=project.path,
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_workflows(project):
    """The steps submit, accept jobs that have not ended, and fail if a job failed."""
    submitting, collecting = map(steps, WORKFLOWS)
    assert all("fetch-depth: 0" in each for each in WORKFLOWS)
    project.sweeps(
        textwrap.dedent("""\
            from pytest_remex import sweep

            @sweep({"a": ["wait", "good", "fail"]}, fetch=["result.txt"])
            def grid(experiment):
                (experiment.path / "input.txt").write_text(experiment.config["a"])
                yield
            """)
    )
    (dry,) = (each for each in submitting if each == "pytest sweeps.py")
    assert run_step(project, dry).returncode == 0
    (submit,) = (each for each in submitting if "--remex-submit" in each)
    (collect,) = (each for each in collecting if "--remex-collect" in each)
    done = run_step(project, submit + " -k 'not fail'")
    assert done.returncode == 0, done.stdout
    project.until(ended=(), says=())
    chosen = collect.replace("--remex-collect", "--remex-collect -k 'not fail'")
    done = run_step(project, chosen)
    assert done.returncode == 0, done.stdout
    assert "::notice::nothing failed" in done.stdout
    (project.runs / "go").touch()
    assert run_step(project, submit).returncode == 0
    project.wait()
    done = run_step(project, collect)
    assert done.returncode == 1, done.stdout
    assert "::notice::" not in done.stdout


def test_left_out_and_expected_to_fail(project):
    """`pytest.skip` leaves an experiment out, `pytest.xfail` takes a failed check for expected."""
    project.sweeps(LEFT_OUT)
    project.pytest("--remex-submit").assert_outcomes(skipped=1, passed=2)
    project.wait()
    project.pytest("--remex-collect").assert_outcomes(skipped=1, xfailed=1, passed=1)


def test_completion(project):
    """The options of sweeps are completed by argcomplete."""
    pytest.importorskip("argcomplete")
    line = "pytest --remex-su"
    words = [sys.executable, "-m", "pytest", *PLUGINS.split()]
    variables = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(project.path / "told"),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    env = {**os.environ, **variables, "PYTEST_ADDOPTS": PLUGINS}
    subprocess.run(words[:3], env=env, cwd=project.path, check=False, timeout=60)
    assert "--remex-submit" in (project.path / "told").read_text()


def test_compared_with_files(project):
    """`data_regression` writes what a run computed when asked to, and compares with it later."""
    pytest.importorskip("pytest_regressions")
    plugins = ("-p", "pytest_datadir.plugin", "-p", "pytest_regressions.plugin")
    project.sweeps(COMPARED)
    project.ran(*plugins)
    result = project.pytest("--remex-collect", "--force-regen", *plugins)
    assert len(list(project.path.glob("sweeps/*.yml"))) == 2, result.stdout.str()
    project.pytest("--remex-collect", *plugins).assert_outcomes(passed=2)
    changed = next(project.path.glob("sweeps/*1*.yml"))
    changed.write_text("result: another\n")
    offline = project.pytest("--remex-collect", "--remex-offline", *plugins)
    offline.assert_outcomes(passed=1, failed=1)


def here(project, table):
    """Return a table of remotes with this machine in place of the clusters."""
    local = re.sub(r"^(host|clone) = .*\n", "", table, flags=re.MULTILINE)
    return local.replace("/scratch/me", str(project.path / "scratch"))


def test_several_clusters(project):
    """One command sends the grid to both clusters, and -k chooses those of one."""
    project.write("pyproject.toml", here(project, CLUSTERS))
    project.write("conftest.py", ON_BOTH)
    project.write(".git/info/exclude", "scratch/\npyproject.toml\n")
    project.pytest("--remex-submit").assert_outcomes(passed=6)
    waited = project.pytest("--remex-status", "--remex-wait", "-k", "rusty")
    waited.stdout.fnmatch_lines(["*= 3 deselected, 3 completed in *"])
    project.pytest("--remex-status", "--remex-wait")
    project.pytest("--remex-collect").assert_outcomes(passed=6)
    assert {*results(project.output / "grid")["remote"]} == {"rusty", "popeye"}


def test_a_tolerance(project):
    """The sweep of the page, with its tolerance, is planned on both bases."""
    project.sweeps(
        "from pytest_remex import sweep\n"
        + TOLERANT.replace(
            "): ...", '):\n    (experiment.path / "input.txt").write_text(experiment.id)\n'
        )
    )
    plan = project.pytest("--remex-plan", "--remex-against=main")
    plan.assert_outcomes(passed=6)
