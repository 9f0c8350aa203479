"""The report: one self-contained HTML page of a sweep's experiments."""

from __future__ import annotations

from pytest_remex.report.page import Page, Row
from pytest_remex.report.write import write_report

__all__ = ["Page", "Row", "write_report"]
