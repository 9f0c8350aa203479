"""A verdict is kept while nothing changed that it was made of; a doubt has it judged again."""

import csv
import os
import tempfile
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")  # noqa: S108 - a file system in memory, not a file's name
SWEEP = """
import os, time
from pathlib import Path
import pytest
from pytest_remex import sweep
import factors

@sweep({"a": [1, 2, 3]}, fetch=["result.txt"])
def grid(experiment):
    (experiment.path / "input.txt").write_text(f"a = {experiment.config['a']}\\n")
    run = yield
    os.mkdir(f"judged/{time.time_ns()}")
    value = float((run.path / "result.txt").read_text().partition("=")[2])
    factor = float(Path("factor").read_text())
    run.record(scaled=value * factors.FACTOR * factor)
    run.curve("c", [1, 2], [value, 3])
    assert value < 9
"""


@pytest.fixture
def collected(project):
    """Return a project whose three runs were collected, with checks that leave a mark."""
    project.write("factors.py", "FACTOR = 10\n")
    project.write("factor", "2\n")
    (project.path / "judged").mkdir()
    project.sweeps(SWEEP)
    project.commit()
    project.ran()
    project.pytest("--remex-collect").assert_outcomes(passed=3)
    assert judged(project) == 3
    return project


def judged(project):
    """Return how many checks ran since this was asked last."""
    marks = list((project.path / "judged").iterdir())
    for mark in marks:
        mark.rmdir()
    return len(marks)


def scaled(project):
    """Return the measures in the results."""
    with (project.output / "grid" / "results.csv").open(newline="") as file:
        return [float(row["scaled"]) for row in csv.DictReader(file)]


def test_what_did_not_change_is_not_judged_again(collected):
    """A second collect runs no check and says so; results and report stay, --remex-fresh judges."""
    page = collected.output / "grid" / "report.html"
    before, table = page.read_bytes(), scaled(collected)
    result = collected.pytest("--remex-collect", "-v")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["3 verdicts kept, as nothing changed*: --remex-fresh judges all"])
    assert judged(collected) == 0
    assert (page.read_bytes(), scaled(collected)) == (before, table)
    result = collected.pytest("--remex-collect", "--remex-fresh")
    result.stdout.no_fnmatch_line("*verdicts kept*")
    assert judged(collected) == 3
    assert (page.read_bytes(), scaled(collected)) == (before, table)


def test_code_that_was_edited_meanwhile(collected):
    """A verdict of code that was edited after it was loaded is not kept for the edited code."""
    collected.write(
        "conftest.py",
        """
        from pathlib import Path

        def pytest_collection_finish():
            Path("factors.py").write_text("FACTOR = 20\\n")
        """,
    )
    collected.pytest("--remex-collect").assert_outcomes(passed=3)
    assert (judged(collected), scaled(collected)) == (3, [20, 40, 60])
    collected.pytest("--remex-collect").assert_outcomes(passed=3)
    assert (judged(collected), scaled(collected)) == (3, [40, 80, 120])


def test_a_new_file_beside_the_sweeps(collected):
    """A file that appears in the repository, which no check has read, has nothing judged again."""
    collected.write("notes_of_today", "new")
    result = collected.pytest("--remex-collect")
    result.stdout.fnmatch_lines(["3 verdicts kept, as nothing changed*"])
    assert judged(collected) == 0


def test_lost_results_come_from_kept_verdicts(collected):
    """If results and report were deleted, they are written again, and no check runs."""
    table = scaled(collected)
    for name in ("results.csv", "results.json", "report.html"):
        (collected.output / "grid" / name).unlink()
    collected.pytest("--remex-collect").assert_outcomes(passed=3)
    assert (judged(collected), scaled(collected)) == (0, table)


@pytest.mark.parametrize(
    ("name", "before", "after", "first"),
    [
        ("sweeps.py", "scaled=value", "scaled=1 + value", 21),
        ("factors.py", "10", "100", 200),
        ("factor", "2", "30", 300),
        ("pytest.ini", "error", "error\nremex_layout = links", 20),
    ],
)
def test_what_changed_is_judged_again(collected, name, before, after, first):
    """An edited check, a module of the repository, a file that it reads, the ini file count."""
    collected.edit(name, before, after)
    collected.pytest("--remex-collect").assert_outcomes(passed=3)
    assert judged(collected) == 3
    assert scaled(collected)[0] == first
    collected.pytest("--remex-collect").assert_outcomes(passed=3)
    assert judged(collected) == 0


def test_warnings_that_are_errors(collected):
    """With -W error, a check that warned is judged again, and fails."""
    collected.edit("sweeps.py", "import factors", "import factors, warnings")
    collected.edit("sweeps.py", "    assert value", "    warnings.warn('odd')\n    assert value")
    for count in (3, 0):
        collected.pytest("--remex-collect", "-W", "default").assert_outcomes(passed=3)
        assert judged(collected) == count
    collected.pytest("--remex-collect", "-W", "error").assert_outcomes(failed=3)


@pytest.mark.skipif(not MEMORY.is_dir(), reason="no file system in memory")
def test_a_file_in_memory_that_changed(collected):
    """A file that a check reads in /dev/shm, where a repository may be, counts as any other."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        factor = Path(folder) / "factor"
        factor.write_text("3\n")
        collected.edit("sweeps.py", 'Path("factor")', f"Path({str(factor)!r})")
        collected.pytest("--remex-collect").assert_outcomes(passed=3)
        factor.write_text("50\n")
        collected.pytest("--remex-collect").assert_outcomes(passed=3)
    assert scaled(collected) == [500, 1000, 1500]


def test_an_output_that_changed_is_judged_again(collected):
    """Outputs that were edited here are judged again, those of other runs are not."""
    folder = collected.output / "runs" / collected.run_directories()[0].name
    (folder / "result.txt").write_text("a = 11\n")
    collected.pytest("--remex-collect", "--remex-offline").assert_outcomes(passed=2, failed=1)
    assert judged(collected) == 1
    collected.pytest("--remex-collect", "--remex-offline").assert_outcomes(passed=2, failed=1)
    assert judged(collected) == 1


def test_a_lost_curve_is_recorded_again(collected):
    """If the file of a recorded curve is missing or changed, its run is judged again."""
    curves = sorted((collected.output / "runs").glob("*/.remex/curves/*"))
    curves[0].unlink()
    os.utime(curves[1], ns=(1, 1))
    collected.pytest("--remex-collect").assert_outcomes(passed=3)
    assert judged(collected) == 2
    assert curves[0].exists()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("run = yield\n", "run = yield\n    import subprocess; subprocess.run(['true'])\n"),
        ("def grid(experiment)", "def grid(experiment, tmp_path)"),
        ("@sweep(", "@pytest.mark.xfail\n@sweep("),
    ],
)
def test_a_doubt_has_it_judged(collected, before, after):
    """A check that starts a program, has further fixtures or may fail is judged each time."""
    collected.edit("sweeps.py", before, after)
    for _ in range(2):
        assert collected.pytest("--remex-collect").ret == 0
        assert judged(collected) == 3


def test_damaged_notes_are_none(collected):
    """A note that cannot be read, or says something else, keeps no verdict."""
    for path, text in zip(
        sorted((collected.output / "runs").glob("*/.remex/kept.json")),
        ("", "[]", "{}"),
        strict=True,
    ):
        path.write_text(text)
    collected.pytest("--remex-collect").assert_outcomes(passed=3)
    assert judged(collected) == 3


def test_a_failed_teardown_is_not_kept(collected):
    """A run whose fixture failed after its check passed is judged again."""
    collected.write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture
        def repo():
            from pytest_remex import Repo
            yield Repo(".")
            assert False
        """,
    )
    for _ in range(2):
        collected.pytest("--remex-collect").assert_outcomes(passed=3, errors=3)
        assert judged(collected) == 3


COUNTED_REPO = """
import pytest
from pathlib import Path
from pytest_remex import Repo

@pytest.fixture
def repo():
    with Path("set_up").open("a") as file:
        file.write("x")
    return Repo(".")
"""


def test_a_kept_verdict_needs_no_fixtures(collected):
    """Fixtures are set up to fetch, and not once more for each run whose verdict is kept."""
    collected.write("conftest.py", COUNTED_REPO)
    counts = []
    for _ in range(2):
        (collected.path / "set_up").write_text("")
        collected.pytest("--remex-collect").assert_outcomes(passed=3)
        counts.append(len((collected.path / "set_up").read_text()))
    assert counts == [3, 1]


SKIPPING = """import pytest

def pytest_runtest_setup():
    if Path("skips").exists():
        pytest.skip("not now")
"""


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("sweeps.py", "@sweep(", "@pytest.mark.skipif('Path(\"skips\").exists()')\n@sweep("),
        ("conftest.py", "import pytest\n", SKIPPING),
    ],
)
def test_a_kept_verdict_is_skipped_as_others_are(collected, name, before, after):
    """What skips an experiment, a mark or a hook of the user, does so if its verdict is kept."""
    collected.write("conftest.py", COUNTED_REPO)
    collected.edit(name, before, after)
    collected.pytest("--remex-collect").assert_outcomes(passed=3)
    collected.pytest("--remex-collect").stdout.fnmatch_lines(["3 verdicts kept*"])
    (collected.path / "skips").touch()
    collected.pytest("--remex-collect").assert_outcomes(skipped=3)


REFERENCED = """
import pytest
from pathlib import Path
from pytest_remex import sweep

@pytest.fixture(params=["low"])
def reference():
    return float(Path("reference").read_text())

@sweep({"a": [1, 2, 3]}, fetch=["result.txt"])
def grid(experiment, reference):
    (experiment.path / "input.txt").write_text(f"a = {experiment.config['a']}\\n")
    run = yield
    assert float((run.path / "result.txt").read_text().partition("=")[2]) < reference
"""


def test_a_fixture_with_parameters_is_a_doubt(project):
    """What a fixture reads is not known, also if its parameter is a part of the node id."""
    project.write("reference", "9\n")
    project.sweeps(REFERENCED)
    project.ran()
    project.pytest("--remex-collect").assert_outcomes(passed=3)
    project.write("reference", "3\n")
    project.pytest("--remex-collect").assert_outcomes(passed=2, failed=1)


def test_a_value_as_a_parameter_is_no_doubt(project):
    """A verdict is kept if the function has a parameter beside the point that is a value."""
    fixture = REFERENCED[REFERENCED.index("@pytest") : REFERENCED.index("@sweep")]
    project.sweeps(REFERENCED.replace(fixture, "@pytest.mark.parametrize('reference', [9.0])\n"))
    project.ran()
    for _ in range(2):
        last = project.pytest("--remex-collect")
    last.stdout.fnmatch_lines(["3 verdicts kept*"])
