"""Bring a launch's commits into the clone, under a ref of their own."""

import base64
import os
import random
import time

from pytest_remex.agent import fs
from pytest_remex.agent.errors import AgentError, full_disk_error
from pytest_remex.agent.place import git
from pytest_remex.agent.process import Ran
from pytest_remex.common.parts import Source

REFS = "refs/remex-placing"
"""Apart from `refs/remex`: the clone may be the user's own repository, whose refs stay for ever."""
TRIES = 6
_CONTENTION = (
    "cannot lock ref",
    ".lock': File exists",
    "shallow file has changed",
    "reference already exists",
)


def fetch(clone: str, launch: str, source: Source, scratch: str) -> None:
    """Fetch what `source` names, and make sure that it is the commit it says; `scratch` exists."""
    if source.kind != "here":
        git.check_clone(clone)
        ref = f"{REFS}/{launch}/{source.sha[:12]}"
        if _commit(clone, ref) != source.sha:
            _bring(clone, source, f"+{source.ref}:{ref}", scratch)
    if _commit(clone, source.sha) != source.sha:
        where = "origin" if source.kind == "origin" else clone
        message = f"commit {source.sha} is not in {clone} after the fetch; is it in {where}?"
        raise AgentError("git", message)


def forget(clone: str, launch: str) -> None:
    """Delete the launch's refs in the clone."""
    listed = git.ask(clone, "for-each-ref", "--format=delete %(refname)", f"{REFS}/{launch}")
    if listed.strip():
        git.ask(clone, "update-ref", "--stdin", text=listed)


def _bring(clone: str, source: Source, refspec: str, scratch: str) -> None:
    if source.kind == "origin":
        _checked(clone, _fetch(clone, "--refmap=", "origin", refspec))
        return
    path = os.path.join(scratch, fs.unique() + ".bundle")
    with open(path, "wb") as file:
        file.write(base64.b64decode(source.data))
    try:
        _checked(clone, _fetch(clone, path, refspec))
    finally:
        fs.remove(path)


def _fetch(clone: str, *words: str) -> Ran:
    options = ["--quiet", "--no-tags", "--no-prune", "--no-recurse-submodules"]
    if _version(clone) >= (2, 29):
        options.append("--no-write-fetch-head")
    for attempt in range(TRIES):
        ran = git.run(clone, "fetch", *options, *words)
        if ran.ok or not any(sign in ran.err for sign in _CONTENTION):
            break
        time.sleep(random.uniform(0.1, 0.3) * 2**attempt)  # noqa: S311 - spreads agents, keeps no secret
    return ran


def _checked(clone: str, ran: Ran) -> None:
    if ran.ok:
        return
    message = ran.message()
    full = full_disk_error(message, clone)
    if full is not None:
        raise full
    fix = "check that `git fetch origin` works there"
    if "prerequisite" in message:
        fix = f"run `git fetch origin` in {clone} so that it has the base commit"
    raise AgentError("git", f"git fetch failed in {clone}: {message}; {fix}")


def _commit(clone: str, name: str) -> str:
    return git.run(clone, "rev-parse", "--verify", "--quiet", name + "^{commit}").out.strip()


def _version(clone: str) -> "tuple[int, ...]":
    words = git.ask(clone, "version").split()
    return tuple(int(part) for part in words[2].split(".")[:2] if part.isdigit())
