"""Launch records are read back unchanged, for any text, and damage is named."""

import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_remex.common.jobs import Job, JobState
from pytest_remex.errors import RecordError
from pytest_remex.model import Commit, Identity, Remote
from pytest_remex.records.fields import (
    Collected,
    Collection,
    header_from_json,
    header_to_json,
)
from pytest_remex.records.index import RunIndex
from pytest_remex.records.journal import Journal
from pytest_remex.records.launch import Launch
from pytest_remex.records.schema import (
    BranchRemoved,
    Committed,
    Ended,
    Pushing,
    Renamed,
    RunRecord,
    Shared,
    Stage,
    StageReached,
    event_to_json,
)
from pytest_remex.records.store import read_record, read_records
from pytest_remex.sbatch.script import parse_header
from pytest_remex.variant import GRID, Variant

SHA = "a" * 40
TEXT = st.text() | st.text(alphabet=st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF))
POINTS = st.dictionaries(TEXT, TEXT | st.integers() | st.floats(allow_nan=False) | st.lists(TEXT))


def submitted(index, commit, *, local):
    """Return the newest run of a commit that counts as submitted, here or on a cluster."""
    return next((each for each in index.alike(commit, None) if each.counts(local=local)), None)


def launch(**changes):
    """Return a launch."""
    facts = {
        "id": "grid_2026_01_31_12_00_00", "token": "0123", "name": "grid", "branch": "main",
        "base": "b" * 40, "base_config": {}, "fetch": ("a", "b"), "config_files": (),
        "remote": Remote("user@machine", "clone", "runs", "connection", ("data",)),
    }  # fmt: skip
    return Launch(**{**facts, **changes})


def run(sha=SHA, **changes):
    """Return a run."""
    facts = {
        "node": "sweeps.py::grid[a=1]", "id": "a=1", "point": {"a": 1}, "parameters": {},
        "commit": Commit(sha, "c" * 40, "b" * 40), "directory": f"main_grid_{sha[:12]}",
        "header": parse_header("#!/bin/sh\n#SBATCH -t 5\n"),
    }  # fmt: skip
    return RunRecord(**{**facts, **changes})


@pytest.fixture
def journal(tmp_path):
    """Return a launch record with one run."""
    made = Journal.begin(tmp_path / "launches", launch())
    made.write([Committed(run())])
    yield made
    made.close()


@pytest.mark.parametrize("files", [(), ("a",), ("a", "b")])
def test_config_files_come_back(tmp_path, files):
    """A record holds all config files; earlier releases read the first."""
    Journal.begin(tmp_path, begun := launch(config_files=files)).close()
    assert read_record(tmp_path / f"{begun.id}.jsonl").launch.config_files == files
    first = json.loads((tmp_path / f"{begun.id}.jsonl").read_text().partition("\n")[0])
    assert first["config_file"] == next(iter(files), None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(point=POINTS, node=TEXT, name=TEXT, why=TEXT)
def test_any_text_comes_back(tmp_path_factory, point, node, name, why):
    """Records are read back unchanged, also with line breaks and lone surrogates."""
    folder = tmp_path_factory.mktemp("launches")
    begun = launch(name=name, base_config=point)
    identity = Identity("f" * 40, "p" * 16, ((why, "100644", "d" * 40), (name, "", "")), 2)
    one = run(node=node, point=point, identity=identity)
    written = Journal.begin(folder, begun)
    written.write([Committed(one), StageReached(SHA, Stage.REJECTED, why=why)])
    written.close()
    record = read_record(written.path)
    assert record.launch == begun
    found = record.runs[SHA]
    assert (found.node, found.point, found.stage, found.why) == (node, point, Stage.REJECTED, why)
    assert found.commit == one.commit
    assert found.identity == identity


@pytest.mark.parametrize("script", ["run.sbatch", "jobs/evolve.sbatch"])
def test_a_header_comes_back(script):
    """All that a launch needs of a batch script is read back, and which script it is."""
    lines = ("-J star", "-o out", "-e err", "-t 5", "-p main", "-n 4", "-H")
    text = "".join(["#!/bin/bash\n", *(f"#SBATCH {line}\n" for line in lines)])
    header = parse_header(text, script)
    assert header_from_json(json.loads(json.dumps(header_to_json(header)))) == header


def test_stages(journal):
    """Each event moves its run, and the record says what was pushed and tidied."""
    journal.write([Pushing("d" * 40), StageReached(SHA, Stage.HELD, job="7", submission="u")])
    record = read_record(journal.path)
    assert (record.tips, record.tidied) == (("d" * 40,), False)
    assert (record.runs[SHA].job, record.runs[SHA].submission) == ("7", "u")
    journal.write(
        [
            StageReached(SHA, Stage.RELEASED),
            Ended(SHA, Job("7", JobState.COMPLETED, elapsed=1.5)),
            BranchRemoved(),
        ]
    )
    record = read_record(journal.path)
    assert record.tidied
    assert record.runs[SHA].stage.settled
    assert record.runs[SHA].job == "7"
    assert record.runs[SHA].final == Job("7", JobState.COMPLETED, elapsed=1.5)


def test_renamed(journal):
    """A run that is known by another name keeps its commit, stage and directory."""
    journal.write([StageReached(SHA, Stage.RELEASED, job="7")])
    journal.write([Renamed.of(run(node="sweeps.py::other[b=1]", point={"b": 1}))])
    found = read_record(journal.path).runs[SHA]
    assert (found.node, found.point, found.job) == ("sweeps.py::other[b=1]", {"b": 1}, "7")


def test_every_cut_can_be_read(journal):
    """Cut after any byte, a record is read up to its last whole line, and continued there."""
    journal.write([StageReached(SHA, Stage.RELEASED, job="7", why="é\n")])
    whole = journal.path.read_bytes()
    for length in range(len(whole)):
        journal.path.write_bytes(whole[:length])
        record = read_record(journal.path)
        assert (record is None) == (b"\n" not in whole[:length])
        if record is not None:
            resumed = Journal.resume(record)
            resumed.write([Committed(run("e" * 40))])
            resumed.close()
            assert "e" * 40 in read_record(journal.path).runs


def test_every_changed_byte_is_noticed(journal):
    """Changed at any byte, the record is refused by its line, or reads as it was written."""
    journal.write([Pushing("d" * 40), StageReached(SHA, Stage.RELEASED, job="71", why="é\n")])
    whole = journal.path.read_bytes()
    written = read_record(journal.path)
    last = whole.rfind(b"\n", 0, -1) + 1
    journal.path.write_bytes(whole[:last])
    before_the_last = read_record(journal.path)
    for place in range(len(whole)):
        for change in (whole[place] ^ 1, whole[place] ^ 0x10, ord("9"), ord("\n")):
            if change == whole[place]:
                continue
            journal.path.write_bytes(whole[:place] + bytes([change]) + whole[place + 1 :])
            cut = place == len(whole) - 1  # without its end the last line does not count
            with suppress(RecordError):
                assert read_record(journal.path) == (before_the_last if cut else written)


DAMAGE = [
    "{", "[]", "3", "\x00", "[" * 100_000,
    '{"state": "HELD"}',
    '{"commit": "x"}',
    '{"state": 3}',
    '{"state": "HELD", "commit": ["x"]}',
    f'{{"state": "HELD", "commit": "{SHA}", "job": 7}}',
    f'{{"state": "PLACED", "commit": "{SHA}", "serial": "2"}}',
    f'{{"state": "ENDED", "commit": "{SHA}", "final": "COMPLETED"}}',
    f'{{"state": "ENDED", "commit": "{SHA}", "final": {{"state": "COMPLETED"}}}}',
    f'{{"state": "RENAMED", "commit": "{SHA}"}}',
    f'{{"state": "COMMITTED", "commit": "{SHA}"}}',
]  # fmt: skip


@pytest.mark.parametrize("line", DAMAGE, ids=lambda line: line[:60])
def test_damage_is_named(journal, line):
    """A line that cannot be read is named by file, number and fix."""
    with journal.path.open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(RecordError, match=r"grid_2026.*jsonl is damaged in line 3 .*backup"):
        read_record(journal.path)


@pytest.mark.parametrize(
    "change",
    [{"fetch": "a"}, {"fetch": [1]}, {"base_config": []}, {"remote": "host"}, {"token": None},
     {"remote": {"host": 1, "clone": "", "runs": "", "via": "origin", "shared": []}},
     {"remote": {"host": "h", "clone": "", "runs": "", "via": "pigeon", "shared": []}}],
    ids=str,
)  # fmt: skip
def test_damaged_head(journal, change):
    """A field of the head that is of a wrong type is damage, named with its line."""
    head, *rest = journal.path.read_text().splitlines()
    damaged = json.dumps({**json.loads(head), **change})
    journal.path.write_text("\n".join([damaged, *rest, ""]))
    with pytest.raises(RecordError, match=r"damaged in line 1 .*backup"):
        read_record(journal.path)


def test_what_is_unknown_is_ignored(journal):
    """Fields and events of the same format that this release does not know are ignored."""
    before = read_record(journal.path)
    lines = [json.loads(line) | {"new": [1]} for line in journal.path.read_text().splitlines()]
    lines.append({"state": "ADMIRED", "by": "everyone"})
    journal.path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_record(journal.path) == before


def test_newer_format(journal):
    """A record of a newer format is refused, with the upgrade's command."""
    head, *rest = journal.path.read_text().splitlines()
    known = {name: value for name, value in json.loads(head).items() if name != "crc"}
    newer = json.dumps({**known, "remex": 2, "remote": "other"})
    journal.path.write_text("\n".join([newer, *rest, ""]))
    with pytest.raises(RecordError, match=r"format 2.*reads formats up to 1: upgrade"):
        read_record(journal.path)


def test_a_name_is_taken_once(journal, tmp_path):
    """Two launches cannot have one record."""
    with pytest.raises(FileExistsError):
        Journal.begin(tmp_path / "launches", launch())


def test_order(tmp_path):
    """Records come oldest launch first, whatever the sweeps' names."""
    for name in ("z_2026_01_01_00_00_00", "a_2026_02_01_00_00_00", "b_2025_01_01_00_00_00"):
        Journal.begin(tmp_path, launch(id=name)).close()
    assert [record.launch.id[0] for record in read_records(tmp_path)] == ["b", "z", "a"]


def test_history(tmp_path):
    """The newest run is found by identity, for any message, and by node and point."""
    for name, sha in (
        ("grid_2026_01_01_00_00_00", "1" * 40),
        ("grid_2026_02_01_00_00_00", "2" * 40),
    ):
        made = Journal.begin(tmp_path, launch(id=name))
        made.write([Committed(run(sha)), StageReached(sha, Stage.RELEASED, job=sha[0])])
        made.close()
    history = RunIndex.read(tmp_path)
    same = Commit("9" * 40, "c" * 40, "b" * 40)
    assert submitted(history, same, local=False).run.job == "2"
    assert submitted(history, same, local=True) is None
    assert submitted(history, Commit(SHA, "d" * 40, "b" * 40), local=False) is None
    node, point = "sweeps.py::grid[a=1]", {"a": 1}
    assert history.newest(node, point).run.job == "2"
    assert history.newest(node, point, "grid_2026_01_01_00_00_00").run.job == "1"
    assert history.newest(node, {"a": 2}) is None


@pytest.mark.parametrize("stage", [Stage.REFUSED, Stage.REJECTED])
def test_what_was_refused_does_not_count(tmp_path, stage):
    """A run that the scheduler or the agent refused was not submitted."""
    made = Journal.begin(tmp_path, launch())
    made.write([Committed(run()), StageReached(SHA, stage, why="no")])
    made.close()
    assert submitted(RunIndex.read(tmp_path), run().commit, local=False) is None


def test_unreadable(tmp_path):
    """A record that cannot be read is named, with the reason and the fix."""
    with pytest.raises(RecordError, match=r"cannot be read \(Is a directory\): fix that, and run"):
        read_record(tmp_path)


def test_a_folder_that_cannot_be_read(tmp_path):
    """Its records do not count as missing: it is named, with the reason and the fix."""
    folder = tmp_path / "launches"
    assert read_records(folder) == []
    folder.symlink_to(folder)
    with pytest.raises(RecordError, match=r"launches cannot be read \(.*\): fix that, and run"):
        read_records(folder)


def test_who_collected_a_run(journal):
    """It counts for the job that was collected: not after the run was continued."""
    journal.write([StageReached(SHA, Stage.RELEASED, job="7")])
    journal.write([Collected("ada@laptop", "2026-03-01", {SHA: "7"})])
    assert read_record(journal.path).runs[SHA].collected == Collection(
        "7", "ada@laptop", "2026-03-01"
    )
    journal.write([StageReached(SHA, Stage.RELEASED, job="8", job_number=2)])
    assert read_record(journal.path).runs[SHA].collected is None


@pytest.mark.parametrize(
    "wrong",
    [{"jobs": {SHA: 7}}, {"jobs": []}, {"by": None}, {"on": "\x1b[2J"}, {"jobs": {"f": "7"}}],
)
def test_a_damaged_mark_of_a_collect(journal, wrong):
    """It is refused with its line."""
    data = {**event_to_json(Collected("ada@laptop", "2026-03-01", {SHA: "7"})), **wrong}
    with journal.path.open("a") as file:
        file.write(json.dumps(data) + "\n")
    with pytest.raises(RecordError, match="damaged in line 3"):
        read_record(journal.path)


def test_the_variants_of_a_run(journal, tmp_path):
    """A run belongs to its launch's variant of the grid, and to those that share it."""
    old, others = Variant(base="v1.2"), Variant(base="v1.3")
    journal.write([Shared(SHA, old), Shared(SHA, old), Committed(run())])
    index = RunIndex.read(journal.path.parent)
    find = lambda variant: index.newest("sweeps.py::grid[a=1]", {"a": 1}, variant=variant)  # noqa: E731
    assert find(GRID) is not None
    assert find(old) is not None
    assert find(others) is None
    later = launch(id="grid_2027_01_31_12_00_00", variant=others)
    beside = Journal.begin(tmp_path / "launches", later)
    beside.write([Committed(run(sha="d" * 40))])
    beside.close()
    index = RunIndex.read(journal.path.parent)
    assert find(GRID).run.commit.sha == SHA
    assert find(others).run.commit.sha == "d" * 40
