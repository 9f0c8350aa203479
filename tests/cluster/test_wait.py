"""--remex-wait may last days: it survives a broken link, and Ctrl-C ends only the wait."""

import signal
import time
from itertools import takewhile

import pytest
from support.daemons import wait_until


@pytest.fixture
def waiting(user, cluster, shims):
    """Yield a function that starts a mode with --remex-wait, for jobs that do not start yet."""
    cluster.down()
    user.submit()

    def start(*options):
        shims.put(program="squeue")
        process = user.start(*options, "--remex-wait", "-v")
        wait_until(lambda: shims.calls("squeue"), "the first query")
        time.sleep(2.5)  # the first answer has come
        return process

    return start


@pytest.mark.parametrize("mode", ["--remex-status", "--remex-collect"])
def test_a_broken_link_is_opened_again(waiting, cluster, proxy, mode):
    """A wait whose link is cut says so in a line, connects again, and ends when the jobs have."""
    process = waiting(mode)
    proxy.cut()
    time.sleep(1)
    cluster.up()
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 0, text
    assert "reconnecting in 5 s; the jobs keep running" in text
    assert text.count("remex: reconnected") == 1
    assert text.count("COMPLETED job" if "status" in mode else "PASSED") == 3


def test_an_unreachable_cluster_is_tried_with_growing_pauses(waiting, sshd, cluster, proxy):
    """While the login node is down, the wait continues with exponential back-off."""
    process = waiting("--remex-status")
    sshd.daemon.stop()
    proxy.cut()
    lines = list(takewhile(lambda line: "reconnecting in 10 s" not in line, process.stdout))
    sshd.daemon.start()
    cluster.up()
    text, _ = process.communicate(timeout=90)
    assert process.returncode == 0, text
    assert "reconnecting in 5 s" in "".join(lines)
    assert text.count("remex: reconnected") == 1


@pytest.mark.parametrize("mode", ["--remex-status", "--remex-collect"])
def test_ctrl_c_ends_the_wait_alone(waiting, cluster, mode):
    """It says that the jobs continue, without a traceback."""
    process = waiting(mode)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=30)
    assert process.returncode == 2, text
    assert "stopped waiting: the jobs keep running" in text
    assert "KeyboardInterrupt" not in text
    assert ".py:" not in text.replace("sweeps.py::", "")
    cluster.up()
