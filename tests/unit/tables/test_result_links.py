"""The links: names that tell experiments apart, and targets that stay inside."""

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.errors import SweepError
from pytest_remex.tables.links import by_template, rebuild_links, safe, with_hash
from pytest_remex.tables.rows import Row, write_results
from pytest_remex.tables.table import read_table

LAUNCH = "tams_2026_01_01_00_00_00"
HOSTILE = [
    "a/b", "../../etc", "a\nb", "a\0b", ".hidden", "-rf", "~", "", ".", "..", "x" * 300,
    "\N{GREEK SMALL LETTER XI}" * 200, "\u202eevil", "\udcff", "$(ls)", "a b", "*?[", "'\"", "\\",
]  # fmt: skip


@pytest.fixture
def root(tmp_path):
    """Return an output folder."""
    return tmp_path / "remex-output"


def experiment(root, node, outputs=("history.data",), **point):
    path = root / "runs" / f"main_tams_{node}"
    for output in outputs:
        (path / output).parent.mkdir(parents=True, exist_ok=True)
        (path / output).write_text(f"{node} {output}")
    return Row(
        node=node,
        id=node,
        point=point,
        launch=LAUNCH,
        state="COMPLETED",
        verdict="PASSED",
        measures={},
        run_directory=path.name,
        path=path,
        outputs=list(outputs),
    )


def link(root, *rows, name="tams", **options):
    """Write the results, make the links, and give what each of them leads to."""
    folder = root / name
    write_results(folder, rows, dimensions=[])
    links = rebuild_links(folder, read_table(folder), root=root, **options)
    assert links == folder / "links"
    return contents(links)


def contents(links):
    for each in links.iterdir():
        assert each.is_symlink()
        assert not each.readlink().is_absolute()
        assert each.resolve().is_relative_to(links.parents[1].resolve())
    return {each.name: each.read_text() for each in links.iterdir()}


def test_named_by_what_varies(root):
    """A link has the parameters that vary, with their values, and the output's own name."""
    found = link(
        root,
        experiment(root, "a", ["LOGS/history.data", "slurm.out"], mass=10, alpha=1.8, z=0.02),
        experiment(root, "b", ["LOGS/history.data"], mass=15, alpha=2.0, z=0.02),
    )
    assert found == {
        "mass=10_alpha=1.8_history.data": "a LOGS/history.data",
        "mass=10_alpha=1.8_slurm.out": "a slurm.out",
        "mass=15_alpha=2.0_history.data": "b LOGS/history.data",
    }


def test_one_experiment(root):
    """If nothing varies, the output's name is enough."""
    assert list(link(root, experiment(root, "a", mass=10))) == ["history.data"]


def test_equal_names_in_folders(root):
    """Outputs of one run with the same name keep the names of their folders."""
    found = link(root, experiment(root, "a", ["LOGS1/history.data", "LOGS2/history.data", "out"]))
    assert sorted(found) == ["LOGS1_history.data", "LOGS2_history.data", "out"]


def test_equal_names_of_experiments(root):
    """Links that would have one name get distinct names, and keep their suffix."""
    rows = [experiment(root, node, mass=mass) for node, mass in (("a", "x/"), ("b", "x\n"))]
    found = link(root, *rows)
    assert sorted(found.values()) == ["a history.data", "b history.data"]
    assert all(name.startswith("mass=x__history~") for name in found)
    assert all(name.endswith(".data") for name in found)
    assert link(root, *reversed(rows)) == found


def test_names_that_differ_in_case(root):
    """Names that would be one file on some file systems are made distinct."""
    found = link(root, experiment(root, "a", mass="X"), experiment(root, "b", mass="x"))
    assert len({name.casefold() for name in found}) == 2


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_values(root, text):
    """Any parameter's text becomes a name inside the folder that leads to its output."""
    found = link(root, experiment(root, "a", mass=text), experiment(root, "b", mass="other"))
    assert sorted(found.values()) == ["a history.data", "b history.data"]


def test_long_names_stay_apart(root):
    """Names over 255 bytes are shortened and still differ, and end as the output does."""
    rows = [experiment(root, node, text="x" * 400 + node) for node in "ab"]
    found = link(root, *rows)
    assert len(found) == 2
    assert all(name.endswith("history.data") for name in found)


def test_template(root):
    """A sweep's link_name names links from any column, with formats."""
    found = link(
        root,
        experiment(root, "a", mass=10, alpha=1.8),
        experiment(root, "b", mass=15, alpha=None),
        template="M{mass:05.1f}-{{{alpha}}}-{state}_{output}",
    )
    assert sorted(found) == [
        "M010.0-{1.8}-COMPLETED_history.data",
        "M015.0-{None}-COMPLETED_history.data",
    ]


def test_namer(root):
    """A hook's name is made safe; if it returns none, the template names the link."""
    rows = [experiment(root, "a", ["out", "log"], mass=1), experiment(root, "b", ["out"], mass=2)]
    found = link(
        root,
        *rows,
        template="t{mass}_{output}",
        namer=lambda row, output: f"../{row['mass']}" if output == "out" else None,
    )
    assert found == {"_.._1": "a out", "_.._2": "b out", "t1_log": "a log"}


def test_flat(root):
    """The layout flat names links by run directory and output."""
    found = link(root, experiment(root, "a", ["LOGS/history.data"], mass=1), layout="flat")
    assert found == {"main_tams_a_history.data": "a LOGS/history.data"}


def test_nothing_outside(root, tmp_path):
    """Files that are outside the output folder, links or missing are not linked."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    row = experiment(root, "a", ["out"], mass=1)
    (row.path / "link").symlink_to(secret)
    (row.path / "away").symlink_to(tmp_path)
    (row.path / "LOGS").mkdir()
    names = ["out", "link", "away/secret", "../../../secret", str(secret), "LOGS", "absent"]
    outside = experiment(tmp_path, "b", ["out"], mass=2)
    assert link(root, replace(row, outputs=names), outside) == {"mass=1_out": "a out"}


def test_rebuilt(root):
    """Links to missing files are removed, and so are a crash's temporary files."""
    folder = root / "tams"
    for leftover in (".links.new", ".links.old"):
        (folder / leftover).mkdir(parents=True)
        (folder / leftover / "x").symlink_to("nowhere")
    link(root, experiment(root, "a", mass=1), experiment(root, "b", mass=2))
    found = link(root, experiment(root, "a", mass=1), experiment(root, "c", ["new"], mass=3))
    assert found == {
        "mass=1_history.data": "a history.data",
        "mass=2_history.data": "b history.data",
        "mass=3_new": "c new",
    }
    assert sorted(each.name for each in folder.iterdir()) == [
        "launches",
        "links",
        "results.csv",
        "results.json",
    ]


def test_nothing_changed(root):
    """Links that are as they should be are left as they are; one that was changed is made right."""
    rows = [experiment(root, "a", mass=1), experiment(root, "b", mass=2)]
    found = link(root, *rows)
    links = root / "tams" / "links"
    before = links.stat().st_ino
    assert link(root, *rows) == found
    assert links.stat().st_ino == before
    (links / "mass=1_history.data").unlink()
    (links / "mass=1_history.data").write_text("mine")
    assert link(root, *rows) == found


def test_links_that_is_a_link(root, tmp_path):
    """A `links` that is a link is replaced, and its target is not changed."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine").write_text("mine")
    (root / "tams").mkdir(parents=True)
    (root / "tams" / "links").symlink_to(elsewhere)
    assert link(root, experiment(root, "a")) == {"history.data": "a history.data"}
    assert (elsewhere / "mine").read_text() == "mine"


def test_links_of_a_launch(root):
    """A launch's own folder can have links, too."""
    write_results(root / "tams", [experiment(root, "a")], dimensions=[])
    folder = root / "tams" / "launches" / LAUNCH
    links = rebuild_links(folder, read_table(folder), root=root)
    assert (links / "history.data").read_text() == "a history.data"


def test_moved(root, tmp_path):
    """Links still lead to their outputs when the output folder has been moved."""
    link(root, experiment(root, "a"))
    moved = root.rename(tmp_path / "moved")
    assert contents(moved / "tams" / "links") == {"history.data": "a history.data"}


@given(st.text(), st.text())
def test_safe(text, other):
    """Any text makes a file name: one component, visible, of at most 255 bytes."""
    for name in (safe(text), with_hash(safe(text), other)):
        assert "/" not in name
        assert "\0" not in name
        assert name.isprintable()
        assert not name.startswith((".", "-"))
        assert 0 < len(os.fsencode(name)) <= 255


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{years}_{output}", r"'years'.*output, mass"),
        ("{mass.__class__}", "mass.__class__"),
        ("{mass[0]}", r"mass\[0\]"),
        ("{}", "''"),
        ("{mass:d}", "correct the format"),
        ("{mass:{mass}}", "correct the format"),
        ("{mass", "correct the format"),
    ],
)
def test_bad_template(template, words):
    """A template that cannot be filled is refused; nothing in it is evaluated."""
    with pytest.raises(SweepError, match=words):
        by_template(template, {"mass": 1.5}, "out")
