"""Text, numbers, links and colour names of a report."""

from __future__ import annotations

import os
import unicodedata
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.common.jobs import JobState
from pytest_remex.display import clean
from pytest_remex.report.columns import duration, head, href, shown, tail, tone

TEXT = st.text(st.characters(exclude_categories=()))


@given(TEXT)
def test_clean_text_can_be_written_and_holds_no_control(text):
    """The result is UTF-8, without controls, surrogates and bidirectional overrides."""
    cleaned = clean(text)
    cleaned.encode()
    assert {unicodedata.category(letter) for letter in cleaned if letter not in "\n\t"}.isdisjoint(
        {"Cc", "Cs"}
    )
    assert not set(cleaned) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@given(st.text(st.characters(exclude_categories=("C",))))
def test_ordinary_text_stays(text):
    """Letters, signs and spaces of any script are not changed."""
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00b", "a␀b"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("\udcff\ud800", r"\xff\ud800"),
        ("safe\u202egnp.exe", r"safe\u202egnp.exe"),
    ],
)
def test_what_cannot_be_seen_is_shown(text, shown):
    """Controls become pictures, bytes that are no text their escapes; colours go."""
    assert clean(text) == shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.25, "0.25 s"),
        (59.7, "1 min 00 s"),
        (125, "2 min 05 s"),
        (7500, "2 h 05 min"),
        (180_000, "2 d 02 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds, text):
    """Seconds are given as a person would say them."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (True, "True"), (7, "7"), (3.14159265, "3.14159"), (1e-99, "1e-99"), ("x", "x")],
)
def test_a_value_is_shown_short(value, text):
    """Floats have six significant digits; nothing is nothing."""
    assert shown(value) == text


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ("PASSED", "good"),
        ("PASSED, CHANGED SINCE LAUNCH", "odd"),
        ("FAILED, CHANGED SINCE LAUNCH", "bad"),
        ("RUNNING", "live"),
        ("", "unknown"),
        (" ", "unknown"),
        ("no such word", "unknown"),
    ],
)
def test_a_verdict_has_a_tone(verdict, expected):
    """The first word decides, and a remark makes a pass worth a look."""
    assert tone(verdict) == expected


def test_every_job_state_but_unknown_has_a_tone():
    """Every state but UNKNOWN has a tone."""
    toneless = {state for state in JobState if tone(state) == "unknown"}
    assert toneless == {JobState.UNKNOWN}


@given(st.text(st.characters(exclude_categories=())))
def test_a_link_is_relative_whatever_the_name(path):
    """No text becomes a scheme, a host, a query or a fragment."""
    parts = urlsplit(href(path))
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", "")
    assert not parts.path.startswith("/")


@given(st.binary(min_size=1).filter(lambda name: b"\0" not in name and not name.startswith(b"/")))
def test_a_link_leads_to_the_very_bytes(name):
    """A file's name, UTF-8 or not, comes back from its link."""
    assert unquote_to_bytes(href(os.fsdecode(name))) == name


@pytest.mark.parametrize("path", ["", "/etc/passwd", "//example.org/x"])
def test_what_is_not_relative_is_no_link(path):
    """Absolute paths and other hosts are refused."""
    assert href(path) == ""


def test_long_texts_are_cut_and_say_so():
    """Of a patch the start is kept, of a log the end."""
    assert head("d" * 30_000).endswith("\n[10000 more characters]")
    assert tail("first" + "l" * 30_000 + "last").startswith("[10009 characters before]\n")
    assert tail("short") == head("short") == "short"
