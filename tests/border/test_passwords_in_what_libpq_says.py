"""A connection string that libpq cannot read, or reads otherwise than was meant, is not quoted: it has a password."""

from __future__ import annotations

import click
import pytest

from pgbudget.cli import _common
from pgbudget.cli.app import app
from tests.cli.command import invoke

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
