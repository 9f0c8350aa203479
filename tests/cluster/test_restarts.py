"""Runs that Slurm ended early continue from their photos, with substitutes for MESA's scripts."""

from __future__ import annotations

import csv
import re

import pytest
from support.daemons import wait_until
from support.sites import WITH_ACCOUNTING, WITH_AND_WITHOUT_ACCOUNTING

BATCH = """\
#!/bin/bash
#SBATCH -J star
#SBATCH -o slurm.out
#SBATCH -t 1
#SBATCH --no-requeue
${REMEX_COMMAND:-./rn}
"""
RN = """\
#!/bin/bash
echo "DATE: the first model"
case $(cat kind) in
nothing) ;;
elsewhere | beside) mkdir shots; echo photo >shots/x050; sleep 0.1; echo photo >shots/x100 ;;
redirected)  # on a scratch disk
    there=$(dirname "$(dirname "$PWD")")/scratch-$(basename "$PWD")
    mkdir "$there"
    ln -s "$there" photos
    echo photo >photos/x050; sleep 0.1; echo photo >photos/x100 ;;
single)  # the kill cuts off a photo
    mkdir photos; echo photo >photos/x050; sleep 0.1; echo photo >photos/x100; sleep 0.1
    echo pho >photos/x150 ;;
old) mkdir photos; echo photo >photos/050; sleep 0.1; echo photo >photos/100 ;;
binary)
    mkdir photos
    for name in b_x100 1_x100 2_x100; do echo photo >photos/$name; done
    sleep 0.1
    for name in b_x150 1_x150; do echo photo >photos/$name; done
    echo " save photos/b_x100, photos/1_x100, photos/2_x100 for model 100" ;;
*)
    mkdir photos; echo photo >photos/x050; sleep 0.1; echo photo >photos/x100
    echo " save photos/x050 for model 50"; echo " save photos/x100 for model 100" ;;
esac
touch started
sleep 600
"""
"""A star that writes photos and then needs more time than it gets."""
RE = """\
#!/bin/bash
photo_directory=photos
photo=$1
first=$photo_directory/$photo
[ -f binary ] && first=$photo_directory/b_$photo
if [ -z "$photo" ] || ! [ -f "$first" ]; then
    echo "specified photo ($photo) does not exist"
    exit 1
fi
echo "restart from $photo"
echo "$photo" >>restarts
if [ $(wc -l <restarts) -lt 2 ]; then touch started; sleep 600 || exit; fi
mkdir -p LOGS
printf '1\\nversion_number\\nr1\\n\\n1 2\\nmodel_number star_age\\n1 1e9\\n200 2e9\\n' \\
    >LOGS/history.data
echo "termination code: max_age"
"""
"""MESA's re: the first restart meets its limit before a new photo, the second one ends well.

Slurm may end `sleep` before the shell that waits for it.
"""
INLIST = "&controls\n   initial_mass = 1.0\n/\n"
SWEEP = """\
from pytest_remex import sweep

@sweep({{"kind": {kinds}}}, fetch=["LOGS/history.data"])
def stars(experiment):
    path, kind = experiment.path, experiment.config["kind"]
    (path / "kind").write_text(kind)
    if kind == "redirected":
        with (path / "run.sbatch").open("r+") as script:
            text = script.read().replace("./rn}}", "./rn}} > out.txt 2>&1")
            script.seek(0)
            script.write(text)
    if kind in ("elsewhere", "beside"):
        (path / "inlist").write_text("&controls\\n photo_directory = 'shots'\\n/\\n")
    if kind == "beside":  # MESA's own re looks in photos
        (path / "photos").mkdir()
        (path / "photos" / ".gitkeep").touch()
    if kind == "elsewhere":
        re = path / "re"
        re.write_text(re.read_text().replace("=photos", "=shots"))
    if kind == "binary":
        (path / "binary").touch()
    run = yield
    assert run.read("LOGS/history.data").model_number.iloc[-1] == 200
"""
PHOTOS = {"single": "x100", "binary": "x100", "redirected": "x100", "elsewhere": "x100",
          "beside": "../shots/x100", "old": "100"}  # fmt: skip
"""The newest complete photo of each kind of run."""


@pytest.fixture
def stars(user):
    """Return a function that writes the sweep over kinds of runs, in a work directory."""
    user.project.commit({"run.sbatch": BATCH, "rn": RN, "re": RE, "inlist": INLIST})
    for name in ("rn", "re"):
        (user.repository / name).chmod(0o755)
    user.project.commit({})

    def write(*kinds):
        (user.repository / "sweeps.py").write_text(SWEEP.format(kinds=list(kinds)))

    return write


def jobs_of(done):
    """Return the job of each kind of run that a submit sent."""
    return dict(re.findall(r"\[kind=(\w+)\] SUBMITTED job (\d+)", done.text))


def directories(user):
    """Return the run directories by kind, the oldest first."""
    found = {}
    for path in user.project.run_directories():
        found.setdefault((path / "kind").read_text(), []).append(path)
    return found


def started(user, kinds):
    """Wait until the newest job of each kind has computed, and forget that it did."""
    for kind in kinds:
        newest = directories(user)[kind][-1]
        wait_until(lambda path=newest: (path / "started").exists(), f"{kind} computes", 60)
        (newest / "started").unlink()


def ended(user, cluster, jobs):
    """Have Slurm end jobs at their time limit."""
    for job in jobs.values():
        cluster.run("scontrol", "update", f"jobid={job}", "EndTime=now+1")
    cluster.wait(*jobs.values(), seconds=90)
    states = {row["state"] for row in user.states().values()}
    assert states == {"TIMEOUT"}


@WITH_AND_WITHOUT_ACCOUNTING
def test_time_limits(user, cluster, stars):
    """Every kind of run continues in its run directory, twice; one without a photo says why not."""
    kinds = [*PHOTOS, "nothing"]
    stars(*kinds)
    jobs = jobs_of(user.submit())
    started(user, kinds)
    ended(user, cluster, jobs)
    plan = user.pytest("--remex-plan", "--remex-retry").succeeded()
    for kind, photo in PHOTOS.items():
        line = next(
            each for each in plan.text.splitlines() if f"RETRY after job {jobs[kind]}," in each
        )
        assert f", continues with ./re {photo}" in line
    assert "starts over: there is no complete photo in photos" in plan
    jobs = jobs_of(user.submit("--remex-retry"))
    assert set(jobs) == set(kinds)
    assert [len(directories(user)[kind]) for kind in kinds] == [1] * len(PHOTOS) + [2]
    stars(*PHOTOS)
    cluster.run("scancel", jobs.pop("nothing"))
    started(user, PHOTOS)
    ended(user, cluster, jobs)
    jobs = jobs_of(user.submit("--remex-retry", "--remex-sbatch=--time=7"))
    limits = {cluster.run("squeue", "-h", "-a", "-t", "all", "-j", job, "-o", "%l").strip()
              for job in jobs.values()}  # fmt: skip
    assert limits == {"7:00"}
    collect = user.collect().succeeded()
    assert collect.text.count(" PASSED ") == len(PHOTOS)
    for kind, photo in PHOTOS.items():
        (path,) = directories(user)[kind]
        assert (path / "restarts").read_text() == f"{photo}\n" * 2
        if kind != "redirected":
            log = (path / "slurm.out").read_text()
            assert log.count("DATE: the first model") == 1
            assert log.count(f"restart from {photo}") == 2


STAGES = """\
#!/bin/bash
do_one() {
    echo "stage $2"
    mkdir -p photos LOGS
    echo photo >photos/x050
    if [ $2 = b.mod ] && [ ! -f begun ]; then touch begun started; sleep 600 || exit; fi
    printf '1\\nversion_number\\nr1\\n\\n1\\nmodel_number\\n200\\n' >LOGS/history.data
    touch $2
}
"""
SKIPPING = f"{STAGES}[ -f a.mod ] || do_one inlist_a a.mod\n[ -f b.mod ] || do_one inlist_b b.mod\n"
CHAINED = f"{STAGES}do_one inlist_a a.mod\ndo_one inlist_b b.mod\ndo_one inlist_c c.mod\n"
STAGED = """\
from pytest_remex import sweep

@sweep({{"kind": ["skipping", "chained"]}}, fetch=["LOGS/history.data"])
def stars(experiment):
    (experiment.path / "kind").write_text(experiment.config["kind"])
    rn = {{"skipping": {skipping!r}, "chained": {chained!r}}}[experiment.config["kind"]]
    (experiment.path / "rn").write_text(rn)
    run = yield
    assert run.read("LOGS/history.data").model_number.iloc[-1] == 200
"""


def test_stages(user, cluster, stars):
    """A script that skips what is done runs its later stages; another one says why it cannot."""
    user.project.commit({f"inlist_{stage}": INLIST for stage in "abc"})
    stars("skipping")
    text = STAGED.format(skipping=SKIPPING, chained=CHAINED)
    (user.repository / "sweeps.py").write_text(text)
    jobs = jobs_of(user.submit())
    started(user, ["skipping", "chained"])
    ended(user, cluster, jobs)
    plan = user.pytest("--remex-plan", "--remex-retry").succeeded()
    assert "continues with ./rn (the script runs again in the same directory and skips" in plan
    assert "starts over: it has stages, and `./re x050` would continue in stage 2 of 3" in plan
    user.submit("--remex-retry", "-k", "skipping")
    assert user.collect("-k", "skipping").succeeded().text.count(" PASSED ") == 1
    (path,) = directories(user)["skipping"]
    log = (path / "slurm.out").read_text()
    assert (log.count("stage a.mod"), log.count("stage b.mod")) == (1, 2)


RECIPES = """\
from pytest_remex import sweep

@sweep({"kind": ["single"]}, recipes=[{}, {"step": 2}], fetch=["step"])
def stars(experiment):
    step = experiment.recipe.get("step", 1)
    (experiment.path / "step").write_text(str(step))
    (experiment.path / "rn").write_text(f"#!/bin/bash\\nexit $((2 - {step}))\\n")
    run = yield
    run.record(step=int((run.path / "step").read_text()))
"""


@WITH_AND_WITHOUT_ACCOUNTING
def test_a_recipe(user, cluster, stars):
    """A run that failed on the cluster is retried with the next recipe, as one experiment."""
    stars("single")
    (user.repository / "sweeps.py").write_text(RECIPES)
    user.submit()
    user.collect().failed("1 failed")
    assert "with recipe 1" in user.pytest("--remex-plan", "--remex-retry").succeeded()
    assert len(jobs_of(user.submit("--remex-retry"))) == 1
    user.collect().succeeded()
    lines = (user.output / "stars" / "results.csv").read_text().splitlines()
    (row,) = csv.DictReader(lines)
    assert (row["recipe"], row["step"], row["state"]) == ("1", "2", "COMPLETED")
    assert jobs_of(user.submit()) == {}


@WITH_ACCOUNTING
def test_a_node_that_fails(user, cluster, stars):
    """A run continues after NODE_FAIL as after a time limit."""
    stars("single")
    user.submit()
    started(user, ["single"])
    nodes = ",".join(cluster.layout.nodes)
    cluster.run("scontrol", "update", f"nodename={nodes}", "state=down", "reason=test")
    try:
        cluster.wait()
        (row,) = user.states().values()
        assert row["state"] == "NODE_FAIL"
    finally:
        cluster.run("scontrol", "update", f"nodename={nodes}", "state=resume", check=False)
    assert "continues with ./re x100" in user.submit("--remex-retry")
    (path,) = user.project.run_directories()
    wait_until((path / "restarts").exists, "it goes on", 60)


def test_preempted(user, cluster, stars):
    """A run continues after PREEMPTED as after a time limit."""
    stars("single")
    with cluster.changed(PreemptType="preempt/partition_prio", PreemptMode="CANCEL"):
        nodes = ",".join(cluster.layout.nodes)
        cluster.run("scontrol", "create", "partitionname=urgent", f"nodes={nodes}",
                    "prioritytier=9", "state=up")  # fmt: skip
        user.submit()
        started(user, ["single"])
        everything = ["--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 1"]
        cluster.run("sbatch", "--partition=urgent", *everything)
        cluster.wait(seconds=60)
        (row,) = user.states().values()
        assert row["state"] == "PREEMPTED"
    assert "continues with ./re x100" in user.submit("--remex-retry")
    (path,) = user.project.run_directories()
    wait_until((path / "restarts").exists, "it goes on", 60)
