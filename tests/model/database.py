"""The database under test, asked in SQL and answering in the model's words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg

from tests.clock import Clock
from tests.model.choices import PROPOSERS
from tests.model.limits import parse_json
from tests.model.model import Budget, Metadata

Connection = psycopg.Connection[Any]
Rows = list[tuple[Any, ...]]

MONEY = {"estimated_cost", "requested_cost"}
TIMES = {"reserved_at", "extended_at", "settled_at", "cancelled_at", "expired_at", "recorded_at", "since"}
OURS = {"reserved_at", "recorded_at", "since"}
SHOWN = 25

LEDGER = "SELECT id, service_name, cost, metadata, created_at, expires_at FROM public.cost_tracking"
ESCALATIONS = "SELECT trigger_type, status, reason, context, created_at FROM public.escalations"
CONFIG = "SELECT key, value FROM public.system_config WHERE key IN ('budget_limits', 'budget_freeze')"
STATUS = "SELECT * FROM budget.status"
OPEN_HOLDS = "SELECT * FROM budget.open_holds"
DAILY_SPEND = "SELECT * FROM budget.daily_spend"
INVARIANTS = "SELECT * FROM budget.invariants"
EVERYTHING = (LEDGER, ESCALATIONS, CONFIG, STATUS, OPEN_HOLDS, DAILY_SPEND, INVARIANTS)


class DisagreementError(AssertionError):
    """The database and the model differ."""


class Failed(str):
    """The SQLSTATE with which a statement ended."""


def plain(value: Any) -> Any:
    """A value that compares by what it says: instants in UTC, since two zones may not compare on a repeated hour."""
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc)
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def read_metadata(value: Any) -> Any:
    """Metadata of ours in the model's words: what is kept as text there is an amount or an instant."""
    if not isinstance(value, dict) or not OURS & value.keys():
        return value
    read: Metadata = {}
    for key, item in value.items():
        if key in MONEY:
            assert isinstance(item, str), f"{key} is not text but {item!r}"
            read[key] = Decimal(item)
        elif key in TIMES:
            read[key] = datetime.fromisoformat(item.replace("Z", "+00:00"))
        else:
            read[key] = item
    return read


class Database:
    """A connection with its clock in our hands, and a memory of what it was asked."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.asked: list[tuple[str, Sequence[Any], str]] = []
        # Direct inserts take their creation time from the clock as well.
        self.clock = Clock(connection)
        connection.execute("ALTER TABLE public.cost_tracking ALTER COLUMN created_at SET DEFAULT budget._now()")
        connection.prepare_threshold = 1
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO public.proposer_configs (name, model, provider, cost_profile) VALUES (%s, '', '', %s)",
                list(PROPOSERS.items()),
            )

    def ask(self, query: str, *params: Any) -> Rows | Failed:
        """The rows of a statement, or the SQLSTATE with which it ended."""
        answer: Rows | Failed
        try:
            cursor = self.connection.execute(query.encode(), params)
            rows = cursor.fetchall() if cursor.description else [(cursor.rowcount,)]
            answer = [tuple(plain(value) for value in row) for row in rows]
            said = " | ".join(", ".join(map(str, row)) for row in answer)
        except psycopg.Error as error:
            answer = Failed(error.sqlstate)
            said = f"{error.sqlstate}: {error.diag.message_primary}"
        self.asked.append((query, params, said))
        return answer

    def all(self, *queries: str) -> Iterator[Rows]:
        """The rows of several queries, in one journey."""
        with self.connection.pipeline():
            cursors = [self.connection.execute(query.encode()) for query in queries]
        for cursor in cursors:
            yield [tuple(plain(value) for value in row) for row in cursor]

    def set_clock(self, now: datetime) -> None:
        self.clock.set(now)
        self.asked.append(("-- the clock stands at %s", [now.isoformat()], ""))

    def empty(self) -> None:
        """As if nothing had ever happened."""
        self.connection.execute("ROLLBACK")
        self.connection.execute("DELETE FROM public.cost_tracking; DELETE FROM public.escalations")
        self.connection.execute("DELETE FROM public.system_config WHERE key IN ('budget_limits', 'budget_freeze')")
        self.asked.clear()

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """A disagreement that comes out of this block is told together with the last statements, as SQL."""
        try:
            yield
        except AssertionError as error:
            raise DisagreementError(f"{error}\n\nafter\n\n{self.story()}") from None

    def story(self) -> str:
        with psycopg.ClientCursor(self.connection) as cursor:
            return "\n".join(
                f"{cursor.mogrify(query.encode(), params)};\n    -- {said}"
                for query, params, said in self.asked[-SHOWN:]
            )


def compare(what: str, have: Any, want: Any) -> None:
    if have != want:
        raise DisagreementError(f"{what}\n  the database: {have}\n  the model:    {want}")


def compare_rows(what: str, have: Rows, want: Rows) -> None:
    """In any order; only what differs is shown."""
    missing, surplus = list(want), []
    for row in have:
        if row in missing:
            missing.remove(row)
        else:
            surplus.append(row)
    if missing or surplus:
        told = [f"  the database: {row}" for row in surplus] + [f"  the model:    {row}" for row in missing]
        raise DisagreementError("\n".join([what, *told]))


def escalation(row: tuple[Any, ...]) -> tuple[Any, ...]:
    kind, status, reason, context, created_at = row
    assert reason, f"the escalation {kind} has no reason"
    total = context.get("current_total")
    change = None
    if "changed_by" in context:
        change = {
            "old": read_change(context["old"]),
            "new": read_change(context["new"]),
            "changed_by": context["changed_by"],
        }
    day = context.get("day")
    return (
        kind,
        context["severity"],
        status,
        None if day is None else datetime.fromisoformat(day).date(),
        context.get("subject"),
        None if total is None else Decimal(total),
        change,
        created_at,
    )


def read_change(text: str | None) -> Any:
    return read_metadata(parse_json(text))


def compare_everything(database: Database, model: Budget) -> None:
    """What is stored and what the views show, to the microsecond and the last decimal."""
    ledger, escalations, config, status, open_holds, daily_spend, invariants = database.all(*EVERYTHING)
    compare("invariants", invariants, [])
    compare_rows(
        "the ledger",
        [(*row[:3], read_metadata(row[3]), *row[4:]) for row in ledger],
        [
            (row.id, row.service_name, row.cost, row.metadata, row.created_at, row.expires_at)
            for row in model.rows.values()
        ],
    )
    compare_rows("escalations", [escalation(row) for row in escalations], [tuple(one) for one in model.escalations])
    stored: dict[str, str] = dict(config)
    compare("system_config.budget_limits", parse_json(stored.get("budget_limits")), model.config)
    compare("system_config.budget_freeze", read_change(stored.get("budget_freeze")), model.freezing)
    compare("budget.status", [(*row[:-1], row[-1] is not None) for row in status], [tuple(model.status())])
    compare_rows("budget.open_holds", open_holds, model.open_holds())
    compare_rows("budget.daily_spend", daily_spend, model.daily_spend())


def id_in(answer: Rows | Failed, column: int) -> UUID:
    """The id that the database made, if it made one."""
    made = None if isinstance(answer, Failed) else answer[0][column]
    return made if isinstance(made, UUID) else UUID(int=0)
