"""Copies of launch records in a runs folder, through the agent."""

import base64
import os
import zlib

import pytest
from support.agents import AgentError

from pytest_remex.common.claims import Claim, ClaimRuns, WantedClaim
from pytest_remex.common.records import (
    AppendRecord,
    LaunchOpened,
    OpenLaunch,
    ReadRecords,
    RecordCut,
    RecordLacking,
    RecordPart,
    RecordRefused,
)


def part(record, offset, text):
    """Return a part of a record."""
    return RecordPart(record, offset, base64.b64encode(zlib.compress(text.encode())).decode())


def text_of(event):
    """Return the text in a part of a record."""
    return zlib.decompress(base64.b64decode(event.data)).decode()


def test_a_launchs_name_is_one_clients(agent, tmp_path):
    """A second client with another first line takes another name; the first may ask again."""
    opened = OpenLaunch(str(tmp_path), "tams_1", '{"launch": "tams_1", "token": "a"}\n')
    assert agent.ask(opened) == [LaunchOpened()]
    assert agent.ask(opened) == [LaunchOpened()]
    assert agent.ask(opened._replace(head="other\n")) == []


def test_a_client_reads_what_it_lacks(agent, tmp_path):
    """A client gets the rest of records that it knows in part, and is told what is missing."""
    runs = str(tmp_path)
    assert agent.ask(AppendRecord(runs, part("L", 0, "one\ntwo\n"))) == []
    assert agent.ask(AppendRecord(runs, part("L", 4, "two\nthree\n"))) == []
    rest, lacking = agent.ask(ReadRecords(runs, {"L": 4, "gone": 7}))
    assert (rest.offset, text_of(rest), rest.owner) == (4, "two\nthree\n", "")
    assert lacking == RecordLacking("gone", 0)
    assert agent.ask(ReadRecords(runs, {"L": 14})) == []


def test_a_half_line_is_not_sent(agent, tmp_path):
    """A line that a writer has not finished comes with the next request; that is said."""
    agent.ask(AppendRecord(str(tmp_path), part("L", 0, "one\ntw")))
    event, cut = agent.ask(ReadRecords(str(tmp_path), {}))
    assert (text_of(event), cut) == ("one\n", RecordCut("L"))


def test_a_runs_folder_that_is_not_there(agent, tmp_path):
    """It holds no records, lacks none, and is made by nothing but a launch on this machine."""
    runs = tmp_path / "none" / "runs"
    assert agent.ask(ReadRecords(str(runs), {})) == []
    assert agent.ask(ReadRecords(str(runs), {"L": 7})) == []
    opened = OpenLaunch(str(runs), "tams_1", "{}\n")
    for request in (AppendRecord(str(runs), part("L", 0, "one\n")), opened):
        with pytest.raises(AgentError, match=r"no runs folder .*: is its file system mounted"):
            agent.ask(request)
    assert not runs.exists()
    assert agent.ask(opened._replace(makes_runs=True)) == [LaunchOpened()]


@pytest.mark.parametrize("lines", ["two\n", "one\ntwo\n"])
def test_a_copy_that_is_anothers_stays_as_it_is(agent, tmp_path, lines):
    """Other bytes in the same place are another client's record."""
    agent.ask(AppendRecord(str(tmp_path), part("L", 0, "ONE\n")))
    refused = agent.ask(AppendRecord(str(tmp_path), part("L", 0, lines)))
    assert refused == [RecordRefused("L")]
    assert (tmp_path / ".remex/launches/L.jsonl").read_text() == "ONE\n"


def test_nothing_is_claimed_without_the_launchs_record(agent, tmp_path):
    """If the copy of the record became another client's, the request is refused as a whole."""
    claim = Claim("3fa1c2", "run", "L", "token", "b", "s", "t", "tams", "x::tams", {}, "ann@laptop")
    agent.ask(AppendRecord(str(tmp_path), part("L", 0, "ONE\n")))
    request = ClaimRuns(str(tmp_path), part("L", 0, "two\n"), [WantedClaim(claim)], [])
    with pytest.raises(AgentError, match="was changed by another output folder"):
        agent.ask(request)
    assert not (tmp_path / ".remex/claims").exists()


@pytest.mark.parametrize("name", ["../x", "/etc/x", ".hidden", "", "a/b"])
def test_a_records_name_stays_in_its_folder(agent, tmp_path, name):
    """A name that leaves the folder is refused."""
    with pytest.raises(AgentError, match="cannot name a launch record"):
        agent.ask(OpenLaunch(str(tmp_path), name, "x\n"))


def test_links_and_other_files_are_no_records(agent, tmp_path):
    """Only regular files of records are read: a link, a FIFO or a folder may lead anywhere."""
    folder = tmp_path / ".remex/launches"
    folder.mkdir(parents=True)
    (tmp_path / "secret").write_text("mine\n")
    (folder / "link.jsonl").symlink_to(tmp_path / "secret")
    (folder / "folder.jsonl").mkdir()
    os.mkfifo(folder / "fifo.jsonl")
    (folder / "notes.txt").write_text("somebody's\n")
    assert agent.ask(ReadRecords(str(tmp_path), {})) == []
