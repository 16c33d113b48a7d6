"""What is measured against what: each subject as the pgbench script of one call, and the kind of ledger it works on.

Amounts are tiny, so that neither the handover's fixed limit of 100 nor any cap is ever reached.
"""

from __future__ import annotations

from dataclasses import dataclass

CALL = """(0.0001, 'bench', '{"work_order_id": "be8db517-93c4-48ab-8a32-1d787a42d32a"}')"""
INSERT = f"INSERT INTO cost_tracking (cost, service_name, metadata) VALUES {CALL}"
# As the handover's updateReservationWithActual writes it.
UPDATE = """UPDATE cost_tracking
SET cost = 0.0001, metadata = '{"type": "actual", "updated_at": "2025-10-03T12:00:00.000Z"}' WHERE id = :id;"""
SETTLE = "SELECT * FROM budget.settle(:reservation_id, 0.0001);"


@dataclass(frozen=True)
class Subject:
    """One thing to measure. In its script \\gset ends a statement and keeps its row's columns as variables."""

    name: str
    ledger: str
    script: str


SUBJECTS = {
    subject.name: subject
    for subject in (
        Subject("bare INSERT", "handover", f"{INSERT};"),
        Subject("bare pair", "handover", f"{INSERT} RETURNING id \\gset\n{UPDATE}"),
        Subject("handover", "handover", f"SELECT * FROM check_and_reserve_budget{CALL};"),
        Subject("reserve", "pgbudget", f"SELECT * FROM budget.reserve{CALL};"),
        Subject("reserve pair", "pgbudget", f"SELECT * FROM budget.reserve{CALL} \\gset\n{SETTLE}"),
        Subject("advisory", "pgbudget", f"SELECT * FROM budget.reserve_advisory{CALL};"),
        Subject("advisory pair", "pgbudget", f"SELECT * FROM budget.reserve_advisory{CALL} \\gset\n{SETTLE}"),
    )
}
