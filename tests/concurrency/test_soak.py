"""The mixed load of `make soak`, for a few seconds."""

from __future__ import annotations

import pytest

from tests.concurrency.calls import empty_ledger
from tests.concurrency.soak.load import MOST_GROWTH_KIB, run
from tests.concurrency.soak.watching import Watch
from tests.conftest import Connect
from tests.race import Connection, until
from tests.rows import value

pytestmark = pytest.mark.proof


def test_a_mixed_load_passes_nothing_loses_nothing_and_fails_as_documented(dsn: str) -> None:
    report = run(dsn, clients=24, seconds=5)
    assert list(report.faults()) == []
    assert report.calls["granted"] > 20
    assert report.calls["in_flight"] > 20, "nothing came near the limit"
    assert report.looks > 10
    assert {"PB002", "PB003", "PB004", "23505"} & report.errors.keys()


# The fault that is told, and what is made wrong in which functions.
WRONG = {
    "overshoot": {
        "budget._reserve": {
            """v_decision := budget._serialise(
        p_lock, ARRAY[ROW(v_service_name, v_metadata, NULL, v_estimate)::budget._posting]
    );""": "SELECT budget._now() AS decided_at, budget._require_config() AS config INTO v_decision;",
        },
        "budget._admit": {"IF NOT v_verdict.can_proceed": "PERFORM pg_sleep(0.01); IF NOT v_verdict.can_proceed"},
    },
    "leaked": {
        "budget.cancel": {"SET cost = 0,": "SET cost = CASE WHEN random() < 0.8 THEN l.cost ELSE 0 END,"},
    },
    "errors": {
        "budget.settle": {"v_config := ": "v_total := 1 / floor(random() * 20)::integer; v_config := "},
    },
}


@pytest.mark.parametrize("fault", WRONG)
def test_it_tells_what_is_wrong(db: Connection, dsn: str, fault: str) -> None:
    for function, changes in WRONG[fault].items():
        source = value(db, "SELECT pg_get_functiondef(%s::regproc)", function)
        for old, new in changes.items():
            assert old in source
            source = source.replace(old, new)
        db.execute(source)
    assert any(told.startswith(fault) for told in run(dsn, clients=24, seconds=2).faults())
    empty_ledger(db)


def test_memory_that_a_backend_keeps_is_seen(connect: Connect, db: Connection) -> None:
    backend = connect()
    with Watch(db, [backend.info.backend_pid], warm_up=0.3) as watch:
        until(lambda: watch.warm, "the warm-up to be over")
        backend.execute("SELECT set_config('pgbudget_test.kept', repeat('x', 40000000), false)")
        until(lambda: watch.growth_kib > MOST_GROWTH_KIB, "the growth to be seen")
        backend.execute("RESET pgbudget_test.kept")
    assert watch.growth_kib > MOST_GROWTH_KIB, "the most counts, not the last"
