"""Generated namelists: read as meant, patched byte by byte, and compared with the oracles."""

from __future__ import annotations

import warnings

import f90nml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mesa_corpus.checks import Disagreement, changes, differences
from mesa_corpus.checks import read_sample as sample_of
from mesa_corpus.f90 import read_with_f90nml
from mesa_corpus.gfortran import Claim, ask, gfortran

from pytest_remex.extensions.mesa import InlistWarning, patch_inlist, read_inlist
from pytest_remex.namelists.namelist import scan
from pytest_remex.namelists.patching import patch_text

SCALARS = {"mass": 1.0, "core_mass": 1.0, "steps": 1, "on": True, "label": "x", "title": "x"}
# no array begins with t or f: behind a short list of logicals, gfortran 12 takes it for one more
ARRAYS = {"w": 1.0, "lw": True, "words": "x"}
BLANKS = st.sampled_from(["", " ", "  ", "\t"])
COMMENTS = st.sampled_from(["", "! a", "! mass = 3", "! don't / stop &end", '! "open', "!"])
GAPS = st.sampled_from(["\n", "\n\n", "\n  ! between\n", " ! behind\n  ", ", \n", "  ", ", "])
WORDS = st.text(st.sampled_from("abc !/&='\"$,()*%1 "), max_size=12).map(lambda text: text.rstrip())


@st.composite
def numbers(draw):
    """Return a number and one of its spellings."""
    value = draw(st.floats(-1e6, 1e6) | st.integers(-999, 999))
    text = repr(value)
    if isinstance(value, float) and draw(st.booleans()):
        text = text.replace("e", "d") if "e" in text else f"{text}d0"
    return value, text


LOGICALS = st.sampled_from([(True, ".true."), (True, "T"), (False, ".F."), (False, ".false")])
TEXTS = WORDS.flatmap(
    lambda text: st.sampled_from(
        [(text, "'" + text.replace("'", "''") + "'"), (text, '"' + text.replace('"', '""') + '"')]
    )
)


def literals(example):
    """Literals of the kind of an example."""
    if isinstance(example, bool):
        return LOGICALS
    return TEXTS if isinstance(example, str) else numbers()


@st.composite
def statements(draw):
    """Return one statement, and the values that it sets by name."""
    name = draw(st.sampled_from([*SCALARS, *ARRAYS]))
    written = draw(st.sampled_from([name, name.upper(), name.title()]))
    equals = draw(BLANKS) + "=" + draw(BLANKS)
    if name in SCALARS:
        value, text = draw(literals(SCALARS[name]))
        if name == "steps":
            value, text = (one := draw(st.integers(0, 99))), str(one)
        return written + equals + text, {name: value}
    given_values = draw(st.lists(literals(ARRAYS[name]), min_size=1, max_size=3))
    comma = draw(st.sampled_from([", ", ",", " ", " , "]))
    listed = comma.join(text for _, text in given_values)
    start = draw(st.integers(1, 3))
    places = range(start, start + len(given_values))
    if len(given_values) == 1:
        subscript = f"( {start} )"
    else:
        subscript = draw(st.sampled_from([f"({start}:{places[-1]})", f"({start}:)"]))
    values = {f"{name}({place})": one for place, (one, _) in zip(places, given_values, strict=True)}
    return written + subscript + equals + listed, values


@st.composite
def namelists(draw):
    """Return a text with one group, its line breaks, and the values that it sets, in order."""
    text, values = draw(COMMENTS) + "\n&Engine" + draw(st.sampled_from(["\n", " ", " ! go\n"])), {}
    for statement, given_values in draw(st.lists(statements(), max_size=8)):
        text += statement + draw(GAPS)
        values |= given_values
    text += draw(st.sampled_from(["\n/", "\n/ ! end", " &end"])) + "\n"
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"]))), values


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("generated") / "inlist"


@given(namelists())
def test_values_are_read_as_they_were_meant(path, namelist):
    """Names, subscripts, lists, spellings, comments and blanks do not matter."""
    text, values = namelist
    path.write_bytes(text.encode())
    assert read_inlist(path) == {"engine": values}


@given(namelists())
def test_setting_anything_changes_only_its_bytes(path, namelist):
    """Each scalar and each element can be set separately."""
    path.write_bytes(namelist[0].encode())
    found = list(changes(sample_of(path)))
    assert [one for one in found if isinstance(one, Disagreement)] == []
    assert len(found) == len(namelist[1])


@given(namelists(), st.dictionaries(st.sampled_from(list(SCALARS)), st.none(), min_size=1))
def test_setting_what_is_there_again_changes_nothing(path, namelist, names):
    """A patch is idempotent: done twice, the second does nothing."""
    text, values = namelist
    wanted = {f"engine.{name}": values.get(name, SCALARS[name]) for name in names}
    once = patch_text(text, wanted)
    assert patch_text(once, wanted) == once
    path.write_bytes(once.encode())
    assert read_inlist(path)["engine"] == values | {
        name: values.get(name, SCALARS[name]) for name in names
    }


@given(st.text(st.sampled_from("&$/!'\"=(),*:\n ab1.%"), max_size=60) | st.text(max_size=60))
def test_any_text_is_scanned_or_refused_in_words(text):
    """For any file there is no other error, and spans are in order within the text."""
    try:
        groups = scan(text)
    except ValueError as error:  # pragma: no cover - a failure of the scanner
        pytest.fail(repr(error))
    except Exception as error:  # noqa: BLE001 - the type is what is checked
        assert type(error).__name__ == "NamelistError", repr(error)  # noqa: PT017 - as above
        return
    position = 0
    for group in groups:
        assert position <= group.start < group.body <= group.end < group.behind <= len(text)
        for setting in group.settings:
            assert group.body <= setting.start < setting.equals <= setting.end <= group.end
        position = group.behind


@given(namelists())
def test_f90nml_agrees_where_it_is_right(path, namelist):
    """An independent parser reads the same values; for the others, see gfortran below."""
    text, _ = namelist
    path.write_bytes(text.encode())
    theirs = read_with_f90nml(text.replace("\r\n", "\n"))
    ours = read_inlist(path)["engine"]
    if isinstance(theirs, str) or differences(ours, theirs.get("engine", {})):
        assert not gfortran() or _gfortran_agrees([Claim(text.encode(), "engine", ours)])


@pytest.mark.skipif(not gfortran(), reason="gfortran is not installed")
def test_gfortran_agrees(path):
    """The compiler that MESA is built with reads the same values from 300 generated namelists."""
    claims = []

    @given(namelists())
    @settings(max_examples=300)
    def collect(namelist):
        path.write_bytes(namelist[0].encode())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InlistWarning)
            values = read_inlist(path)["engine"]
        if values:
            claims.append(Claim(namelist[0].encode(), "engine", values))

    collect()
    assert len(claims) > 100
    assert _gfortran_agrees(claims)


def _gfortran_agrees(claims):
    for claim, answer in zip(claims, ask(claims), strict=True):
        assert answer.status == 0, (claim, answer)
        assert differences(claim.values, answer.values) == [], claim
    return True


def test_patching_is_not_f90nml_s(path):
    """The case that f90nml gets wrong: an element of an array is set in place."""
    text = "&engine\n  w(2) = 1\n  w(4) = 2\n/\n"
    path.write_text(text)
    patch_inlist(path, {"w(4)": 9})
    assert path.read_text() == text.replace("w(4) = 2", "w(4) = 9")
    assert f90nml.read(path)["engine"]["w"] == [1, None, 9]
