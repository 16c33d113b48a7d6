"""Every rollback leaves what it found: nothing, or an application's tables, rows, rights, function and comments."""

from __future__ import annotations

import re

import psycopg
import pytest

from pgbudget.embedded import Server
from tests import chain
from tests.migration.support import CHAIN, NAMES, dump, found, one, psql, session

# A rule that was proven stays proven until it goes: pg_dump then shows it elsewhere.
RULES = re.compile(
    r",\n    CONSTRAINT budget_\w+ CHECK [^\n]+?(?=,?\n)"
    r"|-- Name: cost_tracking budget_\w+; Type: CHECK.+?NOT VALID;\n\n",
    re.DOTALL,
)


def schema(server: Server, dsn: str) -> str:
    """The schema but for what no rollback undoes: a widened cost stays wide, and a proven rule proven."""
    return RULES.sub("", dump(server, dsn)).replace("cost numeric(10,4)", "cost numeric")


@pytest.mark.proof
def test_each_migration_is_undone_and_done_again(server: Server, any_dsn: str) -> None:
    before: dict[str, str] = {}
    chain.migrate(any_dsn, on_step=lambda name: before.update({name: schema(server, any_dsn)}))
    after = schema(server, any_dsn)
    assert list(before) == NAMES
    for count, name in enumerate(reversed(NAMES), start=1):
        undone = chain.rollback(any_dsn, count=count)
        assert undone == NAMES[::-1][:count]
        assert schema(server, any_dsn) == before[name], f"after the rollback of {name}"
        assert chain.migrate(any_dsn) == undone[::-1]
        assert schema(server, any_dsn) == after, f"after {name} was applied again"


def test_rollback_of_all_leaves_all_as_found(server: Server, any_dsn: str) -> None:
    as_found = found(server, any_dsn)
    for _ in range(2):
        chain.migrate(any_dsn)
        assert found(server, any_dsn) != as_found
        assert chain.rollback(any_dsn, all=True) == NAMES[::-1]
        assert found(server, any_dsn) == as_found
    with session(any_dsn) as connection:
        assert one(connection, "SELECT to_regclass('_yoyo_migration')") is None


def test_rollback_by_psql(server: Server, any_dsn: str) -> None:
    as_found = found(server, any_dsn)
    psql(server, any_dsn, *CHAIN)
    psql(server, any_dsn, *(path.with_suffix(".rollback.sql") for path in reversed(CHAIN)))
    assert found(server, any_dsn) == as_found


@pytest.mark.proof
@pytest.mark.parametrize("name", NAMES)
def test_a_rollback_may_run_again(server: Server, any_dsn: str, name: str) -> None:
    """A crash can leave a migration undone but still marked."""
    chain.migrate(any_dsn)
    chain.rollback(any_dsn, count=len(NAMES) - NAMES.index(name) - 1)
    path = CHAIN[NAMES.index(name)].with_suffix(".rollback.sql")
    psql(server, any_dsn, path)
    undone = dump(server, any_dsn)
    psql(server, any_dsn, path)
    assert dump(server, any_dsn) == undone
    assert chain.rollback(any_dsn) == [name]
    assert dump(server, any_dsn) == undone


def test_what_was_written_meanwhile_stays(any_dsn: str) -> None:
    """Also in a table that pgbudget made: what was written into it is the application's now."""
    chain.migrate(any_dsn)
    with session(any_dsn) as connection:
        hold = one(connection, "SELECT reservation_id FROM budget.reserve(19.99, 'a')")
        spend = one(connection, "SELECT reservation_id FROM budget.record(50, 'b')")  # past the soft cap: an escalation
        connection.execute("INSERT INTO public.cost_tracking (cost, service_name) VALUES (1, 'direct')")
        connection.execute("SELECT budget.freeze('why not')")
        chain.rollback(any_dsn, all=True)
        kept = connection.execute("SELECT id, cost, metadata ->> 'type' FROM public.cost_tracking").fetchall()
        assert {(hold, 19.99, "reservation"), (spend, 50, "actual")} <= {(id_, float(c), t) for id_, c, t in kept}
        assert one(connection, "SELECT count(*) FROM public.cost_tracking WHERE service_name = 'direct'") == 1
        assert one(connection, "SELECT count(*) FROM public.escalations WHERE trigger_type LIKE 'budget%'") > 0
        chain.migrate(any_dsn)
        assert one(connection, "SELECT can_proceed FROM public.check_and_reserve_budget(1, 'again')") is True
        chain.rollback(any_dsn, all=True)


def test_limits_of_the_application_are_not_taken_away(application_dsn: str) -> None:
    with session(application_dsn) as connection:
        query = "SELECT value FROM public.system_config WHERE key = 'budget_limits'"
        limits = one(connection, query)
        chain.migrate(application_dsn)
        assert one(connection, query) == limits
        chain.rollback(application_dsn, all=True)
        assert one(connection, query) == limits


def test_an_application_that_keeps_writing_goes_on_after_the_rollback(application_dsn: str) -> None:
    chain.migrate(application_dsn)
    chain.rollback(application_dsn, all=True)
    with session(application_dsn) as connection:
        connection.execute("SET ROLE app_writer")
        connection.execute("INSERT INTO public.cost_tracking (cost, service_name) VALUES (1, 'direct')")
        assert one(connection, "SELECT can_proceed FROM public.check_and_reserve_budget(1, 'old')") is True
        with pytest.raises(psycopg.errors.InvalidSchemaName):
            connection.execute("SELECT * FROM budget.reserve(1, 'new')")
