"""Which files experiments depend on, and which patches are refused."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_remex.errors import SweepError
from pytest_remex.repo.inputs import FileKind, Inputs
from pytest_remex.repo.trees import Edit


def always(edit):
    """Say of every edit that it leaves other bytes than the base has."""
    return edit is not None


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("inlist", FileKind.INPUT),
        ("src/eos.f90", FileKind.INPUT),
        ("run.sbatch", FileKind.INPUT),
        ("other.sbatch", FileKind.INPUT),
        ("run.py", FileKind.INPUT),
        ("pyproject.toml", FileKind.INPUT),
        ("sweeps.py", FileKind.SWEEP_FILE),
        ("a/b/sweeps.py", FileKind.SWEEP_FILE),
        ("sweep_mass.py", FileKind.SWEEP_FILE),
        ("grids/mass_sweep.py", FileKind.SWEEP_FILE),
        ("conftest.py", FileKind.SWEEP_FILE),
        ("src/conftest.py", FileKind.SWEEP_FILE),
        ("a/pytest.ini", FileKind.SWEEP_FILE),
        ("grids/steer.py", FileKind.SWEEP_FILE),
        ("steer.py", FileKind.INPUT),
        ("my_sweeps.py", FileKind.INPUT),
        ("README", FileKind.CONTROL),
        ("src/README.md", FileKind.CONTROL),
        ("docs/a/b", FileKind.CONTROL),
        ("src/docs/b", FileKind.CONTROL),
        ("docs", FileKind.INPUT),
        ("a/b.ipynb", FileKind.CONTROL),
        ("b.ipynb\n", FileKind.INPUT),
    ],
)
def test_control_files(path, kind):
    """Sweep files, conftest.py, pytest.ini and what remex_control names are no inputs."""
    inputs = Inputs(sweep_files=["grids/steer.py"])
    assert inputs.kind(path.encode()) is kind
    assert inputs.is_placed(path.encode())
    assert not inputs.are_declared


@pytest.mark.parametrize(
    ("path", "is_input"),
    [
        ("src/a/b.f90", True),
        ("inlist_project", True),
        ("a/inlist", True),
        ("jobs/long.sbatch", True),
        ("run.sbatch", False),
        ("docs/table.dat", True),
        ("docs/other.dat", False),
        ("src/sweeps.py", False),
        ("src/conftest.py", False),
        ("src/README", True),
        ("other", False),
    ],
)
def test_declared_inputs(path, is_input):
    """Declared inputs and the script are inputs, and are placed; other files are not."""
    inputs = Inputs(["src/**", "inlist*", "docs/table.dat"], script="jobs/long.sbatch")
    assert inputs.is_input(path.encode()) is is_input
    assert inputs.is_placed(path.encode()) is is_input
    assert inputs.are_declared


def test_own_control_patterns():
    """With remex_control set, its patterns take the place of the default."""
    inputs = Inputs(control=["/notes", "*.md", "!KEEP.md"])
    kinds = [inputs.is_input(path) for path in (b"notes/a", b"a/notes", b"a.md", b"KEEP.md")]
    assert kinds == [False, True, False, True]
    assert inputs.is_input(b"README")
    assert not inputs.is_input(b"sweeps.py")


PARTS = ["a", "b", "ab", "*", "**", "?", "a*", "*b", "[ab]", "[!a]", "\\*"]
PATTERN = st.tuples(
    st.sampled_from(["", "/"]),
    st.lists(st.sampled_from(PARTS), min_size=1, max_size=3).map("/".join),
    st.sampled_from(["", "/"]),
).map("".join)
PATH = st.lists(st.sampled_from(["a", "b", "ab", "c", "ba", "*"]), min_size=1, max_size=4)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PATTERN, max_size=4), st.lists(PATH.map("/".join), min_size=1, max_size=8))
def test_patterns_are_those_of_gitignore(ignoring, patterns, paths):
    """Patterns match what git itself says that they match."""
    ignored = ignoring(patterns, paths)
    inputs = Inputs(control=patterns)
    assert {path for path in paths if not inputs.is_input(path.encode())} == ignored


def test_last_pattern_decides():
    """A pattern with ! takes back what earlier ones matched, also below a folder, and in order."""
    inputs = Inputs(["src/", "!src/data/", "src/data/*.txt"])
    paths = [b"src/a", b"src/data/big", b"src/data/deep/big", b"src/data/a.txt"]
    assert [inputs.is_input(path) for path in paths] == [True, False, False, True]
    assert Inputs(control=["docs/", "!docs/table.dat"]).is_input(b"docs/table.dat")


@pytest.fixture
def ignoring(repository):
    """Return a function that asks git which paths it would ignore."""

    def ask(patterns, paths):
        (repository.path / ".gitignore").write_text("".join(f"{each}\n" for each in patterns))
        process = repository.client.stream("check-ignore", "-z", "--no-index", "--stdin")
        _, output, _ = process.communicate("".join(f"{each}\0" for each in paths).encode())
        return set(os.fsdecode(output).split("\0")) - {""}

    return ask


@pytest.mark.parametrize("pattern", ["", "  ", "#", "/", "!", "\\", "a\nb", "a\0b", "[z-a]"])
def test_bad_patterns(pattern):
    """A text that is not a pattern, or matches nothing, is refused with its origin."""
    with pytest.raises(SweepError, match=r"^remex_control: the pattern .* or remove it$"):
        Inputs(control=[pattern])
    with pytest.raises(SweepError, match=r"^inputs: the pattern"):
        Inputs([pattern])


def refusal(inputs, *paths):
    with pytest.raises(SweepError) as raised:
        inputs.refuse([Edit(path.encode(), "100644", b"") for path in paths], "grid[a=1]", always)
    return str(raised.value)


def test_patch_of_inputs():
    """A patch that changes inputs only is not refused."""
    Inputs().refuse(
        [Edit(b"inlist", "100644", b""), Edit(b"run.sbatch"), Edit(b"src/x")], "g", always
    )
    Inputs(["src"]).refuse([Edit(b"src/x"), Edit(b"run.sbatch")], "g", always)


def test_patch_of_control_files():
    """A patch that changes control files is refused, with their paths and the fix."""
    assert refusal(Inputs(), "inlist", "README.md") == (
        "grid[a=1]: the patch changes README.md, a control file by remex_control = README* docs/ "
        "*.ipynb: if the job reads it, change remex_control in the ini file so that it does not "
        "match it; if not, let the patch not change it"
    )
    Inputs(control=["docs/", "*.ipynb"]).refuse(
        [Edit(b"README.md", "100644", b"")], "the fix", always
    )
    assert refusal(Inputs(), "sweeps.py", "a/conftest.py") == (
        "grid[a=1]: the patch changes sweeps.py, a/conftest.py, which control pytest and are not "
        "inputs of the job: let the patch write other files"
    )


def test_patch_outside_declared_inputs():
    """A patch that changes a file outside the declared inputs is refused, with the fix."""
    paths = [f"other{n}" for n in range(7)]
    assert refusal(Inputs(["src/**"]), "src/a", *paths) == (
        "grid[a=1]: the patch changes other0, other1, other2, other3, other4 and 2 more, which "
        "inputs=['src/**'] does not include, so the job would not find them: add them to "
        "inputs, or let the patch not change them"
    )


def test_hostile_path_in_a_refusal():
    """A path that would act on a terminal is shown escaped."""
    assert "'README\\x1b[2J'" in refusal(Inputs(), "README\x1b[2J")
