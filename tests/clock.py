"""The clock that every function reads, `budget._now()`, set in a test's own database. Production has no such hook."""

from __future__ import annotations

from datetime import datetime

from tests.race import Connection

NOON = datetime.fromisoformat("2025-10-03 12:00:00+00:00")


def set_clock(db: Connection, at: datetime) -> None:
    """Stop the clock at an instant."""
    db.execute(
        f"""CREATE OR REPLACE FUNCTION budget._now() RETURNS timestamptz LANGUAGE sql VOLATILE
            AS $$ SELECT timestamptz '{at.isoformat()}' $$""".encode()
    )
