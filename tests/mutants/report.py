"""The table of the mutants and of the tests that caught them, at the end of a run."""

from __future__ import annotations

import pytest

MUTANT, CAUGHT_BY, IT_SAID = "mutant", "caught by", "it said"
SURVIVED = "NOBODY"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = [
        # A mutant that is stale was never planted, and so has nothing but its name.
        [properties[MUTANT], properties.get(CAUGHT_BY, SURVIVED), properties.get(IT_SAID, "")]
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        and MUTANT in (properties := dict(getattr(report, "user_properties", ())))
    ]
    if not rows:
        return
    terminalreporter.section("mutants")
    wide = max(len(row[0]) for row in rows)
    for mutant, caught_by, it_said in sorted(rows, key=lambda row: (row[1] != SURVIVED, row[1], row[0])):
        terminalreporter.line(f"{mutant:{wide}}  {caught_by}")
        if terminalreporter.verbosity > 0:
            terminalreporter.line(f"{'':{wide}}    {it_said}")
    caught = sum(row[1] != SURVIVED for row in rows)
    terminalreporter.line(f"{caught} of {len(rows)} mutants were caught")
