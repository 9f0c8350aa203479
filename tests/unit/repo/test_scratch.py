"""The scratch checkout between two patches."""

import os
import shutil

import pytest

from pytest_remex.errors import SweepError
from pytest_remex.repo.scratch import Scratch
from pytest_remex.repo.trees import listing

SCRIPT = "jobs/run.sbatch"


@pytest.fixture
def scratch(repository):
    """Return a checkout of some files, two of them in a folder."""
    base = repository.commit(inlist="mass = 1\n", **{SCRIPT: "#!/bin/sh\n", "jobs/data": "1"})
    made = Scratch(repository.client, base, dict(listing(repository.client, base)))
    yield made
    made.close()


def below(folder):
    """Return the files below a folder with their bytes, without git's own."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".git"
    }


def test_script_as_in_the_base(scratch):
    """A script that the patch does not touch is the base's; one that it writes is read."""
    path = scratch.checkout() / SCRIPT
    assert scratch.read(SCRIPT) == b"#!/bin/sh\n"
    status = path.stat()
    path.write_text("#!/bin/zh\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert scratch.read(SCRIPT) == b"#!/bin/zh\n"
    path.unlink()
    assert scratch.read(SCRIPT) is None


def test_script_in_a_folder_that_was_moved_out(scratch, tmp_path_factory):
    """A script is not read through a link, even if it is the very file of the base."""
    outside = tmp_path_factory.mktemp("outside") / "jobs"
    folder = scratch.checkout() / "jobs"
    shutil.move(folder, outside)
    folder.symlink_to(outside)
    with pytest.raises(SweepError, match="a link that leaves the checkout"):
        scratch.read(SCRIPT)


def test_what_an_inspection_adds_is_removed(scratch):
    """A file that an inspection writes beside a changed one is removed with the patch."""
    before = below(scratch.path)
    for number in range(3):
        (scratch.checkout() / "inlist").write_text(f"mass = {number + 2}\n")
        patch = scratch.take(lambda *_: (scratch.path / "plot.png").touch())
        assert [edit.path for edit in patch.edits] == [b"inlist"]
        assert below(scratch.path) == before


def test_an_inspection_meets_no_link_out(scratch, tmp_path_factory):
    """Links that leave the checkout are committed, and are gone when the patch is inspected."""
    outside = tmp_path_factory.mktemp("outside")
    path = scratch.checkout()
    (path / "inlist").unlink()
    (path / "inlist").symlink_to(outside / "inlist")
    (path / "logs").symlink_to(outside)
    (path / "within").symlink_to("jobs")
    links = []
    patch = scratch.take(
        lambda *_: links.extend(each.name for each in path.iterdir() if each.is_symlink())
    )
    assert [edit.path for edit in patch.edits] == [b"inlist", b"logs", b"within"]
    assert links == ["within"]


def test_folder_is_known_after_each_patch(scratch):
    """A new file is noticed in the next patch too, after one that changed a file beside it."""
    for name in ("a", "b"):
        (scratch.checkout() / "jobs/data").unlink()
        (scratch.path / "jobs/data").write_text("2")
        (scratch.path / "jobs" / name).touch()
        edits = [edit.path for edit in scratch.take().edits]
        assert edits == [b"jobs/" + name.encode(), b"jobs/data"]
        (scratch.checkout() / "jobs/data").write_text("3")
        assert [edit.path for edit in scratch.take().edits] == [b"jobs/data"]
