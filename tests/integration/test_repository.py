"""The user's repository is never touched: only refs/remex/... are added."""

import hashlib
import os
import shutil
import stat
import subprocess

import pytest

HOOKS = ("pre-commit", "pre-push", "post-checkout", "post-commit", "reference-transaction")


def tree(folder):
    """Return every file below a folder with its mode, time and bytes; .git and outputs apart."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.startswith((".git/", "remex-output", ".pytest_cache")) or "__pycache__" in name:
            continue
        about = path.lstat()
        content = b"" if stat.S_ISDIR(about.st_mode) else path.read_bytes()
        moved = 0 if stat.S_ISDIR(about.st_mode) else about.st_mtime_ns
        found[name] = about.st_mode, moved, hashlib.sha256(content).hexdigest()
    return found


def state(project):
    """Return all of the user's that must stay: work tree, index, HEAD, branches, stash, config."""
    git = project.path / ".git"
    files = [git / name for name in ("index", "HEAD", "config", "packed-refs", "logs/HEAD")]
    refs = {name: sha for name, sha in project.refs().items() if "refs/remex/" not in name}
    worktrees = project.git("worktree", "list", "--porcelain")
    return (
        tree(project.path),
        {path.name: path.read_bytes() for path in files if path.exists()},
        refs,
        worktrees,
        sorted(path.name for path in git.iterdir() if path.name != "worktrees"),
        sorted(path.name for path in (git / "hooks").iterdir()) if (git / "hooks").exists() else [],
    )


def through_all_modes(project):
    """Run every mode, and see that each leaves the repository as it was."""
    for arguments in (
        ("sweeps.py",),
        ("--remex-plan",),
        ("--remex-submit",),
        ("--remex-status", "--remex-wait"),
        ("--remex-collect",),
        ("--remex-cancel",),
    ):
        before = state(project)
        result = project.pytest("-p", "no:cacheprovider", *arguments)
        assert result.ret == 0, arguments
        assert state(project) == before, arguments
    added = [name for name in project.refs() if name.startswith("refs/remex/")]
    assert len(added) == 1
    assert not any((project.path / ".git" / "worktrees").glob("*"))


def edits(project):
    project.edit("input.txt", "base", "edited")
    project.write("notes/untracked.txt", "untracked\n")
    project.write("staged.txt", "staged\n")
    project.git("add", "staged.txt")
    (project.path / "run.sbatch").chmod(0o755)


def stash(project):
    project.edit("input.txt", "base", "stashed")
    project.git("stash")


def failing_hooks(project):
    hooks = project.path / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in HOOKS:
        (hooks / name).write_text(f"#!/bin/sh\ntouch {project.path}/{name}-ran\nexit 1\n")
        (hooks / name).chmod(0o755)


def broken_signing(project):
    project.git("config", "commit.gpgsign", "true")
    project.git("config", "user.signingkey", "0xDEADBEEF")
    project.git("config", "gpg.program", "/bin/false")


def detached_head(project):
    project.git("checkout", "--quiet", "--detach")


def odd_settings(project):
    for key, value in (
        ("core.autocrlf", "true"),
        ("core.fsmonitor", "true"),
        ("fetch.prune", "true"),
        ("gc.auto", "1"),
        ("status.showUntrackedFiles", "all"),
        ("color.ui", "always"),
        ("core.quotePath", "false"),
        ("extensions.worktreeConfig", "true"),
        ("advice.detachedHead", "true"),
    ):
        project.git("config", key, value)


def no_identity(project):
    project.git("config", "--unset", "user.name")
    project.git("config", "--unset", "user.email")
    project.git("config", "user.useConfigOnly", "true")


@pytest.mark.parametrize(
    "prepare",
    [edits, stash, failing_hooks, broken_signing, detached_head, odd_settings, no_identity],
)
def test_nothing_is_touched(project, prepare):
    """Every mode leaves work tree, index, HEAD, branches, stash and config byte-identical."""
    prepare(project)
    through_all_modes(project)
    assert not list(project.path.glob("*-ran"))


def test_subfolder_of_a_repository(project):
    """A run may start in a folder of the repository below its top."""
    project.write("study/sweeps.py", (project.path / "sweeps.py").read_text())
    project.write("study/pytest.ini", "[pytest]\n")
    os.chdir(project.path / "study")
    result = project.pytest("--remex-plan", "sweeps.py")
    result.assert_outcomes(passed=3)


def test_linked_worktree(project):
    """The user's repository may be a linked worktree itself."""
    project.git("worktree", "add", "--quiet", "linked", "-b", "side")
    linked = project.path / "linked"
    (linked / "sweeps.py").write_text((project.path / "sweeps.py").read_text())
    os.chdir(linked)
    project.pytest("--remex-submit", "--rootdir", linked).assert_outcomes(passed=3)
    names = {path.name for path in (linked / "remex-output/local").iterdir()}
    assert any(name.startswith("side_grid") for name in names)


def test_warning_of_uncommitted_edits(project):
    """Uncommitted edits of tracked files are named: they are not part of the experiments."""
    project.edit("input.txt", "base", "edited")
    project.write("untracked.txt", "")
    for mode in ("--remex-plan", "--remex-submit"):
        result = project.pytest(mode)
        result.stdout.fnmatch_lines(["*input.txt: uncommitted edits are not part of*commit them*"])
        assert "untracked.txt" not in result.stdout.str()
    (folder, *_) = project.run_directories()
    assert "edited" not in (folder / "input.txt").read_text()
    assert not (folder / "untracked.txt").exists()


def test_warning_of_ignored_files(empty_project):
    """New files that .gitignore keeps out of the commit are named."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep()
        def one(experiment):
            (experiment.path / "note.log").write_text("lost")
            (experiment.path / "kept.txt").write_text("kept")
        """)
    result = empty_project.submit()
    result.stdout.fnmatch_lines(["*note.log: written by the patch and ignored by .gitignore*"])
    (folder,) = empty_project.run_directories()
    assert (folder / "kept.txt").exists()
    assert not (folder / "note.log").exists()


def test_equal_commits_everywhere(project):
    """Two clones make the same commits, for any user at any time."""
    other = project.path / "other"
    project.git("clone", "--quiet", str(project.path), str(other))
    project.git("config", "user.name", "Someone Else", folder=other)
    project.submit()
    first = project.committed()
    project.write(
        "conftest.py",
        """
        import pytest, pytest_remex
        @pytest.fixture(scope="session")
        def repo():
            return pytest_remex.Repo("other")
        """,
    )
    project.submit("--remex-retry=all")
    assert project.committed() == first * 2


def test_keep_refs_outlive_gc(project):
    """Experiments' commits survive the harshest garbage collection."""
    project.submit()
    shas = [event["commit"] for event in project.events() if event.get("state") == "COMMITTED"]
    project.git("gc", "--quiet", "--prune=now")
    for sha in shas:
        project.git("cat-file", "-e", sha)


def with_old_modes(project):
    """Make HEAD a commit with a tree that git would not write today: its files have mode 664."""
    raw = b""
    for row in project.git("ls-tree", "HEAD").splitlines():
        mode, _, sha, name = row.split(maxsplit=3)
        old = mode.lstrip("0").replace("100644", "100664")
        raw += f"{old} {name}\0".encode() + bytes.fromhex(sha)
    write = ["git", "hash-object", "-t", "tree", "-w", "--literally", "--stdin"]
    tree = subprocess.run(write, cwd=project.path, input=raw, capture_output=True, check=True)
    commit = project.git("commit-tree", "-p", "HEAD", "-m", "old", tree.stdout.decode().strip())
    project.git("reset", "--hard", "--quiet", commit)


@pytest.mark.parametrize("is_old", [False, True])
def test_dry_run_leaves_no_objects(project, is_old):
    """A dry run and a plan leave not even loose objects, also where git computes the ids."""
    if is_old:
        with_old_modes(project)
    before = sorted(path for path in (project.path / ".git/objects").rglob("*") if path.is_file())
    project.pytest("sweeps.py").assert_outcomes(passed=3)
    project.pytest("--remex-plan").assert_outcomes(passed=3)
    after = sorted(path for path in (project.path / ".git/objects").rglob("*") if path.is_file())
    assert after == before


def test_sha256(empty_project):
    """A repository with SHA-256 names goes through all modes."""
    shutil.rmtree(empty_project.path / ".git")
    empty_project.git("init", "--quiet", "--initial-branch=main", "--object-format=sha256")
    empty_project.git("config", "user.name", "A User")
    empty_project.git("config", "user.email", "user@example.org")
    empty_project.commit()
    empty_project.sweeps()
    for mode in ("sweeps.py", "--remex-plan"):
        empty_project.pytest(mode).assert_outcomes(passed=3)
    empty_project.ran()
    empty_project.pytest("--remex-collect").assert_outcomes(passed=3)
    assert len(empty_project.git("rev-parse", "HEAD")) == 64


def test_equal_trees(empty_project):
    """Two points that make the same files are refused, and the first one is named."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep({"a": [1, 2], "unused": [1, 2]})
        def grid(experiment):
            (experiment.path / "input.txt").write_text(str(experiment.config["a"]))
        """)
    for mode in ("--remex-plan", "--remex-submit"):
        result = empty_project.pytest(mode)
        result.assert_outcomes(passed=2, failed=2)
        same = "grid[a=1-unused=2] makes the same files as sweeps.py::grid[a=1-unused=1]: "
        assert f"\n{same}the parameter" in result.stdout.str()
        assert "Traceback" not in result.stdout.str()
    assert len(empty_project.jobs()) == 2


def test_bare(project, tmp_path_factory):
    """A bare repository, which has no uncommitted edits, can be the one of the experiments."""
    bare = tmp_path_factory.mktemp("bare")
    project.git("clone", "--quiet", "--bare", str(project.path), str(bare))
    project.write("pytest.ini", f"[pytest]\nremex_repo = {bare}\n")
    project.submit().assert_outcomes(passed=3)


def test_work_tree_elsewhere(project, tmp_path_factory):
    """A repository that keeps its work tree elsewhere (core.worktree) can be named by its path."""
    folder = tmp_path_factory.mktemp("elsewhere") / "project.git"
    (project.path / ".git").rename(folder)
    project.git("config", "core.worktree", str(project.path), folder=str(folder))
    project.write("pytest.ini", f"[pytest]\nremex_repo = {folder}\n")
    project.submit().assert_outcomes(passed=3)


def test_partial_clone(project):
    """Files that a partial clone lacks are fetched; if its origin is gone, that is the message."""
    project.write("notes/old", "old\n")
    project.commit()
    project.git("branch", "old")
    project.git("rm", "--quiet", "notes/old")
    project.commit()
    project.git("config", "uploadpack.allowFilter", "true")
    project.git("config", "uploadpack.allowAnySHA1InWant", "true")
    project.git("clone", "--quiet", "--filter=blob:none", f"file://{project.path}", "partial")
    project.write("pytest.ini", "[pytest]\nremex_repo = partial\n")
    project.edit("sweeps.py", "fetch=", 'branch="origin/old", fetch=')
    address = project.git("remote", "get-url", "origin", folder="partial")
    project.git("remote", "set-url", "origin", "/nowhere", folder="partial")
    refused = project.pytest("--remex-plan")
    refused.assert_outcomes(errors=3)
    refused.stdout.fnmatch_lines(["*it is a partial clone*make that reachable*"])
    project.git("remote", "set-url", "origin", address, folder="partial")
    project.pytest("--remex-plan").assert_outcomes(passed=3)
