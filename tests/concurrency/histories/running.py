"""Runs a program against the database, and notes every call with its begin, its end and its answer."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import UUID

import psycopg

from tests.concurrency.histories.operations import Call, Expire, Operation
from tests.concurrency.histories.programs import Program
from tests.concurrency.histories.state import State
from tests.race import Connection, Crowd, Job
from tests.series import SERIES

RESET = """
    DELETE FROM public.cost_tracking;
    DELETE FROM public.escalations;
    DELETE FROM public.system_config WHERE key = 'budget_freeze';
"""
LIMITS = """
    UPDATE public.system_config
       SET value = jsonb_build_object(
           'emergency_kill', %s::bigint / 100.0, 'daily_soft_cap', %s::bigint / 100.0, 'on_expiry', %s::text,
           'timezone', value::jsonb ->> 'timezone')
     WHERE key = 'budget_limits'
"""
LEDGER = """
    SELECT l.id, h.was_hold, CASE WHEN h.was_hold THEN l.metadata ->> 'type' END, (l.cost * 100)::bigint,
           (extract(epoch FROM l.expires_at) * 1000000)::bigint
      FROM public.cost_tracking AS l, LATERAL (SELECT coalesce(l.metadata ? 'reserved_at', false) AS was_hold) AS h
"""
ESCALATIONS = """
    SELECT trigger_type, context ->> 'subject' FROM public.escalations
     WHERE trigger_type IN ('budget_refused', 'budget_overrun')
"""


@dataclass(frozen=True)
class History:
    """What was seen: every call, and what the tables held when all was over."""

    program: Program
    calls: list[Call]
    ledger: dict[int, tuple[bool, str | None, int, int | None]]
    """As `State.summary` has it."""
    escalations: list[tuple[str, str]]
    broken: list[Any]
    """The rows of the view `invariants`."""

    @property
    def first_state(self) -> State:
        return State({}, self.program.config, self.program.keeps, is_spread=self.program.slots > 1)


def now() -> int:
    """The clock that the server reads as well, in microseconds."""
    return time.time_ns() // 1000


def parameters(operation: Operation) -> dict[str, Any]:
    values = asdict(operation)
    if operation.id is not None:
        values["id"] = UUID(int=operation.id)
    return values


def client(number: int, operations: tuple[Operation, ...]) -> Job[list[Call]]:
    """A client that performs its operations one after the other."""
    work = [(operation, operation.statement.encode(), parameters(operation)) for operation in operations]

    def run(connection: Connection) -> list[Call]:
        calls = []
        cursor = connection.cursor()
        for operation, statement, values in work:
            started = now()
            try:
                row = cursor.execute(statement, values).fetchone()
                answer = None if row is None else operation.read(tuple(map(plain, row)))
            except psycopg.Error as error:
                answer = error.sqlstate
            calls.append(Call(number, operation, started, now(), answer))
        return calls

    return run


def plain(value: Any) -> Any:
    return value.int if isinstance(value, UUID) else value


def run(crowd: Crowd, program: Program) -> History:
    """The program's clients start from one barrier, each on a connection of the crowd."""
    db = crowd.connections[0]
    db.execute(RESET)
    config = program.config
    if SERIES == "budgets":
        db.execute("SELECT budget.set_budget('daily', NULL, p_slots => %s)", [program.slots])
    db.execute(LIMITS, (config.kill, config.soft, "keep" if program.keeps else "release"))
    calls = client(-1, program.prologue)(db)
    for done in crowd.race([client(number, work) for number, work in enumerate(program.clients)]):
        calls += done
    with db.pipeline():
        queries = [db.execute(query) for query in (LEDGER, ESCALATIONS, "SELECT * FROM budget.invariants")]
    ledger, escalations, broken = (cursor.fetchall() for cursor in queries)
    return History(
        program, with_busy_rows(calls), {row_id.int: tuple(row) for row_id, *row in ledger}, escalations, broken
    )


def with_busy_rows(calls: list[Call]) -> list[Call]:
    """The calls, those of expire with the rows that others were at meanwhile, and another sweep may be at any."""

    def rows_of(call: Call) -> set[int]:
        return {row_id for row_id in (call.operation.id, getattr(call.answer, "id", None)) if row_id is not None}

    everything = frozenset().union(*map(rows_of, calls))

    def busy(sweep: Call) -> frozenset[int]:
        others = [call for call in calls if call.started <= sweep.ended and call.ended >= sweep.started]
        if sum(isinstance(call.operation, Expire) for call in others) > 1:
            return everything
        return frozenset().union(*map(rows_of, others))

    return [replace(call, busy=busy(call)) if isinstance(call.operation, Expire) else call for call in calls]
