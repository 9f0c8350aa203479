"""Fixtures of the tests of config files."""

import pytest


@pytest.fixture
def make(tmp_path):
    """Return a function that writes a file and returns its path."""

    def write(name, text):
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return write
