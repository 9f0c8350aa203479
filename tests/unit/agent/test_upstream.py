"""Brought files are in the run directory, wherever links there lead."""

import pytest

from pytest_remex.agent import upstream
from pytest_remex.agent.errors import UnreadableError
from pytest_remex.agent.submissions import LocatedSubmission
from pytest_remex.common.parts import HeaderOptions, UpstreamFiles


def submission(runs, **brought):
    """Return the submission of the run `second`, which brings files of `first`."""
    header = HeaderOptions()
    return LocatedSubmission(
        key="second", runs=str(runs), notes=str(runs), folder=str(runs / "second"),
        directories=["second"], array=None, pack=None, comment="", job_number=0, environment={},
        header=header, in_doubt=False, options=[], scripts={}, dependency="",
        upstreams={"second": UpstreamFiles("first", brought)}, tasks=[], asked={},
    )  # fmt: skip


@pytest.fixture
def runs(tmp_path):
    """Return a runs folder with two run directories."""
    for name in ("first", "second"):
        (tmp_path / "runs" / name / ".remex").mkdir(parents=True)
    (tmp_path / "runs/first/final.mod").write_text("a star")
    return tmp_path / "runs"


def test_a_link_below_a_new_folder(runs):
    """A file is brought by a relative link, and the folder is made for it."""
    upstream.prepare(submission(runs, **{"models/start.mod": "final.mod"}))
    link = runs / "second/models/start.mod"
    assert link.read_text() == "a star"
    assert not link.readlink().is_absolute()


@pytest.mark.parametrize("target", ["data/start.mod", "data/models/start.mod"])
def test_no_link_outside_the_run_directory(runs, tmp_path, target):
    """A folder that is shared with other runs by a link gets nothing; the path is named."""
    shared = tmp_path / "shared"
    shared.mkdir()
    (runs / "second/data").symlink_to(shared)
    with pytest.raises(UnreadableError, match=r"second/data.*leads out of the run directory"):
        upstream.prepare(submission(runs, **{target: "final.mod"}))
    assert list(shared.iterdir()) == []
