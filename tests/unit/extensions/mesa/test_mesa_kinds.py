"""Values are written so that the variable behind the name can read them."""

from __future__ import annotations

import subprocess

import pytest
from mesa_corpus.gfortran import gfortran

from pytest_remex.errors import NamelistError
from pytest_remex.extensions.mesa import patch_inlist, read_inlist, read_namelists

MODES = "&model\n file = 'a'\n/\n&mode\n l = 0\n/\n&mode\n l = 1\n m = 1\n/\n"
STRUCTURE = "&namrun\n field = 'a.nc', -1. ,'thick', .false., 4 ! NEMO's\n/\n"


@pytest.fixture
def patched(tmp_path):
    """Patch a text, and return what became of it."""

    def patch(settings, text):
        path = tmp_path / "inlist"
        path.write_bytes(text.encode())
        patch_inlist(path, settings)
        return path.read_bytes().decode()

    return patch


@pytest.mark.parametrize(
    ("old", "value", "new"),
    [
        ("100", 1e3, "1000"),
        ("100", -3.0, "-3"),
        ("100", 2.5, "2.5"),
        ("100", 1e10, "10000000000.0"),
        ("1d2", 1e3, "1000.0"),
        ("<<n>>", 1e3, "1000"),
        ("10, 20", [1.0, 2.0], "1, 2"),
        ("10, 2d1", [1.0, 2.0], "1.0, 2.0"),
    ],
)
def test_a_float_is_written_as_the_number_that_stands_there(patched, old, value, new):
    """`1000.0` cannot be read into an integer; `1000` can be read into both kinds of numbers."""
    assert patched({"steps": value}, f"&engine\n steps = {old}\n/\n") == (
        f"&engine\n steps = {new}\n/\n"
    )


def test_a_new_setting_of_a_whole_number_has_no_point(patched):
    """If nothing shows the kind, an integer is written, which both kinds can read."""
    assert "steps = 1000\n" in patched({"engine.steps": 1e3}, "&engine\n/\n")
    assert "w(2) = 2.0\n" in patched({"w(2)": 2.0}, "&engine\n w(1) = 0.5\n/\n")


@pytest.mark.parametrize("mark", ["<<rate>>", "{{ rate }}", "@rate@", "$rate", "${rate}", "%rate%"])
@pytest.mark.parametrize("value", [1.5, True, "x", [1.5, 2.5]])
def test_a_placeholder_may_become_anything(patched, tmp_path, mark, value):
    """A template's word without quotes is of no kind, and is read as it is."""
    text = f"&engine\n w(3) = {mark}\t! at start\n steps = 3\n/\n"
    (tmp_path / "template").write_text(text)
    assert read_inlist(tmp_path / "template")["engine"] == {"w(3)": mark, "steps": 3}
    after = patched({"w(3)": value}, text)
    assert mark not in after
    assert "\t! at start\n steps = 3\n" in after


def test_text_in_quotes_is_no_placeholder(patched):
    """A number cannot replace a text."""
    with pytest.raises(NamelistError, match=r"engine\.label is a text on line 2, and 3 a number"):
        patched({"label": 3}, "&engine\n label = '<<x>>'\n/\n")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_missing_group_of_mesa_is_added(patched, end):
    """It goes to the end of the file, with the file's line breaks; another name is a slip."""
    text = f"&controls{end} a = 1{end}/"
    after = patched({"kap": {"Zbase": 0.02, "use_Type2_opacities": True}, "eos.x": "y"}, text)
    assert after == end.join(
        [
            *["&controls", " a = 1", "/", ""],
            *["&kap", "   Zbase = 0.02", "   use_Type2_opacities = .true.", "/", ""],
            *["&eos", "   x = 'y'", "/", ""],
        ]
    )
    with pytest.raises(NamelistError, match="there is no &kapp: the groups are &controls"):
        patched({"kapp.Zbase": 0.02}, text)


def test_groups_that_repeat_are_numbered(patched, tmp_path, recwarn):
    """GYRE's input has a &mode for each mode."""
    after = patched({"mode(2).l": 2, "Mode( 1 )": {"m": 3}}, MODES)
    assert after == MODES.replace("l = 1", "l = 2").replace("l = 0\n", "l = 0\n m = 3\n")
    assert not recwarn
    assert read_namelists(tmp_path / "inlist") == {
        "model": {"file": "a"},
        "mode": [{"l": 0, "m": 3}, {"l": 2, "m": 1}],
    }
    with pytest.raises(NamelistError, match=r"there is no &mode\(3\): .* &mode or &mode\(2\)"):
        patched({"mode(3).l": 2}, MODES)


def test_a_structure_is_given_as_a_whole(patched):
    """Values of several kinds are compared place by place, and no element is an array's."""
    new = ["b.nc", 2.5, "thin", True, 5.0]
    assert "field = 'b.nc', 2.5, 'thin', .true., 5 ! NEMO's" in patched({"field": new}, STRUCTURE)
    with pytest.raises(NamelistError, match=r"namrun\.field is a number on line 2, and 'x' a text"):
        patched({"field": ["b.nc", "x"]}, STRUCTURE)
    with pytest.raises(NamelistError, match=r"field\(2\): field has values of several kinds"):
        patched({"field(2)": 1.0}, STRUCTURE)


def test_a_list_takes_the_place_of_its_elements(patched):
    """Lines of the elements in the list are removed, and those of other elements stay."""
    text = "&engine\n w(1) = 5 ! one\n mass = 1\n w(2) = 6\n w(7) = 7.5\n/\n"
    after = "&engine\n w = 1.0, 2.5 ! one\n mass = 1\n w(7) = 7.5\n/\n"
    assert patched({"w": [1.0, 2.5]}, text) == after
    assert patched({"w": [3]}, text) == text.replace("w(1) = 5", "w = 3")
    wide = "&engine\n w(1) = 5\n w(2:3) = 6, 7\n/\n"
    assert patched({"w": [1, 2]}, wide) == wide.replace("/", " w = 1, 2\n/")


@pytest.mark.skipif(not gfortran(), reason="gfortran is not installed")
def test_gfortran_reads_patched_integers(patched, tmp_path):
    """Integers and reals of a compiled program take the values that were patched as floats."""
    after = patched(
        {"steps": 1e3, "engine.few": 7.0, "mass": 12.0, "iw": [1.0, 2.0]},
        "&engine\n steps = 100\n mass = 3\n iw(1) = 8\n iw(2) = 9\n/\n",
    )
    (tmp_path / "in").write_text(after)
    (tmp_path / "take.f90").write_text(
        "integer :: steps, few, iw(2)\n double precision :: mass\n"
        " namelist /engine/ steps, few, iw, mass\n open (1, file='in')\n read (1, nml=engine)\n"
        " print '(4(i0,1x),f4.1)', steps, few, iw, mass\n end\n"
    )
    subprocess.run(["gfortran", "-o", "take", "take.f90"], cwd=tmp_path, check=True)
    ran = subprocess.run(["./take"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["1000", "7", "1", "2", "12.0"]
