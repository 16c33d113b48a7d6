"""Every period: where its windows begin and end, that they open by themselves, and what arrives when one has ended."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from tests.budgets.standing import call_as_owner, drift, members, set_budget, standing
from tests.clock import NOON, Clock, utc
from tests.concurrency.sessions import Session
from tests.conftest import Connect
from tests.rows import Connection, as_owner, call, configure, expect, fails, one, reserve, rows, spend

# Period, zone, instant, and the window it is in (UTC). NOON is a Friday.
WINDOWS = [
    ("minute", "UTC", "2025-10-03 12:00:59.999999", "2025-10-03 12:00", "2025-10-03 12:01"),
    ("minute", "Asia/Kolkata", "2025-10-03 12:00:30", "2025-10-03 12:00", "2025-10-03 12:01"),
    ("hour", "UTC", "2025-10-03 12:00", "2025-10-03 12:00", "2025-10-03 13:00"),
    ("hour", "Asia/Kolkata", "2025-10-03 12:45", "2025-10-03 12:00", "2025-10-03 13:00"),
    ("day", "UTC", "2025-10-03 23:59:59.999999", "2025-10-03", "2025-10-04"),
    ("day", "Asia/Tokyo", "2025-10-03 15:00", "2025-10-03 15:00", "2025-10-04 15:00"),
    ("day", "Europe/Berlin", "2025-03-30 12:00", "2025-03-29 23:00", "2025-03-30 22:00"),  # 23 hours
    ("day", "Europe/Berlin", "2025-10-26 12:00", "2025-10-25 22:00", "2025-10-26 23:00"),  # 25 hours
    ("day", "America/Havana", "2025-11-02 12:00", "2025-11-02 04:00", "2025-11-03 05:00"),  # its midnight comes twice
    ("day", "America/Santiago", "2025-09-07 12:00", "2025-09-07 04:00", "2025-09-08 03:00"),  # it has no midnight
    ("week", "UTC", "2025-10-03 12:00", "2025-09-29", "2025-10-06"),
    ("week", "UTC", "2025-10-06", "2025-10-06", "2025-10-13"),
    ("week", "UTC", "2025-10-05 23:59", "2025-09-29", "2025-10-06"),
    ("week", "Europe/Berlin", "2025-10-26 22:59", "2025-10-19 22:00", "2025-10-26 23:00"),
    ("month", "UTC", "2025-12-31 23:59", "2025-12-01", "2026-01-01"),
    ("month", "UTC", "2028-02-29", "2028-02-01", "2028-03-01"),
    ("month", "Europe/Berlin", "2025-10-31 22:59", "2025-09-30 22:00", "2025-10-31 23:00"),
]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("whose_zone", ["the budget's", "the limits'"])
def test_a_window(caller: Connection, clock: Clock, window: tuple[str, ...], whose_zone: str) -> None:
    period, zone, at, starts, ends = window
    clock.set(at)
    of_limits = whose_zone == "the limits'"
    call_as_owner(caller, "set_limits", {"timezone": zone if of_limits else "UTC", "emergency_kill": 1000})
    set_budget(caller, "b", 10, period=period, timezone=None if of_limits else zone)
    caller.execute("SET LOCAL timezone = 'Pacific/Chatham'")  # whose day and hour it is for the caller changes nothing
    spend(caller, 100, at=utc(starts) - timedelta(microseconds=1))
    spend(caller, 4, at=utc(starts))
    spend(caller, 5, at=utc(ends) - timedelta(microseconds=1))
    spend(caller, 100, at=utc(ends))
    expect(
        call(caller, "reserve", 2, "svc"),
        can_proceed=False,
        budget="b",
        current_total=9,
        reason="exhausted",
        resets_at=utc(ends),
        retry_at=utc(ends),
    )
    expect(standing(caller, "b"), spent=9, remaining=1, resets_at=utc(ends))


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("period", ["minute", "hour", "day", "week", "month"])
def test_a_window_opens_by_itself_when_its_time_has_come(
    caller: Connection, clock: Clock, period: str, slots: int
) -> None:
    set_budget(caller, "b", 10, period=period, slots=slots)
    for _ in range(3):
        spend(caller, 6)
        reserve(caller, 4, p_ttl=timedelta(seconds=20))
        refused = call(caller, "reserve", 1, "svc")
        expect(refused, can_proceed=False, budget="b", current_total=10, reason="in_flight")
        clock.set(refused.resets_at)
    with as_owner(caller):
        windows = rows(caller, "SELECT DISTINCT b.starts_at FROM budget.balances AS b WHERE b.budget = 'b'")
    assert len(windows) == 3
    assert standing(caller, "b").member == "*"


def test_no_row_is_there_before_someone_asks(caller: Connection, clock: Clock) -> None:
    set_budget(caller, "team", 10, "team")
    with as_owner(caller):
        assert rows(caller, "SELECT FROM budget.balances AS b WHERE b.budget = 'team'") == []
    call(caller, "check", 1, "svc", {"team": "alpha"})
    with as_owner(caller):
        assert rows(caller, "SELECT FROM budget.balances AS b WHERE b.budget = 'team'") == []
    reserve(caller, 1, p_metadata={"team": "alpha"})
    assert members(caller, "team") == {"alpha": 1}


@pytest.mark.parametrize("at", ["infinity", "-infinity"])
@pytest.mark.parametrize("period", ["minute", "hour", "day", "week", "month", "total"])
def test_what_has_no_time_is_in_no_window(tx: Connection, clock: Clock, period: str, at: str) -> None:
    set_budget(tx, "b", 10, period=period)
    tx.execute("INSERT INTO public.cost_tracking (service_name, cost, created_at) VALUES ('svc', 9, %s)", [at])
    reserve(tx, 10)
    assert members(tx, "b") == {"*": 10}
    assert drift(tx) == []


def test_a_total_never_ends(caller: Connection, clock: Clock) -> None:
    set_budget(caller, "ever", 10, period="total")
    spend(caller, 3, at=utc("1999-01-01"))
    reserve(caller, 5)
    clock.set("2031-01-01")
    expect(
        call(caller, "reserve", 8, "svc"),
        can_proceed=False,
        budget="ever",
        current_total=3,
        reason="exhausted",
        resets_at=None,
        retry_at=None,
    )
    expect(standing(caller, "ever"), spent=3, held=0, resets_at=None)


def test_the_hold_of_a_total_that_is_in_the_way_says_when_it_lapses(caller: Connection, clock: Clock) -> None:
    set_budget(caller, "ever", 10, period="total")
    reserve(caller, 5, p_ttl=timedelta(minutes=5))
    expect(call(caller, "reserve", 6, "svc"), reason="in_flight", resets_at=None, retry_at=NOON + timedelta(minutes=5))


# What arrives late


@pytest.mark.parametrize("slots", [1, 3])
def test_a_late_settle_counts_in_the_window_of_its_hold(caller: Connection, clock: Clock, slots: int) -> None:
    set_budget(caller, "hourly", 10, period="hour", slots=slots)
    held = reserve(caller, 5, p_ttl=timedelta(hours=3))
    clock.advance(hours=1)
    reserve(caller, 2)
    expect(call(caller, "settle", held, 9), status="actual")
    assert members(caller, "hourly") == {"*": 2}
    clock.set(NOON)
    assert members(caller, "hourly") == {"*": 9}
    assert drift(caller) == []


def test_an_extend_asks_in_the_window_of_its_hold(caller: Connection, clock: Clock) -> None:
    set_budget(caller, "hourly", 10, period="hour")
    spend(caller, 4)
    held = reserve(caller, 5, p_ttl=timedelta(hours=3))
    clock.advance(hours=1)
    spend(caller, 9)
    expect(call(caller, "extend", held, 6), can_proceed=True, budget="daily")
    expect(
        call(caller, "extend", held, 7),
        can_proceed=False,
        budget="hourly",
        limit_amount=10,
        current_total=10,
        resets_at=utc("2025-10-03 13:00"),
    )


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("marked", [False, True])
def test_a_lapsed_hold_counts_nothing_marked_or_not(caller: Connection, clock: Clock, slots: int, marked: bool) -> None:
    set_budget(caller, "b", 10, slots=slots)
    held = reserve(caller, 10, p_ttl=timedelta(minutes=5))
    clock.advance(minutes=5)
    if marked:
        call_as_owner(caller, "expire")
    expect(standing(caller, "b"), spent=0, held=0, remaining=10)
    reserve(caller, 7)
    # The money was spent all the same, and is told as such.
    call(caller, "settle", held, 8)
    expect(standing(caller, "b"), spent=8, held=7, remaining=-5)
    assert not call(caller, "reserve", 1, "svc").can_proceed


def test_a_lapsed_hold_gives_room_in_its_window_alone(caller: Connection, clock: Clock) -> None:
    set_budget(caller, "b", 10, period="hour")
    reserve(caller, 5, p_ttl=timedelta(minutes=70))
    clock.advance(hours=1)
    reserve(caller, 8)
    clock.advance(minutes=10)
    expect(call(caller, "reserve", 3, "svc"), can_proceed=False, budget="b", current_total=8)
    clock.set(NOON)
    expect(call(caller, "check", 6, "svc"), can_proceed=False, budget="b", current_total=5)


def test_under_keep_a_lapsed_hold_is_spent(caller: Connection, clock: Clock) -> None:
    configure(caller, {"emergency_kill": 100, "on_expiry": "keep"})
    set_budget(caller, "b", 10)
    reserve(caller, 10, p_ttl=timedelta(minutes=5))
    clock.advance(minutes=5)
    expect(standing(caller, "b"), spent=10, held=0, remaining=0)
    expect(call(caller, "reserve", 1, "svc"), can_proceed=False, reason="exhausted", retry_at=utc("2025-10-04"))


# The zone of the limits


def test_a_changed_zone_moves_the_days_that_follow_it(caller: Connection, clock: Clock) -> None:
    set_budget(caller, "local", 100)
    set_budget(caller, "tokyo", 100, timezone="Asia/Tokyo")
    spend(caller, 1, at=utc("2025-10-02 16:00"))
    spend(caller, 2)
    assert (members(caller, "local"), members(caller, "tokyo")) == ({"*": 2}, {"*": 3})
    call_as_owner(caller, "set_limits", {"timezone": "Asia/Tokyo"})
    spend(caller, 4)
    assert (members(caller, "local"), members(caller, "tokyo")) == ({"*": 7}, {"*": 7})
    call_as_owner(caller, "set_limits", {"timezone": "UTC"})
    assert (members(caller, "local"), members(caller, "tokyo")) == ({"*": 6}, {"*": 7})
    assert members(caller, "daily") == {"*": 6}
    assert drift(caller) == []


@pytest.mark.parametrize(("period", "at"), [("week", "2025-09-28 16:00"), ("month", "2025-09-30 16:00")])
def test_a_changed_zone_moves_weeks_and_months_too(caller: Connection, clock: Clock, period: str, at: str) -> None:
    set_budget(caller, "b", 100, period=period)
    spend(caller, 1, at=utc(at))
    spend(caller, 2)
    assert members(caller, "b") == {"*": 2}
    call_as_owner(caller, "set_limits", {"timezone": "Asia/Tokyo"})
    assert members(caller, "b") == {"*": 3}


@pytest.mark.parametrize("limits", ["{}", None, '{"emergency_kill": 100}'])
def test_a_zone_that_is_lost_is_utc(caller: Connection, clock: Clock, limits: str | None) -> None:
    """Nothing is reserved with broken limits, and direct writers go on."""
    call_as_owner(caller, "set_limits", {"timezone": "Asia/Tokyo"})
    spend(caller, 1, at=utc("2025-10-02 16:00"))
    configure(caller, limits)
    spend(caller, 2)
    assert drift(caller) == []
    configure(caller, {"emergency_kill": 100, "timezone": "Asia/Tokyo"})
    assert members(caller, "daily") == {"*": 3}


def test_other_settings_compute_nothing_anew(tx: Connection, clock: Clock) -> None:
    reserve(tx, 5)
    places = rows(tx, "SELECT b.ctid FROM budget.balances AS b")
    call(tx, "set_limits", {"emergency_kill": 50})
    tx.execute("INSERT INTO public.system_config (key, value) VALUES ('theirs', 'x')")
    tx.execute("UPDATE public.system_config SET value = 'y' WHERE key = 'theirs'")
    tx.execute("DELETE FROM public.system_config WHERE key = 'theirs'")
    call(tx, "freeze", "for a while")
    assert rows(tx, "SELECT b.ctid FROM budget.balances AS b") == places != []


def test_a_writer_under_way_is_waited_for_before_the_zone_changes(connect: Connect) -> None:
    db, writer = connect(), connect(autocommit=False)
    spend(writer, 7)
    db.execute("SET lock_timeout = '100ms'")
    with pytest.raises(psycopg.errors.LockNotAvailable):
        call(db, "set_limits", {"timezone": "Asia/Tokyo"})
    writer.commit()
    call(db, "set_limits", {"timezone": "Asia/Tokyo"})
    assert drift(db) == []
    assert one(db, "SELECT sum(b.amount) AS amount FROM budget.balances AS b").amount == 7


def test_a_writer_with_an_older_snapshot_than_the_zone_repeats(connect: Connect) -> None:
    db, writer = connect(), connect(autocommit=False)
    writer.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    writer.execute("SELECT FROM public.system_config")
    call(db, "set_limits", {"timezone": "Asia/Tokyo"})
    with pytest.raises(psycopg.errors.SerializationFailure):
        spend(writer, 7)


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_zone_is_changed_at_read_committed_alone(connect: Connect, level: str) -> None:
    """At a higher level the ledger would be summed as it was."""
    db = connect(autocommit=False)
    db.execute(f"SET TRANSACTION ISOLATION LEVEL {level}".encode())
    fails(db, "PB001", "set_limits", {"timezone": "Asia/Tokyo"})
    assert call(db, "set_limits", {"emergency_kill": 50}).emergency_kill == 50


def test_a_decision_that_waited_into_the_next_window_is_made_there(connect: Connect) -> None:
    """Locks are those of the window in which the decision is made."""
    db = connect()
    clock = Clock(db, utc("2025-10-03 12:00:59"))
    set_budget(db, "b", 10, period="minute")
    reserve(db, 10)
    holder, waiter = Session(connect(), db), Session(connect(), db)
    try:
        with holder.open(lambda connection: call(connection, "reserve", 0, "svc")):
            waiting = waiter.start(lambda connection: call(connection, "reserve", 10, "svc"))
            waiting.waits_for(holder)
            clock.set("2025-10-03 12:01")
        expect(waiting.result(), can_proceed=True)
    finally:
        holder.close()
        waiter.close()
    assert members(db, "b") == {"*": 10}
    assert drift(db) == []


def test_rows_of_windows_to_come_are_counted_there(caller: Connection, clock: Clock) -> None:
    spend(caller, 4, at=NOON + timedelta(hours=1))
    spend(caller, 3, at=NOON + timedelta(hours=1, minutes=59))
    set_budget(caller, "b", 10, period="hour")
    spend(caller, 1, at=NOON + timedelta(hours=1))
    assert members(caller, "b") == {"*": 0}
    clock.advance(hours=1)
    expect(call(caller, "reserve", 3, "svc"), can_proceed=False, budget="b", current_total=8)
    assert drift(caller) == []


def test_a_member_that_comes_new_into_a_long_window_is_not_looked_for_in_all_of_it(
    tx: Connection, clock: Clock
) -> None:
    spend(tx, 3, metadata={"team": "beta"}, at=utc("2025-09-30"))
    set_budget(tx, "team", 10, "team", period="month")
    spend(tx, 2, metadata={"team": "beta"})

    def unopened(starts: str, ends: str) -> tuple[int, bool]:
        """What it comes to, and whether a row of the ledger was read for it."""
        query = """SELECT t.seq_tup_read + t.idx_tup_fetch AS rows FROM pg_stat_xact_user_tables AS t
                    WHERE t.relid = 'public.cost_tracking'::regclass"""
        before = one(tx, query).rows
        amount = one(tx, "SELECT budget._unopened('team', 'team', 'beta', %s, %s) AS n", utc(starts), utc(ends)).n
        return amount, one(tx, query).rows > before

    assert unopened("2025-10-01", "2025-11-01") == (2, False)
    assert unopened("2025-09-01", "2025-10-01") == (3, True)
    clock.set("2025-11-01")
    tx.execute("SELECT budget.prune()")
    assert unopened("2025-10-01", "2025-11-01") == (2, True)
