"""Namelists of any code, in files of any name."""

from time import process_time

import pytest

from pytest_remex.config import add, patch_config, read_config, remove
from pytest_remex.config.namelist_file import read_namelist
from pytest_remex.errors import ConfigError

GYRE = """\
&model
  model_type = 'EVOL'
/
&mode
  l = 0
/
&mode
  l = 1
  tag = 'dipole' ! the second
/
&osc /
"""
NEMO = """\
&namtra_dmp !  restoring
   sn_tem  = 'data_1m', -12. , 'votemper', .false. , .true., 'yearly', '', '', ''
   ln_x = .true.
/
"""
PW = """\
 &system
   ibrav = 2, celldm(1) = 10.2,
   ecutwfc = 18.0
 /
ATOMIC_SPECIES
 Si 28.086 Si.pz-vbc.UPF
"""
CESM = "! output\nnhtfrq = 0, -24\nfincl2 = 'T:I', 'PS:I'\ndtime = 1800 ! s\n"
F77 = "  $inputs\n    z = (1.0, 2.0), word = a''b\n  $end\n"
BARE_END = "$inputs\n x = 1\n$\n"
SEVERAL = "&a\n x = 1, 2, 3\n y(2) = 5\n m(1,1) = 1, 2\n w = one, two\n p%q = 3\n/\n"


@pytest.mark.parametrize(
    ("name", "text", "asked", "pieces"),
    [
        ("gyre.in", GYRE, {"mode(2).l": 5}, [("l = 1", "l = 5")]),
        ("gyre.in", GYRE, {"model_type": "POLY"}, [("EVOL", "POLY")]),
        ("gyre.in", GYRE, {"mode(2)": {"TAG": "x"}}, [("'dipole'", "'x'")]),
        ("gyre.in", GYRE, {"mode(1).l": 2}, [("l = 0", "l = 2")]),
        ("namelist_cfg", NEMO, {"ln_x": False}, [("ln_x = .true.", "ln_x = .false.")]),
        ("pw.in", PW, {"ecutwfc": 30.5, "celldm(1)": 10.3}, [("18.0", "30.5"), ("10.2", "10.3")]),
        ("user_nl_cam", CESM, {"dtime": 900, "nhtfrq": [0, -6]}, [("1800", "900"), ("-24", "-6")]),
        ("card", F77, {"z": 3 - 4j}, [("(1.0, 2.0)", "(3.0, -4.0)")]),
        ("card", BARE_END, {"inputs.x": 2}, [("x = 1", "x = 2")]),
    ],
)  # fmt: skip
def test_only_the_value_changes(make, name, text, asked, pieces):
    """A file that scans as a namelist is patched as one, and read back by the same names."""
    path = make(name, text)
    patch_config(path, asked)
    wanted = text
    for old, new in pieces:
        assert wanted.count(old) == 1
        wanted = wanted.replace(old, new)
    assert path.read_text() == wanted
    found = read_config(path)
    for key, value in asked.items():
        if not isinstance(value, dict):
            assert found[key] == value


def test_what_is_read(make):
    """Repeated groups are a list, arrays too; a structure keeps its values."""
    gyre = read_config(make("gyre.in", GYRE))
    assert gyre["mode"] == [{"l": 0}, {"l": 1, "tag": "dipole"}]
    assert [gyre["mode.l"], gyre["MODE(2).L"], gyre["tag"], "l" in gyre] == [0, 1, "dipole", False]
    assert read_config(make("namelist_cfg", NEMO))["sn_tem"] == [
        "data_1m", -12.0, "votemper", False, True, "yearly", "", "", "",
    ]  # fmt: skip
    several = read_config(make("a.nml", SEVERAL))
    assert several["a"] == {
        "x": [1, 2, 3], "y(2)": 5, "m(1,1)": 1, "m(2,1)": 2, "w": ["one", "two"], "p%q": 3,
    }  # fmt: skip
    assert [several["x(2)"], several["a.y(2)"], several["p%q"], "y" in several] == [2, 5, 3, False]
    assert [several["x(2:3)"], several["A.Y(2:2)"], several["x(3:)"]] == [[2, 3], [5], [3]]
    assert "x(4:5)" not in several
    assert read_config(make("card", F77))["inputs"] == {"z": 1 + 2j, "word": "a''b"}
    cesm = read_config(make("user_nl_cam", CESM))
    assert dict(cesm) == {"nhtfrq": [0, -24], "fincl2": ["T:I", "PS:I"], "dtime": 1800}
    assert cesm["fincl2(2)"] == "PS:I"


def test_add_and_remove(make):
    """New settings are added by `add`, with their group, also in files without groups."""
    path = make("gyre.in", GYRE)
    patch_config(path, {**add({"osc.outer_bound": "VACUUM", "grid.w_osc": 10.5}), **remove("tag")})
    found = read_config(path)
    assert [found["osc.outer_bound"], found["grid.w_osc"], "tag" in found] == [
        "VACUUM",
        10.5,
        False,
    ]
    assert "! the second" in path.read_text()
    path = make("user_nl_clm", CESM)
    patch_config(path, {**add({"hist_nhtfrq": -24}), **remove("dtime")})
    assert dict(read_config(path)) == {
        "nhtfrq": [0, -24],
        "fincl2": ["T:I", "PS:I"],
        "hist_nhtfrq": -24,
    }
    path = make("user_nl_clm", "! only a comment\n")
    patch_config(path, add({"a": 1}))
    assert read_config(path)["a"] == 1


@pytest.mark.parametrize(
    ("name", "text", "asked", "message"),
    [
        ("gyre.in", GYRE, {"l": 5}, r"l is in 2 groups: name one, mode\.l or mode\(2\)\.l"),
        ("gyre.in", GYRE, {"mode.k": 5}, r"mode\.k is in no group: .*write add\("),
        ("gyre.in", GYRE, {"grid.x": 5}, "there is no &grid"),
        ("gyre.in", GYRE, {"model_type": 5}, "is a text on line 2, and 5 a number"),
        ("namelist_cfg", NEMO, {"sn_tem(2)": -1.0}, "has values of several kinds"),
        ("user_nl_cam", CESM, {"dtme": 5}, r"^\S*: dtme is in no group: did you mean dtime\?"),
        ("namelist.wps", "&a\n", {"x": 5}, "&a has no end"),
    ],
)
def test_refusals(make, name, text, asked, message):
    """A name that is not there, or that several groups have, is refused, and nothing changes."""
    path = make(name, text)
    with pytest.raises(ConfigError, match=message):
        patch_config(path, asked)
    assert path.read_text() == text


def test_many_settings_are_read_quickly():
    """The time is proportional to the number of settings; with its square this is a minute."""
    text = "&c\n" + "".join(f" x{number}(2) = 1\n" for number in range(8_000)) + "/\n"
    before = process_time()
    assert len(read_namelist(text)["c"]) == 8_000
    assert process_time() - before < 10
