"""Which setting counts where inlists read inlists."""

from __future__ import annotations

import json

import pytest

from pytest_remex.errors import NamelistError
from pytest_remex.extensions.mesa import effective_config


@pytest.fixture
def work(tmp_path):
    """Return a function that writes inlists, by name, into a work directory."""

    def write(**inlists):
        for name, text in inlists.items():
            (tmp_path / name).write_text(text)
        return tmp_path / "inlist"

    return write


def reads(group, *names, old=False):
    """Return the settings with which a group reads other files."""
    lines = []
    for number, name in enumerate(names, 1):
        if old:
            lines.append(f"read_extra_{group}_inlist{number} = .true.")
            lines.append(f"extra_{group}_inlist{number}_name = '{name}'")
        else:
            lines.append(f"read_extra_{group}_inlist({number}) = .true.")
            lines.append(f"extra_{group}_inlist_name({number}) = '{name}'")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("old", [False, True])
def test_children_override_parents_and_later_siblings_win(work, old):
    """MESA reads a file, then what it names, in order; the last value counts."""
    root = work(
        inlist="&controls\nmass = 1\ny = 1\nz = 1\n" + reads("controls", "a", "b", old=old) + "/\n",
        a="&controls\ny = 2\nz = 2\n" + reads("controls", "deep", old=old) + "/\n",
        deep="&controls\nz = 3\nw = 3\n/\n",
        b="&controls\nw = 4\n/\n",
    )
    config = effective_config(root)
    assert [config[name] for name in ("mass", "y", "z", "w")] == [1, 2, 3, 4]
    origin = config.origin("z")
    assert (origin.group, origin.value, origin.path.name, origin.line) == ("controls", 3, "deep", 2)
    assert [one.path.name for one in config.origins("w")] == ["deep", "b"]


def test_each_group_has_its_own_chain(work):
    """A file named in one group is not read for another."""
    root = work(
        inlist="&kap\nzbase = 1\n" + reads("kap", "a") + "/\n&controls\nmass = 1\n/\n",
        a="&kap\nzbase = 2\n/\n&controls\nmass = 9\n/\n",
    )
    config = effective_config(root)
    assert config["zbase"] == 2
    assert config["mass"] == 1


def test_a_file_is_read_only_where_its_switch_is_on(work):
    """A name without `.true.` reads nothing."""
    text = reads("controls", "a").replace(".true.", ".false.")
    assert "mass" not in effective_config(work(inlist=f"&controls\n{text}/\n"))


def test_names_are_looked_up_as_users_write_them(work):
    """Names may differ in case, blanks, group and subscript; arrays and sections are lists."""
    root = work(
        inlist="&controls\nX_CTRL(2) = 5\nx_ctrl(1) = 4\nname = 'a'\n/\n&kap\nname = 'b'\n/\n"
    )
    config = effective_config(root)
    assert config["x_ctrl( 2 )"] == config["Controls.X_Ctrl(2)"] == 5
    assert config["x_ctrl"] == config["Controls.X_Ctrl( 1:2 )"] == config["x_ctrl(:)"] == [4, 5]
    assert config["x_ctrl(2:3)"] == config["x_ctrl(2:)"] == [5]
    assert "x_ctrl(3:4)" not in config
    assert config["kap.name"] == "b"
    assert "name" not in config
    assert "x_ctrl(3)" not in config
    assert "kap.mass" not in config
    assert list(config) == ["x_ctrl(2)", "x_ctrl(1)", "controls.name", "kap.name"]
    assert json.dumps(dict(config)) == json.dumps({key: config[key] for key in config})
    assert len(config) == 4


def test_an_array_of_several_files_is_one(work):
    """A bare name in one file is the first element of the array of another."""
    root = work(
        inlist="&controls\nw = 7\n" + reads("controls", "a") + "/\n", a="&controls\nw(2) = 8\n/\n"
    )
    assert effective_config(root)["w"] == [7, 8]


def test_one_value_is_also_the_first_element(work):
    """An inlist does not say whether `w = 7` sets an array."""
    config = effective_config(work(inlist="&controls\nw = 7\n/\n"))
    assert config["w"] == config["controls.w(1)"] == 7
    assert "w(2)" not in config


def test_a_missing_file_is_named(work):
    """The message says who reads it, and what to do."""
    root = work(inlist="&controls\n" + reads("controls", "nowhere") + "/\n")
    with pytest.raises(NamelistError, match=r"inlist reads &controls from 'nowhere', which is not"):
        effective_config(root)


def test_names_of_files_end_at_their_last_letter(work):
    """Fortran ignores blanks at the end of a file's name, and a message has the name as written."""
    root = work(inlist="&controls\n" + reads("controls", "a ") + "/\n", a="&controls\nm = 1\n/\n")
    assert effective_config(root)["m"] == 1
    root = work(inlist="&controls\n" + reads("controls", "../b/a") + "/\n")
    with pytest.raises(NamelistError, match=r"reads &controls from '\.\./b/a', which is not in"):
        effective_config(root)


def test_nine_inlists_deep_and_no_more(work):
    """MESA gives up at the tenth: so an inlist that reads itself is an error, not a hang."""
    chain = {f"a{n}": "&controls\n" + reads("controls", f"a{n + 1}") + "/\n" for n in range(2, 9)}
    first = "&controls\n" + reads("controls", "a2") + "/\n"
    root = work(inlist=first, **chain, a9="&controls\nmass = 3\n/\n")
    assert effective_config(root)["mass"] == 3
    root = work(a9="&controls\n" + reads("controls", "inlist") + "/\n")
    with pytest.raises(NamelistError, match="more than 9 inlists deep in &controls"):
        effective_config(root)
