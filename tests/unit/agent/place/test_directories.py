"""Placing: a run directory is its commit's bytes, appears whole, and belongs to one launch."""

import base64
import contextlib
import os
import subprocess
import threading

import pytest
from support.agents import AgentError, Repository

from pytest_remex.common import protocol
from pytest_remex.common.parts import Placement, Source
from pytest_remex.common.protocol import ListTips, Placed, PlaceRefused, Tidy, Tips

SCRIPT = b"#!/bin/sh\n"
OTHER = {"token": "of another launch"}


class Place:
    """A clone, a runs folder, and an agent that places."""

    def __init__(self, agent, repository, runs):
        self.agent, self.repository, self.runs = agent, repository, runs
        runs.mkdir(exist_ok=True)

    def __call__(self, base, *runs, agent=None, **fields):
        """Place runs, (name, commit) pairs, and return the events by directory."""
        request = protocol.Place(
            clone=str(self.repository.path),
            runs=str(self.runs),
            launch="L",
            token="T",
            base=base["sha"],
            source=Source("here", runs[-1][1]["sha"]),
            shared=[],
            placements=[Placement(name, **commit) for name, commit in runs],
        )
        events = (agent or self.agent).ask(request._replace(**fields))
        return {event.directory: event for event in events}

    def files(self, name):
        """Return what a run directory holds, {path: (kind or mode, bytes)}, without .remex."""
        top = self.runs / name
        found = (path for path in top.rglob("*") if path.is_symlink() or path.is_file())
        inside = ((path.relative_to(top), path) for path in found)
        return {os.fsencode(p): _content(path) for p, path in inside if p.parts[0] != ".remex"}


def _content(path):
    if path.is_symlink():
        return "link", os.fsencode(path.readlink())
    return path.stat().st_mode & 0o111 != 0, path.read_bytes()


def names_in(folder):
    """Return the names in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def place(agent, repository, tmp_path):
    """Return a Place of the repository as its own clone."""
    return Place(agent, repository, tmp_path / "runs")


def test_a_run_directory_is_its_commit(place, repository):
    """Files, deletions, modes and links are the commit's, whatever the base had."""
    base = repository.commit(
        {"a": b"1", "b": b"2", "x/y": b"3", "run.sbatch": SCRIPT, "link": ("120000", b"a")}
    )
    changed = {"a": b"other", "x": b"now a file", "b": ("100755", b"2"), "deep/er/f": b"new"}
    same = repository.commit({"a": b"1", "b": b"2", "x/y": b"3"}, base["sha"])
    run = repository.commit(changed, base["sha"])
    events = place(base, ("one", run), ("two", same), ("base", base))
    assert set(map(type, events.values())) == {Placed}
    assert place.files("one") == {
        b"a": (False, b"other"),
        b"x": (False, b"now a file"),
        b"b": (True, b"2"),
        b"deep/er/f": (False, b"new"),
    }
    assert place.files("two") == {b"a": (False, b"1"), b"b": (False, b"2"), b"x/y": (False, b"3")}
    assert place.files("base")[b"link"] == ("link", b"a")


@pytest.mark.parametrize(
    "name",
    [b"with space", b"new\nline", b'"quoted"', b"\xff\xfe not utf-8", b"-leading", b"$(id);`x`|"],
)
def test_odd_file_names(place, repository, name):
    """Any name that git can hold is placed as it is."""
    base = repository.commit({"run.sbatch": SCRIPT})
    run = repository.commit({name: b"content", b"dir " + name + b"/" + name: b"2"}, base["sha"])
    place(base, ("r", run))
    assert place.files("r") == {
        name: (False, b"content"),
        b"dir " + name + b"/" + name: (False, b"2"),
    }


def test_git_attributes_change_nothing(place, repository):
    """No line-end conversion, filter, substitution or export rule touches the bytes."""
    attributes = b"* text=auto eol=crlf export-subst\nhidden export-ignore\nf filter=bad\n"
    base = repository.commit({"run.sbatch": SCRIPT})
    files = {".gitattributes": attributes, "hidden": b"h", "f": b"$Format:%H$\n", "w": b"a\r\nb\n"}
    run = repository.commit(files, base["sha"])
    repository.git("config", "core.autocrlf", "true")
    repository.git("config", "filter.bad.smudge", "false")
    repository.git("config", "filter.bad.required", "true")
    place(base, ("r", run))
    assert place.files("r") == {
        os.fsencode(name): (False, content) for name, content in files.items()
    }


def test_large_files_are_written_in_pieces(place, repository):
    """A file above the piece size is the same in every run directory."""
    data = os.urandom(3 << 20) + b"end"
    base = repository.commit({"big": data, "run.sbatch": SCRIPT})
    contents = [{"big": data, "n": str(number).encode()} for number in range(3)]
    runs = [(f"r{n}", repository.commit(files, base["sha"])) for n, files in enumerate(contents)]
    place(base, *runs)
    for name, _ in runs:
        assert place.files(name)[b"big"] == (False, data)


def test_a_submodule_is_an_empty_folder(place, repository):
    """A submodule's place is there, empty, as in a checkout without it."""
    base = repository.commit({"run.sbatch": SCRIPT})
    tree = f"160000 commit {base['sha']}\tsub\0".encode()
    made = repository.git("mktree", "-z", data=tree)
    sha = repository.git("commit-tree", made, "-p", base["sha"], "-m", "x")
    place(base, ("r", {"sha": sha, "parent": base["sha"], "tree": made, "meta": {}}))
    assert names_in(place.runs / "r" / "sub") == []


def test_placing_again_finds_what_is_placed(place, repository):
    """The same launch finds its run directory as it left it; another launch is refused."""
    base = repository.commit({"run.sbatch": SCRIPT})
    place(base, ("r", base))
    (place.runs / "r" / "output").write_text("kept")
    assert place(base, ("r", base))["r"] == Placed("r")
    assert (place.runs / "r" / "output").read_text() == "kept"
    refused = place(base, ("r", base), **OTHER)["r"]
    assert isinstance(refused, PlaceRefused)
    assert "launch L" in refused.message


def test_a_folder_of_somebody_else_is_refused(place, repository):
    """A file in the way is named and not changed; the other run is placed."""
    base = repository.commit({"run.sbatch": SCRIPT})
    (place.runs / "folder").mkdir()
    (place.runs / "folder" / "f").write_text("x")
    (place.runs / "file").write_text("x")
    (place.runs / "link").symlink_to("/nowhere")
    names = ("folder", "file", "link", "free", "../out", ".hidden", "n" * 256)
    events = place(base, *[(name, base) for name in names])
    assert {name for name in names if isinstance(events[name], Placed)} == {"free"}
    assert "move it away" in events["file"].message
    assert names_in(place.runs / "folder") == ["f"]


@pytest.mark.parametrize("path", [b".remex/run.json", b".remex"])
def test_a_commit_with_our_own_folder_is_refused(place, repository, path):
    """A commit that holds .remex cannot be placed, and nothing is left behind."""
    base = repository.commit({"run.sbatch": SCRIPT})
    run = repository.commit({path: b"x"}, base["sha"])
    with pytest.raises(AgentError, match=r"\.remex"):
        place(base, ("r", run))
    assert names_in(place.runs) == [".remex"]


def test_a_tree_that_leaves_the_run_directory_is_refused(place, repository):
    """A tree made to write outside is refused, and nothing is written."""
    base = repository.commit({"run.sbatch": SCRIPT})
    blob = repository.git("hash-object", "-w", "--stdin", data=b"x")
    entry = b"100644 ..\0" + bytes.fromhex(blob)
    made = repository.git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", data=entry)
    sha = repository.git("commit-tree", made, "-p", base["sha"], "-m", "x")
    with pytest.raises(AgentError, match="path"):
        place(base, ("r", {"sha": sha, "parent": base["sha"], "tree": made, "meta": {}}))
    assert not (place.runs / "r").exists()


def test_a_commit_that_is_not_there_is_named(place, repository):
    """A missing commit stops the request with its sha."""
    base = repository.commit({"run.sbatch": SCRIPT})
    missing = {**base, "sha": "1" * 40}
    with pytest.raises(AgentError, match="1111"):
        place(base, ("r", missing))


def test_the_clone_is_not_touched(agent, repository, tmp_path):
    """Fetching from origin leaves HEAD, index, work tree, branches and FETCH_HEAD as they were."""
    base = repository.commit({"run.sbatch": SCRIPT, "a": b"1"})
    repository.git("update-ref", "refs/heads/main", base["sha"])
    clone = Repository(tmp_path / "clone")
    clone.git("remote", "add", "origin", str(repository.path))
    clone.git("fetch", "-q", "origin")
    clone.git("reset", "-q", "--hard", "origin/main")
    for hook in ("post-checkout", "reference-transaction", "post-merge"):
        path = clone.path / ".git" / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\ntouch hooked\nexit 1\n")
        path.chmod(0o755)
    (clone.path / ".git" / "index.lock").touch()
    (clone.path / "a").write_text("edited")
    (clone.path / ".git" / "FETCH_HEAD").unlink(missing_ok=True)
    run = repository.commit({"run.sbatch": SCRIPT, "a": b"2"}, base["sha"])
    repository.git("update-ref", "refs/heads/remex/x", run["sha"])
    before = _snapshot(clone)
    place = Place(agent, repository, tmp_path / "runs")
    source = Source("origin", run["sha"], "refs/heads/remex/x")
    assert place(base, ("r", run), clone=str(clone.path), source=source)["r"] == Placed("r")
    assert place.files("r")[b"a"] == (False, b"2")
    assert _snapshot(clone) == before
    later = repository.commit({"run.sbatch": SCRIPT, "a": b"3"}, run["sha"])
    repository.git("update-ref", "refs/heads/remex/x", later["sha"])
    source = Source("origin", later["sha"], "refs/heads/remex/x")
    assert place(base, ("s", later), clone=str(clone.path), source=source)["s"] == Placed("s")
    # the last batch's ref keeps the commits of all
    (kept,) = clone.git("for-each-ref", "refs/remex-placing").splitlines()
    assert kept.startswith(later["sha"])
    assert agent.ask(Tidy(str(clone.path), str(place.runs), "L", "T")) == []
    assert clone.git("for-each-ref", "refs/remex-placing") == ""


SETTINGS = {
    "color.ui": "always",
    "core.fsmonitor": "/bin/false",
    "core.hooksPath": "/bin",
    "core.logAllRefUpdates": "always",
    "core.quotePath": "false",
    "diff.external": "/bin/false",
    "diff.noprefix": "true",
    "diff.renames": "copies",
    "fetch.prune": "true",
    "fetch.pruneTags": "true",
    "fetch.recurseSubmodules": "true",
    "gc.auto": "1",
    "log.showSignature": "true",
    "maintenance.auto": "true",
    "remote.origin.prune": "true",
    "remote.origin.tagOpt": "--tags",
    "submodule.recurse": "true",
    "trace2.normalTarget": "true",
}
VARIABLES = {
    "GIT_ALTERNATE_OBJECT_DIRECTORIES": "/dev/null",
    "GIT_CEILING_DIRECTORIES": "/",
    "GIT_COMMON_DIR": "/dev/null",
    "GIT_CONFIG_COUNT": "nonsense",
    "GIT_CONFIG_PARAMETERS": "nonsense",
    "GIT_DIR": "/dev/null",
    "GIT_INDEX_FILE": "/dev/null",
    "GIT_NAMESPACE": "space",
    "GIT_OBJECT_DIRECTORY": "/dev/null",
    "GIT_QUARANTINE_PATH": "/dev/null",
    "GIT_SHALLOW_FILE": "/dev/null",
    "GIT_TRACE": "1",
    "GIT_TRACE2": "1",
    "GIT_WORK_TREE": "/",
}


@pytest.mark.parametrize("where", ["clone", "home", "variables"])
def test_the_clusters_git_settings(start_agent, repository, tmp_path, where):
    """Git's configuration and variables there do not change what is fetched or placed."""
    base = repository.commit({"run.sbatch": SCRIPT, "a": b"1", "gone": b"1"})
    run = repository.commit({"run.sbatch": SCRIPT, "\u00e4".encode(): b"1\n"}, base["sha"])
    repository.git("update-ref", "refs/heads/main", base["sha"])
    repository.git("update-ref", "refs/heads/remex/x", run["sha"])
    repository.git("tag", "-a", "theirs", base["sha"], "-m", "a tag")
    clone = Repository(tmp_path / "clone")
    clone.git("remote", "add", "origin", str(repository.path))
    clone.git("fetch", "-q", "--no-tags", "origin")
    clone.git("tag", "mine", "origin/main")
    clone.git("update-ref", "refs/remotes/origin/old", base["sha"])
    config = {"clone": clone.path / ".git/config"}.get(where, tmp_path / "gitconfig")
    for name, value in SETTINGS.items():
        command = ["git", "config", "--file", str(config), name, value]
        subprocess.run(command, check=True)
    variables = {"home": {"GIT_CONFIG_GLOBAL": str(config)}, "variables": VARIABLES}
    place = Place(start_agent(**variables.get(where, {})), repository, tmp_path / "runs")
    listing = ("for-each-ref", "--format=%(refname) %(objectname)")
    before = clone.git(*listing)
    source = Source("origin", run["sha"], "refs/heads/remex/x")
    assert place(base, ("r", run), clone=str(clone.path), source=source)["r"] == Placed("r")
    assert place.files("r") == {"\u00e4".encode(): (False, b"1\n"), b"run.sbatch": (False, SCRIPT)}
    added = set(clone.git(*listing).splitlines()) - set(before.splitlines())
    assert added == {f"refs/remex-placing/L/{run['sha'][:12]} {run['sha']}"}
    assert set(before.splitlines()) <= set(clone.git(*listing).splitlines())
    assert not list((clone.path / ".git/logs").rglob("L"))


def _snapshot(repository):
    folder = repository.path / ".git"
    return (
        repository.git("for-each-ref", "refs/heads", "refs/remotes", "refs/tags"),
        (folder / "HEAD").read_bytes(),
        (folder / "index").read_bytes(),
        names_in(folder),
        {path.name: path.read_bytes() for path in repository.path.iterdir() if path.is_file()},
    )


def test_commits_come_as_a_bundle(agent, repository, tmp_path):
    """A clone that cannot reach origin gets the commits with the request."""
    base = repository.commit({"run.sbatch": SCRIPT})
    clone = Repository(tmp_path / "clone")
    repository.git("update-ref", "refs/heads/main", base["sha"])
    clone.git("fetch", "-q", str(repository.path), "main:refs/heads/here")
    assert agent.ask(ListTips(str(clone.path))) == [Tips([base["sha"]])]
    run = repository.commit({"a": b"1"}, base["sha"])
    repository.git("update-ref", "refs/remex/x", run["sha"])
    bundle = subprocess.run(
        ["git", "-C", repository.path, "bundle", "create", "-q", "-", "refs/remex/x", "^main"],
        check=True, stdout=subprocess.PIPE,
    ).stdout  # fmt: skip
    data = base64.b64encode(bundle).decode()
    source = Source("bundle", run["sha"], "refs/remex/x", data)
    place = Place(agent, repository, tmp_path / "runs")
    assert place(base, ("r", run), clone=str(clone.path), source=source)["r"] == Placed("r")
    assert place.files("r") == {b"a": (False, b"1")}


def test_what_origin_does_not_give_is_an_error(agent, repository, tmp_path):
    """A ref that origin lacks is an error in git's words, without the token in the URL."""
    base = repository.commit({"run.sbatch": SCRIPT})
    clone = Repository(tmp_path / "clone")
    clone.git("remote", "add", "origin", "https://user:secret@127.0.0.1:1/x.git")
    place = Place(agent, repository, tmp_path / "runs")
    source = Source("origin", base["sha"], "refs/heads/none")
    with pytest.raises(AgentError, match="git fetch failed") as caught:
        place(base, ("r", base), clone=str(clone.path), source=source)
    assert "secret" not in str(caught.value)


def test_two_agents_place_the_same_launch(repository, tmp_path, start_agent):
    """Agents that place the same runs at the same time both end with all of them placed."""
    base = repository.commit({"run.sbatch": SCRIPT, **{f"f{n}": b"x" * 1000 for n in range(9)}})
    runs = [(f"r{n}", base) for n in range(200)]
    answers = []

    def work(agent):
        answers.append(Place(agent, repository, tmp_path / "runs")(base, *runs))

    threads = [threading.Thread(target=work, args=(start_agent(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 3
    for events in answers:
        assert set(events.values()) == {Placed(name) for name, _ in runs}
    assert len(names_in(tmp_path / "runs")) == 201


def test_a_killed_agent_leaves_no_half_run_directory(repository, tmp_path, start_agent):
    """When the agent is killed, a run directory is whole or absent; the next one finishes."""
    files = {f"d/f{number}": b"x" * 100 for number in range(20)}
    base = repository.commit({"run.sbatch": SCRIPT, **files})
    runs = [(f"r{number}", base) for number in range(300)]
    for seconds in (0.05, 0.15, 0.25, 0.4):
        agent = start_agent()
        timer = threading.Timer(seconds, agent.process.kill)
        timer.start()
        place = Place(agent, repository, tmp_path / "runs")
        with contextlib.suppress(pytest.fail.Exception, BrokenPipeError):
            place(base, *runs)
        timer.join()
        for name in names_in(place.runs):
            assert name == ".remex" or len(place.files(name)) == 21
    place = Place(start_agent(), repository, tmp_path / "runs")
    assert len(place(base, *runs)) == 300
    assert all(len(place.files(name)) == 21 for name, _ in runs)
    assert names_in(place.runs / ".remex" / "staging") == []


def test_shared_paths_are_linked_from_one_copy(place, repository):
    """Shared paths are links to a read-only copy, unless the run changes them."""
    files = {"run.sbatch": SCRIPT, "data/a": b"1", "data/sub/b": b"2", "bin": ("100755", b"3")}
    base = repository.commit(files)
    same = repository.commit({**files, "inlist": b"x"}, base["sha"])
    changed = repository.commit({**files, "data/sub/b": b"other"}, base["sha"])
    place(base, ("same", same), ("changed", changed), shared=["data", "bin", "data/sub"])
    assert (place.runs / "same" / "data").is_symlink()
    assert (place.runs / "same" / "data" / "sub" / "b").read_bytes() == b"2"
    assert (place.runs / "same" / "bin").resolve().stat().st_mode & 0o777 == 0o555
    assert not (place.runs / "changed" / "data").is_symlink()
    assert (place.runs / "changed" / "data" / "sub" / "b").read_bytes() == b"other"
    assert (place.runs / "changed" / "bin").is_symlink()
    copy = (place.runs / "same" / "data").resolve()
    assert copy.is_relative_to(place.runs / ".remex" / "base" / base["sha"])
    assert copy.stat().st_mode & 0o222 == 0


def test_what_is_left_out_is_not_placed(place, repository):
    """Files and folders that are left out are in no run directory; others of like names are."""
    files = {"run.sbatch": SCRIPT, "docs/a": b"1", "docs/sub/b": b"2", "docs2/c": b"3", "d": b"4"}
    base = repository.commit(files)
    commit = repository.commit({**files, "inlist": b"x"}, base["sha"])
    place(base, ("run", commit), left_out=["docs", "d", "docs2/other"])
    assert sorted(place.files("run")) == [b"docs2/c", b"inlist", b"run.sbatch"]


@pytest.mark.parametrize("path", ["nothing", "../x", "/etc", ""])
def test_a_shared_path_that_is_not_in_the_base_is_named(place, repository, path):
    """A shared path must be a file or folder of the base commit."""
    base = repository.commit({"run.sbatch": SCRIPT})
    with pytest.raises(AgentError, match="shared path"):
        place(base, ("r", base), shared=[path])


def test_a_full_disk_is_one_clear_error(place, repository, tmp_path):
    """When the file system is full the error says so, and the staging is cleaned."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "x", place.runs]
    if subprocess.run(mount, check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        base = repository.commit({"run.sbatch": SCRIPT, "big": b"x" * 200_000})
        with pytest.raises(AgentError, match="file system is full") as caught:
            place(base, *[(f"r{number}", base) for number in range(5)])
        assert caught.value.kind == "disk"
        assert names_in(place.runs / ".remex" / "staging") == []
    finally:
        subprocess.run(["umount", place.runs], check=True)


def test_a_runs_folder_for_many_users_stays_one(place, repository):
    """Files that all launches share have the runs folder's permissions."""
    place.runs.chmod(0o2770)
    base = repository.commit({"run.sbatch": SCRIPT, "data": b"1"})
    place(base, ("r", base), shared=["data"])
    for name in ("", "staging", "base"):
        assert (place.runs / ".remex" / name).stat().st_mode & 0o7777 == 0o2770


def test_fetches_at_the_same_time_do_not_fail(repository, tmp_path, start_agent):
    """Agents that fetch into one clone at once wait for each other's locks."""
    base = repository.commit({"run.sbatch": SCRIPT})
    clone = Repository(tmp_path / "clone")
    clone.git("remote", "add", "origin", str(repository.path))
    repository.git("update-ref", "refs/heads/remex/x", base["sha"])
    source = Source("origin", base["sha"], "refs/heads/remex/x")
    answers = []

    def work(agent, name):
        place = Place(agent, repository, tmp_path / "runs")
        fields = {"clone": str(clone.path), "source": source}
        answers.append(place(base, (name, base), **fields)[name])

    threads = [threading.Thread(target=work, args=(start_agent(), f"r{n}")) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) == {Placed(f"r{n}") for n in range(4)}
