"""remex_max_file and remex_confirm_bytes: large outputs stay on the cluster, and are named."""

import shutil

import pytest

from pytest_remex import RemexError, Repo, scripting

SWEEP = """
from pytest_remex import optional, sweep

@sweep(fetch=["result.txt", {pattern}])
def one(experiment):
    run = yield
    assert run.read("result.txt")
"""


@pytest.fixture
def sized(empty_project):
    """Return a function that runs an experiment with an output of so many bytes, large.bin."""

    def sized(size, pattern='"large.bin"', limit="1M"):
        empty_project.write("pytest.ini", f"[pytest]\nremex_max_file = {limit}\n")
        empty_project.commit(
            run_sbatch=f"""\
            #!/bin/sh
            #SBATCH -o job.out
            truncate -s {size} large.bin
            echo done >result.txt
            """
        )
        empty_project.sweeps(SWEEP.format(pattern=pattern))
        empty_project.ran()
        return empty_project

    return sized


def fetched(project):
    """Return the files that are here of the only run, by name, with their sizes."""
    (folder,) = (project.output / "runs").iterdir()
    return {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}


def test_output_above_the_limit(sized):
    """A sparse output of 5 GB is not fetched; the experiment fails by its name, size and fix."""
    project = sized("5G")
    for _ in range(2):
        result = project.pytest("--remex-collect")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [
                "*large.bin (5.37 GB) is larger than remex_max_file*raise*optional('large.bin')*",
                "*outputs above remex_max_file stay on the cluster: 1: */large.bin (5.37 GB)*",
            ]
        )
    assert set(fetched(project)) == {"result.txt", "job.out"}


@pytest.mark.parametrize("pattern", ['optional("large.bin")', '"*"', '"."'])
def test_optional_output_above_the_limit(sized, pattern):
    """If others match, or it is optional, a large output is only named."""
    project = sized("5G", pattern)
    result = project.pytest("--remex-collect")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*stay on the cluster: 1: */large.bin (5.37 GB)*"])
    assert "large.bin" not in fetched(project)


def test_clean_before_a_large_output_is_fetched(sized):
    """A clean says that outputs above the limit are only in the run directories that it removes."""
    project = sized(2_000_000, 'optional("large.bin")')
    project.pytest("--remex-collect").assert_outcomes(passed=1)
    words = ("--remex-clean", "--remex-only=runs")
    result = project.pytest(*words)
    line = "1 run lacking outputs above remex_max_file: raise it, and collect"
    result.stdout.fnmatch_lines([line])
    project.write("pytest.ini", "[pytest]\nremex_max_file = 2.5 MB\n")
    project.pytest("--remex-collect").assert_outcomes(passed=1)
    result = project.pytest(*words)
    result.stdout.no_fnmatch_line("*remex_max_file*")


def test_raised_limit(sized):
    """The fix that the message names works: what is below the new limit is fetched, and passes."""
    project = sized(2_000_000)
    project.pytest("--remex-collect").assert_outcomes(failed=1)
    project.write("pytest.ini", "[pytest]\nremex_max_file = 2.5 MB\n")
    result = project.pytest("--remex-collect")
    result.assert_outcomes(passed=1)
    assert "remex_max_file" not in result.stdout.str()
    assert fetched(project)["large.bin"] == 2_000_000


def test_output_that_became_too_large(sized):
    """An old copy of an output that grew above the limit does not count as the output."""
    project = sized(500_000)
    project.pytest("--remex-collect").assert_outcomes(passed=1)
    (folder,) = project.run_directories()
    with (folder / "large.bin").open("r+b") as file:
        file.truncate(3_000_000)
    (note,) = (project.output / "runs").glob("*/.remex/outputs.json")
    note.unlink()
    project.pytest("--remex-collect").assert_outcomes(failed=1)


@pytest.mark.parametrize("key", ["remex_max_file", "remex_confirm_bytes"])
@pytest.mark.parametrize("value", ["1X", "-1", "1 G B", "much"])
def test_bad_limit(project, key, value):
    """A value that is not a size is refused, and shown."""
    project.write("pytest.ini", f"[pytest]\n{key} = {value}\n")
    result = project.pytest("--remex-collect")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"{key} = {value!r}: write a size, such as 500M or 2G" in result.stderr.str()


def test_more_than_is_fetched_unasked(sized):
    """If a collect would fetch too much, it says what, and fetches nothing without consent."""
    project = sized("20M", limit="1G")
    project.write("pytest.ini", "[pytest]\nremex_confirm_bytes = 10M\n")
    result = project.pytest("--remex-collect")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "*would fetch 21.0 MB in 3 files, above remex_confirm_bytes = 10.0 MB: nothing was*",
            "large.bin: 21.0 MB in 1 file; result.txt: 5 bytes in 1 file; job.out: 0 bytes in*",
            "add --remex-yes to fetch it*",
        ]
    )
    assert not list((project.output / "runs").glob("*/*"))
    project.pytest("--remex-collect", "--remex-yes").assert_outcomes(passed=1)
    project.pytest("--remex-collect").assert_outcomes(passed=1)


@pytest.mark.parametrize("limit", ["0", "", "30M"])
def test_as_much_as_is_fetched_unasked(sized, limit):
    """Below the limit, or without one, a collect asks for nothing."""
    project = sized("20M", limit="1G")
    project.write("pytest.ini", f"[pytest]\nremex_confirm_bytes = {limit}\n")
    project.pytest("--remex-collect").assert_outcomes(passed=1)


def test_more_than_a_script_fetches_unasked(sized, monkeypatch):
    """The same holds in scripts, with the consent yes=True."""
    project = sized("20M", limit="1G")
    monkeypatch.setattr(scripting, "CONFIRM_BYTES", 10_000_000)
    sweeps, repo = project.path / "sweeps.py", Repo(project.path)
    with pytest.raises(RemexError, match=r"(?s)would fetch 21\.0 MB.*yes=True"):
        scripting.collect(sweeps, repo=repo, output=project.output)
    table = scripting.collect(sweeps, repo=repo, output=project.output, yes=True)
    assert list(table["one"]["verdict"]) == ["PASSED"]


def test_run_directory_that_became_a_link(project, tmp_path):
    """Outputs behind a link fail with that reason, and are judged once the folder is back."""
    project.ran()
    folder = project.run_directories()[0]
    moved = shutil.move(folder, tmp_path / "archive")
    folder.symlink_to(moved)
    result = project.pytest("--remex-collect")
    result.assert_outcomes(failed=1, passed=2)
    result.stdout.fnmatch_lines(["*result.txt was not fetched: *is a link*move the run directory*"])
    folder.unlink()
    shutil.move(moved, folder)
    project.pytest("--remex-collect").assert_outcomes(passed=3)
