"""Run a program and give back what it said: the door to subprocess for all but sbatch and jobs."""

import os
import subprocess
from typing import Dict, List, NamedTuple, Optional

from pytest_remex.common.redact import redact

MISSING = 127
"""The exit code of a program that is not there, as shells give it."""


class Ran(NamedTuple):
    """How a program ended: its exit code (None: it took too long) and its two outputs."""

    code: Optional[int]
    out: str
    err: str

    @property
    def well(self) -> bool:
        """Whether the program ended with 0."""
        return self.code == 0

    def words(self) -> str:
        """Give what the program said about its failure, without credentials."""
        if self.code is None:
            return "no answer in time"
        text = self.err.strip() or self.out.strip() or f"exit code {self.code}"
        return redact(text)


def run(
    words: List[str], *, timeout: float, env: Optional[Dict[str, str]] = None, text: str = ""
) -> Ran:
    """Run a program with `text` as its input; a missing program is exit code MISSING."""
    try:
        process = subprocess.Popen(
            words,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        return Ran(MISSING, "", f"{words[0]}: {error.strerror}")
    with process:
        try:
            out, err = process.communicate(os.fsencode(text), timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            return Ran(None, "", "")
    return Ran(process.returncode, os.fsdecode(out), os.fsdecode(err))
