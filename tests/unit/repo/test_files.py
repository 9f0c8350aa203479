"""Where links lead within a checkout, found without leaving it."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.repo.files import follow, leaving, link_targets_in

PATHS = ("a", "b", "c", "d/e", "d/f", "d/g/h")
PARTS = st.sampled_from(["..", ".", "", "a", "b", "c", "d", "e", "f", "g", "h", "none"])
TARGETS = st.one_of(
    st.lists(PARTS, min_size=1, max_size=6).map("/".join).filter(bool), st.just("/etc")
)


@given(st.dictionaries(st.sampled_from(PATHS), TARGETS), st.lists(PARTS, min_size=1, max_size=6))
def test_as_the_system_does(links, parts):
    """A path is inside if and only if the operating system resolves it inside."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "root"
        (root / "d/g").mkdir(parents=True)
        for path, target in links.items():
            (root / path).symlink_to(target)
        path = "/".join(parts).lstrip("/")
        found = follow(path.encode(), link_targets_in(os.fsencode(root)))
        by_name = {link.encode(): target.encode() for link, target in links.items()}
        assert found == follow(path.encode(), by_name.get)
        try:
            real = Path(os.path.realpath(root / path, strict=True))
        except OSError:
            return
        if found is not None:
            assert real == root / os.fsdecode(found)
        elif real.is_relative_to(root):
            assert ".." in path or any(".." in target for target in links.values())


@pytest.mark.parametrize(
    ("links", "outside"),
    [
        ({b"a": b"b"}, set()),
        ({b"a": b"/b"}, {b"a"}),
        ({b"a": b"../b"}, {b"a"}),
        ({b"d/a": b"../b"}, set()),
        ({b"d/a": b"../../b"}, {b"d/a"}),
        ({b"a": b"b/c", b"b": b"/data"}, {b"a", b"b"}),
        ({b"a": b"d/../x", b"d": b"."}, {b"a"}),
        ({b"a": b"a"}, set()),
        ({b"a": b"b", b"b": b"a"}, set()),
        ({b"a": b"b/../..", b"b": b"c/d"}, set()),
        ({b"a": b""}, set()),
    ],
)
def test_leaving(links, outside):
    """A link leaves where its path does, through other links too; a loop leads nowhere."""
    assert set(leaving(links)) == outside
