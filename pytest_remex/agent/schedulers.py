"""Which scheduler a request means."""

from typing import Callable, Dict, NamedTuple

from . import cancel as slurm_cancel
from . import local
from . import query as slurm_query
from . import release as slurm_release
from . import submit as slurm_submit
from .faults import AgentError
from .wire import Request, Talk

Act = Callable[[Request, Talk], None]


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
    "local": Scheduler(local.submit, local.release, local.query, local.cancel),
}


def pick(request: Request) -> Scheduler:
    """Give the scheduler that a request names."""
    name = request.get("scheduler", "slurm")
    if name not in SCHEDULERS:
        raise AgentError("request", f"unknown scheduler {name!r}; use one of {sorted(SCHEDULERS)}")
    return SCHEDULERS[name]


def submit(request: Request, talk: Talk) -> None:
    """Submit the request's units, held."""
    pick(request).submit(request, talk)


def release(request: Request, talk: Talk) -> None:
    """Release the request's jobs."""
    pick(request).release(request, talk)


def query(request: Request, talk: Talk) -> None:
    """Tell the states of the request's runs."""
    pick(request).query(request, talk)


def cancel(request: Request, talk: Talk) -> None:
    """Cancel the request's jobs."""
    pick(request).cancel(request, talk)
