"""Notes beside fetched outputs, and surroundings of a command, that are not as they should be."""

import os
import resource
import subprocess
import sys

import pytest

OUTPUTS = (
    '{"files": {"result.txt": [%s, 1]}, "patterns": [], "missing": [], "links": [], "job": "1",'
    ' "complete": true}'
)
NOTES = ["[" * 100_000 + "]" * 100_000, OUTPUTS % "Infinity", OUTPUTS % ("9" * 5000), "7", ""]
NAMES = ["outputs.json", "judged.json", "kept.json", "removed.json"]
MODES = ("", "--remex-plan", "--remex-submit", "--remex-status", "--remex-collect")
ODD = "a:b -x %j 'q\" $(touch canary) \\ ; \u00fc e\u0301\n#"


@pytest.mark.parametrize("name", NAMES)
def test_damaged_notes(project, name):
    """What a damaged note is about is fetched or judged again; nothing is submitted again."""
    project.edit("sweeps.py", "[1, 2, 3]", "[1, 2, 3, 4, 5]")
    project.ran()
    project.pytest("--remex-collect").assert_outcomes(passed=5)
    for run, note in zip((project.output / "runs").iterdir(), NOTES, strict=True):
        (run / ".remex" / name).write_text(note)
    assert project.pytest("--remex-status").ret == 0
    project.pytest("--remex-collect").assert_outcomes(passed=5)
    project.submit("--remex-retry").assert_outcomes(skipped=5)


def test_a_damaged_job_of_this_machine(project):
    """Only its own run is UNKNOWN, and no wait is advised, which would end at once."""
    project.ran()
    (project.runs / ".remex" / "local" / "jobs" / "1").write_text("damaged")
    deal_with_it = "next: the same command again, once the reason of each UNKNOWN is dealt with"
    collected = project.pytest("--remex-collect", "--remex-wait")
    collected.assert_outcomes(passed=2, skipped=1)
    collected.stdout.fnmatch_lines(["1 UNKNOWN", deal_with_it])
    status = project.pytest("--remex-status", "--remex-wait", "-v")
    status.stdout.fnmatch_lines(["*UNKNOWN job 1*", "*1 unknown, 2 completed*"])
    project.submit("--remex-retry").assert_outcomes(skipped=3)


def test_notes_that_are_no_files(project):
    """Pipes in place of notes, as in a copy from elsewhere, do not hold a command up."""
    project.ran()
    project.pytest("--remex-collect").assert_outcomes(passed=3)
    for run in (project.output / "runs").iterdir():
        for name in NAMES:
            (run / ".remex" / name).unlink(missing_ok=True)
            os.mkfifo(run / ".remex" / name)
    process = project.start("--remex-collect")
    try:
        text, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert "3 passed" in text, text


@pytest.mark.parametrize("mode", ["submit", "plan", "status", "collect", "cancel", "log", "clean"])
def test_a_record_that_cannot_be_read(project, mode):
    """A launch record such as another user's, which nobody else may read, is named by each mode."""
    project.ran()
    record = project.output / "launches/other_2026_01_01_00_00_00.jsonl"
    record.mkdir()
    result = project.pytest(f"--remex-{mode}")
    text = result.stdout.str() + result.stderr.str()
    assert f"{record} cannot be read (Is a directory): fix that, and run" in text
    assert "Error:" not in text


def test_outputs_archived_behind_links(project, tmp_path_factory):
    """A folder of outputs that became a link is judged as it is."""
    project.ran()
    project.pytest("--remex-collect").assert_outcomes(passed=3)
    archive = tmp_path_factory.mktemp("archive")
    for run in list((project.output / "runs").iterdir()):
        run.rename(archive / run.name)
        run.symlink_to(archive / run.name)
    project.pytest("--remex-collect").assert_outcomes(passed=3)


def test_looking_at_runs_whose_records_cannot_be_written(project, disk):
    """Status and log show what they found, and what could not be recorded."""
    project.output, project.runs = disk.folder, project.path / "runs"
    project.write("pytest.ini", f"[pytest]\nremex_output = {disk.folder}\nremex_runs = runs\n")
    project.edit("sweeps.py", 'f"a = ', """f"{'fail' * (experiment.config['a'] == 2)} a = """)
    project.ran()
    disk.set_read_only(read_only=True)
    seen = [project.pytest("--remex-status"), project.pytest("--remex-log")]
    disk.set_read_only(read_only=False)
    for result, words in zip(seen, ("no convergence", "==> job.out <=="), strict=True):
        assert result.ret in {0, 1}
        text = result.stdout.str()
        assert words in text
        assert text.count(f"{disk.folder}/launches") == 1
        assert "(Read-only file system)" in text
    assert "cannot be written" not in project.pytest("--remex-status").stdout.str()


def whole_day(folder, variables, prepare=None):
    """Go through all modes in processes of their own, which must all end well."""
    for mode in MODES:
        wait = ["--remex-wait=60"] if mode in {"--remex-status", "--remex-collect"} else []
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "remex", *mode.split(), *wait, "sweeps.py"],
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            preexec_fn=prepare,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_repository_at_an_odd_path(project):
    """Whatever characters the path has, all modes work, and nothing in it is run."""
    there = project.path / ODD
    there.mkdir()
    for path in list(project.path.iterdir()):
        if path != there:
            path.rename(there / path.name)
    whole_day(there, dict(os.environ))
    assert not list(project.path.rglob("canary"))


def test_few_variables(project):
    """Without HOME, in the locale C, with folders that are missing, at a terminal of one column."""
    project.commit(é_txt="a name that the locale C cannot show\n")
    project.git("branch", "é")
    variables = {key: value for key, value in os.environ.items() if key != "HOME"}
    odd = {"TMPDIR": "/no/such", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    shown = {"COLUMNS": "1", "LINES": "1", "TERM": "dumb"}
    path = f"/no/such:.::{os.environ['PATH']}"
    whole_day(project.path, {**variables, **odd, **shown, "PATH": path})


def test_no_umask(project):
    """With umask 000, what a submit writes is not writable for everyone, so it is not refused."""
    command = [sys.executable, "-m", "pytest", "-p", "remex", "--remex-submit", "sweeps.py"]
    done = subprocess.run(command, cwd=project.path, umask=0, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
    project.wait()
    made = [project.output, project.runs, *project.runs.rglob("*")]
    assert any(path.name == "result.txt" for path in made)
    assert [path for path in made if not path.is_symlink() and path.stat().st_mode & 0o002] == []


def test_low_limits(project):
    """With few open files, small files, a strict umask and a closed standard input."""

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        os.umask(0o077)
        os.close(0)

    whole_day(project.path, dict(os.environ), limit)
