"""Corrections after a launch that rerun nothing; and purged runs."""

import csv
import json
import shutil

SETTINGS = """
import json
from pytest_remex import sweep

@sweep({"a": [1, 2]}, base_config={"z": 0.02}, fetch=["result.txt"], config_file="settings.json")
def grid(experiment):
    (experiment.path / "input.txt").write_text(f"a = {experiment.config['a']}\\n")
    text = json.dumps({"a": experiment.config["a"], "z": 0.02})
    (experiment.path / "settings.json").write_text(text)
    run = yield
    if run.config:
        run.record(ran_z=run.config["z"])
"""


def verdicts(project):
    """Return the verdicts in the results, by experiment id."""
    with (project.output / "grid" / "results.csv").open(newline="") as file:
        return {row["id"]: row["verdict"] for row in csv.DictReader(file)}


def test_an_edited_fetch_fetches_more(project):
    """A pattern that is added after the launch is fetched, though the run was complete."""
    project.ran()
    project.pytest("--remex-collect").assert_outcomes(passed=3)
    project.edit("sweeps.py", 'fetch=["result.txt"]', 'fetch=["result.txt", "input.*"]')
    result = project.pytest("--remex-collect", "--remex-offline")
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["*output input.* has not been fetched yet: collect without*"])
    project.pytest("--remex-collect").assert_outcomes(passed=3)
    for folder in project.run_directories():
        fetched = project.output / "runs" / folder.name / "input.txt"
        assert fetched.read_bytes() == (folder / "input.txt").read_bytes()
    assert len(project.jobs()) == 3


def test_an_optional_output_need_not_exist(project):
    """A missing output fails its run, and the message's fix, `optional`, lets it pass."""
    project.edit("sweeps.py", '["result.txt"]', '["result.txt", "plots/*.png"]')
    project.ran()
    result = project.pytest("--remex-collect")
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["*did not write plots/[*].png*optional('plots/[*].png')*"])
    project.edit("sweeps.py", "import sweep", "import optional, sweep")
    project.edit("sweeps.py", '"plots/*.png"', 'optional("plots/*.png")')
    project.pytest("--remex-collect").assert_outcomes(passed=3)
    result = project.pytest("--remex-collect", "--remex-offline")
    result.assert_outcomes(passed=3)


def test_a_corrected_config_is_judged_anew(project):
    """A wrong entry of base_config fails the runs, and passes once it is corrected."""
    project.sweeps(SETTINGS)
    project.ran()
    project.edit("sweeps.py", '{"z": 0.02}, fetch', '{"z": 0.03}, fetch')
    result = project.pytest("--remex-collect")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*z: asked for 0.03, ran with 0.02*"])
    project.edit("sweeps.py", "0.03", "0.02")
    project.pytest("--remex-collect").assert_outcomes(passed=2)
    assert verdicts(project) == {"a=1": "PASSED", "a=2": "PASSED"}
    assert len(project.jobs()) == 2


def test_a_config_file_named_later_is_read_back(project):
    """A config_file, also one of several, that is named after the launch is fetched and read."""
    project.sweeps(SETTINGS.replace(', config_file="settings.json"', ""))
    project.ran()
    project.pytest("--remex-collect").assert_outcomes(passed=2)
    more = 'config_file=["more.json", "settings.json"]'
    project.edit("sweeps.py", 'fetch=["result.txt"]', f'fetch=["result.txt"], {more}')
    project.pytest("--remex-collect").assert_outcomes(passed=2)
    with (project.output / "grid" / "results.csv").open(newline="") as file:
        assert [row["ran_z"] for row in csv.DictReader(file)] == ["0.02", "0.02"]


def test_a_purged_run_is_told_and_retried(project):
    """A missing run directory is reported with the fix, a retry, which plan shows too."""
    project.ran()
    for folder in project.run_directories():
        shutil.rmtree(folder)
    result = project.pytest("--remex-collect")
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines([
        "*the run directory is gone (purged?)*--remex-submit --remex-retry*",
        "next: --remex-submit --remex-retry sends failed experiments again",
    ])  # fmt: skip
    plan = project.pytest("--remex-plan", "--remex-retry")
    plan.stdout.fnmatch_lines(["*3 jobs*3 of them again*"])
    project.ran("--remex-retry")
    assert len(project.jobs()) == 6
    project.pytest("--remex-collect").assert_outcomes(passed=3)


def test_status_of_purged_runs(project):
    """A purged run that was collected is COMPLETED in words; others are PURGED, and retried."""
    project.ran()
    project.pytest("--remex-collect", "-k", "1").assert_outcomes(passed=1)
    before = project.pytest("--remex-status")
    assert before.ret == 0
    before.stdout.no_fnmatch_line("*is gone*")
    for folder in project.run_directories():
        shutil.rmtree(folder)
    status = project.pytest("--remex-status", "--remex-json=facts.json")
    assert status.ret == 1
    status.stdout.fnmatch_lines(
        [
            "PURGED    2 *",
            "COMPLETED 1 *",
            "*COMPLETED *collected, run directory is gone*",
            "2 purged: not collected, run directory is gone: *--remex-retry runs it again",
        ]
    )
    facts = {
        each["point"]["a"]: each for each in json.loads((project.path / "facts.json").read_text())
    }
    assert [facts[a]["state"] for a in (1, 2, 3)] == ["COMPLETED", "PURGED", "PURGED"]
    assert [facts[a]["outcome"] for a in (1, 2, 3)] == ["passed", "failed", "failed"]
    assert facts[1]["reason"] == "collected, run directory is gone"
    assert project.pytest("--remex-status", "-k", "1").ret == 0
    project.ran("--remex-retry")
    assert len(project.jobs()) == 5
    project.pytest("--remex-collect").assert_outcomes(passed=3)


def test_status_of_a_runs_folder_that_is_not_mounted(project):
    """If the whole runs folder is missing, no run counts as purged."""
    project.write("pytest.ini", "[pytest]\nremex_runs = elsewhere/runs\n")
    project.runs = project.path / "elsewhere/runs"
    project.ran()
    assert project.pytest("--remex-status").ret == 0
    project.runs.rename(project.path / "elsewhere/unmounted")
    status = project.pytest("--remex-status")
    status.stdout.no_fnmatch_line("*PURGED*")
    (project.path / "elsewhere/unmounted").rename(project.runs)
    assert project.pytest("--remex-status").ret == 0
    project.submit("--remex-retry").assert_outcomes(skipped=3)


def test_a_purged_run_does_not_pass_unread(project):
    """A missing run directory is also reported if only the config is read back."""
    project.sweeps(SETTINGS.replace('fetch=["result.txt"], ', ""))
    project.ran()
    for folder in project.run_directories():
        shutil.rmtree(folder)
    result = project.pytest("--remex-collect")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["*run directory is gone (purged?) before the output settings.json was fetched*"]
    )


def test_an_output_that_comes_after_the_collect(project):
    """An epilog or a user may add an output: the next collect fetches it, unless it was purged."""
    project.edit("sweeps.py", 'fetch=["result.txt"]', 'fetch=["result.txt", "late.txt"]')
    project.ran()
    result = project.pytest("--remex-collect")
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["*did not write late.txt*"])
    first, second, third = project.run_directories()
    for folder in (first, second):
        (folder / "late.txt").write_text("late\n")
    shutil.rmtree(third)
    result = project.pytest("--remex-collect")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*did not write late.txt*"])
    assert [row["state"] for row in project.rows().values()] == ["COMPLETED"] * 3
    assert len(list((project.output / "runs").glob("*/late.txt"))) == 2


def test_outputs_that_changed_after_the_collect(project):
    """`--remex-fresh` fetches outputs that changed there, and keeps those that were purged."""
    project.ran()
    project.pytest("--remex-collect").assert_outcomes(passed=3)
    changed, purged, _ = project.run_directories()
    (changed / "result.txt").unlink()
    (changed / "result.txt").write_text("by hand\n")
    (purged / "result.txt").unlink()
    here = project.output / "runs" / changed.name / "result.txt"
    project.pytest("--remex-collect").assert_outcomes(passed=3)
    assert here.read_text() != "by hand\n"
    result = project.pytest("--remex-collect", "--remex-fresh")
    result.assert_outcomes(passed=2, failed=1)
    assert here.read_text() == "by hand\n"
    assert all("result.txt" in row["outputs"] for row in project.rows().values())


def test_a_purge_takes_nothing_that_was_fetched(project):
    """Outputs that were fetched before a purge stay, pass, and are not run again."""
    project.ran()
    project.pytest("--remex-collect").assert_outcomes(passed=3)
    for folder in project.run_directories():
        shutil.rmtree(folder)
    project.edit("sweeps.py", 'fetch=["result.txt"]', 'fetch=["result.*"]')
    project.pytest("--remex-collect").assert_outcomes(passed=3)
    project.ran("--remex-retry")
    assert len(project.jobs()) == 3
    project.edit("sweeps.py", 'fetch=["result.*"]', 'fetch=["result.*", "input.txt"]')
    result = project.pytest("--remex-collect")
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["*gone (purged?) before the output input.txt was fetched*"])
    kept = list((project.output / "runs").glob("*/result.txt"))
    assert len(kept) == 3
    notes = [json.loads((path.parent / ".remex/outputs.json").read_text()) for path in kept]
    assert all("result.txt" in note["files"] for note in notes)


def test_a_sweep_that_was_moved_to_another_file(project):
    """Status, collect and cancel know its runs at once, before any submit."""
    project.edit("sweeps.py", "a = {experiment", "wait a = {experiment")
    project.submit("-k", "a=1")
    moved = project.path / "more_sweep.py"
    (project.path / "sweeps.py").rename(moved)
    with (project.path / ".git/info/exclude").open("a") as file:
        file.write("more_sweep.py\n")
    project.pytest("--remex-cancel").stdout.fnmatch_lines(["*1 cancelled*"])
    project.pytest("--remex-status", "-k", "a=1").stdout.fnmatch_lines(["*1 failed*"])
    # a sweep of the same name in a file of its own is another one
    project.sweeps()
    project.pytest("--remex-status", "more_sweep.py").assert_outcomes(skipped=3)


def test_a_dimension_that_was_added(project):
    """Status and cancel name the runs without it, and what makes them known again."""
    project.edit("sweeps.py", "a = {experiment", "wait a = {experiment")
    project.submit("-k", "a=1 or a=2")
    project.edit("sweeps.py", "[1, 2, 3]}", '[1, 2, 3], "b": [0]}')
    for mode in ("--remex-status", "--remex-cancel", "--remex-collect"):
        result = project.pytest(mode)
        result.assert_outcomes(skipped=3)
        line = "*grid has no runs with its parameters (a, b), but 2 runs with other ones (a): *"
        result.stdout.fnmatch_lines([line])
    project.submit("-k", "a=1 or a=2").assert_outcomes(skipped=2)
    cancelled = project.pytest("--remex-cancel")
    cancelled.stdout.fnmatch_lines(["*2 cancelled*"])
    cancelled.stdout.no_fnmatch_line("*has no runs*")


def test_a_sweep_that_was_renamed(project):
    """Status and cancel name the runs of its points, and what brings them back."""
    project.edit("sweeps.py", "a = {experiment", "wait a = {experiment")
    project.submit("-k", "a=1")
    project.edit("sweeps.py", "def grid", "def tams")
    for mode in ("--remex-status", "--remex-cancel", "--remex-collect"):
        result = project.pytest(mode)
        result.assert_outcomes(skipped=3)
        result.stdout.fnmatch_lines(['*tams has no runs, but 1 run of *grid*name="grid"*'])
    plan = project.pytest("--remex-plan")
    plan.stdout.fnmatch_lines(["*1 already submitted*"])
    project.edit("sweeps.py", "@sweep(", '@sweep(name="grid", dimensions=')
    project.pytest("--remex-cancel").stdout.fnmatch_lines(["*1 cancelled*"])
    # the removed sweep is another one where this one has runs of its own
    project.edit("sweeps.py", 'name="grid", ', "")
    project.submit("-k", "a=1")
    project.pytest("--remex-status").stdout.no_fnmatch_line("*has no runs*")
