"""Faults of cluster, origin or clone: one plain message, a fix, nothing is lost."""

from __future__ import annotations

import subprocess

import pytest
from support.invariants import Snapshot, assert_clean, assert_once, jobs_below
from support.projects import git
from support.proxy import Proxy
from support.sshd import HOST

TOKEN = "ghp_secret0token"  # noqa: S105 - it opens nothing


@pytest.fixture
def fixed(user, cluster):
    """Return a function that submits after the fix, and asserts that nothing was lost or left."""
    before = Snapshot.of(user.repository)

    def fixed(count=3):
        user.submit()
        assert_once(user, cluster, count)
        assert_clean(user, before)

    return fixed


def _submit_badly(user, *words):
    done = _connect_badly(user, *words)
    assert "2 experiments were prepared and not submitted" in done
    return done


def _connect_badly(user, *words):
    """Submit to what cannot be asked: nothing is prepared then."""
    done = user.pytest("--remex-submit").failed(*words)
    assert done.text.count("\nnot submitted:") == 1, done.text
    return done


def _says_why(user, words):
    """Status says of all experiments that nothing was submitted, and why."""
    reasons = [row["reason"] for row in user.states().values()]
    assert len(reasons) == 3
    assert all(each.startswith(f"not submitted: {words}") for each in reasons), reasons
    assert all("run --remex-submit again" in each for each in reasons)


def test_no_origin(user, fixed):
    """Without a remote called origin the message names the repository and both ways out."""
    git(user.repository, "remote", "rename", "--no-progress", "origin", "elsewhere")
    _submit_badly(user, str(user.repository), "git remote add origin", "via='connection'")
    assert not list(user.repository.glob("remex-output/launches/*.jsonl"))
    add = f"fix: git -C {user.repository} remote add origin"
    user.pytest("--remex-doctor").failed("has no remote called origin", add)
    git(user.repository, "remote", "rename", "--no-progress", "elsewhere", "origin")
    fixed()


def test_origin_cannot_be_pushed_to(user, fixed):
    """A push that does not reach origin is not said to be refused, and what to check is named."""
    git(user.repository, "remote", "set-url", "--push", "origin", "http://127.0.0.1:1/x.git")
    done = _submit_badly(user, "to origin (http://127.0.0.1:1/x.git) failed: fatal: ")
    assert "check `git push --dry-run origin HEAD:refs/heads/remex/" in done
    git(user.repository, "config", "--unset", "remote.origin.pushurl")
    fixed()


def test_origin_refuses(user, fixed):
    """An origin whose pre-receive hook refuses the push is quoted."""
    hook = user.project.origin / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'only release branches here' >&2\nexit 1\n")
    hook.chmod(0o755)
    _submit_badly(user, "only release branches here", str(user.project.origin), "refused the push")
    _says_why(user, f"origin ({user.project.origin}) refused the push of remex/")
    hook.unlink()
    fixed()


def test_two_origins(user, fixed, tmp_path):
    """If the clone's origin is a fork, both are named, and each of the fixes works."""
    fork = tmp_path / "fork.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(user.project.origin), str(fork))
    git(user.project.clone, "remote", "set-url", "origin", str(fork))
    _submit_badly(user, str(fork), f"pushed to {user.project.origin}", "remote set-url origin")
    _says_why(user, "cluster: refs/heads/remex/")
    git(user.project.clone, "remote", "set-url", "origin", str(user.project.origin))
    fixed()


def test_token_in_origin(user, fixed, tmp_path):
    """A token in origin's address is in no message, record, report or output."""
    address = git(user.repository, "remote", "get-url", "origin")
    git(user.repository, "remote", "set-url", "origin", f"https://me:{TOKEN}@127.0.0.1:1/star.git")
    done = _submit_badly(user, "https://***@127.0.0.1:1/star.git")
    assert TOKEN not in done
    git(user.repository, "remote", "set-url", "origin", address)
    git(user.project.clone, "remote", "set-url", "origin", f"https://me:{TOKEN}@127.0.0.1:1/s.git")
    done = _submit_badly(user, "127.0.0.1:1/s.git")
    assert TOKEN not in done
    git(user.project.clone, "remote", "set-url", "origin", str(user.project.origin))
    fixed()
    user.collect().succeeded()
    kept = [path for path in user.output.rglob("*") if path.is_file()]
    kept += [path for path in user.project.runs.rglob("*") if path.is_file()]
    assert not [path for path in kept if TOKEN.encode() in path.read_bytes()]


def test_unknown_host(user):
    """A host name that cannot be resolved is named."""
    user.ini(remex_host="cluster.invalid")
    _connect_badly(user, "cluster.invalid")


def test_host_keys(user, sshd, home, fixed):
    """An unknown host key and a changed one are refused in different words."""
    known = home / ".ssh" / "known_hosts"
    right = known.read_text()
    known.write_text("")
    unknown = _connect_badly(user, "known_hosts")
    sshd.client(home)
    other = sshd.key.with_suffix(".pub").read_text().split()[1]
    known.write_text(right.rsplit(" ", 1)[0] + f" {other}\n")
    changed = _connect_badly(user, "has CHANGED")
    assert "CHANGED" not in unknown
    assert "ssh-keygen -R" in changed
    known.write_text(right)
    fixed()


@pytest.mark.parametrize(
    ("key", "fix"),
    [("clone", "clone the repository"), ("runs", "mkdir -p")],
    ids=["clone", "runs"],
)
def test_missing_folder(user, fixed, key, fix):
    """A clone or runs folder that is not there is named, with the command that makes it."""
    place = getattr(user.project, key)
    aside = place.with_suffix(".aside")
    place.rename(aside)
    _submit_badly(user, str(place), fix)
    aside.rename(place)
    fixed()


def test_runs_folder_not_writable(user, fixed):
    """A runs folder on a read-only place is refused by name."""
    user.ini(remex_runs="/proc/sys")
    _submit_badly(user, "/proc/sys", "not writable")
    user.ini()
    fixed()


def test_missing_python(user, shims, fixed):
    """A login node without python3 is reported."""
    shims.missing("python3")
    _connect_badly(user, "python3", "3.6")
    shims.remove()
    fixed()


def test_missing_rsync(user, cluster, shims):
    """Without rsync on the cluster, outputs are fetched all the same, with one message."""
    shims.missing("rsync")
    assert "files are copied through the agent" in user.pytest("--remex-doctor").succeeded()
    user.submit()
    cluster.wait()
    collect = user.collect().succeeded()
    assert collect.text.count("files are copied through the agent") == 1
    assert collect.text.count(" PASSED ") == 3


def test_garbage_collected(user, cluster, fixed):
    """`git gc --prune=now` in all three repositories between launch and collect loses nothing."""
    user.submit()
    commits = [event["commit"] for event in user.events() if event.get("state") == "RELEASED"]
    for place in (user.repository, user.project.origin, user.project.clone):
        git(place, "gc", "--quiet", "--prune=now")
    cluster.wait()
    user.collect().succeeded()
    assert [git(user.repository, "cat-file", "-t", sha) for sha in commits] == ["commit"] * 3


@pytest.mark.parametrize("place", ["repository", "clone"])
def test_stale_locks(user, cluster, place):
    """Locks that a crashed git left on index, HEAD and config do no harm."""
    folder = getattr(user.project, place) / ".git"
    locks = [folder / "index.lock", folder / "HEAD.lock", folder / "config.lock"]
    for lock in locks:
        lock.touch()
    user.submit()
    assert all(lock.exists() for lock in locks)
    assert_once(user, cluster, 3)


def test_stale_ref_lock(user, fixed):
    """A lock on the clone's packed refs is named; after its removal the launch continues."""
    lock = user.project.clone / ".git" / "packed-refs.lock"
    lock.touch()
    done = user.pytest("--remex-submit").without_traceback()
    assert done.code == 0 or "packed-refs.lock" in done
    lock.unlink()
    fixed()


def test_host_without_places(user):
    """A host without a clone or runs folder is refused before anything is done."""
    text = (user.repository / "pytest.ini").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("remex_runs")]
    (user.repository / "pytest.ini").write_text("\n".join(lines))
    user.pytest("--remex-submit").failed(f"remex_host = {HOST}", "remex_runs")


def test_hostile_text(user, cluster, tmp_path):
    """Shell text in parameters, ids and paths runs nothing, and comes back as it was."""
    runs = tmp_path / "cluster" / "runs $(touch owned); 'x'"
    runs.mkdir()
    user.ini(remex_runs=str(runs))
    sweep = (user.repository / "sweeps.py").read_text()
    values = [
        "$(touch owned)",
        "`touch owned`",
        "; touch owned #",
        "-x",
        "../up",
        "a\"'b",
        "\u00e9\n",
    ]
    (user.repository / "sweeps.py").write_text(
        sweep.replace('{"initial_mass": [1.0, 2.0, 3.0]}', f'{{"text": {values!r}}}')
        .replace(
            'patch_inlist(experiment.path / "inlist_project", experiment.config)',
            '(experiment.path / "text").write_text(experiment.config["text"])',
        )
        .replace('    config_file="inlist_project",\n', "")
    )
    submit = user.pytest("--remex-submit").succeeded()
    cluster.wait()
    user.collect().succeeded()
    assert not list(tmp_path.rglob("owned")), submit.text
    assert sorted(path.read_text() for path in runs.glob("*/text")) == sorted(values)


def test_origin_refuses_and_the_connection_takes_over(user, cluster):
    """If origin refuses the push, the fix that the message names works: the ini key remex_via."""
    hook = user.project.origin / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    _submit_badly(user, "refused the push", "remex_via = connection", "via='connection'")
    user.ini(remex_via="connection")
    user.submit()
    assert_once(user, cluster, 3)


def test_a_link_to_another_file_system(user, fixed, disk):
    """If .remex of the runs folder is on another file system, the named fix works."""
    link = user.project.runs / ".remex"
    (disk.folder / "records").mkdir()
    link.symlink_to(disk.folder / "records")
    words = f"{link} is on another file system than {user.project.runs}"
    _submit_badly(user, words)
    assert not list(user.repository.glob("remex-output/launches/*.jsonl"))
    assert not list((disk.folder / "records").iterdir())
    doctor = user.pytest("--remex-doctor").failed(words)
    fix = next(line for line in doctor.text.splitlines() if f"fix: rm {link}" in line)
    subprocess.run(["/bin/sh", "-c", fix.partition("fix: ")[2]], check=False)
    fixed()


def test_a_mount_in_the_runs_folder(user, cluster, disk):
    """If a file system is mounted at .remex, another runs folder is named as the fix, and works."""
    mounted = user.project.runs / ".remex"
    mounted.mkdir()
    subprocess.run(["mount", "-n", "--bind", str(disk.folder), str(mounted)], check=True)
    try:
        words = f"{mounted} is on another file system than {user.project.runs}"
        _submit_badly(user, words)
        doctor = user.pytest("--remex-doctor").failed(words)
        assert "fix: choose another one" in doctor.text
    finally:
        subprocess.run(["umount", "-n", str(mounted)], check=True)
    another = user.project.runs.with_name("another")
    another.mkdir()
    user.ini(remex_runs=str(another))
    user.submit()
    assert len(jobs_below(cluster, another)) == 3


def test_a_frozen_link_to_origin(user, sshd, home, fixed):
    """A push over a link that goes silent is ended; the same command continues."""
    url = f"ssh://{HOST}{user.project.origin}"
    conftest = user.repository / "conftest.py"
    conftest.write_text("from pytest_remex.repo import git_process\n\ngit_process.SILENCE = 4\n")
    with Proxy(sshd.port) as proxy:
        through = f"ssh -F {home}/.ssh/config -o Port={proxy.port} -o StrictHostKeyChecking=no"
        git(user.repository, "config", "core.sshCommand", through)
        git(user.repository, "remote", "set-url", "--push", "origin", url)
        proxy.freeze_after(2500)
        _submit_badly(user, f"to origin ({url}) failed: ", "origin did not answer for 4 s")
        _says_why(user, "the push of remex/")
        proxy.cut()
        proxy.thaw()
        user.submit()
    conftest.unlink()
    git(user.repository, "config", "--unset", "core.sshCommand")
    git(user.repository, "config", "--unset", "remote.origin.pushurl")
    fixed()
