"""Run directories on a test's cluster, and agents that submit and query them."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from pytest_remex.agent import folder
from pytest_remex.common.jobs import Job
from pytest_remex.common.parts import RunJob, WantedSubmission
from pytest_remex.common.protocol import (
    SLURM,
    Cancel,
    Event,
    Held,
    Query,
    Release,
    RunState,
    Submit,
)
from support.agents import Agent
from support.sites import Site
from support.slurm import SlurmJob

QUICK = 2.0
"""Seconds after which a hung sbatch is in doubt; a real one gets 180."""


class Launch:
    """Run directories on a cluster and the agents that submit them."""

    def __init__(self, site: Site, runs: Path) -> None:
        self.cluster, self.shims, self.runs = site.cluster, site.shims, runs
        self._agents: list[Agent] = []
        self._directories: dict[str, str] = {}
        runs.mkdir(parents=True)

    def agent(self, **manners: object) -> Agent:
        """Start an agent that finds the shims before the real programs.

        Its modules are compiled, which saves a tenth of a second; users' tests send the sources.
        """
        path = f"{self.shims.folder}:{self.cluster.environment['PATH']}"
        self._agents.append(
            Agent(modules=folder(), manners=manners, **self.cluster.variables, PATH=path)
        )
        return self._agents[-1]

    def close(self) -> None:
        """End what is left of the agents."""
        for agent in self._agents:
            agent.kill()

    def add(self, name: str, script: str = "#!/bin/sh\necho ran >> ran\n") -> WantedSubmission:
        """Make a run directory and return its submission."""
        path = self.runs / name
        (path / ".remex").mkdir(parents=True)
        (path / "run.sbatch").write_text(script)
        return WantedSubmission(name, [name], comment=f"remex:{name}")

    def request(
        self,
        *submissions: WantedSubmission,
        patience: float = QUICK,
        **options: Any,
    ) -> Submit:
        """Return the request that submits."""
        return Submit(
            str(self.runs), "L", "T", SLURM, list(submissions), patience=patience, **options
        )

    def submit(
        self,
        *submissions: WantedSubmission,
        agent: Agent | None = None,
        **options: Any,
    ) -> list[Event]:
        """Submit and return the events."""
        events = (agent or self.agent()).ask(self.request(*submissions, **options))
        for event in events:
            if isinstance(event, Held):
                self._directories.update({job: name for name, job in event.jobs.items()})
        return events

    def release(self, *jobs: str) -> list[Event]:
        """Release jobs and return the events; one that was not submitted here belongs to r."""
        return self.agent().ask(Release(str(self.runs), SLURM, self._runs_of(jobs)))

    def cancel(self, *jobs: str) -> list[Event]:
        """Cancel jobs and return the events; one that was not submitted here belongs to r."""
        return self.agent().ask(Cancel(str(self.runs), SLURM, self._runs_of(jobs)))

    def _runs_of(self, jobs: Iterable[str]) -> list[RunJob]:
        return [RunJob(self._directories.get(job, "r"), job) for job in jobs]

    def query(
        self,
        *runs: tuple[str, str],
        cancel_orphans: bool = False,
        certain: bool = False,
        released: Collection[str] = (),
        brief: bool = False,
    ) -> tuple[dict[str, Job], list[Event]]:
        """Ask for (directory, job) pairs; return the jobs by directory, and the other events.

        `released` are the directories whose job's release is recorded.
        """
        queried = [RunJob(name, job, name in released) for name, job in runs]
        request = Query(str(self.runs), SLURM, queried, cancel_orphans, certain, brief)
        events = self.agent().ask(request)
        states = [event for event in events if isinstance(event, RunState)]
        others: list[Event] = [event for event in events if not isinstance(event, RunState)]
        return {state.directory: state.job for state in states}, others

    def jobs(self, name: str) -> list[SlurmJob]:
        """List Slurm's jobs in a run directory."""
        return [job for job in self.cluster.jobs() if job.work_dir == self.runs / name]

    def noted(self, name: str) -> str:
        """Return the id that the run directory names."""
        return (self.runs / name / ".remex" / "job").read_text().strip()


def held(events: Iterable[Event]) -> str:
    """Return the job of the one held event."""
    (event,) = events
    assert isinstance(event, Held), event
    return event.job
