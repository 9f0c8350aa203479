"""The same grid on two versions of the code, and the commit between them, on a real Slurm."""

from __future__ import annotations

from support.launches import script
from support.projects import git

POLL = ("--remex-wait", "-o", "remex_poll=1")


def test_two_versions_and_the_commit_between(user):
    """Both versions are sent at once, what differs fails, and the search names the commit."""
    git(user.repository, "tag", "v1.2")
    for number in (1, 2, 3, 4):
        text = script().replace("2 2e9", "2 2.04e9") if number > 2 else script()
        subject = "Use another table" if number == 3 else f"change {number}"
        user.project.commit({"run.sbatch": text, "src.txt": f"{number}\n"}, subject)
    against = "--remex-against=v1.2"
    assert user.submit(against).text.count(" SUBMITTED ") == 6
    assert user.submit(against).text.count(" ALREADY SUBMITTED ") == 6
    collected = user.collect(against)
    assert collected.code == 1, collected.text
    assert collected.text.count("age 2.04e9, on v1.2 2.00e9 (+2.0 %, allowed 1e-9)") >= 3
    assert "3 experiments compared with v1.2: 3 differ, 0 do not" in collected
    user.collect().succeeded()
    found = user.pytest("--remex-bisect=v1.2..main", "-k", "2.0", *POLL).succeeded()
    assert " Use another table (" in found, found.text
    assert "age 2.04e9, on " in found
    assert "3 experiments submitted" in found  # both ends have run already
