"""A number is ours only if its job starts in the run directory, or its array's or pack's."""

import pytest

from pytest_remex.agent.slurm import parse
from pytest_remex.agent.slurm.commands import FIELD, ROW
from pytest_remex.agent.slurm.ownership import JobListing, LocatedJob, locate
from pytest_remex.common.parts import RunJob


@pytest.fixture
def runs(tmp_path):
    """Return a runs folder: a run of its own, an array of two, and a pack of one."""
    for name in ("single", "t0", "t1", "packed"):
        (tmp_path / name / ".remex").mkdir(parents=True)
    array = tmp_path / ".remex" / "arrays" / "L-a"
    array.mkdir(parents=True)
    (array / "0").symlink_to(tmp_path / "t0")
    (array / "1").symlink_to(tmp_path / "t1")
    (array / "runs").write_text("t0\nt1\n")
    pack = tmp_path / ".remex" / "arrays" / "L-p"
    pack.mkdir()
    (pack / "runs").write_text("packed\n")
    (pack / "task").write_text("")
    (tmp_path / "packed" / ".remex" / "pack").write_text("L-p\n")
    return tmp_path


def located(runs, directory, job):
    """Return the job of a run."""
    return LocatedJob(directory, str(runs), job, "")


def listed(*rows):
    """Return what squeue lists: (id, raw number, work directory) of pending, held jobs."""
    fields = [
        (job, raw, "PENDING", "JobHeldUser", "0:00", "1:00", "1", "0", "remex:x", str(folder))
        for job, raw, folder in rows
    ]
    return JobListing(
        parse.listing("".join(ROW + FIELD.join(row) + FIELD + "\n" for row in fields))
    )


def shown(folder):
    """Return what scontrol shows of a job in a folder."""
    return f"JobId=7 JobState=PENDING WorkDir={folder} StdErr=/x/y StdIn=/dev/null \n"


def test_where_a_runs_job_may_start(runs):
    """A run's job starts in its run directory; a task's and a member's in the group's folder."""
    arrays = runs / ".remex" / "arrays"
    single, task = located(runs, "single", "7"), located(runs, "t1", "8_1")
    member = located(runs, "packed", "9")
    assert single.owns(str(runs / "single"))
    assert not single.owns(str(runs / "t0"))
    assert not single.owns(str(arrays / "L-a"))
    assert not single.owns(str(arrays / "L-p"))
    assert task.owns(str(arrays / "L-a"))
    assert not located(runs, "t1", "8_0").owns(str(arrays / "L-a"))
    assert not task.owns(str(arrays / "L-p"))
    assert member.owns(str(arrays / "L-p"))
    assert not member.owns(str(arrays / "L-a"))
    assert member.is_shown(shown(arrays / "L-p"))
    assert task.is_shown(shown(arrays / "L-a"))
    assert not single.is_shown(shown(arrays / "L-a"))


@pytest.mark.parametrize("linked", [True, False], ids=["linked", "gone"])
def test_a_runs_folder_that_was_moved(runs, tmp_path_factory, linked):
    """A job is still its run's if the runs folder was moved, unless the old folder is there."""
    old = tmp_path_factory.mktemp("old") / "runs"
    runs.rename(old)
    new = tmp_path_factory.mktemp("new") / "runs"
    old.rename(new)
    if linked:
        old.symlink_to(new)
    single, task = located(new, "single", "7"), located(new, "t1", "8_1")
    assert single.owns(str(old / "single"))
    assert task.owns(str(old / ".remex" / "arrays" / "L-a"))
    assert not task.owns(str(old / ".remex" / "arrays" / "L-p"))
    assert not single.owns(str(old / ".remex" / "arrays" / "L-a"))
    assert not single.owns(str(old / "t0"))
    assert not listed(("7", "7", old / "single")).is_another(single)
    assert single.is_shown(shown(old / "single"))
    assert task.is_shown(shown(old / ".remex" / "arrays" / "L-a"))
    assert not single.is_shown(shown(old / "t0"))
    if not linked:
        (old / "single").mkdir(parents=True)
        assert not single.owns(str(old / "single"))
        assert not single.is_shown(shown(old / "single"))


def test_a_pack_is_known_without_the_run_directory(runs):
    """A member whose run directory became a link is recognized by the pack's own list."""
    (runs / "packed").rename(runs / "elsewhere")
    (runs / "packed").symlink_to(runs / "elsewhere")
    member = located(runs, "packed", "9")
    assert member.is_packed()
    assert member.owns(str(runs / ".remex" / "arrays" / "L-p"))
    assert not located(runs, "t0", "8").is_packed()


def test_a_number_that_a_task_of_another_array_has(runs):
    """Slurm gives each task a number of its own, which after a crash may have been a job's."""
    listing = listed(("5_2", "7", runs / "single"), ("9", "9", runs / "single"))
    assert listing.is_another(located(runs, "single", "7"))
    assert listing.lists(located(runs, "single", "7"))
    assert not listing.is_another(located(runs, "single", "9"))


def test_an_arrays_last_task_has_the_arrays_number(runs):
    """An array's own tasks do not make its number another's."""
    folder = runs / ".remex" / "arrays" / "L-a"
    listing = listed(("5_0", "6", folder), ("5_1", "5", folder))
    task = located(runs, "t0", "5_0")
    assert not listing.is_another(task)
    assert listing.is_held(task)
    assert listing.row(task).raw == "6"
    assert listing.is_another(located(runs, "single", "5"))


def test_a_heterogeneous_job_is_no_other_job(runs):
    """The components of a job (`7+0`, `7+1`) have its number, and start in the same folder."""
    listing = listed(("7+0", "7", runs / "single"), ("7+1", "8", runs / "single"))
    assert not listing.is_another(located(runs, "single", "7"))


def test_jobs_are_located_by_cluster(runs):
    """Ids are as the commands of their cluster take them."""
    found = locate(str(runs), [RunJob("a", "1_2;east"), RunJob("b", "3")])
    assert {name: [one.job for one in jobs] for name, jobs in found.items()} == {
        "east": ["1_2"],
        "": ["3"],
    }
    assert found["east"][0].id == "1_2;east"
