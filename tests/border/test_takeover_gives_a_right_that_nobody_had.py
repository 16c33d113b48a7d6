"""EXECUTE on our check_and_reserve_budget is for roles whose INSERT would have passed row security; never web users.

`authenticated` could call the handover's function, and had INSERT, but row security stopped it. After the takeover, by
functions that row security does not bind, each signed-in user could hold the whole day.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from pgbudget.plan import plan
from tests import chain
from tests.migration.support import APPLICATION
from tests.pgtap import function_privs_are
from tests.rows import Connection

pytestmark = pytest.mark.proof

RESERVE = "public.check_and_reserve_budget(numeric, text, jsonb)"
ROLES = ("app_writer", "app_reader", "anon", "authenticated", "App Owner", "app_group")

ON = "ALTER TABLE public.cost_tracking ENABLE ROW LEVEL SECURITY;"
ALL = "CREATE POLICY everything ON public.cost_tracking {} WITH CHECK (true);"


@pytest.fixture
def db(empty_dsn: str) -> Iterator[Connection]:
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        for role in ROLES:
            connection.execute(f'CREATE ROLE "{role}"'.encode())
        connection.execute("GRANT app_group TO app_writer")
        connection.execute(APPLICATION.read_bytes())
        connection.execute("GRANT ALL ON public.cost_tracking TO authenticated, anon")
        connection.execute(f"GRANT EXECUTE ON FUNCTION {RESERVE} TO authenticated, anon".encode())
        try:
            yield connection
        finally:
            for role in ROLES:
                connection.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"'.encode())


@pytest.mark.parametrize(
    ("setting", "kept"),
    [
        ("", True),
        (ON, False),
        (ON + ALL.format(""), True),
        (ON + ALL.format("TO app_writer"), True),
        (ON + ALL.format("TO app_group"), True),
        (ON + ALL.format("FOR INSERT"), True),
        (ON + ALL.format("FOR UPDATE"), False),
        (ON + ALL.format("TO authenticated"), False),
        (ON + "CREATE POLICY own ON public.cost_tracking WITH CHECK (service_name = current_user);", False),
        (ON + "CREATE POLICY own ON public.cost_tracking USING (true);", True),
        (ON + "CREATE POLICY own ON public.cost_tracking USING (false) WITH CHECK (true);", True),
        (
            ON
            + ALL.format("")
            + "CREATE POLICY no ON public.cost_tracking AS RESTRICTIVE WITH CHECK (service_name <> '');",
            False,
        ),
        (
            ON + ALL.format("") + "CREATE POLICY no ON public.cost_tracking AS RESTRICTIVE FOR DELETE USING (false);",
            True,
        ),
        (ON + "ALTER ROLE app_writer BYPASSRLS;", True),
    ],
)
def test_whom_row_security_may_have_stopped_keeps_nothing(
    db: Connection, empty_dsn: str, setting: str, kept: bool
) -> None:
    db.execute(setting.encode())
    lose = [note.note for note in plan(empty_dsn).notes if note.note.startswith("roles that lose EXECUTE")]
    chain.migrate(empty_dsn)
    function_privs_are(db, RESERVE, "app_writer", ["EXECUTE"] if kept else [])
    for role in ("anon", "authenticated"):
        function_privs_are(db, RESERVE, role, [])
        assert role in lose[0]
    assert ("app_writer" in lose[0]) is not kept


def test_a_grant_that_a_dba_made_stays(db: Connection, empty_dsn: str) -> None:
    chain.migrate(empty_dsn)
    db.execute(f"GRANT EXECUTE ON FUNCTION {RESERVE} TO authenticated".encode())
    for file in chain.files():
        if b"-- transactional: false" not in file.read_bytes():
            db.execute(file.read_bytes())
    function_privs_are(db, RESERVE, "authenticated", ["EXECUTE"])
