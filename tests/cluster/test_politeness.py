"""Slurm's controller serves everybody: how often it is asked does not grow with the experiments."""

import re
from pathlib import Path

import pytest
from support.sites import WITH_ACCOUNTING

PROGRAMS = ("sbatch", "squeue", "scontrol", "sacct", "sacctmgr", "scancel")
PAGE = Path(__file__).parents[2] / "docs" / "hpc.md"


def documented(count):
    """Return the page's number of calls, by row and program, for so many experiments."""
    rows = re.findall(r"^\| `(--remex-[^|]*?)`([^|]*)\|(.*)\|$", PAGE.read_text(), re.MULTILINE)
    return {
        command + rest.rstrip(): dict(
            zip(PROGRAMS, (_value(cell, count) for cell in cells.split("|")), strict=True)
        )
        for command, rest, cells in rows
        if cells.count("|") == len(PROGRAMS) - 1
    }


def _value(cell, count):
    """Return the value of an expression such as `N + 1`."""
    words = cell.strip().replace("N", str(count)).split(" + ")
    return sum(int(word) for word in words)


@pytest.fixture
def calls(user, shims):
    """Return a function that runs a command and returns how often it called each program."""

    def count(*arguments):
        for program in PROGRAMS:
            shims.put(program=program)
        done = user.pytest(*arguments)
        assert done.code in {0, 10}, done.text
        return {program: len(shims.calls(program)) for program in PROGRAMS}

    return count


@WITH_ACCOUNTING
@pytest.mark.parametrize("count", [3, 12])
def test_the_calls_of_each_mode(user, cluster, calls, count):
    """Each mode calls each program as often as docs/hpc.md says, for any number of runs."""
    cluster.down()
    user.sweep(*(1.0 + number for number in range(count)))
    found = {
        "--remex-submit": calls("--remex-submit"),
        "--remex-submit, nothing new": calls("--remex-submit"),
        "--remex-status": calls("--remex-status"),
    }
    cluster.up()
    cluster.wait()
    found["--remex-collect, all ended"] = calls("--remex-collect")
    found["--remex-collect, once more"] = calls("--remex-collect")
    cluster.down()
    found["--remex-submit --remex-array"] = calls(
        "--remex-submit", "--remex-retry=all", "--remex-array"
    )
    calls("--remex-submit", "--remex-retry=all")
    found["--remex-cancel"] = calls("--remex-cancel")
    assert found == documented(count)


def test_a_batch_lists_only_its_own_jobs(user, cluster, shims, tmp_path):
    """Each listing of a submit has the jobs of its batch, and not those sent before."""
    cluster.down()
    user.submit()
    rows = tmp_path / "rows"
    shims.put(f'"$REAL" "$@" | tee -a {rows}; echo >>{rows}; exit 0', "squeue")
    user.sweep(7.0, 8.0)
    user.submit()
    listings = rows.read_text().split("\n\n")
    assert [listing.count("\x1e") for listing in listings if listing.strip()] == [2, 2]


def test_four_programs_at_a_time(user, shims, tmp_path):
    """Of what the agent starts no more than four run at once."""
    running, seen = tmp_path / "running", tmp_path / "seen"
    running.mkdir()
    fault = f"""\
touch {running}/$$; ls {running} | wc -l >>{seen}; sleep 0.3
"$REAL" "$@"; code=$?; rm {running}/$$; exit "$code\""""
    for program in PROGRAMS:
        shims.put(fault, program)
    user.sweep(*(1.0 + number for number in range(10)))
    user.submit()
    assert 2 <= max(map(int, seen.read_text().split())) <= 4


def test_the_rate_of_a_submit(user, cluster, shims, tmp_path):
    """remex_rate reaches the cluster: sbatch is called once in so many seconds."""
    cluster.down()
    user.ini(remex_rate="0.5")
    shims.submissions(f"date +%s.%N >>{tmp_path}/times")
    user.submit()
    times = sorted(map(float, (tmp_path / "times").read_text().split()))
    assert len(times) == 3
    assert times[-1] - times[0] > 2, "without a rate they start within the same half second"


INODES = re.compile(r"^\| `(--remex-submit[^`]*)` \| (\d+) \| (\d+) \|", re.MULTILINE)


@pytest.mark.parametrize("options", [(), ("--remex-array",), ("--remex-pack=2",)])
def test_the_inodes_of_a_run(user, cluster, options):
    """Bookkeeping takes as many inodes for each run as docs/hpc.md says, and no more later."""
    cluster.down()
    user.submit(*options)
    submitted = _inodes_of_a_run(user.project)
    cluster.up()
    cluster.wait()
    user.collect().succeeded()
    user.collect().succeeded()
    documented = {
        words: (int(one), int(two)) for words, one, two in INODES.findall(PAGE.read_text())
    }
    command = " ".join(("--remex-submit", *options))
    assert (submitted, _inodes_of_a_run(user.project)) == documented[command]


def _inodes_of_a_run(project):
    """Count the inodes of one run, those that the runs folder keeps for it included."""
    first, *others = project.run_directories()
    own = project.runs / ".remex"
    entries = [first / ".remex", *(first / ".remex").rglob("*")]
    shared = [path for name in ("claims", "points") for path in (own / name).glob("*/*")]
    shared += [path for path in own.glob("arrays/*/*") if path.is_symlink()]
    inodes = {path.lstat().st_ino for path in shared}
    assert len(inodes) % (1 + len(others)) == 0
    return len({path.lstat().st_ino for path in entries}) + len(inodes) // (1 + len(others))


def test_the_clone_keeps_no_launch(user, cluster):
    """After a launch the clone's git can collect its objects, and the runs stay complete."""
    git = ("git", "-C", str(user.project.clone))
    before = cluster.run(*git, "for-each-ref")
    user.submit()
    cluster.wait()
    shas = [event["commit"] for event in user.events() if "commit" in event and "tree" in event]
    assert cluster.run(*git, "for-each-ref") == before
    cluster.run(*git, "gc", "--quiet", "--prune=now")
    there = [cluster.run(*git, "cat-file", "-t", sha, check=False).strip() for sha in shas]
    assert there == [""] * 3
    user.collect().succeeded()
    assert "ALREADY SUBMITTED" in user.submit()
