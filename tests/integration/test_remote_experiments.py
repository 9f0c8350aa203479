"""Grids of RemoteExperiments: their runs become records, outputs and results, as others' are."""

import hashlib
import pickle
import shutil
from collections import OrderedDict

import pytest

from pytest_remex import Repo, results, runs
from pytest_remex.errors import RecordError, RemexError
from pytest_remex.remote_experiments import ENDED, import_runs

TIME = "2021_01_12_10_21_2{}"
GRID = {("a",): [(1,), (2,), (3,)]}
SWEEPS = """
from pytest_remex import sweep

@sweep({"a": [1, 2, 3]}, branch="main", fetch=["LOGS/result.txt"], config_file="run.json")
def grid(experiment):
    path = experiment.path / "run.json"
    path.write_text('{"a": %s, "z": 0.02}' % experiment.config["a"])
    run = yield
    run.record(word=run.read("LOGS/result.txt").strip())
    assert run.config["a"] == experiment.config["a"]
"""


@pytest.fixture
def old(empty_project):
    """Return a project with the runs and the pickled sweep that RemoteExperiments left."""
    project = empty_project
    project.write(".git/info/exclude", "old/\nbatches/\nsweeps.py\n")
    project.commit(**{"run.json": '{"a": 0, "z": 0.02}'})
    project.base = project.git("rev-parse", "HEAD")
    project.shas = [run_before(project, number) for number in (1, 2, 3)]
    (project.path / "batches").mkdir()
    facts = {"name": "grid", "branch": "main", "base_config": {"z": 0.02}, "dimensions": GRID}
    facts |= {"run_shas": [sha[:4] for sha in project.shas], "parent_sha": project.base[:4]}
    (project.path / "batches" / "grid_2021_01_12_10_30_00.pkl").write_bytes(pickle.dumps(facts))
    return project


def run_before(project, number):
    """Commit a patch on a branch that is deleted again, and run it: see RemoteExperiments."""
    project.git("checkout", "--quiet", "-b", "main_grid")
    project.write("run.json", f'{{"a": {number}, "z": 0.02}}')
    project.git("commit", "--quiet", "--all", "--message", "Patch.")
    sha = project.git("rev-parse", "HEAD")
    place = project.path / "old" / f"main_grid_time_{TIME.format(number)}_sha_{sha[:4]}"
    (place / "LOGS").mkdir(parents=True)
    for name in ("run.json", "run.sbatch", "input.txt"):
        shutil.copy(project.path / name, place / name)
    (place / "LOGS" / "result.txt").write_text(f"result {number}\n")
    (place / f"slurm-70{number}.out").write_text("all is well\n")
    project.git("checkout", "--quiet", "main")
    project.git("branch", "--quiet", "--delete", "--force", "main_grid")
    return sha


def imported(project, **options):
    """Import what is in the folder `old`, with the options of most tests."""
    given = {"fetch": ["LOGS/result.txt"], "config_file": "run.json", "output": project.output}
    return import_runs(project.path / "old", repo=Repo(project.path), **{**given, **options})


def test_run_directories(old):
    """Points, commits, jobs, settings and dates are there, and the commits survive git's gc."""
    found = imported(old, sweeps=old.path / "batches")["grid"]
    assert list(found["a"]) == [1, 2, 3]
    assert list(found["z"]) == [0.02] * 3
    assert list(found["commit"]) == old.shas
    assert {*found["base"]} == {old.base}
    assert list(found["job"]) == ["701", "702", "703"]
    assert [str(each) for each in found["date"]] == [f"2021-01-12 10:21:2{n}" for n in (1, 2, 3)]
    assert {*found["reason"]} == {ENDED}
    assert {*found["launch"]} == {"grid_2021_01_12_10_30_00"}
    assert results("grid").equals(found)
    (run,) = runs("grid", a=2)
    assert run.read("LOGS/result.txt") == "result 2\n"
    assert run.config["a"] == 2
    old.git("reflog", "expire", "--expire=now", "--all")
    old.git("gc", "--quiet", "--prune=now")
    for sha in old.shas:
        assert "run.json" in old.git("show", "--stat", sha)
    assert (old.output / "grid" / "report.html").exists()


def test_as_any_other_run(old):
    """Status shows them, a collect judges them by the sweep, and a submit does not repeat them."""
    imported(old, sweeps=old.path / "batches")
    old.sweeps(SWEEPS)
    status = old.pytest("--remex-status")
    status.stdout.fnmatch_lines(["*= 3 completed in *"])
    old.pytest("--remex-collect").assert_outcomes(passed=3)
    found = results("grid")
    assert list(found["word"]) == ["result 1", "result 2", "result 3"]
    assert {*found["verdict"]} == {"PASSED"}
    again = old.pytest("--remex-submit", "-v")
    assert again.stdout.str().count("ALREADY SUBMITTED") == 3
    assert not old.jobs()


def test_more_is_fetched(old):
    """Outputs that an import skipped are fetched by a collect while the run directory exists."""
    imported(old, sweeps=old.path / "batches", fetch=[])
    old.sweeps(SWEEPS)
    old.pytest("--remex-collect").assert_outcomes(passed=3)
    assert list(results("grid")["word"]) == ["result 1", "result 2", "result 3"]


def test_old_run_directories_are_not_removed(old):
    """A clean removes the copies here, and leaves what pytest-remex did not make."""
    imported(old, sweeps=old.path / "batches")
    old.sweeps(SWEEPS)
    old.pytest("--remex-clean", "--remex-yes")
    assert len(list((old.path / "old").glob("*/LOGS/result.txt"))) == 3
    retry = old.pytest("--remex-plan", "--remex-retry", "-v")
    retry.stdout.fnmatch_lines(["--remex-submit has nothing to send; 3 already submitted; *"])


def test_again(old):
    """Importing again adds new runs, and does not change rows that a collect has judged."""
    late = next((old.path / "old").glob("*_23_sha_*"))
    late.rename(old.path / "late")
    with pytest.warns(UserWarning, match="1 of its 3 runs are not here"):
        imported(old, sweeps=old.path / "batches")
    old.sweeps(SWEEPS)
    old.pytest("--remex-collect").assert_outcomes(passed=2, skipped=1)
    (old.path / "late").rename(late)
    found = imported(old, sweeps=old.path / "batches")["grid"]
    assert list(found["verdict"]) == ["PASSED", "PASSED", "COMPLETED"]
    assert len(old.record_paths()) == 1
    assert imported(old, sweeps=old.path / "batches")["grid"].equals(found)


def test_without_a_pickle(old):
    """The points of runs without a sweep are the settings in which they differ."""
    found = imported(old)["grid"]
    assert list(found["a"]) == [1, 2, 3]
    assert found.attrs["parameters"] == ["a"]
    assert list(found["commit"]) == old.shas
    assert len(runs("grid", a=3)) == 1


def test_downloads(old):
    """Downloaded files get the paths that their names have in the run directory."""
    for place in list((old.path / "old").iterdir()):
        for name in ("run.json", "LOGS/result.txt"):
            path = place / name
            path.rename(place.with_name(f"{place.name}_{path.name}"))
        shutil.rmtree(place)
    (old.path / "old" / "notes.txt").write_text("not of a run\n")
    found = imported(old, sweeps=[old.path / "batches" / "grid_2021_01_12_10_30_00.pkl"])["grid"]
    assert list(found["a"]) == [1, 2, 3]
    assert [run.read("LOGS/result.txt") for run in runs("grid")] == [
        f"result {n}\n" for n in (1, 2, 3)
    ]


def test_commits_that_are_gone(old):
    """If git has removed them, the outputs are usable all the same, and the base is known."""
    old.git("reflog", "expire", "--expire=now", "--all")
    old.git("gc", "--quiet", "--prune=now")
    found = imported(old, sweeps=old.path / "batches")["grid"]
    assert {*found["base"]} == {old.base}
    assert [each[:4] for each in found["commit"]] == [sha[:4] for sha in old.shas]
    assert len(found) == 3
    old.sweeps(SWEEPS)
    old.pytest("--remex-collect").assert_outcomes(passed=3)


def test_same_short_ids(old):
    """A short id that several objects have by now means the patch of the wanted base."""
    tree = old.git("rev-parse", "HEAD^{tree}")
    head = f"tree {tree}\nauthor A <a@b> 1610000000 +0000\ncommitter A <a@b> 1610000000 +0000\n\n"
    for salt in range(1 << 22):
        body = f"{head}Patch.\n\n{salt}\n".encode()
        text = b"commit %d\0%b" % (len(body), body)
        if hashlib.sha1(text, usedforsecurity=False).hexdigest().startswith(old.shas[0][:4]):
            break
    path = old.write("twin", body.decode())
    twin = old.git("hash-object", "-w", "-t", "commit", str(path))
    path.unlink()
    assert twin[:4] == old.shas[0][:4]
    found = imported(old, sweeps=old.path / "batches")["grid"]
    assert list(found["commit"]) == old.shas
    assert list(imported(old, output=old.path / "other")["grid"]["commit"]) == old.shas


class Trap:
    """An object that runs a command when it is unpickled."""

    def __reduce__(self):
        """See pickle."""
        return print, ("unpickled",)


LOOP: list = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (Trap(), r"it contains builtins\.print"),
        (OrderedDict(a=1), r"it contains collections\.OrderedDict"),
        ({"name": {1, 2}}, "it contains a set"),
        ({"name": b"bytes"}, r"it contains (a bytes|_codecs\.encode)"),
        ([], "is not a sweep: it has no name, branch and dimensions"),
        ({"name": "x"}, "is not a sweep"),
    ],
)
def test_pickles_of_anything_else(old, value, why, capsys):
    """Only plain data is read: everything else is refused with its name, and nothing is run."""
    path = old.path / "batches" / "grid_2021_01_12_10_30_00.pkl"
    path.write_bytes(pickle.dumps(value))
    with pytest.raises(RecordError, match=why):
        imported(old, sweeps=path)
    assert capsys.readouterr().out == ""
    assert not old.output.exists()


@pytest.mark.parametrize("content", [b"", b"no pickle", b"\x80\x04", pickle.dumps([1])[:-1]])
def test_damaged_pickles(old, content):
    """A damaged file is named, and nothing is imported."""
    path = old.path / "batches" / "grid_2021_01_12_10_30_00.pkl"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=f"{path} is not read: "):
        imported(old, sweeps=path)
    assert not old.output.exists()


def test_lists_that_contain_themselves(old):
    """Such data ends the check too, and does not become a sweep."""
    path = old.path / "batches" / "grid_2021_01_12_10_30_00.pkl"
    path.write_bytes(pickle.dumps(LOOP))
    with pytest.raises(RecordError, match="is not a sweep"):
        imported(old, sweeps=path)


def test_names_of_other_things(old):
    """Links, our own run directories, wrong times and paths that lead out are skipped."""
    folder = old.path / "old"
    first = next(folder.iterdir())
    shutil.rmtree(first / "LOGS")
    (first / "LOGS").symlink_to(old.path)
    (folder / "main_grid_time_2021_13_12_10_21_21_sha_abcd").mkdir()
    (folder / "main_grid_time_2021_01_12_10_21_29_sha_abcd").symlink_to(first)
    (folder / "main_grid_time_2021_01_12_10_21_28_sha_abcd" / ".remex").mkdir(parents=True)
    (folder / "main_grid_time_2021_01_12_10_21_27_sha_abcd_..").write_text("out")
    (old.path / "result.txt").write_text("outside\n")
    found = imported(old, sweeps=old.path / "batches")["grid"]
    assert len(found) == 3
    assert "outside" not in [path.read_text() for path in old.output.rglob("result.txt")]


def test_no_runs(old, tmp_path):
    """A folder without runs is refused, and so is one that is not there."""
    with pytest.raises(RemexError, match="has no run directories or files named"):
        import_runs(tmp_path, repo=Repo(old.path), output=old.output)
    with pytest.raises(RecordError, match="cannot be read"):
        import_runs(tmp_path / "none", repo=Repo(old.path), output=old.output)
