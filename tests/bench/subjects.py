"""What is measured: each subject as the pgbench script of one call, and the kind of ledger that it works on.

Amounts are tiny, so that neither the handover's fixed limit of 100 nor any cap is ever reached.
"""

from __future__ import annotations

from dataclasses import dataclass

CALL = """(0.0001, 'bench', '{"work_order_id": "be8db517-93c4-48ab-8a32-1d787a42d32a"}')"""
INSERT = f"INSERT INTO cost_tracking (cost, service_name, metadata) VALUES {CALL}"
# As the handover's updateReservationWithActual writes it.
UPDATE = """UPDATE cost_tracking
SET cost = 0.0001, metadata = '{"type": "actual", "updated_at": "2025-10-03T12:00:00.000Z"}' WHERE id = :id;"""
HANDOVER = f"SELECT * FROM check_and_reserve_budget{CALL};"
RESERVE = f"SELECT * FROM budget.reserve{CALL}"
ADVISORY = f"SELECT * FROM budget.reserve_advisory{CALL}"
SETTLE = "\\gset\nSELECT * FROM budget.settle(:reservation_id, 0.0001);"


@dataclass(frozen=True)
class Subject:
    """One thing to measure. In its script \\gset ends a statement and keeps its row's columns as variables.

    What reads no sum does not mind if the day grows, so that its batches may have so many times more calls: they are
    short, and for that their figures would scatter. A call that does several things `at_once` counts as so many.
    """

    name: str
    kind: str
    script: str
    times: int = 1
    at_once: int = 1


SUBJECTS = {
    subject.name: subject
    for subject in (
        Subject("INSERT", "handover", f"{INSERT};", times=5),
        Subject("INSERT + UPDATE", "handover", f"{INSERT} RETURNING id \\gset\n{UPDATE}", times=5),
        Subject("handover", "handover", HANDOVER),
        Subject("handover, old rows", "handover, old", HANDOVER),
        Subject("reserve", "core", f"{RESERVE};"),
        Subject("reserve + settle", "core", f"{RESERVE} {SETTLE}"),
        Subject("reserve_advisory", "core", f"{ADVISORY};"),
        Subject("reserve_advisory + settle", "core", f"{ADVISORY} {SETTLE}"),
        Subject("reserve_advisory, old rows", "core, old", f"{ADVISORY};"),
        Subject("reserve_advisory + settle, old rows", "core, old", f"{ADVISORY} {SETTLE}"),
        Subject("check", "core", f"SELECT * FROM budget.check{CALL};"),
        Subject("check, plain index", "core, plain index", f"SELECT * FROM budget.check{CALL};"),
        Subject("check, lived day", "core, lived", f"SELECT * FROM budget.check{CALL};"),
        Subject("check, lived day, plain index", "core, plain index, lived", f"SELECT * FROM budget.check{CALL};"),
        Subject("reserve_advisory + settle, plain index", "core, plain index", f"{ADVISORY} {SETTLE}"),
    )
}
