"""The number of sbatch per second is limited, and how long a submit limit is waited for."""

import time
from concurrent.futures import ThreadPoolExecutor

from pytest_remex.agent.slurm import sbatch


def test_pace():
    """Whatever the threads, the k-th call comes no sooner than k pauses after the beginning."""
    began, pace = time.monotonic(), sbatch.RateLimiter(50)

    def call(_):
        pace.wait()
        return time.monotonic()

    with ThreadPoolExecutor(4) as threads:
        called = sorted(threads.map(call, range(12)))
    early = [k for k, at in enumerate(called, start=1) if at < began + k / 50]
    assert not early


def test_no_pace():
    """Without a rate nothing is waited for."""
    pace = sbatch.RateLimiter(None)
    began = time.thread_time(), time.monotonic()
    for _ in range(1000):
        pace.wait()
    assert time.monotonic() - began[1] < 1 + time.thread_time() - began[0]


def test_the_retries_of_sbatch_itself_count():
    """A limit is waited for since the attempt began, or since Slurm accepted another job."""
    watch = sbatch.LimitWatch(patience=20)
    assert not watch.wait("full", begun=time.monotonic() - 120)
    assert watch.over
    watch.reset()
    assert watch.wait("full", begun=time.monotonic() - 120)
