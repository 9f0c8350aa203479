"""The one place that quotes for a shell."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_remex.errors import RemoteError
from pytest_remex.transport.login_shell import login_command

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)


@settings(max_examples=15, deadline=None)
@given(text=TEXT, shell=st.sampled_from(["sh -c", "bash -c", "env 'A=b c' sh -c"]))
def test_program_arrives(text, shell):
    """A program with any text in it runs as it is, after two shells."""
    program = f"import sys; sys.stdout.buffer.write({text.encode()!r})"
    run = subprocess.run(
        ["sh", "-c", login_command(shell, program)], capture_output=True, check=True
    )
    assert run.stdout == text.encode()


def test_nothing_for_other_shells_to_read():
    """Line ends and exclamation marks, which csh reads within quotes, are not in the command."""
    command = login_command("bash -lc", "print('!!')\n" * 100)
    assert b"\n" not in command
    assert b"!" not in command


def test_unreadable_shell():
    """A remex_shell whose quotes do not match is named."""
    with pytest.raises(RemoteError, match='remex_shell = "bash -c \'a" cannot be split into words'):
        login_command("bash -c 'a", "")
