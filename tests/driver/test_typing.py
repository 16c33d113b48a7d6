"""What a type checker tells the driver's users: results inferred, mistakes found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pgbudget
from tests.race import SECONDS

PACKAGE = Path(pgbudget.__file__).parent

PROGRAM = """
from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import psycopg
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from pgbudget import (
    AsyncBudget, Budget, Event, Request, Settlement, UndeliveredSettlement, UndeliveredSettlements
)


def hear(event: Event) -> None:
    print(event.function, event.seconds)


def plain(
    budget: Budget,
    connection: psycopg.Connection,
    pool: ConnectionPool,
    undelivered: UndeliveredSettlement,
    undelivered_batch: UndeliveredSettlements,
) -> None:
    Budget("postgresql:///app", attempts=1, on_event=hear)
    Budget(connection, in_transaction=True)
    Budget(pool)
    {plain}


async def asynchronous(
    budget: AsyncBudget,
    connection: psycopg.AsyncConnection,
    pool: AsyncConnectionPool,
    undelivered: UndeliveredSettlement,
    undelivered_batch: UndeliveredSettlements,
) -> None:
    AsyncBudget("postgresql:///app", attempts=1, on_event=hear)
    AsyncBudget(connection, in_transaction=True)
    AsyncBudget(pool)
    {asynchronous}
"""

ANSWERS = {
    'budget.reserve(Decimal("1"), "svc", {"a": 1}, reservation_id=uuid4(), ttl=timedelta(1))': "Verdict",
    'budget.reserve_advisory(1, "svc")': "Verdict",
    'budget.check(0.1, "svc")': "Verdict",
    "budget.extend(uuid4(), 1, ttl=None)": "Verdict",
    "budget.settle(uuid4(), 1)": "Outcome",
    'budget.reserve_many([Request(1, "svc", {"a": 1}, ttl=timedelta(1))])': "list[Verdict]",
    "budget.settle_many([Settlement(uuid4(), 0.5)])": "list[Outcome]",
    'budget.cancel(uuid4(), "why")': "Outcome",
    'budget.record(1, "svc", id=uuid4())': "Outcome",
    "budget.expire()": "Expired",
    "budget.estimate(1, True)": "Decimal",
    'budget.estimate_tokens("p", 1, 1)': "Decimal",
    'budget.estimate_from_history("svc", 0.5)': "History",
    "budget.limits()": "Limits",
    'budget.set_limits({"emergency_kill": 1})': "Limits",
    'budget.freeze("why")': "Freeze",
    "budget.unfreeze()": "Freeze",
    'budget.detect_hard_stop("text")': "bool",
    'budget.route_work_order(uuid4(), "text", {}, 1, True)': "Routing",
    'budget.retry_strategy("p", 1, None)': "Retry",
    'budget.escalate("c", "o", "e")': "UUID",
    "budget.status()": "Status",
    "budget.version()": "str",
    "undelivered.deliver(budget)": "Outcome",
    "undelivered_batch.deliver(budget)": "list[Outcome]",
}
BLOCK = """
    {0}with budget.hold(1, "svc", on_error="keep") as hold:
        reveal_type(hold)
        reveal_type({1}hold.settle(1, {{"a": 1}}))
        reveal_type({1}hold.extend(ttl=timedelta(1)))
        reveal_type({1}hold.cancel("why"))
        id: UUID = hold.reservation_id
        total: Decimal = hold.verdict.current_total + hold.estimate
"""


def mypy(tmp_path: Path, plain: str, asynchronous: str) -> list[str]:
    """What `mypy --strict` says of the program with these bodies."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.replace("{plain}", plain).replace("{asynchronous}", asynchronous))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "program.py"],
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line.startswith("program.py")]


def test_every_result_is_inferred(tmp_path: Path) -> None:
    plain = "\n    ".join(f"reveal_type({call})" for call in ANSWERS)
    asynchronous = "\n    ".join(f"reveal_type(await {call})" for call in ANSWERS)
    told = mypy(tmp_path, plain + BLOCK.format("", ""), asynchronous + BLOCK.format("async ", "await "))
    assert [line for line in told if "note: Revealed type is" not in line] == []
    revealed = [re.sub(r"\w+\.", "", line.split('"')[1]) for line in told]
    answers = list(ANSWERS.values())
    block = ["Outcome", "Verdict", "Outcome"]
    assert revealed == [*answers, "Hold", *block, *answers, "AsyncHold", *block]


MISTAKES = {
    'budget.reserve("1", "svc")': "arg-type",
    "budget.reserve(1)": "call-arg",
    'budget.reserve(1, "svc", key=uuid4())': "call-arg",
    'budget.hold(1, "svc", on_error="release")': "arg-type",
    'budget.settle(budget.reserve(1, "svc").reservation_id, 1)': "arg-type",  # None when refused
    "budget.reserved": "attr-defined",
    'Request("1", "svc")': "arg-type",
    "budget.settle_many([uuid4()])": "list-item",
    "Budget(5)": "arg-type",
}


def test_mistakes_are_found(tmp_path: Path) -> None:
    forgotten = ["budget.settle(uuid4(), 1)", "AsyncBudget(psycopg.connect())"]
    told = mypy(tmp_path, "\n    ".join(MISTAKES), "\n    ".join(forgotten))
    codes = [line.rpartition("[")[2].rstrip("]") for line in told if ": error: " in line]
    assert codes == [*MISTAKES.values(), "unused-coroutine", "arg-type"]


@pytest.mark.parametrize("marker", ["py.typed"])
def test_the_package_says_that_it_is_typed(marker: str) -> None:
    assert (PACKAGE / marker).is_file()
