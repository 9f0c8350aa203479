"""--remex-collect: what is fetched, judged and written."""

import importlib.util
import json
import shutil

import pytest
from support.projects import plain_text

from pytest_remex import results
from pytest_remex.common.files import FilesBelow


@pytest.fixture
def collected(project):
    """Return a project whose three experiments ran and were collected."""
    project.ran()
    project.pytest("--remex-collect").assert_outcomes(passed=3)
    return project


def test_results(collected):
    """The results have a row for each experiment, with its point, measures, state and commit."""
    table = collected.rows()
    assert list(table) == ["a=1", "a=2", "a=3"]
    row = table["a=2"]
    assert (row["a"], float(row["double"]), row["state"], row["verdict"], row["job"]) == (
        "2", 4.0, "COMPLETED", "PASSED", "2",
    )  # fmt: skip
    assert row["base"] == collected.git("rev-parse", "HEAD")
    assert collected.git("show", f"{row['commit']}:input.txt") == "a = 2"


def test_outputs(collected):
    """Outputs have the same paths here as in the run directory."""
    for folder in collected.run_directories():
        fetched = collected.output / "runs" / folder.name
        for name in ("result.txt", "job.out"):
            assert (fetched / name).read_bytes() == (folder / name).read_bytes()


def test_links(collected):
    """Links are named by the parameters, relative, and lead to the outputs."""
    links = collected.output / "grid" / "links"
    assert {path.name for path in links.iterdir()} == {
        f"a={a}_{name}" for a in (1, 2, 3) for name in ("result.txt", "job.out")
    }
    assert (links / "a=2_result.txt").read_text() == "a = 2\n"
    assert not any(path.readlink().is_absolute() for path in links.iterdir())


def test_report(collected):
    """The report is written, names every experiment, and the end of the run says where it is."""
    page = (collected.output / "grid" / "report.html").read_text()
    assert all(f"a={a}" in page or f'"{a}"' in page for a in (1, 2, 3))
    result = collected.pytest("--remex-collect")
    result.stdout.fnmatch_lines(["report:  *grid/report.html", "results: *grid/results.csv"])


def test_report_is_fresh(collected):
    """The report is not rewritten if nothing changed, and is rewritten if something did."""
    page = collected.output / "grid" / "report.html"
    text, written = page.read_text(), page.stat().st_mtime_ns
    collected.pytest("--remex-collect")
    assert page.stat().st_mtime_ns == written
    page.write_text(text[: len(text) // 2])
    collected.pytest("--remex-collect")
    assert page.read_text() == text
    page.unlink()
    collected.pytest("--remex-collect")
    assert page.read_text() == text
    collected.edit("sweeps.py", 'return {"double"', 'return {"twice"')
    collected.pytest("--remex-collect")
    assert "twice" in page.read_text()


def test_what_was_changed_is_mended(collected):
    """Results, links and records of a launch that were edited or removed are as they were again."""
    folder = collected.output / "grid"
    table, link = folder / "results.csv", folder / "links" / "a=2_result.txt"
    (older,) = folder.glob("launches/*/results.csv")
    texts = table.read_text(), older.read_text()
    table.write_text("edited")
    link.unlink()
    older.unlink()
    collected.pytest("--remex-collect")
    assert (table.read_text(), older.read_text()) == texts
    assert link.read_text() == "a = 2\n"
    collected.pytest("--remex-collect", "-o", "remex_layout=flat")
    assert not link.is_symlink()


def test_hooks_of_others(collected):
    """Hooks of another plugin are called even if nothing changed."""
    collected.write(
        "conftest.py",
        """
        def pytest_remex_collected(results, folder):
            print(f"{len(results)} rows in {folder.name}")
        """,
    )
    for _ in range(2):
        result = collected.pytest("--remex-collect", "-s")
        result.stdout.fnmatch_lines(["*3 rows in grid"])
    for name in ("first", "second"):
        collected.write(
            "conftest.py",
            f"""
            def pytest_remex_link_name(row, output):
                return f"{name}_{{row['id']}}_{{output}}"
            """,
        )
        collected.pytest_alone("--remex-collect")
        assert (collected.output / "grid" / "links" / f"{name}_a=1_result.txt").is_symlink()


def test_collecting_twice(collected):
    """A second collect fetches nothing again, and returns the same results."""
    files = sorted(collected.output.glob("runs/*/result.txt"))
    before = [file.stat().st_mtime_ns for file in files], collected.rows()
    for file in files:
        file.write_text(file.read_text())
    touched = [file.stat().st_mtime_ns for file in files]
    collected.pytest("--remex-collect").assert_outcomes(passed=3)
    assert [file.stat().st_mtime_ns for file in files] == touched
    assert collected.rows() == before[1]


def test_states_are_recorded_together(collected):
    """Final states are written into a launch record in one go, for any number of runs."""
    (record,) = (collected.output / "launches").glob("*.jsonl")
    events = [json.loads(line) for line in record.read_text().splitlines()]
    ended = [event["time"] for event in events if event.get("state") == "ENDED"]
    assert (len(ended), len(set(ended))) == (3, 1)


def test_offline_judging(collected):
    """An edited assertion judges old outputs again, without running anything."""
    (collected.runs / "gone").mkdir()
    for folder in collected.run_directories():
        folder.rename(collected.path / folder.name)
    collected.edit("sweeps.py", 'return {"double"', 'assert text < "a = 2"\n    return {"triple"')
    collected.edit("sweeps.py", "2 * experiment", "3 * experiment")
    result = collected.pytest("--remex-collect", "--remex-offline")
    result.assert_outcomes(passed=1, failed=2)
    assert collected.rows()["a=1"]["triple"] == "3"
    assert collected.rows()["a=3"]["verdict"] == "FAILED"


def test_assertion_failure(collected):
    """A failed assertion shows its values, and neither the job's output nor plugin lines."""
    collected.edit("sweeps.py", "a = {exp", "b = {exp")
    collected.edit("sweeps.py", 'text(f"b', 'text(f"a')
    result = collected.pytest("--remex-collect", "-k", "a=2")
    result.assert_outcomes(failed=1, deselected=2)
    result.stdout.fnmatch_lines(["E *AssertionError: assert 'a = 2\\n' == 'b = 2\\n'"])
    assert "last lines" not in result.stdout.str()
    plain_text(result)


def test_changed_since_launch(collected):
    """If the patch no longer makes the recorded commit, the verdict says so."""
    collected.edit(
        "sweeps.py",
        "(experiment.path",
        '(experiment.path / "new.txt").touch()\n    (experiment.path',
    )
    result = collected.pytest("--remex-collect", "-v")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*a=1] PASSED, CHANGED SINCE LAUNCH*"])
    assert collected.rows()["a=1"]["verdict"] == "PASSED, CHANGED SINCE LAUNCH"


def test_later_commits_change_nothing(collected):
    """Looking back uses the recorded base commit, not today's branch."""
    collected.commit(input_txt="quite another base\n")
    result = collected.pytest("--remex-collect", "-v")
    result.assert_outcomes(passed=3)
    assert "CHANGED" not in result.stdout.str()
    assert collected.pytest("--remex-status").ret == 0


def test_partial_outputs(empty_project):
    """--remex-partial brings a running job's outputs; the rest comes when it has ended."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep({"text": ["wait"]}, fetch=["result.txt"])
        def grid(experiment):
            (experiment.path / "input.txt").write_text(experiment.config["text"])
            run = yield
            assert run.read("result.txt") == "wait"
        """)
    empty_project.submit()
    empty_project.pytest("--remex-status", "--remex-wait=1")
    result = empty_project.pytest("--remex-collect", "--remex-partial")
    result.assert_outcomes(skipped=1)
    (folder,) = (empty_project.output / "runs").iterdir()
    assert (folder / "job.out").read_text() == "wait"
    table = (empty_project.output / "grid" / "results.csv").read_text()
    assert 'RUNNING,"RUNNING, PARTIAL"' in table
    assert "RUNNING, PARTIAL" in (empty_project.output / "grid" / "report.html").read_text()
    empty_project.release_waiting()
    empty_project.wait()
    empty_project.pytest("--remex-collect").assert_outcomes(passed=1)


def test_collected_hook(project):
    """The hook pytest_remex_collected gets the results."""
    project.write(
        "conftest.py",
        "def pytest_remex_collected(results, folder):\n"
        "    print('TOLD', folder.name, list(results['double']))\n",
    )
    project.ran()
    project.pytest("--remex-collect", "-s").stdout.fnmatch_lines(["*TOLD grid [[]2, 4, 6]*"])


def test_reader_hook(project):
    """A conftest.py's reader is asked before the built-in ones."""
    project.write("conftest.py", "def pytest_remex_read(path):\n    return path.name.upper()\n")
    project.edit(
        "sweeps.py", "return {", 'assert run.read("result.txt") == "RESULT.TXT"\n    return {'
    )
    project.ran()
    project.pytest("--remex-collect").assert_outcomes(passed=3)


def test_only_what_is_chosen(collected):
    """A collect of a part of the grid leaves the other rows of the results."""
    collected.pytest("--remex-collect", "-k", "a=2").assert_outcomes(passed=1, deselected=2)
    assert list(collected.rows()) == ["a=1", "a=2", "a=3"]


def test_file_in_the_way(collected):
    """Results that cannot be written are named, and fail a collect in which all passed."""
    folder = collected.output / "grid"
    shutil.rmtree(folder)
    folder.write_text("a file")
    result = collected.pytest("--remex-collect")
    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    way = f"{folder}/launches/* cannot be written (Not a directory): fix that, and run the same*"
    result.stdout.fnmatch_lines([way])
    plain_text(result)
    folder.unlink()
    assert collected.pytest("--remex-collect").ret == 0
    assert list(collected.rows()) == ["a=1", "a=2", "a=3"]


def test_json_status(collected):
    """--remex-json writes the states for scripts."""
    collected.pytest("--remex-status", "--remex-json=states.json")
    states = json.loads((collected.path / "states.json").read_text())
    assert [(each["node"], each["state"]) for each in states] == [
        (f"sweeps.py::grid[a={a}]", "COMPLETED") for a in (1, 2, 3)
    ]


def test_an_output_that_cannot_be_read(project, monkeypatch):
    """It does not count as one that the job did not write, and is fetched once it can be read."""
    project.edit("sweeps.py", '["result.txt"]', '["job.out", "res*"]')
    project.ran()
    opened = FilesBelow.open

    def open_readable(files, name):
        # root, who may run this, can read every file
        return None if name.endswith("result.txt") else opened(files, name)

    with monkeypatch.context() as patched:
        patched.setattr(FilesBelow, "open", open_readable)
        result = project.pytest("--remex-collect")
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["the output res?* was not fetched: result.txt is there, but*"])
    project.pytest("--remex-collect").assert_outcomes(passed=3)


@pytest.mark.skipif(not importlib.util.find_spec("_pytest.subtests"), reason="since pytest 9")
def test_failed_subtest(project):
    """A check with a failed subtest fails, in the results too, though its last subtest passes."""
    project.edit("sweeps.py", "def grid(experiment):", "def grid(experiment, subtests):")
    project.edit(
        "sweeps.py",
        "    return {",
        "    for most in (1, 9):\n        with subtests.test(str(most)):\n"
        "            assert experiment.config['a'] <= most\n    return {",
    )
    project.ran()
    for options in ((), ("--remex-offline", "-p", "xdist", "-n2")):
        project.pytest("--remex-collect", *options)
        table = results("grid")
        assert list(table.verdict) == ["PASSED", "FAILED", "FAILED"]
        assert table.reason[1].startswith("assert 2 <= 1")
