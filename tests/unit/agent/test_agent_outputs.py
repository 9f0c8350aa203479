"""Outputs: globs and pieces of files that never follow a link nor leave the run directory."""

import errno
import os

import pytest
from support.agents import AgentError

from pytest_remex.agent.errors import UnreadableError
from pytest_remex.agent.outputs import find
from pytest_remex.common.parts import ListedRun, LogPart, OutputFile
from pytest_remex.common.protocol import ListOutputs, ReadLogs


@pytest.fixture
def run(tmp_path):
    """Return a run directory with outputs, links and our own folder."""
    folder = tmp_path / "runs" / "r"
    (folder / "LOGS" / "deep").mkdir(parents=True)
    (folder / ".remex").mkdir()
    (folder / ".remex" / "job").write_text("1")
    for name in ("a.out", ".hidden", "LOGS/history.data", "LOGS/p1.data", "LOGS/deep/x"):
        (folder / name).write_text(name)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("x")
    (folder / "way_out").symlink_to(tmp_path / "outside")
    (folder / "LOGS" / "link").symlink_to("history.data")
    return folder


def ask(agent, run, *patterns, through_links=False):
    """Ask for one run directory's outputs."""
    listed = [ListedRun(run.name, list(patterns), through_links)]
    (outputs,) = agent.ask(ListOutputs(str(run.parent), listed))
    return outputs


def names(outputs):
    """Return the paths of the files."""
    return [file.path for file in outputs.files]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.out", ["a.out"]),
        ("*.out", ["a.out"]),
        ("?.o[u]t", ["a.out"]),
        ("LOGS", ["LOGS/deep/x", "LOGS/history.data", "LOGS/p1.data"]),
        ("LOGS/", ["LOGS/deep/x", "LOGS/history.data", "LOGS/p1.data"]),
        ("./LOGS/*.data", ["LOGS/history.data", "LOGS/p1.data"]),
        ("**/x", ["LOGS/deep/x"]),
        ("**/*.data", ["LOGS/history.data", "LOGS/p1.data"]),
        ("LOGS/**", ["LOGS/deep/x", "LOGS/history.data", "LOGS/p1.data"]),
        (".remex/job", [".remex/job"]),
        ("a.out/x", []),
        ("way_out/secret", []),
    ],
)
def test_patterns(agent, run, pattern, expected):
    """Patterns mean what pathlib's mean, and a folder means all below it."""
    assert names(ask(agent, run, pattern)) == expected


def test_everything_is_all_but_our_own(agent, run):
    """`**` matches every file, no link's target, and nothing in .remex; links are named."""
    outputs = ask(agent, run, "**")
    assert names(outputs) == [
        ".hidden",
        "LOGS/deep/x",
        "LOGS/history.data",
        "LOGS/p1.data",
        "a.out",
    ]
    assert outputs.links == ["LOGS/link", "way_out"]


def test_sizes_times_and_missing_patterns(agent, run):
    """A file comes with size and time; a pattern without a match is named."""
    outputs = ask(agent, run, "a.out", "nothing.*", "no/such")
    about = (run / "a.out").stat()
    assert outputs.files == [OutputFile("a.out", about.st_size, about.st_mtime_ns)]
    assert outputs.missing == ["nothing.*", "no/such"]


def test_a_name_that_is_not_text(agent, run):
    """A name in another encoding travels as python's escapes and comes back as it was."""
    (run / os.fsdecode(b"\xff\n.data")).write_text("x")
    assert [os.fsencode(name) for name in names(ask(agent, run, "*.data"))] == [b"\xff\n.data"]


@pytest.mark.parametrize("pattern", ["../x", "a/../../x", "/etc/passwd"])
def test_a_pattern_that_leaves_is_refused(agent, run, pattern):
    """No pattern reaches outside the run directory."""
    with pytest.raises(AgentError, match="leaves the run directory"):
        ask(agent, run, pattern)


def test_a_run_directory_that_is_a_link_is_refused(agent, run, tmp_path):
    """Its contents are not listed, and the reason is reported."""
    run.rename(tmp_path / "archive")
    run.symlink_to(tmp_path / "archive")
    outputs = ask(agent, run, "a.out", "**")
    assert (outputs.files, outputs.links, outputs.missing) == ([], [], ["a.out", "**"])
    assert "is a link, and links are not followed" in outputs.refused


def test_a_run_directory_that_is_gone(agent, run):
    """A missing run directory is distinguished from one without outputs."""
    assert not ask(agent, run, "nothing").gone
    gone = ask(agent, run.parent / "other", "nothing")
    assert (gone.gone, gone.files, gone.missing) == (True, [], ["nothing"])


def test_a_runs_folder_that_is_gone(agent, run):
    """Without the runs folder its run directories do not count as missing: it may be unmounted."""
    run.parent.rename(run.parent.parent / "away")
    with pytest.raises(AgentError, match=r"no runs folder .*: is its file system mounted"):
        ask(agent, run, "a.out")


def test_the_newest_files_are_listed(agent, run):
    """Of a run with very many files, as many as asked for, and those changed last."""
    for at, name in enumerate(["a.out", "LOGS/p1.data", "LOGS/history.data"]):
        os.utime(run / name, (at, at))
    listed = [ListedRun(run.name, ["*.out", "LOGS/*.data"])]
    (outputs,) = agent.ask(ListOutputs(str(run.parent), listed, newest=2))
    assert names(outputs) == ["LOGS/history.data", "LOGS/p1.data"]
    assert outputs.missing == []


def read_end(agent, run, pattern, start=-4, most=100):
    """Return the answer for one piece of a job's output."""
    parts = [LogPart(run.name, pattern, start, most)]
    return agent.ask(ReadLogs(str(run.parent), parts))


def test_pieces_of_output(agent, run):
    """A piece of a job's output comes with its position, from the end or from a byte on."""
    (run / "a.out").write_bytes(b"0123456789\xff")
    (end,) = read_end(agent, run, "*.out")
    assert (end.path, end.start, end.size, end.text) == ("a.out", 7, 11, "789\udcff")
    (rest,) = read_end(agent, run, "a.out", start=2, most=3)
    assert (rest.start, rest.text) == (2, "234")
    (beyond,) = read_end(agent, run, "a.out", start=99)
    assert (beyond.start, beyond.text) == (11, "")


@pytest.mark.parametrize("pattern", ["LOGS/link", "way_out/secret", "pipe", "way_out"])
def test_output_that_is_no_file(agent, run, pattern):
    """Output behind a link, or in a pipe, is refused, and nothing waits for it."""
    os.mkfifo(run / "pipe")
    answers = read_end(agent, run, pattern)
    assert [bool(each.refused) for each in answers] == [True] * len(answers)
    assert not any(each.text for each in answers)


def test_output_of_a_run_directory_that_is_a_link(agent, run):
    """Nothing is read if the run directory is a link, or a pattern leaves it."""
    (run.parent / "linked").symlink_to(run)
    assert read_end(agent, run.parent / "linked", "a.out") == []
    with pytest.raises(AgentError, match="leaves the run directory"):
        read_end(agent, run, "../r/a.out")


def test_folders_without_end(agent, run):
    """A run whose job nested folders without end is refused, and the others are listed."""
    deep = run / "LOGS" / "deep"
    (deep / "/".join(["d"] * 150)).mkdir(parents=True)
    (run.parent / "other").mkdir()
    (run.parent / "other" / "x").touch()
    listed = [ListedRun(run.name, ["**/x"]), ListedRun("other", ["**/x"])]
    refused, fine = agent.ask(ListOutputs(str(run.parent), listed))
    assert "LOGS cannot be used: it has folders nested deeper than 100" in refused.refused
    assert names(fine) == ["x"]
    assert names(ask(agent, run, "*.out")) == ["a.out"]
    (log,) = agent.ask(ReadLogs(str(run.parent), [LogPart(run.name, "**/none.out", -10, 10)]))
    assert "nested deeper than 100" in log.refused


@pytest.mark.parametrize("call", ["lstat", "listdir"])
@pytest.mark.parametrize("pattern", ["LOGS", "LOGS/deep/*", "**/*.data"])
def test_a_file_system_that_fails(run, monkeypatch, call, pattern):
    """What a stale handle hides does not count as not written, nor the rest as all outputs."""
    work = getattr(os, call)

    def failing(path, *arguments, **options):
        if os.fspath(path) == str(run / "LOGS/deep"):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), path)
        return work(path, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, call, failing)
        with pytest.raises(UnreadableError, match="LOGS/deep cannot be used: Stale file handle"):
            list(find(str(run), pattern))
    assert list(find(str(run), pattern))


def test_through_links(agent, run):
    """On request, names and sizes are listed in folders that are links, but not all below them."""
    (run / "way_out" / "deep").mkdir()
    (run / "way_out" / "deep" / "more").write_text("x")
    (run / "lost").symlink_to(run / "nowhere")
    (run / "all").mkdir()
    (run / "all" / "up").symlink_to("/")
    (run / "loop").symlink_to("loop")

    def listed(*patterns):
        return ask(agent, run, *patterns, through_links=True)

    assert names(listed("way_out/*")) == ["way_out/secret"]
    assert listed("way_out/*").files[0].size == 1
    assert names(listed("way_out/deep/*")) == ["way_out/deep/more"]
    assert names(listed("way_out/secret")) == ["way_out/secret"]
    assert names(listed("LOGS/*")) == [
        "LOGS/deep/x",
        "LOGS/history.data",
        "LOGS/link",
        "LOGS/p1.data",
    ]
    for nothing in ("way_out", "way_out/**", "lost", "lost/*", "all/*", "loop/*", "**/secret"):
        assert names(listed(nothing)) == []
    assert names(ask(agent, run, "way_out/*")) == []


def test_a_run_directory_that_cannot_be_looked_at(agent, run):
    """A run whose directory cannot even be looked at is refused, and the others are listed."""
    listed = [ListedRun("r" * 300, ["a.out"]), ListedRun(run.name, ["a.out"])]
    refused, fine = agent.ask(ListOutputs(str(run.parent), listed))
    assert "File name too long" in refused.refused
    assert names(fine) == ["a.out"]
