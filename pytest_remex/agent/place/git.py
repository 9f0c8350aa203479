"""Run git in the clone, without changing its work tree, index, HEAD or branches.

A launch's commits are fetched into a ref of their own.
"""

import base64
import functools
import os
import random
import re
import shlex
import time
from typing import Dict, List, Optional

from pytest_remex.agent import fs, process
from pytest_remex.agent.errors import AgentError, missing_program, unwritable_error
from pytest_remex.agent.process import Ran
from pytest_remex.common.git import FIXED_VARIABLES, kept_variables, without_progress
from pytest_remex.common.parts import OVER_CONNECTION, Source
from pytest_remex.common.redact import redact

REFS = "refs/remex-placing"
"""Not `refs/remex`: the clone may be the user's own repository, whose refs there are permanent."""
TRIES = 6
_CONTENTION = (
    "cannot lock ref",
    ".lock': File exists",
    "shallow file has changed",
    "reference already exists",
)

_LOCK = re.compile(r"Unable to create '(?P<path>[^'\n]+\.lock)': File exists")
_PREFIX = 2
"""Digits of an object's id that name the folder that it is in."""
PATIENCE = 3600.0
"""Seconds for one git command."""
SILENCE = 600.0
"""Seconds without progress after which a fetch is ended; over a slow link it may take long."""
_SETTINGS = (
    "color.ui=false",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.logAllRefUpdates=false",
    "core.quotePath=true",
    "fetch.pruneTags=false",
    "fetch.recurseSubmodules=false",
    "fetch.unpackLimit=1",  # git reports no progress on a fetch that it unpacks
    "fetch.writeCommitGraph=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
)
"""Settings that override the configuration of the clone and of the user on the cluster."""
_ENVIRONMENT = dict(FIXED_VARIABLES, GIT_TERMINAL_PROMPT="0")


class CloneError(AgentError):
    """The clone cannot be used: what was found, and the fix."""

    def __init__(self, kind: str, found: str, fix: str) -> None:
        super().__init__(kind, f"{found}; {fix}")
        self.found = found
        self.fix = fix


def environment() -> Dict[str, str]:
    """Return the environment for git: no prompts, messages in English, no replacement objects."""
    return dict(kept_variables(os.environ), **_ENVIRONMENT)


def command(clone: str, *words: str) -> List[str]:
    """Build a git command for the clone."""
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    return ["git", "--no-pager", "-C", clone, *settings, *words]


def run(clone: str, *words: str, text: str = "") -> process.Ran:
    """Run git in the clone."""
    return process.run(command(clone, *words), timeout=PATIENCE, env=environment(), text=text)


def ask(clone: str, *words: str, text: str = "") -> str:
    """Run git in the clone and return its output; an error of kind git if it fails."""
    ran = run(clone, *words, text=text)
    if not ran.ok:
        message = ran.message()
        error = AgentError("git", f"git {words[0]} failed in {clone}: {message}")
        raise unwritable_error(message, clone) or locked_error(message, clone) or error
    return ran.out


def locked_error(message: str, clone: str) -> Optional[AgentError]:
    """Return an error with the fix if git says that a lock is in its way."""
    found = _LOCK.search(message)
    if found is None:
        return None
    path = found["path"]
    what = f"{path} exists: git runs in {clone}, or was killed there and left it behind"
    fix = f"once no git runs there any more, remove it on the cluster: rm {shlex.quote(path)}"
    return AgentError("git", f"{what}; {fix}, and run the same command again")


def check_clone(clone: str, *, local: bool = False) -> None:
    """Raise a `CloneError` if the folder is not a git repository that git can use."""
    make = f"clone the repository there first: git clone <address of origin> {shlex.quote(clone)}"
    if not os.path.isdir(clone):
        raise CloneError("clone", f"the clone {clone} does not exist", make)
    ran = run(clone, "rev-parse", "--git-dir")
    if ran.code == process.MISSING:
        raise CloneError("git", *missing_program("git", local=local))
    if "dubious ownership" in ran.err:
        what = f"{clone} belongs to another user, so git refuses to use it"
        where = "here" if local else "on the cluster"
        trust = f"git config --global --add safe.directory {shlex.quote(clone)}"
        raise CloneError("clone", what, f"if you trust that user, run {where}: {trust}")
    if "not a git repository" in ran.err:
        raise CloneError("clone", f"{clone} is not a git repository: {ran.message()}", make)
    if not ran.ok:
        what = f"git cannot use the clone {clone}: {ran.message()}"
        raise CloneError("git", what, "correct that there first")
    if len(ran.out.splitlines()) > 1:
        what = f"git there prints more than its answer ({ran.out.splitlines()[0]!r:.80})"
        raise CloneError("git", what, "let what is around it write to stderr")


def unwritable_folder(clone: str) -> str:
    """Return a folder of the clone that a fetch may write to and this user cannot; else nothing."""
    words = ("rev-parse", "--git-path", "objects", "--git-path", "refs")
    objects, refs = (os.path.join(clone, line) for line in ask(clone, *words).splitlines())
    inside = [os.path.join(objects, name) for name in fs.listing(objects) if len(name) == _PREFIX]
    for folder in [objects, refs, os.path.join(objects, "pack"), *sorted(inside)]:
        if os.path.isdir(folder) and not os.access(folder, os.W_OK | os.X_OK):
            return folder
    return ""


def tips(clone: str) -> List[str]:
    """Return the commits that the clone's refs and HEAD point to."""
    listed = ask(
        clone,
        "for-each-ref",
        "--format=%(objectname)^{commit}",
        *("refs/heads", "refs/remotes", "refs/tags"),
    )
    named = ask(clone, "cat-file", "--batch-check=%(objectname)", text=listed + "HEAD\n")
    return sorted({line for line in named.splitlines() if not line.endswith(" missing")})


def fetch(clone: str, launch: str, source: Source, scratch: str) -> None:
    """Fetch from `source` and check that the clone has its commit; `scratch` is for bundles."""
    if source.kind != "here":
        check_clone(clone)
        ref = f"{REFS}/{launch}/{source.sha[:12]}"
        if _commit(clone, ref) != source.sha:
            _bring(clone, source, f"+{source.ref}:{ref}", scratch)
            _forget_older(clone, launch, ref)
    if _commit(clone, source.sha) != source.sha:
        where = "origin" if source.kind == "origin" else clone
        message = f"commit {source.sha} is not in {clone} after the fetch; is it in {where}?"
        raise AgentError("git", message)


def forget(clone: str, launch: str) -> None:
    """Delete the launch's refs in the clone."""
    listed = ask(clone, "for-each-ref", "--format=delete %(refname)", f"{REFS}/{launch}")
    if listed.strip():
        ask(clone, "update-ref", "--stdin", text=listed)


def _forget_older(clone: str, launch: str, newest: str) -> None:
    """Delete the refs of a launch's earlier batches, which its newest commit descends from.

    With all of them, each fetch took longer than the last one: git looks at what refs reach.
    """
    listed = ask(clone, "for-each-ref", "--format=%(refname)", f"{REFS}/{launch}").split()
    text = "".join(f"delete {ref}\n" for ref in listed if ref != newest)
    if text:
        run(clone, "update-ref", "--stdin", text=text)  # another agent may have been faster


def _bring(clone: str, source: Source, refspec: str, scratch: str) -> None:
    if source.kind == "origin":
        ran = _fetch(clone, "--refmap=", "origin", refspec)
        if "find remote ref" in ran.err:
            raise AgentError("git", _not_on_origin(clone, source))
        _checked(clone, ran)
        return
    path = os.path.join(scratch, fs.unique() + ".bundle")
    with open(path, "wb") as file:
        file.write(base64.b64decode(source.data))
    try:
        _checked(clone, _fetch(clone, path, refspec))
    finally:
        fs.remove(path)


def _not_on_origin(clone: str, source: Source) -> str:
    theirs = redact(ask(clone, "remote", "get-url", "origin").strip())
    if theirs == source.address:
        return (
            f"{source.ref} was pushed to {theirs}, but {clone} does not find it there: a hook or "
            f"a setting of that repository hides or removes it; {OVER_CONNECTION}"
        )
    change = f"git -C {shlex.quote(clone)} remote set-url origin ..."
    return (
        f"{source.ref} was pushed to {source.address}, but it is not on the origin of {clone}, "
        f"which is {theirs}. If these are two repositories, run `{change}` on the cluster, or "
        f"{OVER_CONNECTION}"
    )


def _fetch(clone: str, *words: str) -> Ran:
    options = ["--progress", "--no-tags", "--no-prune", "--no-recurse-submodules"]
    if _version(clone) >= (2, 29):
        options.append("--no-write-fetch-head")
    for attempt in range(TRIES):
        line = command(clone, "fetch", *options, *words)
        ran = process.run(line, timeout=SILENCE, env=environment(), renewed=True)
        ran = ran._replace(err=without_progress(ran.err))
        if ran.ok or not any(sign in ran.err for sign in _CONTENTION):
            break
        time.sleep(random.uniform(0.1, 0.3) * 2**attempt)  # noqa: S311 - jitter, not a secret
    return ran


def _checked(clone: str, ran: Ran) -> None:
    if ran.ok:
        return
    message = ran.message()
    known = unwritable_error(message, clone) or locked_error(message, clone)
    if known is not None:
        raise known
    fix = "check that `git fetch origin` works in it"
    if "prerequisite" in message:
        fix = f"run `git fetch origin` in {clone} so that it has the base commit"
    raise AgentError("git", f"git fetch failed in {clone}: {message}; {fix}")


def _commit(clone: str, name: str) -> str:
    return run(clone, "rev-parse", "--verify", "--quiet", name + "^{commit}").out.strip()


@functools.lru_cache(maxsize=None)
def _version(clone: str) -> "tuple[int, ...]":
    words = ask(clone, "version").split()
    return tuple(int(part) for part in words[2].split(".")[:2] if part.isdigit())
