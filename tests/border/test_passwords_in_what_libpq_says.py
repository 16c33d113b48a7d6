"""A connection string that libpq cannot read, or reads otherwise than was meant, is not quoted: it has a password."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Iterator

import click
import psycopg
import pytest

from pgbudget import AsyncBudget, Budget, doctor, migrations
from pgbudget.cli import _common
from pgbudget.cli.app import app
from pgbudget.plan import plan
from tests.cli.command import invoke
from tests.cli.terminal import run

SECRET = "s3cr3t"
UNREADABLE = (
    f"postgresql://u:{SECRET}%zz@localhost/db",
    f"postgresql://u:{SECRET}%00@localhost/db",
    f"postgresql://u:x/{SECRET}@localhost/db",
    f"postgresql://u:x@{SECRET}@localhost/db",
    f"postgresql://u:x@{SECRET}/y@localhost/db",
    f"postgresql://u:{SECRET}@[::1]x/db",
    f"postgresql://u:{SECRET}@[::1/db",
    f"postgresql://u:x/y?{SECRET}=1@localhost/db",
    f"postgresql:/u:{SECRET}@localhost/db",
    f"postgresql+psycopg://u:{SECRET}@localhost/db",
    f"u:{SECRET}@localhost/db",
    f"host=localhost password=my {SECRET}",
    f"host=localhost password='my {SECRET}",
    f"host=localhost pasword={SECRET} {SECRET}=1",
)
COMMANDS = (
    ["status"],
    ["watch", "--count", "1"],
    ["holds"],
    ["report"],
    ["limits"],
    ["limits", "set", "emergency_kill=1"],
    ["budgets", "status"],
    ["migrate"],
    ["migrate", "--plan"],
    ["rollback"],
    ["doctor"],
    ["demo"],
    ["replay", "/dev/null"],
    ["reserve", "1", "svc"],
    ["estimate", "tier", "0.5"],
)


@pytest.mark.parametrize("dsn", UNREADABLE)
def test_it_is_not_shown(dsn: str) -> None:
    for arguments in (["status", "--dsn", dsn], ["status", "--dsn", dsn, "--json"], ["status"]):
        done = invoke(*arguments, dsn=dsn)
        assert (done.code, done.out) == (2, "")
        assert SECRET not in done.err
        assert "the connection string" in done.err
        assert done.err.startswith("{") == ("--json" in arguments)


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_by_any_command(arguments: list[str]) -> None:
    done = invoke(*arguments, "--dsn", UNREADABLE[0], dsn="")
    assert (done.code, done.out) == (2, "")
    assert SECRET not in done.err
    assert "percent-encoded" in done.err


def test_those_are_all_that_take_one() -> None:
    """Options are shared: a command that makes its own --dsn would have to be looked at."""
    for command in app.commands.values():
        for parameter in command.params:
            if parameter.name == "dsn":
                assert parameter.callback is _common._readable


@pytest.mark.parametrize(
    "dsn", ["", "postgresql://", "postgresql://u:a%40b@/x?host=@abstract", "postgresql://u:p?q@h:1/d", "host=a@b"]
)
def test_what_can_be_read_is_left_to_libpq(dsn: str) -> None:
    command = click.Command("read", params=[click.Option(["--dsn"], callback=_common._readable)], callback=str)
    with command.make_context("read", ["--dsn", dsn]) as context:
        assert context.params == {"dsn": dsn}


async def asynchronous(dsn: str) -> None:
    async with AsyncBudget(dsn) as budget:
        await budget.version()


IN_PYTHON: dict[str, Callable[[str], object]] = {
    "Budget": lambda dsn: Budget(dsn).version(),
    "Budget posts": lambda dsn: Budget(dsn).record(1, "svc"),
    "AsyncBudget": lambda dsn: asyncio.run(asynchronous(dsn)),
    "doctor": lambda dsn: list(doctor.examine(dsn)),
    "migrate": migrations.migrate,
    "rollback": migrations.rollback,
    "plan": plan,
}


def chained(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it comes from, also where a traceback would not show them."""
    if error is not None:
        yield error
        yield from chained(error.__cause__)
        yield from chained(error.__context__)


@pytest.mark.parametrize("dsn", UNREADABLE)
@pytest.mark.parametrize("called", IN_PYTHON.values(), ids=IN_PYTHON.keys())
def test_nor_by_the_driver(called: Callable[[str], object], dsn: str) -> None:
    with pytest.raises(psycopg.ProgrammingError, match="the connection string") as raised:
        called(dsn)
    shown = "".join(traceback.format_exception(raised.value))
    assert SECRET not in shown + "".join(f"{error!r} {error.__dict__}" for error in chained(raised.value))


@pytest.mark.parametrize(
    ("dsn", "code", "says"),
    [
        (UNREADABLE[0], 2, "the connection string cannot be read"),
        (UNREADABLE[3], 2, "the connection string has an @ too many"),
        (f"postgresql://u:{SECRET}@localhost:1/db", 3, "connection failed"),
    ],
)
def test_nor_by_a_traceback(dsn: str, code: int, says: str) -> None:
    done = run("status", env={"DATABASE_URL": dsn, "PGBUDGET_DEBUG": "1"})
    assert done.code == code
    assert "Traceback" in done.err
    assert says in done.err
    assert SECRET not in done.err
