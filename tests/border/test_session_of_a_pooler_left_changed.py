"""What we run through a transaction pooler leaves the server's session as it was found, or is refused.

Seen: authentik#23876, atlas#2447, pgbouncer#102. `doctor` left default_transaction_read_only and its search_path on the
session that it had been lent, and the application could only read from then on; `migrate` left its lock there for good.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from pgbudget import Budget
from pgbudget.errors import BudgetError
from tests import chain
from tests.cli.command import invoke
from tests.driver.pgbouncer import PgBouncer, program
from tests.rows import Connection

DISCARD = "server_reset_query = DISCARD ALL\nserver_reset_query_always = 1"
SESSION = "pool_mode = session"


@pytest.fixture(params=["", DISCARD], ids=["no DISCARD", "DISCARD"])
def pooled_dsn(request: pytest.FixtureRequest, dsn: str) -> Iterator[str]:
    """This test's database through a pooler with one session of the server."""
    with PgBouncer(program(), dsn, pool_size=1, settings=request.param) as bouncer:
        yield bouncer.dsn


def session(dsn: str) -> tuple[object, ...]:
    """The one session of the pool: its process, what was set in it, its locks, statements and temporary things."""
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
        row = connection.execute(
            """SELECT
                   pg_backend_pid(),
                   (SELECT string_agg(name || ' = ' || setting, ', ' ORDER BY name) FROM pg_settings
                    WHERE source = 'session' AND name <> 'application_name'),
                   (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
                   (SELECT count(*) FROM pg_prepared_statements),
                   (SELECT count(*) FROM pg_class WHERE relpersistence = 't'),
                   current_setting('search_path'), current_setting('transaction_read_only')"""
        ).fetchone()
    assert row is not None
    return row


LOOKS = (
    ["doctor"], ["doctor", "--json"], ["migrate", "--plan"], ["migrate", "--plan", "--accept-negative"], ["status"],
    ["watch", "--count", "1"], ["holds"], ["report", "--out", "-"], ["limits"], ["reserve", "1", "svc"],
)  # fmt: skip


@pytest.mark.parametrize("command", LOOKS, ids=" ".join)
def test_a_command_leaves_it_as_it_was(command: list[str], pooled_dsn: str) -> None:
    before = session(pooled_dsn)
    done = invoke(*command, dsn=pooled_dsn)
    assert done.code in (0, 1), done.err
    assert session(pooled_dsn) == before


@pytest.mark.parametrize("run", [chain.migrate, chain.rollback])
def test_a_run_is_refused_and_leaves_nothing(run: object, pooled_dsn: str, db: Connection) -> None:
    before = session(pooled_dsn)
    with pytest.raises(BudgetError, match=r"pooler(.|\n)*Connect directly"):
        run(pooled_dsn)  # type: ignore[operator]
    assert session(pooled_dsn) == before
    assert db.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)
    assert chain.pending(pooled_dsn) == []


def test_the_command_and_the_plan_say_so(pooled_dsn: str) -> None:
    done = invoke("migrate", dsn=pooled_dsn)
    assert "pooler" in done.err
    assert "Connect directly" in done.err
    plan = invoke("migrate", "--plan", dsn=pooled_dsn, width=300)
    assert (plan.code, "pooler" in plan.out) == (1, True)
    assert "leads through a pooler" in invoke("doctor", dsn=pooled_dsn, width=300).out


def test_an_application_goes_on_after_doctor(pooled_dsn: str) -> None:
    with Budget(pooled_dsn) as budget:
        invoke("doctor", dsn=pooled_dsn)
        verdict = budget.reserve(1, "svc")
        assert verdict.reservation_id
        assert budget.settle(verdict.reservation_id, 1).status == "actual"


def test_a_pooler_that_keeps_sessions_is_no_obstacle(empty_dsn: str) -> None:
    with PgBouncer(program(), empty_dsn, pool_size=5, settings=SESSION) as bouncer:
        assert chain.migrate(bouncer.dsn) == [file.stem for file in chain.files()]
        assert chain.pending(bouncer.dsn) == []


def test_a_direct_connection_is_no_pooler(dsn: str) -> None:
    assert "pooler" not in invoke("doctor", dsn=dsn, width=300).out
