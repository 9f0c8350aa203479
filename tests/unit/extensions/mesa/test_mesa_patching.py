"""What `patch_inlist` does with names and files: set, add, remove, refuse."""

from __future__ import annotations

import warnings

import pytest

from pytest_remex.errors import NamelistError
from pytest_remex.extensions.mesa import InlistWarning, Raw, patch_inlist, read_inlist, remove

TEXT = """\
&engine
   mass = 3 ! heavy
   steps = 10, alpha = 2
   w(2) = 5
   w(4) = 7 ! last
/ ! end of engine

&pump
   rate = 1.5
   alpha = 1
/
"""


@pytest.fixture
def patched(tmp_path):
    """Patch a text, and return what became of it."""

    def patch(settings, text=TEXT):
        path = tmp_path / "inlist"
        path.write_text(text)
        try:
            patch_inlist(path, settings)
        finally:
            after = path.read_text()
        return after

    return patch


@pytest.mark.parametrize(
    "settings",
    [
        {"mass": 8},
        {"MASS": 8},
        {"engine.mass": 8},
        {" Engine . Mass ": 8},
        {"engine": {"mass": 8}},
        {"Engine": {"Mass": 8}},
    ],
)
def test_a_setting_is_named_in_each_way(patched, settings):
    """A name may be plain, with its group, or below its group, in any case."""
    assert patched(settings) == TEXT.replace("mass = 3", "mass = 8")


def test_many_settings_at_once(patched):
    """Changes, additions and removals of several groups go into one pass."""
    after = patched(
        {"mass": 8, "pump": {"alpha": 0.5, "valve": True}, "w(3)": 6, **remove("w(2)", "steps")}
    )
    assert after == (
        "&engine\n   mass = 8 ! heavy\n   alpha = 2\n   w(4) = 7 ! last\n   w(3) = 6\n"
        "/ ! end of engine\n\n&pump\n   rate = 1.5\n   alpha = 0.5\n   valve = .true.\n/\n"
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mas", "mas is in no group: did you mean engine.mass\\? .* engine.mas or pump.mas"),
        ("alpha", "alpha is in 2 groups: name one, engine.alpha or pump.alpha"),
        ("motor.mass", "there is no &motor: the groups are &engine or &pump"),
        ("zeta(3)", "zeta\\(3\\) is in no group: to add it, name its group: engine.zeta\\(3\\)"),
        ("mass = 3", "'mass = 3' is not a setting's name: write initial_mass"),
        ("", "'' is not a setting's name"),
        ("w()", "'w\\(\\)' is not a setting's name"),
        ("w", "engine.w is an array on line 4: name an element, engine.w\\(1\\), or give a list"),
    ],
)
def test_a_name_that_is_not_clear_is_refused(patched, tmp_path, name, message):
    """A name in no group or in two is an error that lists the candidates; nothing is written."""
    with pytest.raises(NamelistError, match=message):
        patched({name: 1})
    assert (tmp_path / "inlist").read_text() == TEXT


def test_a_name_given_twice_is_refused(patched):
    """Two spellings of one setting, or an array and its element, are a mistake."""
    with pytest.raises(NamelistError, match=r"engine.mass appears twice"):
        patched({"mass": 1, "engine.Mass": 2})
    with pytest.raises(NamelistError, match=r"engine.w appears twice"):
        patched({"w(2)": 1, "w": [2, 3]})


def test_a_file_without_groups_says_so(patched):
    """Without groups, the message suggests none."""
    with pytest.raises(NamelistError, match="there are no groups here"):
        patched({"mass": 1}, "only prose\n")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (True, "engine.mass is a number on line 2, and True a logical: give a number, or Raw"),
        ("heavy", "engine.mass is a number on line 2, and 'heavy' a text: give a number, or Raw"),
        ([1, "x"], "engine.mass is a number on line 2"),
    ],
)
def test_a_value_that_would_not_be_read_is_refused(patched, value, message):
    """The type of the present value is the type that the simulation reads."""
    with pytest.raises(NamelistError, match=message):
        patched({"mass": value})


@pytest.mark.parametrize("text", ["1 / &x", "1\n/\n&x\n", "'open", "", "! no", "a = 3", "3 ! c"])
def test_raw_text_stays_inside_its_setting(patched, text):
    """Raw text that is not exactly one setting's value is refused."""
    with pytest.raises(NamelistError, match="is not a Fortran value"):
        patched({"mass": Raw(text)})


@pytest.mark.parametrize("text", ["1d-3", "2*1.5, 3", "'it''s'", ".true."])
def test_raw_text_is_written_as_it_is(patched, text):
    """`Raw` keeps a spelling."""
    assert patched({"mass": Raw(text)}) == TEXT.replace("mass = 3", f"mass = {text}")


@pytest.mark.parametrize(
    ("names", "old", "new"),
    [
        (["mass"], "mass = 3 ! heavy", "! heavy"),
        (["steps"], "steps = 10, alpha = 2", "alpha = 2"),
        (["engine.alpha"], "steps = 10, alpha = 2", "steps = 10, "),
        (["w(2)"], "   w(2) = 5\n", ""),
        (["W"], "   w(2) = 5\n   w(4) = 7 ! last", "   ! last"),
        (["rate", "pump.alpha"], "   rate = 1.5\n   alpha = 1\n", ""),
    ],
)
def test_a_setting_is_removed(patched, names, old, new):
    """A removed setting takes its line along, but no comment and no other setting."""
    assert patched(remove(*names)) == TEXT.replace(old, new)


def test_every_statement_of_a_removed_setting_goes(patched):
    """All statements of a setting are removed, also lists over several lines."""
    text = "&engine\n  w = 1,\n  2\n  w(5) = 2 ! c\n  w = 3;\n  mass = 1\n/\n"
    assert patched(remove("w"), text) == "&engine\n  ! c\n  mass = 1\n/\n"


def test_an_element_of_a_list_cannot_be_removed(patched):
    """A list has no way to leave one element out but another list."""
    text = "&engine\n  w(2) = 3\n  w(1:3) = 4, 5, 6\n/\n"
    with pytest.raises(NamelistError, match=r"engine.w\(2\) is part of the list on line 3: give w"):
        patched(remove("w(2)"), text)


def test_a_new_name_has_no_blanks(patched):
    """After `w (2)` or `star % mass`, gfortran does not find the equals sign."""
    new = patched({"engine.w (2)": 1, "engine.star % mass": 2}, "&engine\n/\n")
    assert new == "&engine\n   w(2) = 1\n   star%mass = 2\n/\n"


def test_an_element_has_one_name(patched):
    """`w(02)` is `w(2)`: a new value replaces it, and does not stand before it."""
    text = "&engine\n  w(2) = 3\n  w(02) = 4\n  w(+3) = 1\n/\n"
    new = text.replace("4", "9").replace("1", "8")
    assert patched({"w(2)": 9, "w(003)": 8}, text) == new


def test_what_is_not_there_cannot_be_removed(patched):
    """A removal that removes nothing is a slip."""
    with pytest.raises(NamelistError, match=r"mas is in no group: did you mean engine.mass"):
        patched(remove("engine.mas"))


def test_none_is_no_value(patched):
    """None does not say whether to remove."""
    with pytest.raises(NamelistError, match=r"use remove\('engine.mass'\)"):
        patched({"mass": None})


def test_an_element_that_a_later_list_sets_gets_a_line_of_its_own(patched):
    """The last statement counts, so a new one comes last; other elements keep their values."""
    text = "&engine\n  w(2) = 3\n  w(5) = 1\n  w(1:3) = 4, 5, 6\n/\n"
    assert patched({"w(2)": 9}, text) == text.replace("/", "  w(2) = 9\n/")
    assert patched({"w(5)": 9}, text) == text.replace("w(5) = 1", "w(5) = 9")
    assert patched({"w(1:3)": [7, 8, 9]}, text) == text.replace("4, 5, 6", "7, 8, 9")


def test_an_element_given_several_values_is_not_cut(patched):
    """A Fortran read continues with the next elements, so an element may get a list."""
    text = "&engine\n  w(2) = 3, 4\n/\n"
    assert patched({"w(2)": 9}, text) == text.replace("/", "  w(2) = 9\n/")


def test_an_empty_group_gets_a_line(patched):
    """Without a line to copy the indentation from, it is three blanks."""
    assert patched({"pump.rate": 2}, "&pump\n/\n") == "&pump\n   rate = 2\n/\n"
    assert patched({"pump.rate": 2}, "&pump /") == "&pump\n   rate = 2\n/\n"
    assert patched({"pump.rate": 2}, "&pump\n&end\n") == "&pump\n   rate = 2\n&end\n"


def test_nothing_to_set_changes_nothing(patched):
    """Not even a missing line break at the end."""
    assert patched({}, "&pump\n/") == "&pump\n/"


def test_a_repeated_group_is_named(patched):
    """A Fortran read finds the first only, so that is the one to patch."""
    with pytest.warns(InlistWarning, match="line 3: &pump also appears on line 1"):
        assert patched({"pump.rate": 2}, "&pump\n/\n&pump\n/\n").startswith("&pump\n   rate = 2")


def test_text_longer_than_mesa_keeps_is_named(patched):
    """Fortran cuts text silently; MESA's controls hold 256 characters."""
    with pytest.warns(InlistWarning, match="pump.label has 257 bytes: MESA cuts most texts at 256"):
        patched({"pump.label": "x" * 257})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        patched({"pump.label": "x" * 256})


def test_a_stray_end_is_no_group(patched):
    """Some files close a group twice."""
    assert patched({"rate": 2}, "&pump\n rate = 1\n/\n&end\n") == "&pump\n rate = 2\n/\n&end\n"


def test_overlapping_names_are_refused(patched):
    """A section and an element of one array leave open which of the two counts."""
    with pytest.raises(NamelistError, match="appears twice"):
        patched({"w(2)": 1, "w(1:3)": [1, 2, 3]})


def test_a_text_without_end_is_refused_at_once(patched):
    """Thousands of blanks, or of quotes, do not make the scanner slow."""
    for text in (" " * 20000, "\n" * 20000, "''" * 10000, "a(" * 10000, "! c\n" * 5000):
        with pytest.raises(NamelistError):
            patched({"rate": 1}, f"&pump\n rate = {text}")


def test_files_that_cannot_be_patched(tmp_path):
    """A missing file, a folder and a link are named, with the fix."""
    with pytest.raises(NamelistError, match="No such file"):
        patch_inlist(tmp_path / "inlst", {"mass": 1})
    with pytest.raises(NamelistError, match="Is a directory"):
        read_inlist(tmp_path)
    (tmp_path / "real").write_text("&pump\n rate = 1\n/\n")
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(NamelistError, match="is a link to real: name that file"):
        patch_inlist(tmp_path / "link", {"mass": 1})


def test_text_that_the_file_cannot_hold_is_refused(tmp_path):
    """A file that is not UTF-8 stays in its encoding, or as it is."""
    path = tmp_path / "inlist"
    path.write_bytes(b"&pump\n label = 'caf\xe9'\n/\n")
    assert read_inlist(path) == {"pump": {"label": "caf\u00e9"}}
    with pytest.raises(NamelistError, match="is in latin-1, which has no"):
        patch_inlist(path, {"label": "\u2603"})
    patch_inlist(path, {"label": "\u00e8"})
    assert path.read_bytes() == b"&pump\n label = '\xe8'\n/\n"


def test_a_count_that_no_array_has_is_refused(tmp_path):
    """A slip of the keyboard does not fill the memory."""
    (tmp_path / "inlist").write_text("&pump\n w = 99999999999*0\n/\n")
    with pytest.raises(NamelistError, match=r"99999999999\*0 repeats a value too often"):
        read_inlist(tmp_path / "inlist")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_file_in_utf_16_is_refused_unchanged(tmp_path, encoding):
    """An editor of Windows may save such a file; no Fortran program can read it."""
    path = tmp_path / "inlist"
    data = "&pump\n rate = 1\n/\n".encode(encoding)
    path.write_bytes(data)
    for use in (read_inlist, lambda path: patch_inlist(path, {"controls.initial_mass": 2})):
        with pytest.raises(NamelistError, match=r"is in UTF-16 or UTF-32, .* convert it to UTF-8"):
            use(path)
    assert path.read_bytes() == data


def test_a_list_is_not_written_to_an_array_that_begins_elsewhere(patched, tmp_path):
    """Fortran begins at the lowest index, such as astero's `nl(0)`: only a section is clear."""
    text = "&pump\n nl(1) = 5\n nl(0) = 6\n/\n"
    with pytest.raises(NamelistError, match=r"line 3 sets nl\(0\): name .* such as nl\(0:3\)"):
        patched({"nl": [1, 2]}, text)
    assert (tmp_path / "inlist").read_text() == text
    patched({"nl(0:1)": [1, 2]}, text)
    assert read_inlist(tmp_path / "inlist")["pump"] == {"nl(1)": 2, "nl(0)": 1}


def test_a_comment_after_a_comma_may_hide_the_next_setting(tmp_path):
    """Gfortran 12 takes a name that begins with t or f for one more logical of the array."""
    path = tmp_path / "inlist"
    path.write_text(
        "&pump\n l(2) = T, ! c\n flag = F\n l(3) = F ! c\n to = 1\n"
        " v(1) = 2, ! c\n f = 2\n l(4) = T, ! c\n mass = 1\n x = T, ! c\n tau = 1\n l(5) = T\n"
        " t(1,2) = 1\n f(1) = 3\n l(6) = F\n f(2) = 3\n t(1,2) = 1\n/\n"
    )
    with pytest.warns(InlistWarning) as warned:
        read_inlist(path)
    lost, rejected = (str(warning.message) for warning in warned)
    assert "line 3: gfortran 12 does not read flag, because of the comma before" in lost
    assert "line 13: gfortran 12 cannot read t(1,2) right after the logical l(5)" in rejected
