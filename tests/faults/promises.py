"""What the database has promised to callers, and whether it kept it: every column and key of every row that is theirs.

A call that was answered is a promise. One whose answer never came is in doubt: its rows are as before it or as after
it, never between the two, and whoever repeats it with its ids is charged once.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb

from tests import rows
from tests.race import Connection

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
        fits = verdict.current_total + cost <= verdict.limit_amount
        may_be = {("granted", fits), ("replayed", True), ("in_flight", fits), ("exhausted", fits)}
        assert (verdict.reason, verdict.can_proceed) in may_be | ({("ended", False)} if ttl else set()), verdict
        return there if verdict.can_proceed or verdict.reason == "ended" else [{hold: None}]

    return Call(variant, {hold: None}, [*there, {hold: None}], send)


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
    """Spend that an application writes itself, perhaps under a `synchronous_commit` that may lose what was answered."""
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

    def both(some: list[Rows], more: list[Rows]) -> list[Rows]:
        return [{**these, **those} for these in some for those in more]

    def send(connection: Connection) -> list[Rows]:
        with connection.transaction():
            return both(one.send(connection), other.send(connection))

    return Call(f"{one.name} and {other.name}", {**one.before, **other.before}, both(one.after, other.after), send)


HOLD = UUID(int=1)


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
}
"""Makes one of each, whose row is HOLD in an empty ledger; of those that need a hold, with it."""


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


def sound(connection: Connection) -> None:
    """Nothing in the database contradicts the rest of it."""
    for rule, query in UNSOUND.items():
        broken = connection.execute(query.encode()).fetchall()
        assert not broken, f"{rule}: {broken}"
