"""A report to look at: one self-contained page about the days that were."""

from __future__ import annotations

from pgbudget.report.facts import Facts, read_facts
from pgbudget.report.page import report_page

__all__ = ["Facts", "read_facts", "report_page"]
