"""Bad input gets one clear message with the value and the fix, and nothing is lost."""

import json
import os
import tempfile
from pathlib import Path

import pytest

LFS = "*.data filter=lfs diff=lfs merge=lfs -text\n"


def refused(result, *messages):
    """Assert a failure that shows only messages; return all output."""
    text = result.stdout.str() + result.stderr.str()
    assert result.ret not in {0, 5, 10}
    for message in messages:
        assert message in text
    assert "Traceback" not in text
    assert "pytest_remex/" not in text
    assert "INTERNALERROR" not in text
    return text


def both(project):
    """Plan, and submit, what must be refused; return both results."""
    results = project.pytest("--remex-plan"), project.pytest("--remex-submit")
    assert project.jobs() == []
    assert not any(name.startswith("refs/remex") for name in project.refs())
    return results


def test_unknown_branch(project):
    """An unknown branch is named, and the branches that there are."""
    project.edit("sweeps.py", "fetch=", 'branch="mian", fetch=')
    for result in both(project):
        refused(result, "unknown branch or commit 'mian'", "the branches are: main")


@pytest.mark.parametrize(
    "branch", ["--help", "-x", "main; touch x", "$(touch x)", "../main", "a..b"]
)
def test_hostile_branch(project, branch):
    """A branch is never an option, a command or a range."""
    project.edit("sweeps.py", "fetch=", f"branch={branch!r}, fetch=")
    for result in both(project):
        refused(result, f"unknown branch or commit {branch!r}")
    assert not (project.path / "x").exists()


def test_not_a_repository(project, monkeypatch):
    """A folder outside of git is named, and how it becomes a repository."""
    (project.path / ".git").rename(project.path / "moved")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(project.path.parent))
    refused(project.pytest("--remex-plan"), "is not a git repository", "git init")


def test_repository_that_does_not_exist(project):
    """A path that does not exist is named."""
    project.write("pytest.ini", "[pytest]\nremex_repo = nowhere\n")
    refused(project.pytest("--remex-submit"), "nowhere does not exist: set remex_repo")


def test_a_work_tree_without_its_repository(project):
    """A work tree whose repository was moved is no reason to make another one in it."""
    project.git("worktree", "add", "--quiet", "other")
    project.write("pytest.ini", "[pytest]\nremex_repo = other\n")
    (project.path / ".git").rename(project.path / "moved")
    result = project.pytest("--remex-plan")
    refused(result, "git cannot use", "not a git repository: ")
    assert "git init" not in result.stdout.str()


def test_a_repository_of_a_newer_git(project):
    """What this git cannot read is named, with the fix."""
    project.git("config", "core.repositoryFormatVersion", "1")
    project.git("config", "extensions.refStorage", "of tomorrow")
    refused(project.pytest("--remex-plan"), "a newer git made it, install that one")


def test_repository_without_commits(project):
    """In a repository without a commit, the message asks for one."""
    (project.path / ".git").rename(project.path / "moved")
    project.git("init", "--quiet")
    refused(project.pytest("--remex-plan"), "has no commits yet: commit the simulation first")


def test_a_branch_without_commits(project):
    """If only other branches have commits, these are named."""
    project.git("checkout", "--quiet", "--orphan", "new")
    refused(project.pytest("--remex-plan"), "has no commits yet", "set branch=... to one of: main")


def test_shallow_clone(project):
    """A shallow clone is refused, with the command that fixes it."""
    project.commit(notes_txt="more\n")
    project.git("clone", "--quiet", "--depth=1", f"file://{project.path}", "shallow")
    project.write("pytest.ini", "[pytest]\nremex_repo = shallow\n")
    refused(project.pytest("--remex-submit"), "shallow clone", "git fetch --unshallow")


@pytest.mark.parametrize(
    ("path", "words"),
    [("HEAD:notes", "Could not read"), ("HEAD:notes/about", "cannot read notes/about")],
)
def test_damaged_repository(project, path, words):
    """A folder or file of the base that git has lost is named, and never left out silently."""
    sha = project.git("rev-parse", path)
    (project.path / ".git" / "objects" / sha[:2] / sha[2:]).unlink()
    for result in both(project):
        refused(result, words)


def test_submodule(project):
    """A repository with submodules is refused, and the first one named."""
    project.git("clone", "--quiet", str(project.path), "lib")
    project.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "./lib", "lib")
    project.git("commit", "--quiet", "--message", "a submodule")
    for result in both(project):
        refused(result, "submodule 'lib'", "submodules are not supported", "remex_control: lib")
    for pattern in ("lib", "lib/", "/lib/"):
        project.pytest("--remex-plan", "-o", f"remex_control={pattern}").assert_outcomes(passed=3)
    project.edit("pytest.ini", "[pytest]", "[pytest]\nremex_control = lib/")
    project.commit()
    project.pytest("--remex-submit").assert_outcomes(passed=3)
    who = ("-c", "user.name=x", "-c", "user.email=x@y")
    project.git(*who, "commit", "--quiet", "--allow-empty", "-m", "x", folder=project.path / "lib")
    project.commit()
    project.pytest("--remex-submit").assert_outcomes(skipped=3)


def test_submodule_of_docs(project):
    """A submodule that no job reads is no obstacle, and run directories have its empty folder."""
    project.git("clone", "--quiet", str(project.path), "docs/theme")
    add = ("submodule", "--quiet", "add", "./docs/theme", "docs/theme")
    project.git("-c", "protocol.file.allow=always", *add)
    project.git("commit", "--quiet", "--message", "a submodule")
    project.pytest("--remex-plan").assert_outcomes(passed=3)
    project.pytest("--remex-submit").assert_outcomes(passed=3)
    assert len([*project.path.parent.rglob("docs/theme")]) > 3
    project.pytest("--remex-doctor").stdout.fnmatch_lines("*inputs*submodules*docs/theme*")


def test_lfs(project):
    """A file in Git LFS is refused by its name, before anything is sent."""
    project.commit(**{".gitattributes": LFS, "grid.data": "version 1\n"})
    for result in (project.pytest("--remex-plan"), project.pytest("--remex-submit")):
        refused(result, "grid.data", "Git LFS", "not supported")


def test_lfs_for_figures(project):
    """A file in Git LFS that no job reads, as remex_control says, is no obstacle."""
    lfs = "*.png filter=lfs diff=lfs merge=lfs -text\n"
    project.commit(**{".gitattributes": lfs, "docs/plot.png": "version 1\n"})
    project.pytest("--remex-submit").assert_outcomes(passed=3)
    project.pytest("--remex-doctor").stdout.fnmatch_lines("*inputs*git filter*docs/plot.png*")
    project.commit(**{"figures/plot.png": "version 1\n"})
    refused(project.pytest("--remex-plan"), "figures/plot.png", "name it in remex_control")
    result = project.pytest("--remex-plan", "-o", "remex_control=docs/ figures/")
    result.assert_outcomes(passed=3)


def test_lfs_without_files(project):
    """LFS in a comment, or for files that the base does not have, is not refused."""
    project.commit(**{".gitattributes": f"# {LFS}*.h5 filter=lfs\n*.txt text\n"})
    project.pytest("--remex-plan").assert_outcomes(passed=3)


@pytest.mark.parametrize(("smudge", "fine"), [("base64 -d", False), ("cat", True), ("", True)])
def test_filter(project, smudge, fine):
    """A filter whose stored form is not the file is refused; one that only cleans is fine."""
    project.commit(**{".gitattributes": "notes/* filter=crypt\n"})
    project.git("config", "filter.crypt.clean", "base64")
    if smudge:
        project.git("config", "filter.crypt.smudge", smudge)
    result = project.pytest("--remex-plan")
    if fine:
        result.assert_outcomes(passed=3)
    else:
        refused(result, "notes/about", "filter 'crypt'", "not supported")


def test_no_script(project):
    """A commit without run.sbatch is refused."""
    project.git("rm", "--quiet", "run.sbatch")
    project.git("commit", "--quiet", "--message", "no script")
    for result in both(project):
        refused(result, "no run.sbatch in", "at main", "commit one")


def test_script_in_a_subfolder(project):
    """A run.sbatch that is only in a folder of the repository is named, and the fix works."""
    project.write("codes/.gitignore", "")
    project.git("mv", "run.sbatch", "codes/run.sbatch")
    project.commit()
    fix = "script='codes/run.sbatch'"
    for result in both(project):
        refused(result, "no run.sbatch in", f"commit one, or write {fix} in the @sweep")
    project.edit("sweeps.py", "fetch=", f"{fix}, fetch=")
    project.submit().assert_outcomes(passed=3)


def test_script_that_is_not_committed(project):
    """A run.sbatch that is only in the folder is refused with the commands that commit it."""
    project.git("rm", "--quiet", "--cached", "run.sbatch")
    project.git("commit", "--quiet", "--message", "no script")
    for result in both(project):
        refused(result, "no run.sbatch in", "commit yours: git add run.sbatch && git commit")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo no shebang\n", "#!"),
        ("", "#!"),
        ("#!/bin/sh\r\necho\r\n", "\\r\\n"),
        ("#!/bin/sh\n#SBATCH --wait\n", "--wait"),
        ("#!/bin/sh\n#SBATCH -W\n", "--wait"),
        ("#!/bin/sh\n#SBATCH --array=1-10\n", "--array"),
        ("#!/bin/sh\n#SBATCH -a 1-10\n", "--array"),
        ("#!/bin/sh\n#SBATCH --chdir=/tmp\n", "--chdir"),
        ("#!/bin/sh\n#SBATCH -t soon\n", "'soon'"),
    ],
)
def test_scripts(project, script, message):
    """A run.sbatch that cannot be a run is refused, and the line named."""
    (project.path / "run.sbatch").write_bytes(script.encode())
    project.commit()
    for result in both(project):
        refused(result, "run.sbatch", message)


def test_script_broken_by_the_patch(empty_project):
    """It is the run.sbatch after the patch that counts."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep({"a": [1, 2]})
        def grid(experiment):
            if experiment.config["a"] == 2:
                (experiment.path / "run.sbatch").unlink()
        """)
    result = empty_project.pytest("--remex-submit")
    result.assert_outcomes(passed=1, failed=1)
    refused(result, "no run.sbatch")


FIRST_ALONE = """
import os
import socket
import subprocess
from pytest_remex import sweep

@sweep({{"a": [1, 2]}})
def grid(experiment):
    (experiment.path / "input.txt").write_text(str(experiment.config["a"]))
    if experiment.config["a"] == 1:
        {edit}
"""
"""A sweep whose first experiment has an odd patch."""


@pytest.mark.parametrize(
    ("edit", "path"),
    [
        ("os.mkdir('.remex'); open('.remex/exit', 'w').close()", "'.remex/exit'"),
        ("open('.remex', 'w').close()", "'.remex'"),
        ("subprocess.run(['git', 'init', '-q', 'sub'], check=True)", "'sub/.git/HEAD'"),
        ("os.makedirs('sub/.GIT'); open('sub/.GIT/x', 'w').close()", "'sub/.GIT/x'"),
    ],
)
def test_patch_into_folders_that_are_kept(empty_project, edit, path):
    """A patch that makes .remex or a .git fails, already at plan; the others continue."""
    empty_project.sweeps(FIRST_ALONE.format(edit=edit))
    for mode in ("--remex-plan", "--remex-submit"):
        result = empty_project.pytest(mode)
        result.assert_outcomes(failed=1, passed=1)
        refused(result, "[a=1]: the patch makes '", ": use another path")
    assert path in refused(empty_project.pytest("--remex-plan"))


def test_base_with_our_own_folder(empty_project):
    """A base commit that holds .remex is refused, and the file named."""
    empty_project.write(".remex/exit", "0")
    empty_project.sweeps()
    empty_project.commit()
    for result in both(empty_project):
        refused(result, "has the file '.remex/exit'", "remove it from the commit")


@pytest.mark.parametrize(
    "edit",
    [
        "os.mkfifo('odd')",
        "socket.socket(socket.AF_UNIX).bind('odd')",
        "os.remove('input.txt'); os.mkfifo('input.txt')",
    ],
)
def test_special_files_of_a_patch(empty_project, edit):
    """A pipe or socket that a patch made is named as left out, in plan and submit."""
    empty_project.sweeps(FIRST_ALONE.format(edit=edit))
    for mode in ("--remex-plan", "--remex-submit"):
        result = empty_project.pytest(mode, "-W", "ignore::ResourceWarning")
        result.assert_outcomes(passed=2)
        result.stdout.fnmatch_lines(["*: pipes, sockets and devices that the patch made are not*"])


DEEP = """\
names = [{name}] * {depth}
        for name in names:
            os.mkdir(name)
            os.chdir(name)
        open('f', 'w').close()
        os.chdir(experiment.path)"""


@pytest.mark.parametrize(("name", "depth"), [("'d'", 200), ("'d'", 3000), ("'d' * 200", 30)])
def test_patch_with_folders_without_end(empty_project, name, depth):
    """A patch that makes too long paths fails alone, and leaves nothing behind."""
    before = set(Path(tempfile.gettempdir()).glob(f"remex-scratch-*-{os.getpid()}-*"))
    edit = DEEP.format(name=name, depth=depth)
    empty_project.sweeps(FIRST_ALONE.format(edit=edit))
    for mode in ("--remex-plan", "--remex-submit"):
        result = empty_project.pytest(mode)
        result.assert_outcomes(failed=1, passed=1)
        refused(result, "the patch nests folders deeper than 100, or makes a path over")
    assert set(Path(tempfile.gettempdir()).glob(f"remex-scratch-*-{os.getpid()}-*")) == before


def test_patch_that_removes_its_checkout(empty_project):
    """A patch that removes all files, also .git, fails at most itself; the next ones continue."""
    empty_project.sweeps("""
        import shutil
        from pytest_remex import sweep
        @sweep({"a": [1, 2, 3]})
        def grid(experiment):
            (experiment.path / "input.txt").write_text(str(experiment.config["a"]))
            if experiment.config["a"] == 2:
                for path in experiment.path.iterdir():
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        """)
    result = empty_project.pytest("--remex-submit")
    result.assert_outcomes(passed=2, failed=1)
    refused(result)


def test_long_name(project):
    """A run directory's name over 255 bytes is refused before anything is sent."""
    project.edit("sweeps.py", "fetch=", f'name="{"n" * 240}", fetch=')
    for result in both(project):
        refused(result, "over 255", "shorter name=")
    assert project.jobs() == []


def test_newer_record(project):
    """A launch record of a newer version is refused, and stays as it is."""
    project.submit()
    (path,) = project.record_paths()
    head, *rest = path.read_text().splitlines()
    newer = "\n".join([json.dumps({**json.loads(head), "remex": 99}), *rest]) + "\n"
    path.write_text(newer)
    for mode in ("plan", "submit", "status", "collect", "cancel"):
        refused(project.pytest(f"--remex-{mode}"), path.name, "format 99", "pip install -U")
    assert path.read_text() == newer


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: [*lines[:2], b"{half of a li", *lines[3:]],
        lambda lines: [*lines[:2], b"\x00" * 50, *lines[3:]],
        lambda lines: [*lines[:2], b"[1]", *lines[3:]],
        lambda lines: [*lines[:2], b'{"state": "STRANGE", "commit": "x"}', *lines[3:]],
        lambda lines: [lines[0], *lines[4:]],
        lambda lines: lines[1:],
    ],
)
def test_damaged_record(project, damage):
    """A damaged launch record is named with its line, and stays as it is."""
    project.submit()
    (path,) = project.record_paths()
    path.write_bytes(b"\n".join(damage(path.read_bytes().split(b"\n"))))
    damaged = path.read_bytes()
    for mode in ("submit", "status", "collect"):
        refused(project.pytest(f"--remex-{mode}"), f"{path.name} is damaged in line", "backup")
    assert path.read_bytes() == damaged


def test_empty_record(project):
    """A record that a crash left empty is passed over."""
    (project.output / "launches").mkdir(parents=True)
    (project.output / "launches" / "grid_2020_01_01_00_00_00.jsonl").touch()
    project.submit().assert_outcomes(passed=3)


@pytest.mark.parametrize("fixture", ["repo", "remote"])
def test_wrong_fixture(project, fixture):
    """A fixture that returns something else is named."""
    project.write(
        "conftest.py",
        f"""
        import pytest
        @pytest.fixture(scope="session")
        def {fixture}():
            return "a string"
        """,
    )
    refused(project.pytest("--remex-submit"), f"the fixture {fixture} returns 'a string'")


def test_output_that_is_a_file(project):
    """A file in the place of the output folder is named."""
    project.write("remex-output", "a file")
    refused(
        project.pytest("--remex-submit"),
        f"{project.path / 'remex-output'} cannot be written (Not a directory): ",
        "move away what is in its place or choose another folder (remex_output)",
    )
    assert (project.path / "remex-output").read_text() == "a file"


def test_launches_that_is_a_file(project):
    """A file in the place of the launch records is named."""
    path = project.write("remex-output/launches", "a file")
    refused(project.pytest("--remex-submit"), f"{path} cannot be written (File exists): fix that")
    assert project.jobs() == []


def test_runs_folder_that_is_gone(project):
    """Runs whose folder no longer exists are named by status, and never FAILED."""
    project.submit()
    project.wait()
    project.runs.rename(project.path / "moved")
    result = project.pytest("--remex-status", "-v")
    assert "ended FAILED" not in result.stdout.str()
    assert "Traceback" not in result.stdout.str()


@pytest.mark.parametrize("mode", [(), ("--remex-plan",), ("--remex-submit",)])
def test_output_folder_that_is_not_committed(project, mode):
    """If the folder of the job's output does not exist, a message says so before it runs."""
    project.edit("run.sbatch", "-o job.out", "-o logs/%j.out")
    project.commit()
    result = project.pytest("sweeps.py", *mode)
    result.assert_outcomes(passed=3)
    message = "run.sbatch writes its output into logs/, which run directories do not have"
    assert result.stdout.str().count(message) == 1
    project.commit(**{"logs/.gitkeep": ""})
    assert "writes its output into" not in project.pytest("--remex-plan").stdout.str()
