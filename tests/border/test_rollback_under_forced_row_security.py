"""A table that row security makes look empty is not dropped: an owner under FORCE sees no row of it, and has all.

`rollback --all` dropped the ledger with every row in it.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests import chain
from tests.rows import Connection

TABLES = ("cost_tracking", "escalations", "system_config", "proposer_configs", "work_orders")


@pytest.fixture
def owner(empty_dsn: str, app_role: str) -> Iterator[Connection]:
    """The owner of a migrated database, no superuser, whose ledger and settings were made by pgbudget."""
    with psycopg.connect(empty_dsn, autocommit=True) as superuser:
        superuser.execute("CREATE ROLE forced LOGIN; ALTER DATABASE empty OWNER TO forced")
        try:
            chain.migrate(make_conninfo(empty_dsn, user="forced"))
            with psycopg.connect(make_conninfo(empty_dsn, user="forced"), autocommit=True) as connection:
                yield connection
        finally:
            superuser.execute("REASSIGN OWNED BY forced TO postgres; DROP OWNED BY forced; DROP ROLE forced")


@pytest.mark.proof
@pytest.mark.parametrize("table", TABLES)
def test_what_it_hides_is_kept(owner: Connection, empty_dsn: str, table: str) -> None:
    owner.execute("SELECT budget.record(1, 'svc')")
    owner.execute("INSERT INTO public.work_orders (title, description) VALUES ('a', 'b')")
    owner.execute(
        "INSERT INTO public.proposer_configs (name, model, provider, cost_profile) VALUES ('a', 'b', 'c', '{}')"
    )
    owner.execute("SELECT budget.escalate('a', 'b', 'c')")
    owner.execute("INSERT INTO public.system_config (key, value) VALUES ('theirs', '1')")
    count = f"SELECT count(*) FROM public.{table}".encode()
    owner.execute(f"ALTER TABLE public.{table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY".encode())
    assert owner.execute(count).fetchone() == (0,)

    chain.rollback(make_conninfo(empty_dsn, user="forced"), all=True)

    assert owner.execute("SELECT to_regnamespace('budget')").fetchone() == (None,)
    assert owner.execute("SELECT to_regclass(%s) IS NOT NULL", [f"public.{table}"]).fetchone() == (True,)
    owner.execute(f"ALTER TABLE public.{table} NO FORCE ROW LEVEL SECURITY".encode())
    row = owner.execute(count).fetchone()
    assert row
    assert row[0] >= 1


def test_without_rows_it_hides_nothing_that_is_known_so_it_is_kept_too(owner: Connection, empty_dsn: str) -> None:
    owner.execute("ALTER TABLE public.cost_tracking ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    chain.rollback(make_conninfo(empty_dsn, user="forced"), all=True)
    assert owner.execute("SELECT to_regclass('public.cost_tracking')").fetchone() == ("cost_tracking",)
    assert owner.execute("SELECT to_regclass('public.work_orders')").fetchone() == (None,)
