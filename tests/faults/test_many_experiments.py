"""Thousands of experiments: a launch that is interrupted is finished, and cancelled as a whole."""

from __future__ import annotations

import os
import signal
import time

import pytest
from support.invariants import Snapshot, assert_clean, jobs_below, user_jobs
from support.kills import Moment
from support.launches import finished

MANY = int(os.environ.get("REMEX_MANY", "3000"))
LONG = 1800.0
"""Seconds that a command may take here."""


@pytest.mark.parametrize("options", [(), ("--remex-array=4",)], ids=["plain", "array"])
def test_interrupted_and_finished(user, cluster, tally, options, record_property):
    """Killed and interrupted by Ctrl-C on its way, a large launch ends with one job for each."""
    user.sweep(*(1 + number / 1000 for number in range(MANY)))
    before = Snapshot.of(user.repository)
    submit = ("--remex-submit", "--remex-yes", *options)
    cluster.down()  # so that only the launch takes time
    begun = time.monotonic()
    with tally.case(f"{MANY:,} experiments, killed and interrupted ({options or 'plain'})") as case:
        for share, hit in ((0.3, signal.SIGKILL), (0.6, signal.SIGINT)):
            process = user.start(*submit)
            moment = Moment("HELD", int(MANY * share), 0)
            met = moment.wait(user, process, longest=LONG)
            process.send_signal(hit)
            finished(process, LONG).without_traceback()
            case.injected(met)
        user.pytest(*submit, seconds=LONG).succeeded()
        record_property("seconds", round(time.monotonic() - begun))
        jobs = jobs_below(cluster, user.project.runs)
        live = [sum(job.state == "PENDING" for job in several) for several in jobs.values()]
        case.counts["experiments"] += MANY
        case.counts["lost"] += MANY - sum(number > 0 for number in live)
        case.counts["doubled"] += sum(number > 1 for number in live)
        assert live == [1] * MANY
        assert not any(job.held for several in jobs.values() for job in several)
        assert len(user.project.run_directories()) == MANY
        assert_clean(user, before)
    user.pytest("--remex-cancel", seconds=LONG).succeeded()
    assert {job.state for job in user_jobs(user, cluster)} == {"CANCELLED"}
