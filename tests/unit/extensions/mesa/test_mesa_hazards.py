"""The hazards of `mesa_hazards.py`: read, patched, and read back by gfortran."""

from __future__ import annotations

import warnings

import pytest
from mesa_corpus.checks import differences
from mesa_corpus.gfortran import Claim, ask, gfortran
from mesa_hazards import HAZARDS

from pytest_remex.errors import NamelistError
from pytest_remex.extensions.mesa import InlistWarning, patch_inlist, read_inlist

hazards = pytest.mark.parametrize("hazard", HAZARDS, ids=lambda hazard: hazard.name)
END_OF_FILE = -1


@pytest.fixture
def inlist(tmp_path):
    return tmp_path / "inlist"


@hazards
def test_a_hazard_is_read_right(hazard, inlist):
    """A Fortran read of the group yields the values that `read_inlist` returns."""
    inlist.write_bytes(hazard.before)
    if hazard.warns:
        with pytest.warns(InlistWarning, match=hazard.warns):
            assert read_inlist(inlist)["engine"] == hazard.read
    else:
        assert read_inlist(inlist)["engine"] == hazard.read


@hazards
@pytest.mark.filterwarnings("ignore:.*also appears on:pytest_remex.extensions.mesa.InlistWarning")
def test_a_hazard_is_patched_right(hazard, inlist):
    """A patch changes the setting that counts, and no other byte."""
    inlist.write_bytes(hazard.before)
    patch_inlist(inlist, hazard.patch)
    assert inlist.read_bytes() == hazard.after


def test_a_group_without_end_is_refused(inlist):
    """A group inside a group is an error that names the line, and the file stays as it is."""
    text = b"&engine\n  mass = 3\n\n\n&pump\n  rate = 2\n/\n"
    inlist.write_bytes(text)
    with pytest.raises(NamelistError, match="line 5: &pump inside &engine: missing '/'"):
        read_inlist(inlist)
    with pytest.raises(NamelistError, match="line 5: &pump inside &engine: missing '/'"):
        patch_inlist(inlist, {"mass": 4})
    assert inlist.read_bytes() == text


@pytest.mark.skipif(not gfortran(), reason="gfortran is not installed")
def test_gfortran_reads_what_is_read_here(inlist):
    """For each hazard, before and after the patch, gfortran sets the same names and values."""
    claims = []
    for data in [data for hazard in HAZARDS for data in (hazard.before, hazard.after)]:
        inlist.write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InlistWarning)
            claims.append(Claim(data, "engine", read_inlist(inlist)["engine"]))
    for claim, answer in zip(claims, ask(claims), strict=True):
        ended = claim.data.endswith(b"\n")
        assert answer.status == (0 if ended else END_OF_FILE), answer.message
        assert differences(claim.values, answer.values) == []
