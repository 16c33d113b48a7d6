"""With `budget.reserve` on a busy ledger autovacuum finds the table locked each minute, and skips it for good.

Autovacuum asks as VACUUM (SKIP_LOCKED) does: it waits for nobody. What it then logs is "skipping vacuum of
"cost_tracking" --- lock not available".
"""

from __future__ import annotations

import pytest

from pgbudget.embedded import Server
from tests.conftest import Connect
from tests.remedies import Connection, caller, follow, pasted, troubles
from tests.series import by_series

VARIANTS = {"reserve": by_series(core=True, budgets=False), "reserve_advisory": False}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_variant_decides_whether_the_ledger_is_vacuumed(connect: Connect, variant: str) -> None:
    deciding, db = connect(autocommit=False), connect()
    deciding.execute(f"SELECT budget.{variant}(1, 'svc')".encode())
    said: list[str] = []
    db.add_notice_handler(lambda diag: said.append(diag.message_primary or ""))
    db.execute("VACUUM (SKIP_LOCKED) public.cost_tracking")
    assert any("lock not available" in each for each in said) is VARIANTS[variant]


def kept_off(connect: Connect, db: Connection) -> Connection:
    """Dead rows, while somebody has a lock that autovacuum cannot share. Gives that session."""
    holder = connect(autocommit=False)
    holder.execute("LOCK TABLE public.cost_tracking IN SHARE UPDATE EXCLUSIVE MODE")
    db.execute("INSERT INTO public.cost_tracking (service_name, cost) SELECT 'svc', 0 FROM generate_series(1, 1200)")
    db.execute("DELETE FROM public.cost_tracking; SELECT pg_stat_force_next_flush()")
    return holder


def test_doctor_says_nothing_of_dead_rows_that_are_new(dsn: str, connect: Connect, db: Connection) -> None:
    db.execute("VACUUM public.cost_tracking")
    kept_off(connect, db)
    assert [trouble for trouble in troubles(dsn) if trouble[0] == "autovacuum"] == []


def test_doctor_finds_it(server: Server, dsn: str, connect: Connect, db: Connection, app_role: str) -> None:
    holder = kept_off(connect, db)
    [(verdict, found, mend)] = [trouble[1:] for trouble in troubles(dsn) if trouble[0] == "autovacuum"]
    assert verdict == "note"
    assert found.startswith("1200 dead rows in public.cost_tracking wait for autovacuum, which comes at ")
    assert found.endswith(f"last vacuumed: never; at this moment kept off by session {holder.info.backend_pid}")
    holder.rollback()
    with caller(dsn, app_role, "SELECT budget.reserve_advisory(0.001, 'svc')"):
        follow(server, dsn, pasted(mend or "") or "")
    assert [trouble for trouble in troubles(dsn) if trouble[0] == "autovacuum"] == []
