"""Run directories on a test's cluster, and agents that submit and query them."""

from support.agents import Agent

FIELDS = {"launch": "L", "token": "T", "scheduler": "slurm"}
QUICK = {"patience": 2}
"""Seconds after which a hung sbatch is in doubt; a real one gets 180."""


class Launch:
    """Run directories on a cluster and the agents that submit them."""

    def __init__(self, site, runs):
        self.cluster, self.shims, self.runs = site.cluster, site.shims, runs
        self._agents = []
        runs.mkdir(parents=True)

    def agent(self):
        """Start an agent that finds the shims before the real programs."""
        path = f"{self.shims.folder}:{self.cluster.environment['PATH']}"
        self._agents.append(Agent(**self.cluster.variables, PATH=path))
        return self._agents[-1]

    def close(self):
        """End what is left of the agents."""
        for agent in self._agents:
            if not agent.process.stdout.closed:
                agent.kill()

    def add(self, name, script="#!/bin/sh\necho ran >> ran\n"):
        """Make a run directory and give its unit."""
        path = self.runs / name
        (path / ".remex").mkdir(parents=True)
        (path / "run.sbatch").write_text(script)
        return {"key": name, "directories": [name], "comment": f"remex:{name}", "serial": 1}

    def submit(self, *units, agent=None, **options):
        """Submit and give all events but `waiting`."""
        agent = agent or self.agent()
        events = agent.ask(
            "submit", runs=str(self.runs), units=list(units), **FIELDS, **(QUICK | options)
        )
        return [one for one in events if one["event"] != "waiting"]

    def release(self, *jobs):
        """Release jobs and give the events."""
        fields = {"runs": str(self.runs), "jobs": list(jobs), "scheduler": "slurm"}
        return self.agent().ask("release", **fields)

    def query(self, *runs, sweep=False):
        """Ask for (directory, job) pairs; give the jobs by directory, and the other events."""
        asked = [{"directory": name, "job": job, "token": "T"} for name, job in runs]
        fields = {"runs": str(self.runs), "scheduler": "slurm", "sweep_strays": sweep}
        events = self.agent().ask("query", runs_to_query=asked, **fields)
        jobs = {one["directory"]: one["job"] for one in events if one["event"] == "job"}
        return jobs, [one for one in events if one["event"] != "job"]

    def jobs(self, name):
        """List Slurm's jobs in a run directory."""
        return [job for job in self.cluster.jobs() if job.work_dir == self.runs / name]

    def noted(self, name):
        """Give the id that the run directory names."""
        return (self.runs / name / ".remex" / "job").read_text().strip()


def held(events):
    """Give the job of the one held event."""
    (event,) = events
    assert event["event"] == "held", event
    return event["job"]
