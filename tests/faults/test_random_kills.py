"""Kills and cuts at random moments: the same command, run again, finishes."""

from __future__ import annotations

import shlex
import shutil
from functools import partial

from support.daemons import wait_until
from support.invariants import Snapshot, assert_clean, assert_ran_once, user_jobs
from support.kills import GROUPINGS, MOST, VICTIMS, Moment, disturb
from support.launches import finished

EXPERIMENTS = 3


def test_launch(user, cluster, strike, chance, tally, number):
    """A launch that is hit up to three times in a row ends with one job that ran for each run."""
    victim = VICTIMS[number % len(VICTIMS)]
    grouping = list(GROUPINGS)[number // len(VICTIMS) % len(GROUPINGS)]
    options = GROUPINGS[grouping]
    if chance.random() < 0.5:
        user.batches(1)
    before = Snapshot.of(user.repository)
    with tally.case(f"{victim} hit while launching ({grouping})") as case:
        for moment in Moment.of_launches(chance, EXPERIMENTS, MOST):
            hit = partial(strike, victim)
            case.injected(disturb(user, moment, hit, "--remex-submit", *options))
        user.submit(*options)
        user.pytest("--remex-status").reported()
        cluster.wait()
        case.check(user, EXPERIMENTS)
        assert_ran_once(user, cluster, EXPERIMENTS)
        assert_clean(user, before)


def test_collect(user, cluster, strike, chance, tally, number):
    """A collect that is hit leaves no output in part, and the next one brings all of them."""
    victim = VICTIMS[number % len(VICTIMS)]
    user.script("mkdir -p LOGS; head -c 2000000 /dev/urandom >LOGS/large.data")
    user.edit('["LOGS/history.data"', '["LOGS/*.data"')
    user.submit()
    cluster.wait()
    with tally.case(f"{victim} hit while collecting") as case:
        for _ in range(chance.randint(1, MOST)):
            moment = Moment("", 0, chance.uniform(0.3, 2.5))
            case.injected(disturb(user, moment, partial(strike, victim), "--remex-collect"))
            assert_no_part(user)
        assert user.collect().succeeded().text.count(" PASSED ") == EXPERIMENTS
        case.check(user, EXPERIMENTS)
        assert len(assert_no_part(user)) == EXPERIMENTS * 3


def assert_no_part(user):
    """Assert that each output here is whole, and return all of them."""
    here = user.output / "runs"
    fetched = [
        path.relative_to(here)
        for path in here.rglob("*")
        if path.is_file() and path.suffix in {".data", ".out"} and ".remex" not in str(path.parent)
    ]
    for path in fetched:
        assert (here / path).read_bytes() == (user.project.runs / path).read_bytes(), path
    return fetched


def test_cancel(user, cluster, strike, chance, tally, number, tmp_path):
    """A cancel that is hit and run again ends all of the experiments' jobs, and no other job."""
    victim = VICTIMS[number % len(VICTIMS)]
    grouping = ("plain", "array")[number // len(VICTIMS) % 2]
    user.script("sleep 300")
    user.submit(*GROUPINGS[grouping])
    other = cluster.run("sbatch", "--parsable", "--hold", "--wrap=true", cwd=tmp_path).strip()
    with tally.case(f"{victim} hit while cancelling ({grouping})") as case:
        for _ in range(chance.randint(1, MOST)):
            moment = Moment("", 0, chance.uniform(0.1, 0.9))
            case.injected(disturb(user, moment, partial(strike, victim), "--remex-cancel"))
        user.pytest("--remex-cancel").without_traceback()
        wait_until(lambda: not live(user, cluster), "the jobs have ended", seconds=30)
        states = [row["state"] for row in user.states().values()]
        case.counts["experiments"] += EXPERIMENTS
        assert states == ["CANCELLED"] * EXPERIMENTS
        assert next(job for job in cluster.jobs() if job.id == other).held


def test_clean(user, cluster, strike, chance, tally, number):
    """A clean-up that is hit and run again removes what has ended, and nothing of anybody else."""
    victim = VICTIMS[number % len(VICTIMS)]
    user.script("seq 20000 | split -l 40 - part_; [ $mass != 3.0 ] || sleep 300")
    user.submit(*chance.choice(list(GROUPINGS.values())[:2]))
    wait_until(lambda: len(live(user, cluster)) == 1, "two jobs have ended", seconds=60)
    is_collected = chance.random() < 0.5
    if is_collected:
        user.pytest("--remex-collect").without_traceback()
    kept = user.project.runs / "main_other_time_2026_01_01_00_00_00_sha_0123456789ab"
    (running,) = (path for path in user.project.run_directories() if not (path / "LOGS").exists())
    ended = next(path for path in user.project.run_directories() if path != running)
    shutil.copytree(ended, kept)
    with tally.case(f"{victim} hit while cleaning up") as case:
        for _ in range(chance.randint(1, MOST)):
            moment = Moment("", 0, chance.uniform(0.3, 2.5))
            case.injected(disturb(user, moment, partial(strike, victim), "--remex-clean", YES))
        user.pytest("--remex-clean", YES).succeeded()
        case.counts["experiments"] += EXPERIMENTS
        states = [row["state"] for row in user.states().values()]
        assert sorted(states) == ["PURGED", "PURGED", "RUNNING"]
        assert sorted(user.project.run_directories()) == sorted([kept, running])
        assert len(list(kept.glob("part_*"))) == 500
        assert not any((user.project.runs / ".remex" / "removed").iterdir())
        assert is_collected or user.submit("--remex-retry").text.count("] SUBMITTED") == 2


def live(user, cluster):
    """Return the user's jobs below the runs folder that have not ended."""
    ended = {"CANCELLED", "COMPLETED"}
    return [job for job in user_jobs(user, cluster) if job.state not in ended]


def test_waiting(user, cluster, strike, chance, tally, number):
    """A wait that is hit up to three times touches no job; it or the next one sees the end."""
    victim = VICTIMS[number % len(VICTIMS)]
    mode = ("--remex-status", "--remex-collect")[number // len(VICTIMS) % 2]
    go = user.project.runs / "go"
    user.script(f"while [ ! -e {shlex.quote(str(go))} ]; do sleep 0.2; done")
    user.submit()
    with tally.case(f"{victim} hit while waiting") as case:
        process = user.start(mode, WAIT)
        for _ in range(chance.randint(1, MOST)):
            if process.poll() is not None:
                finished(process).without_traceback()
                process = user.start(mode, WAIT)
            met = Moment("", 0, chance.uniform(0.5, 6)).wait(user, process)
            strike(victim)
            case.injected(met)
        go.touch()
        finished(process).without_traceback()
        user.pytest(mode, WAIT).succeeded()
        go.unlink()
        case.check(user, EXPERIMENTS)
        assert_ran_once(user, cluster, EXPERIMENTS)


YES = "--remex-yes"
WAIT = "--remex-wait=60"
