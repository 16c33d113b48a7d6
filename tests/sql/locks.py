"""What a reservation locks of the ledger, and who goes on meanwhile."""

from __future__ import annotations

from tests.series import by_series

ADVISORY_KEY = 8099550711184319860  # "pgbudget" in ASCII

LOCKS = """
    SELECT l.mode, (l.classid::bigint << 32) | l.objid::bigint
      FROM pg_locks AS l
     WHERE l.pid = pg_backend_pid()
       AND (l.relation = 'public.cost_tracking'::regclass AND l.mode LIKE '%%Exclusive%%' OR l.locktype = 'advisory')
"""

READERS = {"ACCESS SHARE", "ROW SHARE"}
WRITERS = {"ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE"}
ALL_MODES = [
    "ACCESS SHARE",  # SELECT
    "ROW SHARE",  # SELECT FOR UPDATE
    "ROW EXCLUSIVE",  # INSERT, UPDATE, DELETE
    "SHARE UPDATE EXCLUSIVE",  # VACUUM, CREATE INDEX CONCURRENTLY
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
]

Held = dict[str, list[tuple[str, int | None]]]

# With budgets, decisions wait for each other at their balances alone, whichever variant is called.
_BESIDE_THE_BALANCE: list[tuple[str, int | None]] = [("RowExclusiveLock", None), ("ShareLock", ADVISORY_KEY)]
HELD: Held = by_series(
    core={
        "reserve": [("ShareRowExclusiveLock", None), ("RowExclusiveLock", None)],
        "reserve_advisory": [("RowExclusiveLock", None), ("ExclusiveLock", ADVISORY_KEY)],
    },
    budgets={"reserve": _BESIDE_THE_BALANCE, "reserve_advisory": _BESIDE_THE_BALANCE},
)
OTHERS_GO_ON = by_series(
    core={"reserve": READERS, "reserve_advisory": READERS | WRITERS},
    budgets={"reserve": READERS | WRITERS, "reserve_advisory": READERS | WRITERS},
)
