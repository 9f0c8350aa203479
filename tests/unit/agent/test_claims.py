"""Claims in a runs folder, through the agent."""

import json
import os
import threading

import pytest

from pytest_remex.agent.claims import mark_placed
from pytest_remex.common.claims import (
    Claim,
    Claimed,
    ClaimFault,
    ClaimRuns,
    Condition,
    TakenBy,
    WantedClaim,
)
from pytest_remex.common.parts import Array, WantedSubmission
from pytest_remex.common.protocol import LOCAL, Held, Submit
from pytest_remex.common.records import RecordPart

PRINT = "3fa1c2"
REJECTED = "sbatch: error: Batch job submission failed: Invalid partition name specified"


def claim(by="ann", **changes):
    """Return a claim of a first generation; each client has a token of its own."""
    facts = {
        "fingerprint": PRINT, "directory": f"run_{by}", "launch": f"L_{by}", "token": by,
        "base": "b", "sha": f"sha_{by}", "tree": "t", "sweep": "tams", "node": "x::tams[a=1]",
        "point": {"a": 1}, "by": f"{by}@laptop",
    }  # fmt: skip
    return Claim(**{**facts, **changes})


def want(by="ann", over=None, *, unplaced=False, point="", **changes):
    """Return a claim that is asked for, with `over` after the claim that is over."""
    job = over.job if over else None
    return WantedClaim(claim(by, **changes), job, unplaced=unplaced, point=point)


def ask(agent, runs, *wanted, known=()):
    """Claim, and return the answers in the order of the claims."""
    events = agent.ask(ClaimRuns(str(runs), RecordPart(), list(wanted), list(known)))
    order = [each.claim.sha for each in wanted]
    return sorted(events, key=lambda event: order.index(event.sha))


def make_run(runs, by="ann"):
    """Make the run directory of a claim by hand."""
    folder = runs / f"run_{by}" / ".remex"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"token": by, "sha": f"sha_{by}"}))
    return folder


def reject(folder):
    """Note that Slurm refused a run's job."""
    note = f'{{"host": "h", "pid": 1}}\n{REJECTED}\n\n{{"exit": 1}}\n'
    (folder / "submit-1.1").write_text(note)


def name(generation=1, replicate=0):
    """Return a claim's name."""
    return claim(replicate=replicate, generation=generation).name


def test_the_first_client_gets_an_experiment(agent, tmp_path):
    """The second one is told whose it is; the first one may ask again."""
    for _ in range(2):
        assert ask(agent, tmp_path, want()) == [Claimed("sha_ann", name())]
    (taken,) = ask(agent, tmp_path, want("bob"))
    assert taken == TakenBy("sha_bob", claim(), Condition.UNPLACED, "")


def test_each_replicate_is_claimed_by_itself(agent, tmp_path):
    """Of two clients that claim the same replicate one has it; the next number is free."""
    ask(agent, tmp_path, want())
    second = [want(by, replicate=1) for by in ("bob", "eve")]
    assert ask(agent, tmp_path, second[0]) == [Claimed("sha_bob", name(replicate=1))]
    (taken,) = ask(agent, tmp_path, second[1])
    assert taken.claim.by == "bob@laptop"
    assert ask(agent, tmp_path, want("eve", replicate=2)) == [Claimed("sha_eve", name(replicate=2))]


def test_one_of_many_clients_wins_each_experiment(start_agent, tmp_path):
    """Four clients that claim the same 50 experiments at once get each of them once."""
    answers = {}

    def client(by):
        wanted = [want(by, fingerprint=f"{n:06x}", sha=str(n)) for n in range(50)]
        answers[by] = ask(start_agent(), tmp_path, *wanted)

    threads = [threading.Thread(target=client, args=(by,)) for by in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [e.sha for events in answers.values() for e in events if isinstance(e, Claimed)]
    assert sorted(won, key=int) == [str(n) for n in range(50)]
    assert sum(len(events) for events in answers.values()) == 200


POINT = "9" * 64


@pytest.fixture
def by_ann(agent, tmp_path):
    """Return a runs folder where Ann's recorded launch has a point."""
    (tmp_path / ".remex/launches").mkdir(parents=True)
    (tmp_path / ".remex/launches/L_ann.jsonl").touch()
    assert isinstance(ask(agent, tmp_path, want(point=POINT))[0], Claimed)
    return tmp_path


def test_a_point_is_one_clients_whatever_it_excludes(agent, by_ann):
    """A client that does not know the other's launch is told of it, despite another fingerprint."""
    for _ in range(2):
        (taken,) = ask(agent, by_ann, want("bob", fingerprint="77aabb", point=POINT))
        assert taken == TakenBy("sha_bob", claim(), Condition.UNPLACED, "")
    assert not (by_ann / ".remex/claims/77").exists()
    (again,) = ask(agent, by_ann, want(point=POINT))
    assert again == Claimed("sha_ann", name())


def test_a_point_follows_what_the_client_knew(agent, by_ann):
    """A client that knows the launch has decided; of two such clients one is faster."""
    for _ in range(2):
        bob = want("bob", fingerprint="77aabb", point=POINT)
        assert isinstance(ask(agent, by_ann, bob, known=["L_ann"])[0], Claimed)
    (by_ann / ".remex/launches/L_bob.jsonl").touch()
    eve = want("eve", fingerprint="55aabb", point=POINT)
    (taken,) = ask(agent, by_ann, eve, known=["L_ann"])
    assert taken.claim.by == "bob@laptop"


WAYS = ["no record", "damaged", "pipe", "link", "folder", "nested", "elsewhere", "same inputs"]


@pytest.mark.parametrize("way", WAYS)
def test_a_point_that_does_not_count(agent, by_ann, way):
    """A run without a launch record does not prevent a submission."""
    bob = want("bob", fingerprint="77aabb", point=POINT)
    (path,) = (by_ann / ".remex/points").glob("*/*")
    if way == "no record":
        (by_ann / ".remex/launches/L_ann.jsonl").unlink()
    elif way == "damaged":
        path.write_text('{"fingerprint": []}')
    elif way == "pipe":
        path.unlink()
        os.mkfifo(path)
    elif way == "link":
        path.unlink()
        path.symlink_to("/dev/zero")
    elif way == "folder":
        path.unlink()
        path.mkdir()
    elif way == "nested":
        path.write_text("[" * 100_000)
    elif way == "elsewhere":
        path.write_text(path.read_text().replace('"run_ann"', '"../run_ann"'))
    else:
        path.write_text(path.read_text().replace(PRINT, "77aabb"))
    assert isinstance(ask(agent, by_ann, bob)[0], Claimed)


@pytest.mark.parametrize("point", ["../../../x", "zz" * 32, "9"])
def test_a_points_name_stays_in_its_folder(agent, tmp_path, point):
    """A text that is not a digest claims nothing."""
    (fault,) = ask(agent, tmp_path, want(point=point))
    assert isinstance(fault, ClaimFault)
    assert not (tmp_path / ".remex").exists()


def test_one_of_many_clients_wins_each_point(start_agent, tmp_path):
    """Four clients with four fingerprints for the same 50 points get each of them once."""
    (tmp_path / ".remex/launches").mkdir(parents=True)
    answers = {}

    def client(number, by):
        points = [f"{n:064x}" for n in range(50)]
        wanted = [
            want(by, fingerprint=f"{number}{n:06x}", sha=str(n), point=point)
            for n, point in enumerate(points)
        ]
        (tmp_path / f".remex/launches/L_{by}.jsonl").touch()
        answers[by] = ask(start_agent(), tmp_path, *wanted)

    threads = [threading.Thread(target=client, args=each) for each in enumerate("abcd")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [e.sha for events in answers.values() for e in events if isinstance(e, Claimed)]
    assert sorted(won, key=int) == [str(n) for n in range(50)]


def test_what_became_of_a_claim_is_told(agent, tmp_path):
    """A run directory with a job is SUBMITTED, one without PLACED."""
    ask(agent, tmp_path, want())
    folder = make_run(tmp_path)
    assert ask(agent, tmp_path, want("bob"))[0].condition is Condition.PLACED
    (folder / "job").write_text("12_3;east\n")
    (taken,) = ask(agent, tmp_path, want("bob"))
    assert (taken.condition, taken.job) == (Condition.SUBMITTED, "12_3;east")


def test_a_purged_run_is_told_as_such(agent, tmp_path):
    """A run whose directory was removed is not submitted again without a request."""
    ask(agent, tmp_path, want())
    (tmp_path / ".remex/claims" / f"{name()}.placed").touch()
    assert ask(agent, tmp_path, want("bob"))[0].condition is Condition.PURGED
    after = want("bob", over=claim())
    assert ask(agent, tmp_path, after) == [Claimed("sha_bob", name(2))]


def test_a_directory_that_is_anothers_makes_room(agent, tmp_path):
    """A claim whose directory can never be made is followed by the next generation."""
    ask(agent, tmp_path, want())
    (make_run(tmp_path) / "run.json").write_text('{"token": "somebody"}')
    assert ask(agent, tmp_path, want("bob")) == [Claimed("sha_bob", name(2))]


def test_a_rejected_run_makes_room_for_the_next_generation(agent, tmp_path):
    """A run that Slurm refused may be claimed again, once."""
    ask(agent, tmp_path, want())
    reject(make_run(tmp_path))
    for _ in range(2):
        assert ask(agent, tmp_path, want("bob")) == [Claimed("sha_bob", name(2))]
    (taken,) = ask(agent, tmp_path, want("eve"))
    assert taken.claim.by == "bob@laptop"


def test_one_of_two_retries_follows_what_is_over(agent, tmp_path):
    """The second client is told of the first one's run."""
    ask(agent, tmp_path, want())
    assert ask(agent, tmp_path, want("bob", over=claim())) == [Claimed("sha_bob", name(2))]
    (taken,) = ask(agent, tmp_path, want("eve", over=claim()))
    assert taken.claim.by == "bob@laptop"


def test_a_run_that_will_never_be_made_is_buried(agent, tmp_path):
    """Its name is taken, so that its slow owner finds it so; one that was made stays."""
    ask(agent, tmp_path, want())
    after = want("bob", over=claim(), unplaced=True)
    assert ask(agent, tmp_path, after) == [Claimed("sha_bob", name(2))]
    with pytest.raises(OSError, match="not empty"):
        (tmp_path / "other").mkdir() or (tmp_path / "other").rename(tmp_path / "run_ann")
    make_run(tmp_path, "bob")
    (taken,) = ask(agent, tmp_path, want("eve", over=claim("bob"), unplaced=True))
    assert (taken.claim.by, taken.condition) == ("bob@laptop", Condition.PLACED)


def test_a_damaged_claim_is_its_experiments_fault_alone(agent, tmp_path):
    """The others of the request are claimed."""
    ask(agent, tmp_path, want())
    path = tmp_path / ".remex" / "claims" / name()
    path.write_text('{"fingerprint": 3}')
    fault, fine = ask(agent, tmp_path, want("o"), want("u", fingerprint="77aabb"))
    assert isinstance(fault, ClaimFault)
    assert str(path) in fault.message
    assert fine.sha == "sha_u"


def test_a_claim_of_a_newer_release_is_refused(agent, tmp_path):
    """The words say to upgrade."""
    ask(agent, tmp_path, want())
    (tmp_path / ".remex" / "claims" / name()).write_text('{"format": 99}')
    (fault,) = ask(agent, tmp_path, want("o"))
    assert "upgrade" in fault.message


@pytest.mark.parametrize("fingerprint", ["../../x", "", "3f", "xyz123"])
def test_a_claims_name_stays_in_its_folder(agent, tmp_path, fingerprint):
    """A text that is not a fingerprint claims nothing."""
    (fault,) = ask(agent, tmp_path, want(fingerprint=fingerprint))
    assert isinstance(fault, ClaimFault)
    assert not (tmp_path / ".remex/claims").exists()


def local_jobs(agent, runs, *submissions):
    """Queue submissions on this machine, and return the jobs of their runs."""
    asked = Submit(str(runs), "L", "t", LOCAL, list(submissions))
    events = [event for event in agent.ask(asked) if isinstance(event, Held)]
    return {directory: job for event in events for directory, job in event.jobs.items()}


def group(*runs):
    """Return an array of runs."""
    return WantedSubmission("array-" + "".join(runs), list(runs), array=Array([], "#!/bin/sh"))


def test_a_run_belongs_to_one_submission(agent_here, tmp_path):
    """If a second client asks for other groups, each run keeps its job."""
    for one in "abcd":
        make_run(tmp_path, one)
    first = local_jobs(
        agent_here, tmp_path, WantedSubmission("run_a", ["run_a"]), group("run_b", "run_c")
    )
    assert set(first) == {"run_a", "run_b", "run_c"}
    again = local_jobs(agent_here, tmp_path, group("run_a", "run_b", "run_d"))
    assert {name: again[name] for name in ("run_a", "run_b")} == {
        name: first[name] for name in ("run_a", "run_b")
    }
    alone = local_jobs(
        agent_here, tmp_path, *(WantedSubmission(f"run_{n}", [f"run_{n}"]) for n in "abcd")
    )
    assert alone == {**first, "run_d": again["run_d"]}


def test_a_claim_takes_one_inode(agent, tmp_path):
    """A claim, its point's file and its mark are one file with three names."""
    ask(agent, tmp_path, want(point="5d" * 32))
    mark_placed(str(tmp_path), name())
    files = [path for path in (tmp_path / ".remex").rglob("*") if path.is_file()]
    assert len(files) == 3
    assert len({path.stat().st_ino for path in files}) == 1


def test_another_claim_on_a_point(agent, tmp_path):
    """The claim of the second client of a point is a separate file."""
    ask(agent, tmp_path, want(point="5d" * 32))
    ask(agent, tmp_path, want("bob", point="5d" * 32, fingerprint="4b" * 3), known=["L_ann"])
    text = (tmp_path / ".remex/claims" / claim(fingerprint="4b" * 3).name).read_text()
    assert '"bob"' in text


def test_a_mark_without_its_claim(tmp_path):
    """If the claim was purged, the mark is still made, once."""
    for _ in range(2):
        mark_placed(str(tmp_path), name())
    assert (tmp_path / ".remex/claims" / f"{name()}.placed").is_file()
