"""Runs the part of a sweep's body that stands before `yield`, and commits what it did."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from pytest_remex.body import Body
from pytest_remex.errors import RemexError
from pytest_remex.model import Experiment, Repo
from pytest_remex.modes.items import arguments, experiment_of, parameters_of, places_of, sweep_for
from pytest_remex.modes.outcomes import fail
from pytest_remex.modes.terminal import Terminal
from pytest_remex.repo.environment import without_git_variables
from pytest_remex.repo.git import Git
from pytest_remex.repo.workspace import Prepared, Workspaces


@contextmanager
def checkout(workspaces: Workspaces, repo: Repo, revision: str) -> Iterator[Path]:
    """Lend the scratch checkout of a base commit to one experiment."""
    with failing_plainly():
        scratch = workspaces.at(repo, revision).scratch
    yield scratch.lend()
    with failing_plainly():
        scratch.restore()


def prepare(
    item: pytest.Function,
    workspaces: Workspaces,
    inspect: Callable[[Experiment, Mapping[str, bytes]], None] | None = None,
) -> Prepared:
    """Run an experiment's patch and commit it; fails the item with what a user can mend.

    `inspect` is shown the patched checkout before it is taken away, and what its files were.
    """
    __tracebackhide__ = True
    body = body_of(item)
    with failing_plainly():
        workspace = workspaces.at(places_of(item)[0], sweep_for(item).branch)
        run_patch(body)
    body.close()
    experiment = experiment_of(item, workspace.scratch.path)
    look = partial(inspect, experiment) if inspect else None
    with failing_plainly():
        header = workspace.header()
        patch = workspace.scratch.take(look)
        return workspace.prepare(item.nodeid, experiment, parameters_of(item), header, patch)


def body_of(item: pytest.Function) -> Body:
    """Give the call of the sweep function, not yet begun."""
    call_arguments = arguments(item)
    return Body(lambda: item.obj(**call_arguments), sweep_for(item).name)


def run_patch(body: Body) -> None:
    """Run a body up to its `yield`; git that it starts acts on the checkout, not on a hook's."""
    __tracebackhide__ = True
    with without_git_variables():
        body.patch()


@contextmanager
def failing_plainly(session: pytest.Session | None = None) -> Iterator[None]:
    """Fail the item by message alone where the error is one that a user can mend.

    With the session, what concerns all items: it stops after this one.
    """
    __tracebackhide__ = True
    try:
        yield
    except RemexError as error:
        if session is not None:
            session.shouldstop = f"remex: {str(error).splitlines()[0]}"
        fail(str(error))


def warn(terminal: Terminal, repository: Git, prepared: Prepared) -> None:
    """Say once what a user may take for part of an experiment, and is not."""
    if edited := repository.edited:
        terminal.note(
            f"{_some(edited)}: uncommitted edits are not part of the experiments; commit them to "
            f"include them"
        )
    if prepared.ignored:
        terminal.note(
            f"{_some(prepared.ignored)}: written by the patch and ignored by .gitignore, so not "
            f"part of the experiments"
        )
    if prepared.leaving:
        links = [f"{_printable(path)} -> {_printable(to)}" for path, to in prepared.leaving]
        terminal.note(
            f"{_some(links)}: links that leave the checkout; they are committed as links, what "
            f"they point to is no part of the experiments, and a tracked one leads nowhere in the "
            f"checkout, so that no patch changes what is outside",
            about=repr([path for path, _ in prepared.leaving]),
        )


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""  # noqa: PLR2004 - enough for a line
    return ", ".join(names[:5]) + more
