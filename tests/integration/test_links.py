"""Nothing outside of the checkout is read, changed or removed, whatever links exist."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from pytest_remex.temporary import prefix

PRECIOUS = "#!/bin/sh of the user:"

SWEEP = """
    import os, shutil
    from pathlib import Path
    from pytest_remex import sweep

    OUTSIDE = Path({outside!r})

    @sweep({{"x": [1, 2]}})
    def links(experiment):
        root = experiment.path
        (root / "x.txt").write_text(str(experiment.config["x"]))
        notes, deep = root / "notes", root / "notes/deep"
        {patch}
"""


@pytest.fixture
def outside(tmp_path_factory):
    """Return a user's data that have names as in the repository, and others."""
    folder = tmp_path_factory.mktemp("outside")
    for name in ("about", "input.txt", "run.sbatch", "table.dat", "deep/one", "deep/two/three"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{PRECIOUS} {name}\n")
    return folder


def content(folder):
    """Return all that is below a folder: bytes, modes, times, links."""
    found = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        times = about.st_mtime_ns, about.st_ctime_ns
        found[str(path)] = about.st_mode, times, path.is_file() and path.read_bytes()
    return found


def commits(project):
    """Return the trees of what was committed, each as {path: (mode, content)}."""
    shas = [event["commit"] for event in project.events() if event.get("state") == "COMMITTED"]
    found = []
    for sha in shas:
        rows = project.git("ls-tree", "-r", sha).splitlines()
        modes = {row.partition("\t")[2]: row.split()[0] for row in rows}
        found.append({path: (mode, blob(project, sha, path)) for path, mode in modes.items()})
    return found


def blob(project, sha, path):
    """Return a file of a commit as text, its last line's end apart."""
    return project.git("cat-file", "blob", f"{sha}:{path}")


PATCHES = {
    "absolute": "shutil.rmtree(notes); notes.symlink_to(OUTSIDE)",
    "relative": "shutil.rmtree(notes); notes.symlink_to(os.path.relpath(OUTSIDE, root))",
    "deeper": "shutil.rmtree(deep); deep.symlink_to(OUTSIDE)",
    "nested": "shutil.rmtree(deep); deep.symlink_to(OUTSIDE); "
    '(root / "new").symlink_to("notes/deep")',
    "both": "shutil.rmtree(notes); notes.mkdir(); deep.symlink_to(OUTSIDE)",
    "renamed": 'notes.rename(root / "old"); notes.symlink_to(OUTSIDE)',
    "parent": 'shutil.rmtree(deep); deep.symlink_to("../..")',
    "above": 'shutil.rmtree(deep); deep.symlink_to("../../..")',
    "itself": 'shutil.rmtree(deep); deep.symlink_to("deep")',
    "loop": 'shutil.rmtree(deep); deep.symlink_to("../a"); (root / "a").symlink_to("notes/deep")',
    "dangling": 'shutil.rmtree(notes); notes.symlink_to("/no/such/folder")',
    "inside": 'shutil.rmtree(deep); (root / "d").mkdir(); deep.symlink_to("../d")',
    "file": '(root / "input.txt").unlink(); (root / "input.txt").symlink_to(OUTSIDE / "input.txt")',
    "new": '(root / "data").symlink_to(OUTSIDE)',
    "ignored": '(root / "data.log").symlink_to(OUTSIDE)',
    "new, deep": '(root / "a/b").mkdir(parents=True); (root / "a/b/c").symlink_to(OUTSIDE)',
    "file to folder": '(root / "input.txt").unlink(); (root / "input.txt").mkdir(); '
    '(root / "input.txt/data").symlink_to(OUTSIDE)',
    "folder to file": 'shutil.rmtree(notes); notes.write_text("a file")',
    "same time": "about = root.stat(); shutil.rmtree(notes); notes.symlink_to(OUTSIDE); "
    "os.utime(root, ns=(about.st_atime_ns, about.st_mtime_ns))",
    "hard link": '(root / "input.txt").unlink(); '
    'os.link(OUTSIDE / "input.txt", root / "input.txt")',
    "fifo": "shutil.rmtree(notes); os.mkfifo(notes)",
    "then fails": "shutil.rmtree(notes); notes.symlink_to(OUTSIDE); assert False",
    "no git": '(root / ".git").unlink(); shutil.rmtree(notes); notes.symlink_to(OUTSIDE)',
    "git elsewhere": '(root / ".git").unlink(); (root / ".git").symlink_to(OUTSIDE)',
    "all anew": 'ini = (root / "pytest.ini").read_bytes(); shutil.rmtree(root); '
    'shutil.copytree(OUTSIDE, root); (root / "pytest.ini").write_bytes(ini); '
    '(root / "data").symlink_to(OUTSIDE); (root / "x.txt").write_text(str(experiment.config["x"]))',
    "read only": "shutil.rmtree(deep); deep.symlink_to(OUTSIDE); notes.chmod(0o555)",
}  # fmt: skip


@pytest.mark.parametrize("mode", ["sweeps.py", "--remex-submit"])
@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)
def test_a_patch_makes_links(empty_project, outside, patch, mode):
    """Whatever a patch makes of folders and files, what is outside stays; the next one works."""
    empty_project.commit(**{"notes/deep/one": "one\n", "notes/deep/two/three": "three\n"})
    empty_project.sweeps(SWEEP.format(outside=str(outside), patch=patch))
    before = content(outside)
    result = empty_project.pytest(mode)
    changed = {path for path, was in content(outside).items() if was != before.get(path)}
    if "os.link" in patch:  # its link count, and so its change time, are the patch's own
        changed.discard(str(outside / "input.txt"))
    assert content(outside).keys() == before.keys()
    assert not changed
    assert {path.name: path.read_bytes() for path in outside.glob("*.*")} == {
        name: f"{PRECIOUS} {name}\n".encode() for name in ("input.txt", "run.sbatch", "table.dat")
    }
    fails = "assert False" in patch
    result.assert_outcomes(failed=2 * fails, passed=2 * (not fails))
    assert not any((empty_project.path / ".git/worktrees").glob("*"))


def test_a_link_is_committed_as_a_link(empty_project, outside):
    """A link in the place of a folder, of a file, and a new one: git's mode 120000, no copy."""
    empty_project.sweeps(
        SWEEP.format(
            outside=str(outside),
            patch="shutil.rmtree(notes); notes.symlink_to(OUTSIDE); "
            '(root / "n").symlink_to("x.txt")',
        )
    )
    result = empty_project.submit()
    result.stdout.fnmatch_lines([f"notes -> {outside}: links that leave the checkout;*"])
    for number, files in enumerate(commits(empty_project), 1):
        assert files["notes"] == ("120000", str(outside))
        assert files["n"] == ("120000", "x.txt")
        assert files["x.txt"] == ("100644", str(number))
        assert not [path for path in files if path.startswith("notes/")]
    for folder in empty_project.run_directories():
        assert (folder / "notes").readlink() == outside


TRACKED = {
    "write": '(root / "data/table.dat").write_text("lost")',
    "append": 'open(root / "data/table.dat", "a").write("lost")',
    "new file": '(root / "data/mine").write_text("stray")',
    "remove": '(root / "data/table.dat").unlink()',
    "link of a link": '(root / "via/table.dat").write_text("lost")',
    "file": '(root / "table").write_text("lost")',
    "resolved": '(root / "table").resolve().write_text("lost")',
    "relative": '(root / "up").joinpath("table.dat").write_text("lost")',
    "shell": "import subprocess; subprocess.run(['sed', '-i', 's/user/x/', 'data/table.dat'], "
    "cwd=root, check=True)",
}  # fmt: skip


@pytest.fixture
def linked(empty_project, outside):
    """Return a project whose commit has links that leave it."""
    (empty_project.path / "data").symlink_to(outside)
    (empty_project.path / "via").symlink_to("data")
    (empty_project.path / "table").symlink_to(outside / "table.dat")
    (empty_project.path / "up").symlink_to("../../../../.." + str(outside))
    (empty_project.path / "notes/ok").symlink_to("about")
    empty_project.commit()
    return empty_project


@pytest.mark.parametrize("mode", ["sweeps.py", "--remex-submit"])
@pytest.mark.parametrize("patch", TRACKED.values(), ids=TRACKED)
def test_a_patch_writes_through_a_tracked_link(linked, outside, patch, mode):
    """A write through a tracked link that leaves the checkout fails; what is outside stays."""
    linked.sweeps(SWEEP.format(outside=str(outside), patch=patch))
    before = content(outside)
    result = linked.pytest(mode)
    assert content(outside) == before
    result.assert_outcomes(failed=2)


@pytest.mark.parametrize("mode", ["sweeps.py", "--remex-plan"])
def test_tracked_links_are_told(linked, outside, mode):
    """Dry run and plan name each tracked link that leaves, with its target, once."""
    linked.sweeps(SWEEP.format(outside=str(outside), patch=""))
    shown = linked.pytest(mode).stdout.str()
    for line in (f"data -> {outside}", f"table -> {outside}/table.dat", "up -> ../../../../.."):
        assert shown.count(line) == 1
    assert "ok -> " not in shown


def test_tracked_links_stay_links(linked, outside):
    """Untouched, moved and replaced tracked links are committed with the targets they have."""
    moved = '(root / "data").rename(root / "moved"); (root / "table").unlink(); '
    moved += '(root / "table").symlink_to(OUTSIDE / "table.dat")'
    linked.sweeps(SWEEP.format(outside=str(outside), patch=moved))
    linked.submit().assert_outcomes(passed=2)
    for files in commits(linked):
        assert files["moved"] == ("120000", str(outside))
        assert files["table"] == ("120000", str(outside / "table.dat"))
        assert files["via"] == ("120000", "data")
        assert files["notes/ok"] == ("120000", "about")
        assert "data" not in files


@pytest.mark.parametrize(
    "patch",
    [
        "shutil.rmtree(root); root.symlink_to(OUTSIDE)",
        'root.rename(OUTSIDE.parent / "away"); root.symlink_to(OUTSIDE.parent / "away")',
        "shutil.rmtree(root)",
        'shutil.rmtree(root); root.write_text("a file")',
    ],
)
def test_the_checkout_itself_is_replaced(empty_project, outside, patch):
    """That is refused with the reason; the next experiment has a whole checkout again."""
    first = f'if experiment.config["x"] == 1: {patch}'
    empty_project.sweeps(SWEEP.format(outside=str(outside), patch=first))
    before = content(outside)
    result = empty_project.pytest("--remex-plan")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*the patch replaced or removed the checkout itself*"])
    assert content(outside) == before
    away = outside.parent / "away"
    if away.exists():
        assert (away / "input.txt").read_text() == "base\n"
        shutil.rmtree(away)
    assert not any((empty_project.path / ".git/worktrees").glob("*"))


def test_the_folder_of_the_checkout_is_replaced(empty_project, outside):
    """Nothing is removed through it, and pytest ends with the reason."""
    patch = "shutil.rmtree(root.parent); root.parent.symlink_to(OUTSIDE); shutil.copytree(OUTSIDE, "
    patch += "OUTSIDE / root.name)"
    empty_project.sweeps(SWEEP.format(outside=str(outside), patch=patch))
    before = content(outside)
    result = empty_project.pytest("sweeps.py")
    result.stdout.fnmatch_lines(["*the folder that the checkout is in: change only*"])
    after = content(outside)
    assert {path: after[path] for path in before} == before
    (copy,) = outside.glob("remex-scratch-*")
    assert not list(Path(tempfile.gettempdir()).glob(f"remex-scratch-*-{copy.name[-8:]}"))
    assert not any((empty_project.path / ".git/worktrees").glob("*"))
    assert (copy / "table.dat").read_text() == f"{PRECIOUS} table.dat\n"


@pytest.mark.parametrize("tracked", [True, False])
def test_a_script_that_is_a_link_out(empty_project, outside, tracked):
    """A run.sbatch that leaves the checkout is refused by name and not read."""
    patch = "pass"
    if tracked:
        (empty_project.path / "run.sbatch").unlink()
        (empty_project.path / "run.sbatch").symlink_to(outside / "run.sbatch")
        empty_project.commit()
    else:
        patch = '(root / "run.sbatch").unlink(); (root / "run.sbatch").symlink_to("/dev/zero")'
    empty_project.sweeps(SWEEP.format(outside=str(outside), patch=patch))
    result = empty_project.pytest("sweeps.py")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["run.sbatch is reached through a link that leaves the checkout*"])


def test_a_script_that_is_a_link_within(empty_project):
    """A run.sbatch that is a link to another file of the commit works."""
    (empty_project.path / "run.sbatch").rename(empty_project.path / "notes/job.sh")
    (empty_project.path / "run.sbatch").symlink_to("notes/job.sh")
    empty_project.commit()
    empty_project.sweeps(SWEEP.format(outside="/", patch=""))
    empty_project.ran()
    assert len(empty_project.jobs()) == 2


def test_a_killed_pytest_left_a_link(project, outside):
    """Files that a killed pytest left are removed later, and nothing through a link."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    scratch = Path(tempfile.gettempdir())
    named = prefix("scratch").replace(f"-{os.getpid()}-", f"-{ended.pid}-")
    home = scratch / f"{named}abcdefgh"
    home.mkdir()
    (home / "remex-scratch-abcdefgh").symlink_to(outside)
    replaced = scratch / f"{named}ijklmnop"
    replaced.symlink_to(outside)
    before = content(outside)
    project.pytest("sweeps.py").assert_outcomes(passed=3)
    assert content(outside) == before
    assert not home.exists()
    assert not replaced.is_symlink()
