"""Credentials in messages and files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.common.redact import redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:token@host/x", "https://***@host/x"),
        ("push to https://token@host/x failed", "push to https://***@host/x failed"),
        ("HTTPS://a:b@h and ssh://git@h", "HTTPS://***@h and ssh://***@h"),
        ("git@host:x.git", "git@host:x.git"),
        ("https://host/x", "https://host/x"),
    ],
)
def test_urls(text, shown):
    """Names and tokens are removed from URLs."""
    assert redact(text) == shown


@pytest.mark.parametrize("word", ["x", "://", "x://", "x@", "token="])
def test_long_words(word):
    """A text without blanks takes time in proportion to its length: else this would not end."""
    assert len(redact(word * 1_000_000)) <= len(word) * 1_000_000


VISIBLE = st.characters(categories=("L", "N", "P", "S"), exclude_characters="/")


@given(st.text(alphabet=VISIBLE, min_size=1))
def test_no_token_stays(token):
    """No token stays, whatever its characters."""
    assert redact(f"https://user:{token}@host/x") == "https://***@host/x"
