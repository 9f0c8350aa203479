"""The report: one HTML page of a sweep's experiments, an index of all pages, and a zip to mail."""

from __future__ import annotations

from pytest_remex.report.outputs import Portable, write_portable
from pytest_remex.report.page import Curve, Launch, Overlay, Page, Row, Sweep
from pytest_remex.report.write import write_index, write_report

__all__ = [
    "Curve",
    "Launch",
    "Overlay",
    "Page",
    "Portable",
    "Row",
    "Sweep",
    "write_index",
    "write_portable",
    "write_report",
]
