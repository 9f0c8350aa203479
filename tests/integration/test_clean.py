"""--remex-clean: run directories and outputs of chosen experiments go, and that is remembered."""

import shutil

import pytest


def folders(project):
    """Return the folders of outputs that hold more than the note about a removal."""
    found = (project.output / "runs").glob("*/job.out")
    return sorted(path.parent.name for path in found)


def test_nothing_is_removed_unasked(project):
    """Without --remex-yes clean says what it would remove and how much, and removes nothing."""
    project.ran()
    project.pytest("--remex-collect", "-k", "1 or 2")
    result = project.pytest("--remex-clean", "-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "*a=1] WOULD REMOVE * in * files*",
            "would be removed: 3 run directories, * kB in * files",
            "would be removed: outputs here of 2 runs, * in * files",
            "1 run not collected yet: --remex-collect fetches the outputs first",
            "next: --remex-clean --remex-yes removes that",
            "*= 3 skipped in *",
        ]
    )
    assert len(project.run_directories()) == 3
    assert len(folders(project)) == 2


def test_run_directories_alone(project):
    """If only run directories are removed, collected runs are judged as before, as status says."""
    project.ran()
    assert project.pytest("--remex-collect").ret == 0
    result = project.pytest("--remex-clean", "--remex-only=runs", "--remex-yes", "-k", "1 or 2")
    result.stdout.fnmatch_lines(["removed: 2 run directories, *", "*2 removed in *"])
    assert len(project.run_directories()) == 1
    assert not list((project.runs / ".remex" / "removed").iterdir())
    status = project.pytest("--remex-status")
    assert status.ret == 0
    status.stdout.fnmatch_lines(["COMPLETED 3 *", "1 *COMPLETED *run directory removed on 20*"])
    collect = project.pytest("--remex-collect")
    collect.assert_outcomes(passed=3)
    assert project.pytest("--remex-submit").ret == 0
    assert len(project.jobs()) == 3


def test_all_of_what_was_collected(project):
    """A run that was collected and then removed is PURGED, not failed, and keeps its results."""
    project.ran()
    project.pytest("--remex-collect")
    table = (project.output / "grid" / "results.csv").read_text()
    result = project.pytest("--remex-clean", "--remex-yes", "-k", "1")
    result.stdout.fnmatch_lines(
        ["removed: 1 run directory, *", "removed: outputs here of 1 run, *"]
    )
    assert len(folders(project)) == 2
    status = project.pytest("--remex-status")
    assert status.ret == 0
    status.stdout.fnmatch_lines(["PURGED    1 *", "*1 purged*"])
    collect = project.pytest("--remex-collect", "-v")
    assert collect.ret == 0
    collect.stdout.fnmatch_lines(
        ["*a=1] PURGED*", "1 run removed with --remex-clean: the results*"]
    )
    assert (project.output / "grid" / "results.csv").read_text() == table
    again = project.pytest("--remex-clean", "--remex-yes", "-v", "-k", "1")
    again.stdout.fnmatch_lines(["*a=1] NOTHING TO REMOVE*", "there is nothing to remove"])


def test_before_it_was_collected(project):
    """A run that was removed before it was collected has failed, and a retry sends it again."""
    project.ran()
    result = project.pytest("--remex-clean", "--remex-yes", "-k", "2")
    result.stdout.fnmatch_lines(["1 run not collected yet*"])
    assert project.pytest("--remex-status").ret == 1
    collect = project.pytest("--remex-collect")
    collect.assert_outcomes(passed=2, failed=1)
    collect.stdout.fnmatch_lines(
        ["the run was removed with --remex-clean on *, before it was collected: --remex-submit *"]
    )
    collect.stdout.no_fnmatch_line("*to see more*")
    project.ran("--remex-retry")
    assert len(project.jobs()) == 4
    assert project.pytest("--remex-collect").ret == 0


def test_after_it_was_collected(project):
    """A run that was collected and then removed is not sent again by a retry of others."""
    project.edit(
        "sweeps.py", "    return {", "    assert experiment.config['a'] != 3\n    return {"
    )
    project.ran()
    assert project.pytest("--remex-collect").ret == 1
    project.pytest("--remex-clean", "--remex-yes").stdout.fnmatch_lines(["*3 removed*"])
    project.submit("--remex-retry").assert_outcomes(skipped=3)
    checked = project.submit("--remex-retry=check", "-v")
    checked.assert_outcomes(passed=1, skipped=2)
    checked.stdout.fnmatch_lines(["*a=3] SUBMITTED*"])


def test_what_a_purge_left(project):
    """Of a run whose files a site purged, the empty folders are removed."""
    project.ran()
    project.pytest("--remex-status")
    for folder in project.run_directories():
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            path.unlink()
    project.pytest("--remex-clean").stdout.fnmatch_lines(["would be removed: 3 run directories*"])
    result = project.pytest("--remex-clean", "--remex-yes")
    result.stdout.fnmatch_lines(["removed: 3 run directories, 0 bytes in 0 files"])
    assert result.ret == 0
    assert project.run_directories() == []


def test_outputs_behind_a_link(project):
    """Outputs that were moved away behind a link stay, and are not counted as removed."""
    project.ran()
    project.pytest("--remex-collect")
    here = project.output / "runs" / folders(project)[0]
    here.symlink_to(here.rename(project.path / "moved"))
    result = project.pytest("--remex-clean", "--remex-yes", "--remex-only=outputs")
    result.stdout.fnmatch_lines(["removed: outputs here of 2 runs, *", "*1 skipped, 2 removed in*"])
    assert (here / "job.out").is_file()


def test_outputs_alone(project):
    """If only the outputs here are removed, the next collect fetches them again."""
    project.ran()
    project.pytest("--remex-collect")
    project.pytest("--remex-clean", "--remex-only=outputs", "--remex-yes")
    assert folders(project) == []
    assert len(project.run_directories()) == 3
    assert project.pytest("--remex-status").ret == 0
    assert project.pytest("--remex-collect").ret == 0
    assert len(folders(project)) == 3


def test_live_jobs_are_left_alone(empty_project):
    """A run whose job waits or runs is never removed."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep({"text": ["fine", "wait"]})
        def grid(experiment):
            (experiment.path / "input.txt").write_text(experiment.config["text"])
        """)
    empty_project.submit()
    empty_project.until(ended=["1"], says=["2"])
    result = empty_project.pytest("--remex-clean", "--remex-yes", "-v")
    result.stdout.fnmatch_lines(["*text=fine] REMOVED *", "*text=wait] LEFT, RUNNING job 2*"])
    assert len(empty_project.run_directories()) == 1
    empty_project.release_waiting()
    empty_project.wait()


@pytest.mark.parametrize("change", ["link", "foreign", "resubmitted"])
def test_what_is_not_the_run_is_left_alone(project, change):
    """Links, folders of others, and runs with a newer job are not removed."""
    project.ran("-k", "1")
    (folder,) = project.run_directories()
    if change == "link":
        elsewhere = folder.rename(project.path / "elsewhere")
        folder.symlink_to(elsewhere)
    elif change == "foreign":
        (folder / ".remex" / "run.json").write_text("{}")
    else:
        (folder / ".remex" / "job").write_text("77\n")
    result = project.pytest("--remex-clean", "--remex-yes", "-k", "1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*was not removed: *"])
    assert (folder / "job.out").exists()


def test_links_and_closed_folders(project):
    """Targets of links in a run directory stay; read-only folders are removed."""
    project.ran("-k", "1")
    (folder,) = project.run_directories()
    (project.path / "kept").mkdir()
    (project.path / "kept" / "data").write_text("x")
    (folder / "way_out").symlink_to(project.path / "kept")
    (folder / "closed" / "in").mkdir(parents=True)
    (folder / "closed" / "in" / "file").write_text("x")
    (folder / "closed").chmod(0o500)
    assert project.pytest("--remex-clean", "--remex-yes", "-k", "1").ret == 0
    assert project.run_directories() == []
    assert (project.path / "kept" / "data").read_text() == "x"
    shutil.rmtree(project.path / "kept")


def test_an_interrupted_removal_is_finished(project):
    """Files that a killed removal left behind are removed by the next one."""
    project.ran("-k", "1 or 2")
    left = project.runs / ".remex" / "removed" / "left"
    left.mkdir(parents=True)
    (left / "file").write_text("x")
    project.pytest("--remex-clean", "--remex-yes", "-k", "1")
    assert not left.exists()
