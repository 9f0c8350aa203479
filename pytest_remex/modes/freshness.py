"""Writes a report only where it would show something else than the one that is there."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pytest_remex.mends import writing
from pytest_remex.report import Page, write_report
from pytest_remex.report.figures import figures

MAKERS = ("pytest-remex", "plotly", "itables", "Jinja2")
"""The packages whose release decides how a page looks."""


def refresh_report(path: Path, page: Page) -> None:
    """Write a report where there is none, or one of another page; its last line names its page.

    Raises `RecordError` where `path` cannot be written.
    """
    mark = f"<!-- {_digest(page)} -->\n".encode()
    if _end(path, len(mark)) == mark:
        return
    with writing(path):
        write_report(path, page)
        with path.open("ab") as file:
            file.write(mark)


def _digest(page: Page) -> str:
    drawn = replace(page, figures=figures(page.figures))
    return hashlib.sha256(repr(([*map(_release, MAKERS)], drawn)).encode()).hexdigest()


def _release(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _end(path: Path, length: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(-length, os.SEEK_END)
            return file.read()
    except OSError:
        return b""
