"""Text of a report: valid in HTML, and showing what is in it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.report.text import clean

TEXT = st.text(st.characters(exclude_categories=()))


@given(TEXT)
def test_clean_text_can_be_written_and_holds_no_control(text):
    """What is left is UTF-8, without controls, surrogates and bidirectional overrides."""
    cleaned = clean(text)
    cleaned.encode()
    assert {unicodedata.category(letter) for letter in cleaned if letter not in "\n\t"}.isdisjoint(
        {"Cc", "Cs"}
    )
    assert not set(cleaned) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@given(st.text(st.characters(exclude_categories=("C",))))
def test_ordinary_text_stays(text):
    """Letters, signs and spaces of any script are left alone."""
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
