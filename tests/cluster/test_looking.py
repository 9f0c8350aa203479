"""Status and log show output, causes and remaining time of jobs on a real cluster."""

import re

BODY = """\
case $mass in
    2.0) echo "ERROR: no root" >&2; exit 3;;
    3.0) echo "step 5 of 10"; sleep 300;;
esac"""
FOLLOWED = "[followed until the job has ended; Ctrl-C stops]\n"
PROGRESS = """
def pytest_remex_progress(run):
    return 0.5 if "step 5 of 10" in run.log else None
"""


def test_board_and_log(user):
    """Status shows output, progress, causes and what is left in one query; log follows a job."""
    user.script(BODY)
    (user.repository / "conftest.py").write_text(PROGRESS)
    user.submit()
    user.pytest("--remex-status", "--remex-wait=10").reported()
    board = user.pytest("--remex-status").reported()
    assert board.code == 1
    assert re.search(r"^2 .* FAILED .* 3 +ERROR: no root *$", board.text, re.MULTILINE), board.text
    assert re.search(r"^3 .* RUNNING .* 50% step 5 of 10 *$", board.text, re.MULTILINE), board.text
    assert "1 failed: exit 3: ERROR: no root" in board
    assert re.search(r"1 job left, 1 of them running: about \d+ s to go", board.text), board.text
    assert re.search(r"1 failed, 1 completed, 1 running in ", board.text), board.text
    process = user.start("--remex-log", "-k", "3.0")
    begun = "".join(iter(process.stdout.readline, FOLLOWED))
    assert "==> slurm.out <==\na star of mass 3.0\nstep 5 of 10\n" in begun
    user.pytest("--remex-cancel", "-k", "3.0").succeeded()
    rest, _ = process.communicate(timeout=90)
    assert "ended CANCELLED" in rest


def test_clean(user, cluster):
    """Clean removes run directories on the cluster only with consent, never of a live job."""
    user.script("if [ $mass = 3.0 ]; then sleep 300; fi")
    user.submit()
    user.pytest("--remex-status", "--remex-wait=5").reported()
    asked = user.pytest("--remex-clean").succeeded()
    assert "would be removed: 2 run directories, " in asked
    assert "2 runs not collected yet" in asked
    assert len(user.project.run_directories()) == 3
    user.collect("-k", "1.0").succeeded()
    done = user.pytest("--remex-clean", "--remex-yes", "-v").succeeded()
    assert re.search(r"initial_mass=3.0\] LEFT, RUNNING job \d+", done.text), done.text
    assert "removed: 2 run directories, " in done
    assert [(d / "ran").read_text() for d in user.project.run_directories()] == ["ran\n"]
    board = user.pytest("--remex-status").reported()
    assert board.code == 1
    assert "1 failed, 1 purged, 1 running in " in board
    user.pytest("--remex-cancel").succeeded()
    cluster.wait()
    user.submit("--remex-retry")
    assert user.collect("-k", "2.0").succeeded().text.count(" PASSED ") == 1
