"""The first line of a script, read as the kernel reads it."""

import os
from typing import List


class ShebangError(Exception):
    """A first line that names no interpreter; the words say why."""


def words_of(line: str) -> List[str]:
    """Give the interpreter and, at most, one argument."""
    if line.endswith("\r\n"):
        raise ShebangError("it has Windows line ends; save it with Unix ones")
    words = line[2:].strip().split(None, 1)
    if not line.startswith("#!") or not words:
        raise ShebangError("it has no #! line; put one such as #!/bin/bash first")
    return words


def words_of_script(path: str) -> List[str]:
    """Give what `words_of` gives for a script's first line; OSError when it cannot be read."""
    with open(path, "rb") as file:
        return words_of(os.fsdecode(file.readline(4096)))
