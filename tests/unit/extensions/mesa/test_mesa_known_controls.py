"""Which names an installed MESA knows."""

from __future__ import annotations

import pytest
from mesa_samples import DEFAULTS

from pytest_remex.errors import NamelistError
from pytest_remex.extensions.mesa import load_controls

SOURCE = """\
      ! namelist /controls/ not_this_one
      namelist /controls/ &
         initial_mass, only_in_source, & ! and a comment, with commas

         ! a comment line &
         Another_One
      integer :: not_a_name
      namelist /spare/ one, two
"""


@pytest.fixture
def mesa(tmp_path):
    """Lay out a small tree as `$MESA_DIR` is."""
    for name, text in DEFAULTS.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_names_of_the_defaults_files_are_known(mesa):
    """Names count without subscript and in any case; comments and texts hold none."""
    known = load_controls(mesa)
    assert known.names["controls"] == {"initial_mass", "x_ctrl", "log_directory", "new_thing"}
    assert known.names["astero_search_controls"] == {"chi2"}
    assert known.doubt("controls", "x_ctrl") is None
    assert known.doubt("controls", "read_extra_controls_inlist") is None
    assert known.doubt("controls", "extra_controls_inlist1_name") is None
    assert known.doubt("controls", "extra_kap_inlist_name") is not None


@pytest.mark.parametrize(
    ("group", "name", "doubt"),
    [
        (
            "controls",
            "initial_mas",
            "&controls of this MESA has no initial_mas: did you mean initial_mass?",
        ),
        ("controls", "qwertyuiop", "&controls of this MESA has no qwertyuiop"),
        ("controls", "zbase", "zbase belongs to &kap, not &controls"),
        ("controls", "shared", "shared belongs to &eos or &kap, not &controls"),
        ("contols", "initial_mass", "MESA has no &contols: did you mean &controls?"),
        ("my_own_group", "anything", None),
    ],
)
def test_a_name_that_is_not_known_is_doubted(mesa, group, name, doubt):
    """The nearest name or the right group is suggested; a user's own group is not checked."""
    assert load_controls(mesa).doubt(group, name) == doubt


def test_namelist_statements_of_the_source_add_names(mesa):
    """The defaults files lack some names, which the source has."""
    for name in ("star/private/ctrls_io.f90", "star/public/other.inc"):
        (mesa / name).parent.mkdir(exist_ok=True)
        (mesa / name).write_text(SOURCE)
    known = load_controls(mesa)
    assert known.doubt("controls", "only_in_source") is None
    assert known.doubt("controls", "another_one") is None
    assert known.names["spare"] == {"one", "two"}
    assert not known.names["controls"] & {"not_this_one", "not_a_name", "comment", "integer", "and"}


DECLARED = """\
      integer :: &
         max_model_number, & ! steps, not years
         x_integer_ctrl(num_x_ctrls)
      real(dp) :: initial_mass, Both
      integer, dimension(3) :: both
      ! integer :: not_this_one
"""


def test_integers_are_known_from_the_source(mesa):
    """A whole number fits any number, and no other one an integer."""
    path = mesa / "star_data" / "private" / "star_controls.inc"
    path.parent.mkdir(parents=True)
    path.write_text(DECLARED)
    known = load_controls(mesa)
    assert known.integers == {"max_model_number", "x_integer_ctrl"}
    assert known.kind_doubt("controls", "max_model_number", 1000) is None
    assert known.kind_doubt("controls", "initial_mass", 12.5) is None
    doubt = known.kind_doubt("controls", "max_model_number", 12.5)
    assert doubt == "max_model_number is an integer in this MESA, which cannot read 12.5"
    assert known.kind_doubt("controls", "max_model_number", 2147483647) is None
    assert str(known.kind_doubt("controls", "max_model_number", 10**10)).endswith(
        "which cannot read 10000000000: the largest is 2147483647"
    )


def test_a_folder_that_is_not_mesa_is_named(tmp_path):
    """The message says which setting to fix."""
    with pytest.raises(NamelistError, match=r"has no \*/defaults/\*.defaults: set MESA_DIR"):
        load_controls(tmp_path)
