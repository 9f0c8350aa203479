"""The name of every file that the agent keeps, in one place.

`<runs>/.remex/` belongs to all launches, `<run directory>/.remex/` to one run.
"""

import os

KEEP = ".remex"
SUBMIT = "submit-"


def keep(folder: str) -> str:
    """Name the agent's own folder in a runs folder or a run directory."""
    return os.path.join(folder, KEEP)


def staging(runs: str, token: str) -> str:
    """Name the folder where a launch's run directories are built."""
    return os.path.join(runs, KEEP, "staging", token)


def base(runs: str, sha: str) -> str:
    """Name the read-only copy of a base commit's shared paths."""
    return os.path.join(runs, KEEP, "base", sha)


def arrays(runs: str) -> str:
    """Name the folder that holds those of units of many runs."""
    return os.path.join(runs, KEEP, "arrays", "")


def array(runs: str, launch: str, key: str) -> str:
    """Name the folder that a unit of many runs starts in."""
    return os.path.join(arrays(runs), f"{launch}-{key}")


def local(runs: str) -> str:
    """Name the local scheduler's folder."""
    return os.path.join(runs, KEEP, "local")


def cancelled(arrays: str, job: str) -> str:
    """Name the file that says that a task of a job array was cancelled."""
    return os.path.join(arrays, ".cancelled", job)


def run_json(run: str) -> str:
    """Name the file that says whose a run directory is, and what runs there."""
    return os.path.join(run, KEEP, "run.json")


def job(run: str) -> str:
    """Name the file that holds the id of a run's newest job."""
    return os.path.join(run, KEEP, "job")


def pack(run: str) -> str:
    """Name the file that says which pack a run belongs to."""
    return os.path.join(run, KEEP, "pack")


def exit_code(run: str) -> str:
    """Name the file where a job may leave its exit code."""
    return os.path.join(run, KEEP, "exit")


def state(run: str) -> str:
    """Name the file that remembers a final state once it was seen."""
    return os.path.join(run, KEEP, "state.json")


def attempt(home: str, serial: int, number: int) -> str:
    """Name the note of one attempt to submit, which also takes what sbatch prints."""
    return os.path.join(home, f"{SUBMIT}{serial}.{number}")


def adopted(home: str, serial: int) -> str:
    """Name the file that settles which job a submission became."""
    return os.path.join(home, f"{SUBMIT}{serial}.job")
