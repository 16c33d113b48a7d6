"""A caller's metadata and a direct writer's times, which PostgreSQL holds and Python does not: looks show the rest."""

from __future__ import annotations

import json
import pickle
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from pgbudget import Budget
from pgbudget.errors import Refused
from tests.cli.command import invoke
from tests.rows import configure, one
from tests.series import by_series

Connection = psycopg.Connection[Any]

METADATA = {
    "5,000 digits": f'{{"n": {"9" * 5000}}}',
    "3,000 nested arrays": f'{{"n": {"[" * 3000}{"]" * 3000}}}',
    "900 nested arrays": f'{{"n": {"[" * 900}{"]" * 900}}}',
    "no double": '{"n": 1e400, "m": 0.12345678901234567890123}',
    "surrogates": '{"a": "\\ud83d\\ude00", "\\\\ud800": "\\\\u0000 \\u009b31m \\u202e \\u007f"}',
}
TIMES = ("9998-12-31 23:59:59.999999+00", "9998-12-31 23:59:59.000001+00")
"""The ledger lets no hold lapse later."""
LOOKS = (
    ["holds"],
    ["watch", "--count", "1"],
    ["status"],
    ["limits"],
    ["report"],
    *by_series(core=(), budgets=(["budgets"], ["budgets", "status"])),
)


def direct(db: Connection, created_at: str, expires_at: str, metadata: str = '{"type": "reservation"}') -> UUID:
    """A hold that somebody writes by hand."""
    key = uuid4()
    db.execute(
        """INSERT INTO public.cost_tracking (id, service_name, cost, metadata, created_at, expires_at)
           VALUES (%s, 'direct', 1, %s, %s, %s)""",
        [key, metadata, created_at, expires_at],
    )
    return key


def odd(db: Connection) -> None:
    for metadata in METADATA.values():
        db.execute("SELECT budget.reserve(1, 'odd', %s::jsonb)", [metadata])
    soon = f"{datetime.now(timezone.utc) + timedelta(hours=2)}"
    for time in TIMES:
        direct(db, "now", time)
    for time in ("-infinity", "4000-01-01 BC", "0001-01-01 00:00:00+00", "infinity", "9999-12-31"):
        direct(db, time, soon)
    for kind in ("actual", "cancelled", "expired"):
        db.execute(
            """INSERT INTO public.cost_tracking (service_name, cost, metadata) VALUES ('direct', 1, %s)""",
            [Jsonb({"type": kind, "reserved_at": "", "estimated_cost": "9" * 5000})],
        )
    for time in ("infinity", "-infinity", "9999-12-31 23:59:59+00"):
        db.execute(
            """INSERT INTO public.escalations (trigger_type, context, reason, created_at)
               VALUES ('budget_refused', '{"budget": "daily", "severity": "high", "source": "pgbudget"}', 'odd', %s)""",
            [time],
        )


@pytest.mark.parametrize("look", LOOKS, ids=" ".join)
def test_it_is_shown_with_all_others(dsn: str, db: Connection, look: list[str], tmp_path: Any) -> None:
    odd(db)
    Budget(db).reserve(1, "in its right mind")
    page = ["--out", str(tmp_path / "page.html")] if look == ["report"] else []
    shown = invoke(*look, *page, dsn=dsn)
    assert (shown.code, shown.err) == (0, "")
    told = json.loads(invoke(*look, "--json", dsn=dsn).out)
    if look[0] in ("holds", "watch"):
        everything = (shown.out, json.dumps(told))
        assert all("in its right mind" in text for text in everything)
    if look[0] == "report":
        assert "in its right mind" in (tmp_path / "page.html").read_text()


def test_metadata_is_told_as_the_server_has_it(dsn: str, db: Connection) -> None:
    kept = {}
    for name, metadata in METADATA.items():
        [(key,)] = db.execute("SELECT reservation_id FROM budget.reserve(1, 'odd', %s::jsonb)", [metadata])
        kept[str(key)] = name
    told = invoke("holds", "--json", dsn=dsn).out
    assert told.isascii()
    assert "\x7f" not in told
    for line in told.splitlines():
        if line.strip().startswith('"metadata": '):
            sent = line.strip().removeprefix('"metadata": ')
            sent = json.loads(sent) if sent[0] == '"' else sent  # too much for a reader: the JSON's text
            assert one(db, "SELECT count(*) FROM budget.open_holds WHERE metadata = %s::jsonb", sent).count == 1
    assert told.count('"metadata": ') == len(METADATA)


@pytest.mark.parametrize("time", TIMES)
def test_the_driver_answers_after_the_commit(db: Connection, time: str) -> None:
    """A hold whose end Python cannot hold is there, and so is its answer."""
    budget = Budget(db)
    key = direct(db, "now", time)
    verdict = budget.extend(key, 2)
    assert verdict
    assert verdict.expires_at is not None
    assert verdict.expires_at > datetime.now(timezone.utc) + timedelta(minutes=1)
    told = one(db, "SELECT expires_at::text FROM public.cost_tracking WHERE id = %s", key).expires_at
    assert told in (f"{verdict.expires_at}", f"{verdict.expires_at:%Y-%m-%d %H:%M:%S.%f+00}")
    copy = pickle.loads(pickle.dumps(Refused(verdict)))  # noqa: S301 - our own
    assert copy.verdict == verdict
    assert f"{copy.verdict.expires_at}" == f"{verdict.expires_at}"


def test_a_freeze_that_was_written_by_hand(dsn: str, db: Connection) -> None:
    db.execute(
        """INSERT INTO public.system_config (key, value)
           VALUES ('budget_freeze', '{"reason": "by hand", "since": "infinity"}')"""
    )
    assert f"{Budget(db).freeze('again').since}" == "infinity"
    assert invoke("freeze", "again", dsn=dsn).out == "frozen since infinity: by hand\n"


def test_limits_that_were_written_by_hand(dsn: str, db: Connection) -> None:
    for setting in ('"timezone": "no\\u001bwhere"', '"emergency_kill": 1e400', '"reservation_ttl": "99999 years"'):
        configure(db, f'{{"emergency_kill": 9, {setting}}}')
        for look in (["status"], ["watch", "--count", "1"], ["report", "--out", "-"]):
            shown = invoke(*look, dsn=dsn)
            assert (shown.code in (0, 1), shown.err) == (True, "")
            assert "every reserve is refused" in shown.out
