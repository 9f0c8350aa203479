"""A chain of three sweeps on a test's cluster; its jobs wait, fail, or write nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.launches import User

CHAIN = """\
from pytest_remex import sweep

def say(experiment, text):
    (experiment.path / "input").write_text(text + "\\n")

@sweep({"mass": [1, 2]}, fetch=["final.mod"])
def birth(experiment):
    say(experiment, f"birth {experiment.config['mass']}")
    run = yield
    run.record(size=(run.path / "final.mod").stat().st_size)

@sweep({"alpha": ALPHAS}, after=birth, script="evolve.sbatch", fetch=["final.mod"])
def evolve(experiment):
    say(experiment, f"evolve {experiment.config['alpha']}")
    experiment.upstream.bring("final.mod", "start.mod")
    run = yield
    before = (run.upstream.path / "final.mod").read_text()
    assert (run.path / "final.mod").read_text() == before + f"evolve {experiment.point['alpha']}\\n"

@sweep(after=evolve, fetch=["final.mod"])
def death(experiment):
    say(experiment, "death")
    experiment.upstream.bring("final.mod", "start.mod")
    run = yield
    first = (run.path / "final.mod").read_text().splitlines()[0]
    assert first == f"birth {experiment.point['mass']}"
"""
SCRIPT = """\
#!/bin/bash
#SBATCH --output=slurm.out
#SBATCH --time=5
@HEADER@set -eu
echo ran >>ran
while [ ! -e "@RUNS@/.go" ]; do sleep 0.1; done
if grep -q "birth 2" input && [ ! -e "@RUNS@/.fixed" ]; then
    case $(cat "@RUNS@/.how") in
        exit) exit 3;;
        empty) : >final.mod; exit 0;;
        nothing) exit 0;;
    esac
fi
cat start.mod input >final.mod 2>/dev/null || cp input final.mod
"""


def write_chain(user: User, alphas: str = "[1.8]", how: str = "exit") -> None:
    """Commit the scripts of the chain, and write sweeps.py.

    Args:
        user: The user.
        alphas: The values of the second sweep's parameter.
        how: What becomes of the jobs of mass 2: `exit`, `empty`, `nothing`, or `well`.

    """
    text = SCRIPT.replace("@RUNS@", str(user.project.runs))
    named = "#SBATCH --job-name=evolve\n"
    user.project.commit(
        {
            "input": "none\n",
            "run.sbatch": text.replace("@HEADER@", ""),
            "evolve.sbatch": text.replace("@HEADER@", named),
        }
    )
    (user.repository / "sweeps.py").write_text(CHAIN.replace("ALPHAS", alphas))
    (user.project.runs / ".how").write_text(how)


def let_jobs_continue(user: User) -> None:
    """Let the jobs continue."""
    (user.project.runs / ".go").touch()


def let_jobs_succeed(user: User) -> None:
    """Let the jobs of mass 2 end well from now on."""
    (user.project.runs / ".fixed").touch()


def runs_of(user: User, sweep: str) -> list[int]:
    """Return how often the job of each run directory of a sweep ran."""
    folders = [path for path in user.project.run_directories() if f"_{sweep}_" in path.name]
    notes = [path / "ran" for path in folders]
    return [note.read_text().count("ran\n") if note.exists() else 0 for note in notes]
