"""A clock that stands still until the test moves it.

It takes the place of `budget._now()` in the test's own database, for every session there. Production has no such hook.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg

from tests.rows import as_owner

NOON = datetime(2025, 10, 3, 12, tzinfo=timezone.utc)
"""Where a new clock stands."""

HOUR_BEFORE_MIDNIGHT = 23


def utc(text: str) -> datetime:
    """An instant from its ISO form, in UTC where it names no offset."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)


def midday_zone() -> str:
    """A time zone where it is about midday now: in it no test is caught by midnight."""
    return f"Etc/GMT{datetime.now(timezone.utc).hour - 12:+d}"  # GMT-3 is three hours *ahead*


def seconds_to_wait() -> float:
    """How long a test that is about to begin waits for the next hour or day, which must not begin in its middle."""
    now = datetime.now(timezone.utc)
    left = 3600 - (now.timestamp() % 3600)
    return left if left < (60 if now.hour == HOUR_BEFORE_MIDNIGHT else 20) else 0


class Clock:
    """The time that a database takes it to be."""

    def __init__(self, connection: psycopg.Connection[Any], at: datetime = NOON) -> None:
        self.now = at
        self._connection = connection
        with as_owner(connection):
            connection.execute("CREATE TABLE public.test_clock AS SELECT %s AS at", [at])
            connection.execute(
                """CREATE OR REPLACE FUNCTION budget._now() RETURNS timestamptz
                       LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
                       AS 'SELECT c.at FROM public.test_clock AS c'"""
            )

    def set(self, at: datetime | str) -> datetime:
        """Put the clock to an instant."""
        self.now = utc(at) if isinstance(at, str) else at
        with as_owner(self._connection):
            self._connection.execute("UPDATE public.test_clock SET at = %s", [self.now])
        return self.now

    def advance(self, **span: float) -> datetime:
        """Let time pass, in the words of `timedelta`: `advance(minutes=5)`."""
        return self.set(self.now + timedelta(**span))
