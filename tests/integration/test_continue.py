"""A run that hit its time limit continues in its run directory if an extension knows how."""

CONFTEST = """
def pytest_remex_continue(run):
    assert "photo 7" in run.log
    return ["sh", "-c", "echo went on from photo 7 > result.txt"]
"""
SWEEPS = """
from pytest_remex import sweep

@sweep({"a": [1, 2]}, fetch=["result.txt"])
def grid(experiment):
    (experiment.path / "input.txt").write_text(str(experiment.config["a"]))
    run = yield
    assert "went on" in run.read("result.txt")
"""
SCRIPT = """\
    #!/bin/sh
    #SBATCH -o job.out
    #SBATCH -t 00:00:01
    if [ -n "$REMEX_COMMAND" ]; then eval "$REMEX_COMMAND"; else echo photo 7; exec sleep 60; fi
    """


def test_continued(empty_project):
    """The retry of a timed-out run is a second job of the same run, and its outputs are judged."""
    empty_project.commit(run_sbatch=SCRIPT)
    empty_project.sweeps(SWEEPS)
    (empty_project.path / "conftest.py").write_text(CONFTEST)
    empty_project.ran()
    empty_project.pytest("--remex-collect").assert_outcomes(failed=2)
    directories = empty_project.run_directories()
    empty_project.ran("--remex-retry")
    assert empty_project.run_directories() == directories
    empty_project.pytest("--remex-collect").assert_outcomes(passed=2)
    assert len(empty_project.record_paths()) == 1


def test_continued_without_a_collect(empty_project):
    """The log that shows how to continue is fetched if it is not here yet."""
    empty_project.commit(run_sbatch=SCRIPT)
    empty_project.sweeps(SWEEPS)
    (empty_project.path / "conftest.py").write_text(CONFTEST)
    empty_project.ran()
    empty_project.ran("--remex-retry")
    empty_project.pytest("--remex-collect").assert_outcomes(passed=2)


PROBING = """
from pytest_remex.hookspecs import Continuation, ContinueProbe

def pytest_remex_continue_probe(experiment):
    patched = (experiment.path / "input.txt").read_text()
    return ContinueProbe(("photos/*",), memo=patched)

def pytest_remex_continue(run, files, memo):
    assert memo == str(run.experiment.point["a"])
    if not files:
        return Continuation(reason="there is no photo")
    newest = max(files, key=lambda file: file.modified)
    return Continuation(("cp", newest.path, "result.txt"), f"from {newest.path} of {newest.size} B")
"""
WITH_PHOTOS = """\
    #!/bin/sh
    #SBATCH -o job.out
    #SBATCH -t 00:00:01
    echo "job $SLURM_JOB_ID"
    if [ -n "$REMEX_COMMAND" ]; then exec $REMEX_COMMAND; fi
    if grep -q 1 input.txt; then mkdir photos; echo "went on" >photos/x100; fi
    exec sleep 60
    """


def test_what_lies_in_the_run_directory_decides(empty_project):
    """Plan and submit list the files that the extension requests, and runs that cannot continue."""
    empty_project.commit(run_sbatch=WITH_PHOTOS)
    empty_project.sweeps(SWEEPS)
    (empty_project.path / "conftest.py").write_text(PROBING)
    empty_project.ran()
    plan = empty_project.pytest("--remex-plan", "--remex-retry")
    plan.stdout.fnmatch_lines(
        [
            "*[[]a=1[]]  RETRY after job 1, TIMEOUT *, continues with cp photos/x100 result.txt (*",
            "*[[]a=2[]]  RETRY after job 2, TIMEOUT after *, starts over: there is no photo",
            "1 experiment whose job was ended early continues with cp photos/x100 result.txt *",
            "1 experiment whose job was ended early starts over: there is no photo",
        ]
    )
    submit = empty_project.submit("--remex-retry")
    submit.stdout.fnmatch_lines(["1 experiment whose job was ended early starts over: *"])
    empty_project.wait()
    assert len(empty_project.run_directories()) == 3
    first = next(path for path in empty_project.run_directories() if (path / "photos").is_dir())
    assert (first / "job.out").read_text() == "job 1\njob 3\n"


def test_a_probe_that_leaves_the_run_directory_is_refused(empty_project):
    """Nothing outside is listed, and the pattern is named."""
    empty_project.commit(run_sbatch=WITH_PHOTOS)
    empty_project.sweeps(SWEEPS)
    text = PROBING.replace("photos/*", "../*")
    (empty_project.path / "conftest.py").write_text(text)
    empty_project.ran("-k=1")
    empty_project.pytest("--remex-status")
    submit = empty_project.pytest("--remex-submit", "--remex-retry", "-k=1")
    submit.stdout.fnmatch_lines(["*asks for '../[*]', which leaves the run directory*"])


def test_a_changed_script_is_not_continued(empty_project):
    """A script that somebody changed in the run directory is not run again: others may write."""
    empty_project.commit(run_sbatch=SCRIPT)
    empty_project.sweeps(SWEEPS)
    (empty_project.path / "conftest.py").write_text(CONFTEST)
    empty_project.ran()
    script = next(empty_project.runs.glob("main_*")) / "run.sbatch"
    script.write_text("#!/bin/sh\ntouch stolen\n")
    result = empty_project.pytest("--remex-submit", "--remex-retry", "-v")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([f"*{script} was changed after it was copied from its commit*"])
    empty_project.wait()
    assert list(empty_project.runs.rglob("stolen")) == []
