"""Runs that no launch record tells of: of releases that kept none in the runs folder, or purged."""

import csv
import getpass
import json
import shutil
import socket
import time

import pytest


@pytest.fixture
def forgotten(project):
    """Return a project whose runs are all that is left of a launch."""
    project.write("pytest.ini", "[pytest]\nfilterwarnings = error\nremex_runs = elsewhere/runs\n")
    project.runs = project.path / "elsewhere/runs"
    project.ran()
    forget(project)
    return project


def forget(project):
    """Remove the output folder, and what the runs folder keeps of launches."""
    shutil.rmtree(project.output)
    for name in ("launches", "claims"):
        shutil.rmtree(project.runs / ".remex" / name)
    # A launch in the same second would have the same run directories.
    time.sleep(1 - time.time() % 1)


def test_runs_without_a_record(forgotten):
    """They are found by what their directories say, and nothing is submitted again."""
    result = forgotten.submit("-v")
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(["*a=2] ALREADY SUBMITTED job 2*"])
    forgotten.pytest("--remex-collect").assert_outcomes(passed=3)
    assert len(forgotten.jobs()) == 3
    again = forgotten.submit()
    again.assert_outcomes(skipped=3)
    assert len(list((forgotten.runs / ".remex/launches").iterdir())) == 1


@pytest.mark.parametrize("mode", ["--remex-status", "--remex-plan"])
def test_runs_without_a_record_are_shown(forgotten, mode):
    """A status and a plan know of them too."""
    result = forgotten.pytest(mode, "-v")
    words = {"--remex-status": "COMPLETED", "--remex-plan": "ALREADY SUBMITTED"}
    result.stdout.fnmatch_lines([f"*a={a}] {words[mode]} job {a}*" for a in (1, 2, 3)])


def test_runs_without_a_record_on_another_base(forgotten):
    """A commit of a control file, and a renamed sweep, make nothing new."""
    forgotten.write(".git/info/exclude", "elsewhere/\n")
    forgotten.commit(**{"README.md": "more\n"})
    forgotten.edit("sweeps.py", "def grid", "def new_name")
    forgotten.submit().assert_outcomes(skipped=3)
    assert len(forgotten.jobs()) == 3


def test_retry_of_a_run_without_a_record(project):
    """Only failed experiments are sent again."""
    project.write("pytest.ini", "[pytest]\nremex_runs = elsewhere/runs\n")
    project.runs = project.path / "elsewhere/runs"
    failing = "'fail\\n' if experiment.config['a'] == 2 else f\"a = {experiment.config['a']}\\n\""
    project.edit("sweeps.py", "f\"a = {experiment.config['a']}\\n\"", failing)
    project.ran()
    forget(project)
    result = project.submit("--remex-retry", "-v")
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(["*a=2] SUBMITTED job 4*"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sha", "$(id)"), ("token", "../.."), ("node", "sweeps.py::\x1b[2J"), ("point", "a=1"),
        ("launch", "../../grid_2026_01_31_12_00_00"), ("parent", "HEAD"), ("tree", ""),
    ],
)  # fmt: skip
def test_a_hostile_run_directory(forgotten, name, value):
    """Run directories with impossible contents are not used; the others are."""
    first = min(forgotten.run_directories())
    path = first / ".remex/run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    forgotten.submit().assert_outcomes(passed=1, skipped=2)
    assert all(event.get(name) != value for event in forgotten.events())


@pytest.mark.parametrize("job", ["", "1; id", "$(id)"])
def test_a_run_directory_without_a_job(forgotten, job):
    """A run without a job, or with what cannot be one, does not count."""
    for run in forgotten.run_directories():
        (run / ".remex/job").write_text(job)
    forgotten.submit().assert_outcomes(passed=3)


def test_an_end_outlives_the_output_folder(project):
    """What a status saw is known to others at once, even if the runs' own notes are purged."""
    project.write("pytest.ini", "[pytest]\nremex_runs = elsewhere/runs\n")
    project.runs = project.path / "elsewhere/runs"
    project.ran()
    project.pytest("--remex-status").stdout.fnmatch_lines(["*= 3 completed in *"])
    shutil.rmtree(project.output)
    for run in project.run_directories():
        shutil.rmtree(run / ".remex")
    shutil.rmtree(project.runs / ".remex/local")
    project.submit().assert_outcomes(skipped=3)
    project.pytest("--remex-status").stdout.fnmatch_lines(["*= 3 completed in *"])


@pytest.fixture
def collected(project):
    """Return a project whose runs were collected by an output folder that no longer exists."""
    project.write("pytest.ini", "[pytest]\nremex_runs = elsewhere/runs\n")
    project.runs = project.path / "elsewhere/runs"
    project.ran()
    project.pytest("--remex-collect").assert_outcomes(passed=3)
    shutil.move(project.output, project.path / "elsewhere/laptop")
    return project


def marks(project):
    """Return how many lines of the records in the runs folder say that runs were collected."""
    records = (project.runs / ".remex/launches").iterdir()
    return sum(path.read_text().count('"COLLECTED"') for path in records)


def test_a_fresh_clone_is_told_who_collected_what_was_purged(collected):
    """It is not a failure: the message says who has the outputs, and how to get them."""
    for run in collected.run_directories():
        shutil.rmtree(run)
    status = collected.pytest("--remex-status")
    assert status.ret == 0
    status.stdout.fnmatch_lines(
        ["PURGED 3 *", "3 purged: collected by *: --remex-collect says what to copy"]
    )
    result = collected.pytest("--remex-collect")
    result.assert_outcomes(skipped=3)
    who = f"{getpass.getuser()}@{socket.gethostname()}"
    message = f"*collected by {who} on ????-??-??, and its run directory no longer exists*"
    result.stdout.fnmatch_lines([f"3 runs not here, for example: {message}"])
    assert result.ret == 0
    with (collected.output / "grid/results.csv").open(newline="") as file:
        assert {row["state"] for row in csv.DictReader(file)} == {"PURGED"}
    again = collected.pytest("--remex-collect", "--remex-offline", "-rs")
    again.stdout.fnmatch_lines([message])
    collected.submit("--remex-retry").assert_outcomes(skipped=3)
    assert len(collected.jobs()) == 3


def test_what_another_client_collected_and_this_one_removes(collected):
    """The run directories may go; the outputs still exist, so a retry runs nothing again."""
    text = "3 runs collected by others only"
    asked = collected.pytest("--remex-clean")
    asked.stdout.fnmatch_lines([f"{text}: --remex-collect fetches them here too"])
    done = collected.pytest("--remex-clean", "--remex-yes")
    done.stdout.fnmatch_lines(["removed: 3 run directories, *", text])
    collected.submit("--remex-retry").assert_outcomes(skipped=3)
    status = collected.pytest("--remex-status")
    assert status.ret == 0
    status.stdout.fnmatch_lines(["3 purged: collected by *: --remex-collect says what to copy"])
    result = collected.pytest("--remex-collect")
    result.stdout.fnmatch_lines(["3 runs not here, for example: collected by *"])
    assert len(collected.jobs()) == 3


def test_an_output_that_was_purged_after_another_client_fetched_it(collected):
    """The message does not say that the job did not write it, and the copy that it names helps."""
    for run in collected.run_directories():
        (run / "result.txt").unlink()
    result = collected.pytest("--remex-collect", "-k", "a:1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*result.txt is not in the run directory: either it was removed*"])
    result.stdout.no_fnmatch_line("*the job completed but*")
    there = collected.path / "elsewhere/laptop/runs"
    shutil.copytree(there, collected.output / "runs", dirs_exist_ok=True)
    collected.pytest("--remex-collect").assert_outcomes(passed=3)


def test_a_run_without_an_output_is_not_collected(project):
    """If its directory is purged, other clients report a failure, and a retry runs it again."""
    project.write("pytest.ini", "[pytest]\nremex_runs = elsewhere/runs\n")
    project.runs = project.path / "elsewhere/runs"
    project.edit("sweeps.py", "[1, 2, 3]", "[1]")
    project.edit("sweeps.py", 'f"a = ', 'f"empty a = ')
    project.ran()
    project.pytest("--remex-collect").assert_outcomes(failed=1)
    assert marks(project) == 0
    shutil.rmtree(project.output)
    shutil.rmtree(project.run_directories()[0])
    result = project.pytest("--remex-collect")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*run directory is gone*result.txt*--remex-retry runs it again"])
    project.submit("--remex-retry").assert_outcomes(passed=1)


def test_a_failed_check_beside_what_others_have(collected):
    """The next command is about the check that failed, not about runs that only others have."""
    shutil.rmtree(next(iter(collected.run_directories())))
    collected.edit("sweeps.py", "    run = yield\n", "    run = yield\n    assert False\n")
    result = collected.pytest("--remex-collect")
    result.assert_outcomes(skipped=1, failed=2)
    result.stdout.fnmatch_lines(
        ["1 run not here: collected by *", "next: --remex-collect again if the check was wrong*"]
    )


@pytest.mark.parametrize("way", ["copy", "again"])
def test_what_that_message_names_works(collected, way):
    """Outputs copied from there are judged; --remex-retry=all reruns the selected experiments."""
    for run in collected.run_directories():
        shutil.rmtree(run)
    collected.pytest("--remex-collect").assert_outcomes(skipped=3)
    if way == "copy":
        there = collected.path / "elsewhere/laptop/runs"
        shutil.copytree(there, collected.output / "runs", dirs_exist_ok=True)
    else:
        collected.ran("--remex-retry=all")
    collected.pytest("--remex-collect").assert_outcomes(passed=3)


def test_a_collect_marks_once_what_it_fetched(collected):
    """A second output folder fetches existing outputs, and keeps the first one's note."""
    assert marks(collected) == 1
    collected.pytest("--remex-collect").assert_outcomes(passed=3)
    collected.pytest("--remex-collect").assert_outcomes(passed=3)
    assert marks(collected) == 1


def test_a_mark_that_was_not_made_is_made_later(collected):
    """After a collect that was killed before its mark, the next one makes it."""
    laptop = collected.path / "elsewhere/laptop"
    for folder in (laptop / "launches", collected.runs / ".remex/launches"):
        (path,) = folder.glob("*.jsonl")
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if "COLLECTED" not in line))
    shutil.move(laptop, collected.output)
    collected.pytest("--remex-collect").assert_outcomes(passed=3)
    assert marks(collected) == 1


def test_a_collect_from_a_runs_folder_that_takes_no_record(project):
    """A runs folder that cannot be written, as on a full disk, is not an error of status."""
    project.write("pytest.ini", "[pytest]\nremex_runs = elsewhere/runs\n")
    project.runs = project.path / "elsewhere/runs"
    project.ran()
    shutil.rmtree(project.runs / ".remex/launches")
    (project.runs / ".remex/launches").write_text("in the way")
    project.pytest("--remex-collect").assert_outcomes(passed=3)


def test_a_status_where_nothing_can_be_written(project):
    """A runs folder that takes no records any more does not keep a status from telling."""
    project.write("pytest.ini", "[pytest]\nremex_runs = elsewhere/runs\n")
    project.runs = project.path / "elsewhere/runs"
    project.ran()
    shutil.rmtree(project.runs / ".remex/launches")
    (project.runs / ".remex/launches").write_text("in the way")
    project.pytest("--remex-status").stdout.fnmatch_lines(["*= 3 completed in *"])
