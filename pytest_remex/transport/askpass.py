"""What ssh asks while it logs in, passed on to the user: passphrases, codes, unknown host keys."""

from __future__ import annotations

import json
import os
import select
import shlex
import socket
import sys
from typing import TYPE_CHECKING, Any, Self

from pytest_remex.errors import RemoteError

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_remex.transport.base import Notify, Prompt

_ASKPASS = """
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as link:
    link.connect(sys.argv[1])
    asked = [" ".join(sys.argv[2:]), os.environ.get("SSH_ASKPASS_PROMPT", "")]
    link.sendall(json.dumps(asked).encode() + b"\\n")
    answer = link.makefile("rb").readline()
if not answer:
    sys.exit(1)
print(json.loads(answer.decode()))
"""
"""The program that ssh runs to ask a question; it passes the question on to `SshQuestions`."""
_YES = ("yes", "y")


class SshQuestions:
    """Asks the user what ssh asks, as long as its `with` block lasts.

    Attributes:
        are_answered: Whether there is a prompt to ask the user with.
        unanswered: A question that could not be asked.
        variables: The environment variables that make ssh ask here.
    """

    def __init__(self, folder: Path, prompt: Prompt | None, notify: Notify) -> None:
        self.are_answered = prompt is not None
        self.unanswered = ""
        self._prompt = prompt
        self._notify = notify
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / "ask"))
        self._listener.listen()
        program = folder / "askpass"
        words = [sys.executable, "-I", "-S", "-c", _ASKPASS, str(folder / "ask")]
        program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        program.chmod(0o700)
        self.variables = {
            "SSH_ASKPASS": str(program),
            "SSH_ASKPASS_REQUIRE": "force",
            "DISPLAY": os.environ.get("DISPLAY", ":0"),  # before OpenSSH 8.4, ssh asks only with it
        }

    def answer_next(self, seconds: float) -> None:
        """Wait so many seconds for a question, and answer it."""
        if select.select([self._listener], [], [], seconds)[0]:
            link, _ = self._listener.accept()
            with link.makefile("rb") as lines:
                asked: Any = json.loads(lines.readline() or b'["", ""]')
            text, kind = str(asked[0]), str(asked[1])
            self._open.append(link)  # if no answer is needed, ssh itself ends the program
            if kind == "none":
                self._notify(text)
                return
            if (answer := self._ask(text, kind)) is not None:
                link.sendall(json.dumps(answer).encode() + b"\n")
            self._open.pop().close()

    def _ask(self, text: str, kind: str) -> str | None:
        """Return the answer; None if there is none, or if it is "no"."""
        if self._prompt is None:
            self.unanswered = text.strip()
            return None
        is_choice = kind == "confirm" or "(yes/no" in text
        try:
            answer = self._prompt(text, echo=is_choice)
        except RemoteError:
            if is_choice:  # without an answer, ssh itself refuses the host key
                return None
            raise
        return None if kind == "confirm" and answer.strip().lower() not in _YES else answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for link in (*self._open, self._listener):
            link.close()
