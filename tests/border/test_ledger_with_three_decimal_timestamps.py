"""A ledger whose times are rounded, as some ORMs make them, is widened: no hold is rounded into the next day.

mikro-orm/mikro-orm#4632, prisma/prisma#18833, jOOQ/jOOQ#10329: timestamp(0) and timestamp(3) as the default.
"""

from __future__ import annotations

import pytest

from pgbudget.embedded import Server
from pgbudget.plan import plan
from tests import chain
from tests.clock import Clock
from tests.migration.support import one, session
from tests.pgtap import throws_ok
from tests.remedies import follow, pasted, troubles
from tests.rows import Connection, call, rows, total

LEDGER = """
CREATE TABLE public.cost_tracking (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), service_name text NOT NULL, cost numeric(10, 4) NOT NULL,
    metadata jsonb DEFAULT '{{}}', created_at timestamptz({}) DEFAULT now()
);
CREATE INDEX mine ON public.cost_tracking (created_at);
INSERT INTO public.cost_tracking (service_name, cost) SELECT 'old', 0.01 FROM generate_series(1, 10);
"""
FILES = """
SELECT array_agg(pg_relation_filenode(c) ORDER BY c)
FROM unnest(ARRAY['public.cost_tracking', 'public.mine']::regclass[]) AS c
"""


@pytest.mark.parametrize("digits", [0, 3])
def test_the_day_is_not_spent_again_at_its_end(empty_dsn: str, digits: int) -> None:
    with session(empty_dsn) as db:
        db.execute(LEDGER.format(digits).encode())
        files = one(db, FILES)
        (note,) = [note.note for note in plan(empty_dsn).notes if "cost_tracking.created_at is" in note.note]
        assert note == (
            f"cost_tracking.created_at is timestamp({digits}) with time zone, which rounds a hold of the day's last "
            "moment into the next day: widened to timestamptz, no rewrite"
        )
        chain.migrate(empty_dsn)
        assert one(db, FILES) == files  # nothing was rewritten
        assert not any("created_at is" in note.note for note in plan(empty_dsn).notes)

        clock = Clock(db)
        clock.set("2031-05-05 23:59:59.9997+00:00")
        granted = [call(db, "reserve", 100, "svc").can_proceed for _ in range(3)]
        assert granted == [True, False, False]
        assert total(db) == 100


def test_a_view_on_it_stops_the_migration_before_it_begins(empty_dsn: str) -> None:
    with session(empty_dsn) as db:
        db.execute(LEDGER.format(3).encode())
        db.execute("CREATE VIEW late AS SELECT * FROM cost_tracking WHERE created_at > '2020-01-01'")
        stops = {(note.note.split(" is ")[0], note.remedy) for note in plan(empty_dsn).stops}
        assert stops == {
            (
                f"public.cost_tracking.{column}",
                f"The column becomes plain {kind}, which this forbids: drop it, migrate, create it again.",
            )
            for column, kind in (("cost", "numeric"), ("created_at", "timestamp with time zone"))
        }


@pytest.mark.parametrize(("column", "narrow"), [("created_at", "timestamptz(0)"), ("cost", "numeric(10,4)")])
def test_the_doctor_finds_a_column_that_was_narrowed_later(
    server: Server, dsn: str, db: Connection, column: str, narrow: str
) -> None:
    """The views forbid it, until somebody drops them for it and makes them again."""
    alter = f"ALTER TABLE public.cost_tracking ALTER {column} TYPE {narrow}"
    throws_ok(db, alter, None, "0A000")
    views = rows(db, "SELECT viewname AS name, definition FROM pg_views WHERE schemaname = 'budget'")
    with db.transaction():
        db.execute(f"DROP VIEW {', '.join('budget.' + v.name for v in views)}".encode())
        db.execute(alter.encode())
        for view in views:
            db.execute(f"CREATE VIEW budget.{view.name} AS {view.definition}".encode())
    ((found, mend),) = [(found, mend) for check, _, found, mend in troubles(dsn) if check == "columns"]
    assert found.startswith(f"cost_tracking.{column} is ")
    follow(server, dsn, pasted(mend or "") or "")
    assert [check for check, *_ in troubles(dsn) if check == "columns"] == []
