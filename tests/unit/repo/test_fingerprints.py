"""Fingerprints, compared with trees that git itself writes."""

import os
import subprocess

import pytest

from pytest_remex.errors import RepositoryError, SweepError
from pytest_remex.repo.identity import Footprint, differing, read_input_tree
from pytest_remex.repo.inputs import Inputs
from pytest_remex.repo.scratch import Scratch
from pytest_remex.repo.trees import Edit, listing
from pytest_remex.repo.workspace import Workspace

SCRIPT = "#!/bin/sh\n#SBATCH -n 4\n#SBATCH --time=10 --mem=8G\nsrun ./star\n"
PLAIN = "#!/bin/sh\n#SBATCH -n 4\nsrun ./star\n"
FILES = {
    "run.sbatch": SCRIPT, "src/eos.f90": "eos\n", "src/deep/er/atm.f90": "atm\n", "inlist": "m\n",
    "README.md": "read\n", "docs/a/b.txt": "doc\n", "sweeps.py": "1\n", "grids/mass_sweep.py": "",
    "grids/helper.py": "2\n", "src/conftest.py": "", "pytest.ini": "[pytest]\n", "plot.ipynb": "{}",
    "other.sbatch": "#!/bin/sh\n#SBATCH -t 1\n",
}  # fmt: skip
INPUTS = Inputs(sweep_files=["grids/helper.py"])
OF_THEM = ("run.sbatch", "src/eos.f90", "src/deep/er/atm.f90", "inlist", "other.sbatch")


@pytest.fixture
def base(repository):
    """Return the commit of a project with control files."""
    return repository.commit(**FILES)


def edit(path, content, mode="100644"):
    return Edit(path.encode(), mode, content.encode())


def test_inputs_alone(repository, base):
    """The fingerprint is the tree of the inputs, the script without its scheduling."""
    only = {name: FILES[name] for name in OF_THEM} | {"run.sbatch": PLAIN}
    plain = repository.commit(**dict.fromkeys(FILES)) and repository.commit(**only)
    tree = read_input_tree(repository.client, base, INPUTS)
    assert tree.fingerprint() == repository.git("rev-parse", f"{plain}^{{tree}}")
    patched = repository.commit(inlist="m = 2\n", **{"src/eos.f90": None, "new/x": "x"})
    edits = [Edit(b"src/eos.f90"), edit("inlist", "m = 2\n"), edit("new/x", "x")]
    assert tree.fingerprint(edits) == repository.git("rev-parse", f"{patched}^{{tree}}")
    assert tree.fingerprint(tree.entries(edits)) == tree.fingerprint(edits)


def test_what_a_patch_makes_in_a_checkout(repository):
    """Of a patch in a real checkout the fingerprint is the commit's tree, with no control files."""
    (repository.path / "link").symlink_to("src")
    base = repository.commit(**{"src/a": "a", "src/b/c": "c", "d": "d", "x y": "\0"})
    scratch = Scratch(repository.client, base, dict(listing(repository.client, base)))
    try:
        path = scratch.checkout()
        (path / "d").unlink()
        (path / "d/e").mkdir(parents=True)
        (path / "d/e/f").write_text("new")
        (path / "src/b/c").unlink()
        (path / "src/a").chmod(0o755)
        (path / "link").unlink()
        (path / "link").symlink_to("d")
        (path / os.fsdecode(b"\xff")).write_text("bytes")
        edits = scratch.take().edits
    finally:
        scratch.close()
    files = {name: (blob.mode, blob.sha) for name, blob in listing(repository.client, base)}
    for each in edits:
        files.pop(each.path, None)
        if each.content is not None:
            sha = repository.git("hash-object", "-w", "--stdin", text=each.content)
            files[each.path] = each.mode, sha
    tree = read_input_tree(repository.client, base, Inputs(control=[]))
    assert tree.fingerprint(edits) == repository.tree(files)


def test_workspace_has_the_same(repository, base):
    """A workspace's inputs are those that are read from the repository."""
    workspace = Workspace(repository.client, base, "main", kept=False)
    try:
        found = [workspace.input_tree(each) for each in (INPUTS, Inputs(script="no.sbatch"))]
    finally:
        workspace.close()
    read = read_input_tree(repository.client, base, INPUTS)
    assert found[0].fingerprint() == read.fingerprint()
    assert found[0].footprint() == read.footprint()
    assert found[1].fingerprint() != read.fingerprint()


def test_control_files_do_not_count(repository, base):
    """A commit that changes only control files changes no fingerprint, and nothing differs."""
    controls = [name for name in FILES if name not in OF_THEM]
    later = repository.commit(**dict.fromkeys(controls, "changed\n"), **{"docs/new": "new"})
    trees = [read_input_tree(repository.client, each, INPUTS) for each in (base, later)]
    assert trees[0].fingerprint() == trees[1].fingerprint()
    assert differing(repository.client, base, later, INPUTS) == ()


def test_scheduling_does_not_count(repository, base):
    """More time makes no other experiment, in a commit or in a patch; more tasks do."""
    tree = read_input_tree(repository.client, base, INPUTS)
    longer, wider = SCRIPT.replace("=10", "=99"), SCRIPT.replace("-n 4", "-n 8")
    later, other = repository.commit(**{"run.sbatch": longer}), {"run.sbatch": wider}
    assert differing(repository.client, base, later, INPUTS) == ()
    assert read_input_tree(repository.client, later, INPUTS).fingerprint() == tree.fingerprint()
    assert tree.fingerprint([edit("run.sbatch", longer)]) == tree.fingerprint()
    assert tree.fingerprint([edit("run.sbatch", wider)]) != tree.fingerprint()
    assert differing(repository.client, base, repository.commit(**other), INPUTS) == ("run.sbatch",)


def test_other_sweeps_script(repository, base):
    """Only the sweep's own script loses its scheduling options; others count unchanged."""
    inputs = Inputs(script="other.sbatch")
    tree = read_input_tree(repository.client, base, inputs)
    assert tree.fingerprint([edit("other.sbatch", "#!/bin/sh\n")]) == tree.fingerprint()
    assert tree.fingerprint([edit("run.sbatch", PLAIN)]) != tree.fingerprint()


def test_mode_of_the_script_counts(repository, base):
    """A script that becomes executable, or a link, is a different input."""
    tree = read_input_tree(repository.client, base, INPUTS)
    found = {tree.fingerprint([edit("run.sbatch", SCRIPT, mode)]) for mode in ("100644", "100755")}
    assert len(found | {tree.fingerprint([edit("run.sbatch", "src/a", "120000")])}) == 3
    repository.git("update-index", "--chmod=+x", "run.sbatch")
    repository.git("commit", "--quiet", "--message", "mode")
    later = repository.git("rev-parse", "HEAD")
    assert differing(repository.client, base, later, INPUTS) == ("run.sbatch",)


def test_script_is_a_link(repository):
    """A script that is a link is an input as a link is."""
    (repository.path / "run.sbatch").symlink_to("long.sbatch")
    base = repository.commit(**{"long.sbatch": SCRIPT})
    tree = read_input_tree(repository.client, base, INPUTS)
    assert tree.fingerprint() == repository.git("rev-parse", f"{base}^{{tree}}")


def test_without_a_script(repository):
    """A base without the script has a fingerprint: a patch may write it."""
    base = repository.commit(a="a")
    tree = read_input_tree(repository.client, base, INPUTS)
    assert tree.fingerprint() == repository.git("rev-parse", f"{base}^{{tree}}")
    found = {tree.fingerprint([edit("run.sbatch", each)]) for each in (SCRIPT, PLAIN)}
    assert len(found) == 1
    assert found != {tree.fingerprint()}


def test_submodule(repository, base):
    """A submodule counts by its commit."""
    sha = "1" * len(base)
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{sha},sub/module")
    repository.git("commit", "--quiet", "--message", "submodule")
    later = repository.git("rev-parse", "HEAD")
    assert differing(repository.client, base, later, INPUTS) == ("sub/module",)
    inputs = Inputs(["sub"], script="none")
    tree = read_input_tree(repository.client, later, inputs)
    assert tree.fingerprint() == repository.tree({b"sub/module": ("160000", sha)})


def test_declared_inputs(repository, base):
    """With declared inputs only those and the script count, and only those differ."""
    inputs = Inputs(["src/**", "!src/deep/"])
    tree = read_input_tree(repository.client, base, inputs)
    later = repository.commit(inlist="new", **{"src/deep/er/atm.f90": "new"})
    assert read_input_tree(repository.client, later, inputs).fingerprint() == tree.fingerprint()
    assert differing(repository.client, base, later, inputs) == ()
    assert differing(repository.client, base, later, INPUTS) == ("inlist", "src/deep/er/atm.f90")
    assert tree.fingerprint([edit("src/eos.f90", "new")]) != tree.fingerprint()


def test_differing(repository, base):
    """Changed, added, removed and moved files are listed by path, for any path."""
    repository.git("mv", "src/eos.f90", "src/moved.f90")
    later = repository.commit(inlist="n\n", **{'a "b"\t\n': "new"})
    expected = ('a "b"\t\n', "inlist", "src/eos.f90", "src/moved.f90")
    assert differing(repository.client, base, later, INPUTS) == expected
    assert differing(repository.client, later, base, INPUTS) == expected
    with pytest.raises(RepositoryError, match="git diff-tree -r failed"):
        differing(repository.client, base, "2" * len(base), INPUTS)


def test_script_that_sbatch_refuses(repository):
    """A fault of the script in a patch is an error; one in the base is not if it is patched."""
    base = repository.commit(**{"run.sbatch": PLAIN})
    tree = read_input_tree(repository.client, base, INPUTS)
    with pytest.raises(SweepError, match="dos2unix"):
        tree.fingerprint([edit("run.sbatch", "#!/bin/sh\r\n")])
    other = repository.commit(**{"run.sbatch": "echo"})
    corrected = read_input_tree(repository.client, other, INPUTS)
    assert corrected.fingerprint([edit("run.sbatch", PLAIN)]) == tree.fingerprint()
    assert corrected.fingerprint() != tree.fingerprint()
    assert differing(repository.client, base, other, INPUTS) == ("run.sbatch",)


@pytest.mark.parametrize("declared", [None, ["src/", "inlist"]])
@pytest.mark.parametrize("shared", [(), ("src/deep/", "docs")])
def test_footprint(repository, base, declared, shared):
    """A run directory takes what is placed in it: the patched commit, or the declared inputs."""
    inputs = Inputs(declared)
    tree = read_input_tree(repository.client, base, inputs)
    edits = [Edit(b"src/eos.f90"), edit("inlist", "longer\n"), edit("src/deep/new", "n")]
    edits += [] if declared else [edit("extra", "extra")]
    for name in ("src/eos.f90", "inlist", "src/deep/new", "extra"):
        (repository.path / name).unlink(missing_ok=True)
    for each in edits:
        if each.content is not None:
            (repository.path / os.fsdecode(each.path)).write_bytes(each.content)
    for changes, placed in (((), base), (edits, None)):
        if placed:
            names = subprocess.run(
                ["git", "-C", repository.path, "ls-tree", "-r", "--name-only", "-z", base],
                check=True, capture_output=True, text=True,
            ).stdout.split("\0")[:-1]  # fmt: skip
            sizes = {name: len(FILES[name]) for name in names}
        else:
            found = [path for path in repository.path.rglob("*") if path.is_file()]
            sizes = {str(path.relative_to(repository.path)): path.stat().st_size for path in found}
        sizes = {
            name: size
            for name, size in sizes.items()
            if not name.startswith(".git/")
            and inputs.is_placed(name.encode())
            and not (shared and name.startswith(("src/deep/", "docs/")))
        }
        assert tree.footprint(changes, shared) == Footprint(len(sizes), sum(sizes.values()))
