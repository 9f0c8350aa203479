"""Links of a report: relative, percent-encoded, never a scheme."""

from __future__ import annotations

import os
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.report.links import href


@given(st.text(st.characters(exclude_categories=())))
def test_a_link_is_relative_whatever_the_name(path):
    """No text gives a scheme, a host, a query or a fragment."""
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
