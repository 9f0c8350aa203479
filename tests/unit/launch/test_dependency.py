"""The run that a run comes after, in the words of sbatch."""

from __future__ import annotations

from pytest_remex.launch.dependency import (
    Dependency,
    clusters_option,
    dependency_option,
    fits_array,
    waiting_key,
)
from pytest_remex.records.fields import UpstreamRun


def before(job, *, waits=True, in_pack=False, **changes):
    """Return what a run comes after: a job."""
    return Dependency(UpstreamRun("n", {}, "l", "c", f"run_{job}", job, **changes), waits, in_pack)


def test_completed_upstream():
    """A job that comes after one that has ended waits for nothing, and is grouped with any."""
    ended = before("7", waits=False)
    assert dependency_option([ended]) == waiting_key(ended) == ""
    assert dependency_option([ended, before("8")]) == "afterok:8"


def test_upstream_that_has_not_ended():
    """A job waits for the jobs of its upstreams: all to end well, or of packs just to end."""
    assert dependency_option([before("7"), before("8"), before("7")]) == "afterok:7:8"
    assert dependency_option([before("7", in_pack=True)]) == "afterany:7"


def test_array():
    """An array whose tasks come after the same tasks of one array waits task by task."""
    assert dependency_option([before("7_0"), before("7_1")]) == "aftercorr:7"
    assert fits_array([before("7_0"), before("7_1")])
    for other in (["7_0", "8_1"], ["7_1", "7_0"], ["7_0"]):
        assert not fits_array([before(job) for job in other])


def test_cluster():
    """A job goes to the cluster of the job that it waits for, if that was chosen by sbatch."""
    east = before("7;east")
    assert dependency_option([east]) == "afterok:7"
    assert clusters_option([east, before("8;east")]) == ["--clusters=east"]
    for others in ([before("7")], [before("7;east", waits=False)], [east, before("8;west")], []):
        assert clusters_option(others) == []


def test_check():
    """A job checks what it brings when it starts, and distinguishes copies from links."""
    assert before("7").to_check is None
    brings = before("7", brought={"to": "from", "b": "b"}, copied=("b",)).to_check
    assert brings is not None
    assert (brings.brought, brings.copied) == ({"to": "from", "b": "b"}, ["b"])
