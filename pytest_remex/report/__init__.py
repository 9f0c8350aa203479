"""The report: one HTML page of a sweep's experiments, an index of all pages, and a zip to mail."""

from __future__ import annotations

from pytest_remex.report.outputs import Portable, write_portable
from pytest_remex.report.page import Curve, IndexedSweep, Overlay, Page, ReportLaunch, ReportRow
from pytest_remex.report.write import write_index, write_report

__all__ = [
    "Curve",
    "IndexedSweep",
    "Overlay",
    "Page",
    "Portable",
    "ReportLaunch",
    "ReportRow",
    "write_index",
    "write_portable",
    "write_report",
]
