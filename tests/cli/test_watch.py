"""`pgbudget watch`: its figures, its prophecy, the live screen, and a connection that is lost and found again."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from io import StringIO
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from rich.console import Console

from pgbudget import Budget, Status
from pgbudget.cli.holds import OpenHold
from pgbudget.cli.watch import Burn, Escalation, Frame, Hour, show_frame
from tests.cli.command import invoke
from tests.cli.states import healthy, over
from tests.cli.terminal import COLUMNS, COMMAND, environment, run_on_terminal
from tests.cli.test_cli import DAY
from tests.clock import midday_zone
from tests.race import SECONDS
from tests.rows import configure, spend

Connection = psycopg.Connection[Any]
NOW = datetime(2025, 10, 3, 12, 30, tzinfo=timezone.utc)


def frame(dsn: str) -> dict[str, Any]:
    """A look at the database, as machines have it."""
    done = invoke("watch", "--json", "--count", "1", dsn=dsn)
    assert (done.code, done.err) == (0, "")
    look: dict[str, Any] = json.loads(done.out)
    return look


# Figures


def test_a_look_has_everything(dsn: str, db: Connection) -> None:
    healthy(db)
    look = frame(dsn)
    assert look["status"]["settled"] == "26.6"
    assert len(look["hours"]) == 24
    assert [hour["label"] for hour in look["hours"]] == [f"{n:02}" for n in range(24)]
    spent = {hour["spent"] for hour in look["hours"]}
    assert spent == {"0", "73.1"}
    assert [hold["service_name"] for hold in look["holds"]][:2] == ["service 30", "service 29"]
    [soft, hard] = sorted(escalation["kind"] for escalation in look["escalations"])
    assert (soft, hard) == ("budget_daily_hard_cap", "budget_daily_soft_cap")
    assert look["trouble"] is None


def test_the_rate_is_that_of_the_last_hours(dsn: str, db: Connection) -> None:
    """Spend from before the hour that runs and the one before it says nothing of what comes."""
    now = db.execute("SELECT clock_timestamp()").fetchone()
    assert now
    spend(db, 30, at=now[0])
    spend(db, 60, at=now[0] - timedelta(hours=3))
    burn = frame(dsn)["burn"]
    since = datetime.fromisoformat(burn["since"])
    hours = max(1.0, (now[0] - since).total_seconds() / 3600)
    assert float(burn["per_hour"]) == pytest.approx(30 / hours, rel=0.01)


@pytest.mark.parametrize(
    ("spent", "limit", "met"), [("99", 100, True), ("100", 100, True), ("0.001", 100, False), ("0", 100, False)]
)
def test_the_limit_is_met_if_it_goes_on_like_this(dsn: str, db: Connection, spent: str, limit: int, met: bool) -> None:
    spend(db, Decimal(spent))
    began = datetime.now(timezone.utc)
    look = frame(dsn)
    burn, resets_at = look["burn"], datetime.fromisoformat(look["status"]["resets_at"])
    now = datetime.now(timezone.utc)
    left = (resets_at - now).total_seconds() / 3600
    meant = met and (Decimal(spent) >= limit or (limit - float(spent)) / float(burn["per_hour"]) < left)
    assert (burn["met_at"] is not None) == meant
    if met and spent == "100":
        assert began <= datetime.fromisoformat(burn["met_at"]) <= now


def test_a_limit_that_was_met_long_ago_is_met(dsn: str, db: Connection) -> None:
    now = datetime.now(timezone.utc)
    configure(db, {"emergency_kill": 100, "timezone": midday_zone()})
    spend(db, 100, at=now - timedelta(hours=4))
    look = frame(dsn)
    assert Decimal(look["burn"]["per_hour"]) == 0
    assert look["burn"]["met_at"]
    assert "nothing was spent in the last hours; the limit is met" in invoke("watch", "--count", "1", dsn=dsn).out


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_hours_are_named_in_the_zone_in_force(dsn: str, db: Connection, zone: str) -> None:
    configure(db, {"emergency_kill": 100, "timezone": zone})
    odd = make_conninfo(dsn, options="-cTimeZone=UTC-14")
    assert [hour["label"] for hour in frame(odd)["hours"]] == [f"{n:02}" for n in range(24)]


def test_a_reader_sees_it_all(dsn: str, db: Connection) -> None:
    over(db)
    db.execute("DROP ROLE IF EXISTS watcher")
    db.execute("CREATE ROLE watcher LOGIN IN ROLE budget_reader")
    try:
        reader = make_conninfo(dsn, user="watcher")
        assert len(frame(reader)["escalations"]) == 5
    finally:
        db.execute("DROP ROLE watcher")


# The picture


def burnt(**changes: Any) -> Frame:
    """A day at half past twelve, with spend in three of its hours."""
    spent = {9: "0.01", 11: "10", 12: "5"}
    hours = [Hour(NOW.replace(hour=n, minute=0), f"{n:02}", Decimal(spent.get(n, 0))) for n in range(24)]
    calm: dict[str, Any] = {
        "frozen": False,
        "frozen_reason": None,
        "unknown_keys": [],
        "settled": Decimal(15),
        "held": Decimal(0),
    }
    fields = {name: getattr(DAY, name) for name in Status.__dataclass_fields__}
    status = Status(**{**fields, **calm, "remaining": Decimal(85), "share_used": Decimal("0.15"), "open_holds": 0})
    burn = Burn(NOW.replace(hour=11, minute=0), Decimal("7.5"), None)
    escalation = Escalation(NOW, "budget_refused", "critical", "pending", "Daily budget limit: svc was refused. " * 9)
    return Frame(**{**vars(Frame(status, burn, hours, [], [escalation] * 9, [])), **changes})


def drawn(frame: Frame, width: int = COLUMNS, height: int | None = None) -> list[str]:
    console = Console(file=StringIO(), width=width, height=height, force_terminal=height is not None, no_color=True)
    console.print(show_frame(frame, None, NOW, console))
    text = re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue())  # type: ignore[attr-defined]
    return [line.rstrip() for line in text.splitlines()]


def test_a_column_is_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = drawn(burnt())
    bars = next(line for line in lines if "█" in line and "▁" in line)
    assert bars == "  " + " ".join(["··"] * 9 + ["▁▁", "··", "██", "▄▄"])
    assert lines[lines.index(bars) + 1] == "  00       03       06       09       12       15       18       21"


@pytest.mark.parametrize(
    ("burn", "says"),
    [
        (Burn(None, None, None), "nothing was spent in the last hours"),
        (Burn(NOW, Decimal(0), None), "nothing was spent in the last hours"),
        (Burn(NOW, Decimal("0.0001"), None), "less than 0.01 an hour since"),
        (Burn(NOW, Decimal("7.5"), None), "the day ends before the limit is met"),
        (Burn(NOW, Decimal("7.5"), NOW + timedelta(minutes=20)), "at this rate the limit is met at"),
        (Burn(NOW, Decimal("7.5"), NOW), "the limit is met"),
        (Burn(NOW, Decimal(10) ** 20 / 7, NOW + timedelta(minutes=20)), "at this rate the limit is met at"),
    ],
)
def test_the_prophecy_says_what_the_figures_say(burn: Burn, says: str) -> None:
    lines = drawn(burnt(burn=burn))
    assert any(says in line for line in lines)
    assert max(map(len, lines)) <= COLUMNS


def test_without_a_limit_none_can_be_met() -> None:
    fields = {name: getattr(burnt().status, name) for name in Status.__dataclass_fields__}
    broken = Status(**{**fields, "emergency_kill": None, "remaining": None, "config_error": "broken"})
    assert any("there is no limit to be met" in line for line in drawn(burnt(status=broken)))


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("height", [24, 50])
@pytest.mark.parametrize("holds", [0, 1, 50])
def test_it_is_never_longer_than_the_terminal_and_leaves_no_line_unused(width: int, height: int, holds: int) -> None:
    hold = OpenHold(uuid4(), "svc", Decimal(1), NOW, NOW + timedelta(hours=1), None, holds, Decimal(holds))
    lines = drawn(burnt(holds=[hold] * holds), width, height)
    assert len(lines) <= height - 1  # the last line of a screen stays free
    assert max(map(len, lines)) <= width
    assert len(lines) == height - 1 or holds + 9 < height - 14
    assert sum("refused" in line for line in lines) >= 3


# Live


def alive(dsn: str, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "watch", "--json", "--every", "0.1", *options],
        env=environment({"DATABASE_URL": dsn}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(watching: subprocess.Popen[str], true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Read looks until one is as it should be."""
    assert watching.stdout
    for line in watching.stdout:
        look: dict[str, Any] = json.loads(line)
        if true(look):
            return look
    raise AssertionError(f"it ended: {watching.stderr.read() if watching.stderr else ''}")


def test_it_follows_what_happens_and_finds_a_lost_connection_again(dsn: str, db: Connection) -> None:
    watching = alive(dsn)
    try:
        until(watching, lambda look: look["status"]["settled"] == "0")
        Budget(db).record(7, "svc")
        until(watching, lambda look: look["status"]["settled"] == "7")
        db.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE application_name = 'pgbudget' AND pid <> pg_backend_pid()"""
        )
        look = until(watching, lambda look: look["trouble"] is not None)
        assert look["status"]["settled"] == "7"
        Budget(db).record(1, "svc")
        until(watching, lambda look: look["trouble"] is None and look["status"]["settled"] == "8")
        watching.send_signal(signal.SIGINT)
        assert watching.wait(SECONDS) == 0
        assert watching.stderr
        assert watching.stderr.read() == ""
    finally:
        watching.kill()
        watching.communicate()


def test_a_terminal_gets_its_screen_back(dsn: str, db: Connection) -> None:
    over(db)
    shown = run_on_terminal("watch", "--count", "2", "--every", "0.1", env={"DATABASE_URL": dsn})
    assert shown.code == 0
    assert shown.out.count("\x1b[?1049h") == shown.out.count("\x1b[?1049l") == 1
    assert "162.20" in shown.text


def test_what_cannot_be_reached_at_first_is_an_error() -> None:
    assert invoke("watch", dsn="host=/nowhere").code == 3
