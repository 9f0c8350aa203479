"""Which scheduler a request means."""

from typing import Callable, Dict, NamedTuple

from pytest_remex.agent.errors import AgentError
from pytest_remex.agent.local import scheduler
from pytest_remex.agent.slurm import cancel as slurm_cancel
from pytest_remex.agent.slurm import query as slurm_query
from pytest_remex.agent.slurm import release as slurm_release
from pytest_remex.agent.slurm import submit as slurm_submit
from pytest_remex.agent.wire import Reply, Request

Act = Callable[[Request, Reply], None]


class Scheduler(NamedTuple):
    """What a scheduler can do; each takes a request and answers it."""

    submit: Act
    release: Act
    query: Act
    cancel: Act


SCHEDULERS: Dict[str, Scheduler] = {
    "slurm": Scheduler(
        slurm_submit.submit, slurm_release.release, slurm_query.query, slurm_cancel.cancel
    ),
    "local": Scheduler(scheduler.submit, scheduler.release, scheduler.query, scheduler.cancel),
}


def pick(request: Request) -> Scheduler:
    """Give the scheduler that a request names."""
    name = request.get("scheduler", "slurm")
    if name not in SCHEDULERS:
        raise AgentError("request", f"unknown scheduler {name!r}; use one of {sorted(SCHEDULERS)}")
    return SCHEDULERS[name]


def submit(request: Request, talk: Reply) -> None:
    """Submit the request's units, held."""
    pick(request).submit(request, talk)


def release(request: Request, talk: Reply) -> None:
    """Release the request's jobs."""
    pick(request).release(request, talk)


def query(request: Request, talk: Reply) -> None:
    """Tell the states of the request's runs."""
    pick(request).query(request, talk)


def cancel(request: Request, talk: Reply) -> None:
    """Cancel the request's jobs."""
    pick(request).cancel(request, talk)
