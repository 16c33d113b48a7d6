"""What the database has promised to callers, and whether it kept it: every column and key of every row that is theirs.

A call that was answered is a promise. One whose answer never came is in doubt: its rows are as before it or as after
it, never between the two, and whoever repeats it with its ids is charged once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from decimal import ROUND_DOWN, Decimal
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from tests import rows
from tests.budgets import batches
from tests.race import Connection
from tests.series import SLOTS, by_series

TIMES = frozenset({"reserved_at", "extended_at", "expired_at", "cancelled_at", "settled_at", "recorded_at"})

NOTE: dict[str, object] = {"note": {"nested": [1, "two"]}}
"""What callers say of their reservations and records."""


class Row(NamedTuple):
    """A ledger row. Of the times it is told which are noted; `over_limit`, which depends on others, is left out."""

    service_name: str
    cost: Decimal
    lapses: bool
    metadata: dict[str, Any]
    times: frozenset[str]

    def ended(self, state: str, cost: Decimal, at: str, **keys: object) -> Row:
        metadata = {**self.metadata, **keys, "type": state}
        return self._replace(cost=cost, lapses=False, metadata=metadata, times=self.times | {at})


Rows = dict[UUID, Row | None]


class Call(NamedTuple):
    """A call that may be repeated.

    `before` holds the rows that it touches as they are, `after` all that it may make of them. `send` makes the call and
    returns what they may be by its answer: one thing, but for holds that lapse meanwhile.
    """

    name: str
    before: Rows
    after: list[Rows]
    send: Callable[[Connection], list[Rows]]


def reserve(variant: str, hold: UUID, cost: Decimal, ttl: str | None = None) -> Call:
    """A new hold; with a ttl of next to nothing, one for whoever sweeps."""
    row = Row(
        "worker",
        cost,
        lapses=True,
        metadata={
            "type": "reservation",
            "original_metadata": NOTE,
            "requested_cost": str(cost),
            "estimated_cost": str(cost),
        },
        times=frozenset({"reserved_at"}),
    )
    there: list[Rows] = [{hold: row}] + [{hold: row.ended("expired", Decimal(0), "expired_at")}] * bool(ttl)

    def send(connection: Connection) -> list[Rows]:
        verdict = rows.call(connection, variant, cost, "worker", NOTE, p_reservation_id=hold, p_ttl=ttl)
        assert _is_sound(verdict, cost) or (verdict.reason == "ended" and ttl), verdict
        return there if verdict.can_proceed or verdict.reason == "ended" else [{hold: None}]

    return Call(variant, {hold: None}, [*there, {hold: None}], send)


def _is_sound(verdict: Any, cost: Decimal) -> bool:
    """Is it granted where it fits by its own figures, and only there?"""
    fits = verdict.current_total + cost <= verdict.limit_amount
    may_be = {("granted", fits), ("replayed", True), ("in_flight", fits), ("exhausted", fits)}
    return (verdict.reason, verdict.can_proceed) in may_be


def reserve_many(holds: Sequence[UUID], cost: Decimal) -> Call:
    """A batch of new holds, of which each is granted or not."""
    calls = [reserve("reserve_many", hold, cost) for hold in holds]

    def send(connection: Connection) -> list[Rows]:
        requests = [
            {"estimated_cost": str(cost), "service_name": "worker", "metadata": NOTE, "reservation_id": str(hold)}
            for hold in holds
        ]
        verdicts = batches.reserve_many(connection, requests)
        assert all(_is_sound(verdict, cost) for verdict in verdicts), verdicts
        return _each(
            call.after[:1] if verdict.can_proceed else call.after[1:]
            for call, verdict in zip(calls, verdicts, strict=True)
        )

    return Call("reserve_many", dict.fromkeys(holds), _each(call.after for call in calls), send)


def extend(hold: UUID, row: Row, cost: Decimal) -> Call:
    extended = row._replace(
        cost=cost, metadata={**row.metadata, "estimated_cost": str(cost)}, times=row.times | {"extended_at"}
    )

    def send(connection: Connection) -> list[Rows]:
        verdict = rows.call(connection, "extend", hold, cost)
        return [{hold: extended if verdict.can_proceed else row}]

    return Call("extend", {hold: row}, [{hold: extended}, {hold: row}], send)


def settle(hold: UUID, row: Row, cost: Decimal) -> Call:
    return _outcome("settle", hold, row, row.ended("actual", cost, "settled_at", tokens=7), cost, {"tokens": 7})


def settle_many(held: Rows, cost: Decimal) -> Call:
    """A batch of holds that end at one cost."""
    calls = [settle(hold, row, cost) for hold, row in held.items() if row]

    def send(connection: Connection) -> list[Rows]:
        settlements = [
            {"reservation_id": str(hold), "actual_cost": str(cost), "metadata": {"tokens": 7}} for hold in held
        ]
        outcomes = batches.settle_many(connection, settlements)
        told = [(outcome.reservation_id, outcome.status, outcome.actual_cost, outcome.late) for outcome in outcomes]
        assert told == [(hold, "actual", cost, False) for hold in held], outcomes
        return after

    after = _each(call.after for call in calls)
    return Call("settle_many", held, after, send)


def cancel(hold: UUID, row: Row) -> Call:
    after = row.ended("cancelled", Decimal(0), "cancelled_at", cancel_reason="it failed")
    return _outcome("cancel", hold, row, after, "it failed")


def record(spend: UUID, cost: Decimal) -> Call:
    metadata = {"type": "actual", "original_metadata": NOTE}
    after = Row("recorder", cost, lapses=False, metadata=metadata, times=frozenset({"recorded_at"}))
    return _outcome("record", spend, None, after, cost, "recorder", NOTE, spend)


def _outcome(function: str, row_id: UUID, before: Row | None, after: Row, *args: object) -> Call:
    def send(connection: Connection) -> list[Rows]:
        outcome = rows.call(connection, function, *([] if function == "record" else [row_id]), *args)
        rows.expect(outcome, reservation_id=row_id, status=after.metadata["type"], actual_cost=after.cost, late=False)
        return [{row_id: after}]

    return Call(function, {row_id: before}, [{row_id: after}], send)


def insert(spend: UUID, cost: Decimal, *, durable: bool = True) -> Call:
    """Spend that an application writes itself, perhaps under a `synchronous_commit` that may lose what was answered.

    The primary's own disk loses it with `off`, a failover with `local` as well.
    """
    row = Row("application", cost, lapses=False, metadata=NOTE, times=frozenset())

    def send(connection: Connection) -> list[Rows]:
        connection.execute(
            """INSERT INTO public.cost_tracking (id, service_name, cost, metadata)
               VALUES (%s, 'application', %s, %s) ON CONFLICT DO NOTHING""",
            (spend, cost, Jsonb(NOTE)),
        )
        return [{spend: row}] if durable else [{spend: row}, {spend: None}]

    return Call("insert", {spend: None}, [{spend: row}], send)


def together(one: Call, other: Call) -> Call:
    """Two calls in one transaction: all of it or nothing."""

    def send(connection: Connection) -> list[Rows]:
        with connection.transaction():
            return _each((one.send(connection), other.send(connection)))

    return Call(f"{one.name} and {other.name}", {**one.before, **other.before}, _each((one.after, other.after)), send)


def _each(calls: Iterable[list[Rows]]) -> list[Rows]:
    """What rows may be together, by what those of each call may be."""
    together: list[Rows] = [{}]
    for may_be in calls:
        together = [{**some, **more} for some in together for more in may_be]
    return together


HOLD, OTHER = UUID(int=1), UUID(int=2)


def _held(db: Connection) -> Row:
    row = reserve("reserve", HOLD, Decimal(10)).send(db)[0][HOLD]
    assert row
    return row


CALLS: dict[str, Callable[[Connection], Call]] = {
    "reserve": lambda _: reserve("reserve", HOLD, Decimal(10)),
    "reserve_advisory": lambda _: reserve("reserve_advisory", HOLD, Decimal(10)),
    "extend": lambda db: extend(HOLD, _held(db), Decimal(12)),
    "settle": lambda db: settle(HOLD, _held(db), Decimal(7)),
    "settle, above the limit": lambda db: settle(HOLD, _held(db), Decimal(101)),
    "cancel": lambda db: cancel(HOLD, _held(db)),
    "record": lambda _: record(HOLD, Decimal(3)),
    "record, above the limit": lambda _: record(HOLD, Decimal(101)),
    **by_series(
        core={},
        budgets={
            "reserve_many": lambda _: reserve_many([HOLD, OTHER], Decimal(10)),
            "settle_many": lambda db: settle_many(reserve_many([HOLD, OTHER], Decimal(10)).send(db)[0], Decimal(7)),
            "settle_many, above the limit": lambda db: settle_many(
                reserve_many([HOLD, OTHER], Decimal(10)).send(db)[0], Decimal(51)
            ),
        },
    ),
}
"""Makes one of each, whose row is HOLD in an empty ledger; of those that need a hold, with it."""


def administer(function: str, *arguments: object, ledger: Rows | None = None, **named: object) -> Call:
    """A call that changes budgets and balances and leaves these rows of the ledger as they are."""
    there = ledger or {}

    def send(connection: Connection) -> list[Rows]:
        rows.call(connection, function, *arguments, **named)
        return [there]

    return Call(function, there, [there], send)


def set_slots(slots: int) -> Call:
    """Spread the day's room anew."""
    return administer("set_budget", "daily", None, p_slots=slots)


def reconcile_nothing() -> Call:
    """What is healthy has nothing to repair, whoever writes meanwhile."""

    def send(connection: Connection) -> list[Rows]:
        repaired = connection.execute("SELECT r::text FROM budget.reconcile() AS r").fetchall()
        assert not repaired, repaired
        return [{}]

    return Call("reconcile", {}, [{}], send)


def _set_budget(db: Connection) -> Call:
    rows.spend(db, 3, service="direct")
    return administer("set_budget", "services", 50, "service", ledger={**ledger(db)})


def _drop_budget(db: Connection) -> Call:
    _set_budget(db).send(db)
    return administer("drop_budget", "services", ledger={**ledger(db)})


def _reconcile(db: Connection) -> Call:
    db.execute("SET session_replication_role = replica")  # as a restore may, which then has to be made good
    rows.spend(db, 3, service="direct")
    db.execute("RESET session_replication_role")
    return administer("reconcile", ledger={**ledger(db)})


def _prune(db: Connection) -> Call:
    rows.spend(db, 3, service="direct")  # whose posting nobody has folded
    return administer("prune", ledger={**ledger(db)})


ADMINISTRATION: dict[str, Callable[[Connection], Call]] = by_series(
    core={},
    budgets={"set_budget": _set_budget, "drop_budget": _drop_budget, "reconcile": _reconcile, "prune": _prune},
)
"""Makes one of each, with something to do."""


def ledger(connection: Connection, *only: UUID) -> dict[UUID, Row]:
    """The ledger's rows, or these of them."""
    found = connection.execute(
        """SELECT id, service_name, cost, expires_at IS NOT NULL, metadata FROM public.cost_tracking
            WHERE id = ANY(%s) OR cardinality(%s::uuid[]) = 0""",
        (list(only), list(only)),
    )
    return {
        row_id: Row(
            service_name,
            cost,
            lapses,
            {key: value for key, value in metadata.items() if key not in TIMES | {"over_limit"}},
            TIMES & metadata.keys(),
        )
        for row_id, service_name, cost, lapses, metadata in found
    }


def settled_doubt(connection: Connection, call: Call) -> list[Rows]:
    """Repeat a call whose answer never came, where it is as before or whole; returns what became of its rows."""

    def there() -> Rows:
        found = ledger(connection, *call.before) if call.before else {}
        return {row_id: found.get(row_id) for row_id in call.before}

    found = there()
    assert found in [call.before, *call.after], f"{call.name} is half there: {found}"
    said = call.send(connection)
    assert there() in said, f"{call.name}, repeated, says {said}"
    for row_id, row in found.items():
        known = row == call.before[row_id] or row in [rows[row_id] for rows in said]
        assert known, f"{call.name} was there as {row}, and a repeat made {said} of it"
    return said


def everything(connection: Connection, tables: Sequence[str] = ("public.cost_tracking", "public.escalations")) -> Any:
    """Every column of every row, and where it stands, which each change would move."""
    return [
        connection.execute(f"SELECT t.ctid::text, t::text FROM {table} AS t ORDER BY t.ctid".encode()).fetchall()
        for table in tables
    ]


UNSOUND = {
    "a hold and its reservation, spend and its record are of one instant": """
        SELECT id FROM public.cost_tracking
         WHERE coalesce(metadata ->> 'reserved_at', metadata ->> 'recorded_at')::timestamptz <> created_at""",
    "nothing ended before it began": """
        SELECT id FROM public.cost_tracking
         WHERE least(metadata ->> 'extended_at', metadata ->> 'settled_at', metadata ->> 'cancelled_at',
                     metadata ->> 'expired_at')::timestamptz < created_at""",
    "spend that leaves its day above the limit is escalated with it": """
        SELECT l.id, e.id
          FROM (SELECT id FROM public.cost_tracking WHERE metadata ->> 'over_limit' = 'true') AS l
          FULL JOIN (SELECT (context ->> 'subject')::uuid AS id FROM public.escalations
                      WHERE trigger_type = 'budget_overrun') AS e ON e.id = l.id
         WHERE l.id IS NULL OR e.id IS NULL""",
    "what was decided, up to its estimate, is within the limit": """
        SELECT d.total
          FROM (SELECT sum(least(cost, (metadata ->> 'estimated_cost')::numeric)) AS total FROM public.cost_tracking
                 WHERE metadata ? 'reserved_at' AND (expires_at IS NULL OR expires_at > clock_timestamp())) AS d
         WHERE d.total > (SELECT emergency_kill FROM budget.limits())""",
    "the invariants": "SELECT * FROM budget.invariants",
}


def fill(dsn: str) -> None:
    """What the day has left is granted to the last of it, to sessions of all slots, and no more than that."""
    with ExitStack() as opened:
        sessions = [opened.enter_context(psycopg.connect(dsn, autocommit=True)) for _ in range(SLOTS + 1)]
        left = rows.one(sessions[0], "SELECT remaining FROM budget.status").remaining
        part = (left / len(sessions)).quantize(Decimal("0.01"), ROUND_DOWN)
        for session in sessions[1:] if left > 0 else []:
            assert rows.call(session, "reserve_advisory", part, "filler").can_proceed
            left -= part
        if left >= 0:
            assert rows.call(sessions[0], "reserve", left, "filler").remaining == left
        for session in sessions:
            assert not rows.call(session, "reserve_advisory", Decimal("1e-12"), "filler").can_proceed
        sound(sessions[0])


def sound(connection: Connection) -> None:
    """Nothing in the database contradicts the rest of it."""
    for rule, query in UNSOUND.items():
        broken = connection.execute(query.encode()).fetchall()
        assert not broken, f"{rule}: {broken}"
