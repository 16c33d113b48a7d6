"""How a session prints dates, intervals, numbers and bytes never matters to the driver, nor what else it was taught.

Seen: community.postgresql#711, and ALTER DATABASE ... SET DateStyle = 'SQL, DMY', under which a reservation was
committed and its answer could not be read.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.adapt import Dumper, Loader
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

from tests.driver.conftest import CLIENTS, Open

STYLES_OF_DATES, ORDERS = ("ISO", "SQL", "German", "Postgres"), ("DMY", "MDY", "YMD")
STYLES = [
    *({"DateStyle": style} for style in map(", ".join, product(STYLES_OF_DATES, ORDERS))),
    *({"IntervalStyle": style} for style in ("postgres", "postgres_verbose", "sql_standard", "iso_8601")),
    {"bytea_output": "escape", "extra_float_digits": "-15", "xmloption": "document"},
    {"TimeZone": "Asia/Kathmandu", "DateStyle": "SQL, DMY"},
    {"TimeZone": "<+05>-5", "DateStyle": "Postgres, MDY"},
    {"client_encoding": "LATIN1"},
    {"client_encoding": "SQL_ASCII"},
]


def a_days_work(budget: Any) -> None:
    """Calls whose arguments and answers have every type that there is, each answer looked at."""
    ttl = timedelta(minutes=10, microseconds=7)
    before = datetime.now(timezone.utc)
    verdict = budget.reserve(Decimal("0.250000000001"), "café", {"tokens": 3}, ttl=ttl)
    after = datetime.now(timezone.utc)
    assert (verdict.can_proceed, verdict.reason, verdict.current_total) == (True, "granted", 0)
    assert before + ttl - timedelta(seconds=5) < verdict.expires_at < after + ttl + timedelta(seconds=5)
    assert isinstance(verdict.reservation_id, UUID)
    outcome = budget.settle(verdict.reservation_id, Decimal("0.125"))
    assert (outcome.status, outcome.estimated_cost, outcome.late) == ("actual", Decimal("0.250000000001"), False)
    limits = budget.set_limits({"reservation_ttl": "36 minutes", "exempt_services": ["café"]})
    assert (limits.reservation_ttl, limits.exempt_services) == (timedelta(minutes=36), ["café"])
    history = budget.estimate_from_history("café", since=timedelta(days=2, seconds=-3600, microseconds=5))
    assert (history.estimate, history.samples) == (Decimal("0.125"), 1)
    status = budget.status()
    assert (status.day, status.settled) in [(at.date(), Decimal("0.125")) for at in (before, after)]
    routed = budget.route_work_order(uuid4(), "café", {}, Decimal("0.1"), True)
    assert not routed.success or routed.reservation_id
    frozen = budget.freeze("café")
    assert (frozen.frozen, frozen.reason) == (True, "café")
    assert before - timedelta(seconds=5) < frozen.since
    budget.unfreeze()


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("style", STYLES, ids=str)
def test_a_style_that_the_database_sets(kind: str, style: dict[str, str], dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for name, value in style.items():
            connection.execute(f"ALTER DATABASE {connection.info.dbname} SET {name} = '{value}'".encode())
    encoding = {"client_encoding": style["client_encoding"]} if "client_encoding" in style else {}
    with Open(kind, make_conninfo(dsn, **encoding)) as opened:
        a_days_work(opened())


NAMES = ("numeric", "uuid", "text", "bool", "timestamptz", "date", "interval", "int8", "int4", "jsonb")


class Odd(Loader):
    """What an application may have for its own queries."""

    def load(self, data: object) -> Any:  # noqa: ARG002 - psycopg's signature
        raise AssertionError("a loader of the application's was called")


class OddDumper(Dumper):
    def dump(self, obj: object) -> bytes:  # noqa: ARG002 - psycopg's signature
        raise AssertionError("a dumper of the application's was called")


def odd_cursor(*_: object, **__: object) -> Any:
    raise AssertionError("a cursor of the application's class was used")


def odd_json(_: object) -> Any:
    raise AssertionError("the application's JSON was used")


def teach(connection: Any) -> None:
    for name in (
        "numeric",
        "uuid",
        "text",
        "bool",
        "timestamptz",
        "date",
        "interval",
        "int8",
        "int4",
        "jsonb",
        "text[]",
    ):
        for each in ("text", "binary"):
            odd = type("Odd", (Odd,), {"format": psycopg.pq.Format[each.upper()]})
            connection.adapters.register_loader(psycopg.adapters.types[name].oid, odd)
    for python in (Decimal, UUID, str, int, bool, timedelta):
        connection.adapters.register_dumper(python, OddDumper)
    set_json_loads(odd_json, connection)
    connection.row_factory, connection.cursor_factory = dict_row, odd_cursor


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("kind", CLIENTS)
def test_what_a_connection_was_taught(kind: str, autocommit: bool, dsn: str) -> None:
    with Open(kind, dsn) as opened:
        connection = opened.connection(autocommit=autocommit)
        teach(getattr(connection, "_target", connection))
        a_days_work(opened(connection))
