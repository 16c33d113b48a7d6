"""The commands as a user meets them: databases chosen, output, exit codes, errors without a traceback."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from io import StringIO
from typing import Any

import click
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from rich.console import Console

from pgbudget import Budget, Status, migrations
from pgbudget.cli._common import amount, printable, span
from pgbudget.cli.app import app
from pgbudget.cli.state import show_status
from tests.cli.command import invoke
from tests.cli.terminal import COLUMNS, run, run_on_terminal
from tests.series import SERIES

Connection = psycopg.Connection[Any]

NAMES = migrations.names()
"""Of core, which is migrated where no series is named."""


# Help


def test_help_teaches() -> None:
    done = invoke("--help", dsn="")
    assert done.code == 0
    assert max(map(len, done.out.splitlines())) <= COLUMNS
    for word in (
        "Exit codes:",
        "  0 ",
        "  1 ",
        "  2 ",
        "  3 ",
        "  4 ",
        "DATABASE_URL",
        "NO_COLOR",
        "PGBUDGET_DEBUG",
        "pgbudget demo",
    ):
        assert word in done.out
    assert "\n    pgbudget demo  " in done.out, "the first steps stand on lines of their own"
    listed = re.findall(r"^  (\w+) +[A-Z]", done.out.partition("Set up:\n")[2], re.MULTILINE)
    assert set(listed) == app.commands.keys()


def every_command(group: click.Group = app, *path: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from every_command(command, *path, name)


@pytest.mark.parametrize("path", list(every_command()), ids=" ".join)
def test_every_command_describes_itself(path: tuple[str, ...]) -> None:
    done = invoke(*path, "--help", dsn="")
    assert done.code == 0
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= COLUMNS
    assert "\b" not in done.out
    assert lines[0].startswith(f"Usage: pgbudget {' '.join(path)} ")
    assert re.match("  [A-Z]", lines[lines.index("") + 1])
    if path[-1] not in ("demo", "sql", "estimate", "limits"):
        assert "--dsn" in done.out
        assert "--json" in done.out


def test_no_arguments_is_a_question_for_help() -> None:
    done = run()
    assert done.code == 2
    assert "Set up:" in done.out + done.err


def test_a_missing_extra_is_said_in_one_line() -> None:
    code = "import sys; sys.modules['click'] = None; from pgbudget.cli import main; main()"
    done = run(command=[sys.executable, "-c", code])
    assert done.code == 1
    assert done.err == "pgbudget: click is not installed; the command line needs: pip install 'pgbudget[cli]'\n"


def test_another_missing_module_is_not_blamed_on_the_extra() -> None:
    code = "import sys; sys.modules['psycopg.rows'] = None; from pgbudget.cli import main; main()"
    done = run(command=[sys.executable, "-c", code])
    assert "Traceback" in done.err


# migrate and rollback


def test_migrate_and_rollback_tell_what_they_do(empty_dsn: str) -> None:
    done = run("migrate", "--dsn", empty_dsn)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [*(f"applying {name}" for name in NAMES), f"{len(NAMES)} applied"]
    done = run("migrate", "--dsn", empty_dsn)
    assert (done.code, done.out) == (0, "nothing to apply: the database is up to date\n")

    done = run("rollback", "--dsn", empty_dsn)
    assert done.out.splitlines() == [f"rolling back {NAMES[-1]}", "1 rolled back"]
    done = run("rollback", "--dsn", empty_dsn, "--all")
    assert (done.code, done.out.splitlines()[-1]) == (0, f"{len(NAMES) - 1} rolled back")
    done = run("rollback", "--dsn", empty_dsn, "--all")
    assert (done.code, done.out) == (0, "nothing to roll back\n")


def test_migrate_and_rollback_speak_json(empty_dsn: str) -> None:
    assert json.loads(run("migrate", "--dsn", empty_dsn, "--json").out) == {"applied": NAMES}
    assert json.loads(run("migrate", "--dsn", empty_dsn, "--json").out) == {"applied": []}
    undone = json.loads(run("rollback", "--dsn", empty_dsn, "--json", "--count", "2").out)
    assert undone == {"rolled_back": NAMES[:-3:-1]}


def test_a_run_that_holds_the_lock_refuses_another(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [migrations.LOCK_KEY])
        done = run("migrate", "--dsn", empty_dsn, "--lock-wait", "0.2")
    assert done.code == 1
    assert "another migration run is in the way" in done.err.replace("\n", " ")


@pytest.mark.parametrize(("typed", "code", "left"), [("y\n", 0, 2), ("n\n", 1, 0), ("\n", 1, 0)])
def test_a_rollback_asks_on_a_terminal(dsn: str, typed: str, code: int, left: int) -> None:
    done = run_on_terminal("rollback", "--series", SERIES, "--count", "2", "--dsn", dsn, typed=typed)
    assert done.code == code
    undone = migrations.names(SERIES)[:-3:-1]
    assert re.search("\n  ".join(["To be rolled back in database tests.* on .*:", *undone]) + r"\nGo on\?", done.text)
    assert len(migrations.pending(dsn, SERIES)) == left


def test_who_says_yes_is_not_asked_nor_is_who_rolls_nothing_back(dsn: str, empty_dsn: str) -> None:
    for database, options in ((dsn, ["--yes", "--all"]), (empty_dsn, ["--all"])):
        done = run_on_terminal("rollback", "--series", SERIES, *options, "--dsn", database)
        assert done.code == 0
        assert "Go on?" not in done.text


def test_a_migration_shows_on_a_terminal_that_it_goes_on(empty_dsn: str) -> None:
    done = run_on_terminal("migrate", "--dsn", empty_dsn)
    assert done.code == 0
    assert "may wait for open transactions" in done.text
    assert f"applying {NAMES[0]}" in done.text


# Which database


def test_the_option_wins_over_the_environment_which_wins_over_libpqs(dsn: str, empty_dsn: str) -> None:
    libpq = {f"PG{k.upper()}": str(v) for k, v in conninfo_to_dict(dsn).items() if k != "dbname"}
    libpq["PGDATABASE"] = str(conninfo_to_dict(dsn)["dbname"])
    assert run("status", env=libpq).code == 0
    assert run("status", env={"DATABASE_URL": dsn}).code == 0
    assert run("status", "--dsn", dsn, env={"DATABASE_URL": "host=/nowhere"}).code == 0
    assert run("status", env={**libpq, "DATABASE_URL": "host=/nowhere"}).code == 3
    assert run("status", "--dsn", empty_dsn, env=libpq).code == 3


# status


def test_status_shows_the_day(dsn: str, db: Connection) -> None:
    budget = Budget(db)
    budget.record(Decimal("60.25"), "svc")
    budget.reserve(Decimal("12.5"), "svc")
    done = run("status", "--dsn", dsn)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert str(budget.status().day) in lines[0]
    assert "(UTC)" in lines[0]
    bar = lines[2].strip()
    assert len(bar) == COLUMNS - 4
    assert (bar.count("█"), bar.count("▒"), bar.count("░")) == (45, 10, 21)  # 60.25, 12.50 and 27.25 of 100
    assert bar == "".join(sorted(bar, key="█▒░".index))
    marks = lines[3]
    assert marks.index("▲ soft 20.00") == 2 + 15
    assert marks.index("▲ hard 50.00") == 2 + 38
    assert marks.endswith("limit 100.00 ▲")
    assert [line.split()[1:3] for line in lines[5:8]] == [["settled", "60.25"], ["held", "12.50"], ["free", "27.25"]]
    assert "1 open" in lines[6]
    assert "72.8% used" in lines[7]


def test_what_is_above_the_limit_is_red(dsn: str, db: Connection) -> None:
    Budget(db).record(150, "svc")
    bar = run_on_terminal("status", "--dsn", dsn).out.splitlines()[2]
    within, above = (len(part) for part in re.findall("█+", bar))
    assert (within, above) == (int((COLUMNS - 4) * 2 / 3), COLUMNS - 4 - int((COLUMNS - 4) * 2 / 3))
    assert re.search("\x1b\\[31m█+\x1b", bar)


def test_status_as_json_is_exact(dsn: str, db: Connection) -> None:
    Budget(db).record(Decimal("0.100000000001"), "svc")
    done = run("status", "--dsn", dsn, "--json")
    status = json.loads(done.out)
    assert done.code == 0
    assert (status["settled"], status["emergency_kill"], status["open_holds"]) == ("0.100000000001", "100", 0)
    assert datetime.fromisoformat(status["resets_at"]) > datetime.now(timezone.utc)
    assert set(status) == set(Status.__dataclass_fields__)


def test_status_shows_broken_limits_first_and_exits_with_1(dsn: str, db: Connection) -> None:
    db.execute("""UPDATE public.system_config SET value = '{"emergency_kill": "lots"}' WHERE key = 'budget_limits'""")
    found = Budget(db).status().config_error
    assert found
    done = run("status", "--dsn", dsn)
    assert done.code == 1
    assert found in done.out
    assert done.out.index("every reserve is refused") < done.out.index("settled")
    assert "█" not in done.out
    assert json.loads(run("status", "--dsn", dsn, "--json").out)["config_error"] == found


def test_status_lists_keys_that_nothing_enforces(dsn: str, db: Connection) -> None:
    db.execute(
        """UPDATE public.system_config SET value = (value::jsonb || '{"monthly_hard_cap": 1, "emergancy_kill": 2}')
           ::text WHERE key = 'budget_limits'"""
    )
    done = run("status", "--dsn", dsn)
    assert done.code == 0
    [line] = [line for line in done.out.splitlines() if "nothing enforces" in line]
    assert "monthly_hard_cap" in line
    assert "emergancy_kill" in line


def test_status_shows_a_freeze_and_exits_with_1(dsn: str, db: Connection) -> None:
    db.execute("SELECT budget.freeze('the bill [bold] runs away')")
    done = run("status", "--dsn", dsn)
    assert done.code == 1
    assert "the bill [bold] runs away" in done.out


NOW = datetime(2025, 10, 3, 12, tzinfo=timezone.utc)
DAY = Status(
    day=NOW.date(),
    timezone="America/Argentina/ComodRivadavia",
    daily_soft_cap=Decimal(20),
    daily_hard_cap=Decimal(50),
    emergency_kill=Decimal(100),
    settled=Decimal("123456789.123456"),
    held=Decimal("0.00000001"),
    remaining=Decimal("-123456689.12345601"),
    share_used=Decimal("1234567.89"),
    open_holds=12345,
    oldest_hold=NOW - timedelta(hours=23, minutes=59),
    frozen=True,
    frozen_reason="a very long reason " * 12,
    resets_at=NOW + timedelta(hours=12),
    unknown_keys=[f"a_key_that_is_rather_long_{n}" for n in range(9)],
    config_error=None,
)


@pytest.mark.parametrize(("soft", "hard"), [(None, 50), (0, 0), (20, 50), (49, 50), (50, 50), (99, 100), (100, 100)])
@pytest.mark.parametrize("used", ["0", "0.001", "55", "99.99", "100", "123456789.123456"])
def test_status_fits_80_columns_whatever_the_figures(soft: int | None, hard: int, used: str) -> None:
    caps = {"daily_soft_cap": None if soft is None else Decimal(soft), "daily_hard_cap": Decimal(hard)}
    changed = {"settled": Decimal(used), **caps}
    found = Status(**{**{name: getattr(DAY, name) for name in Status.__dataclass_fields__}, **changed})
    console = Console(file=StringIO(), width=COLUMNS, highlight=False)
    show_status(console, found, NOW)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= COLUMNS
    [bar] = [line.strip() for line in lines if set(line.strip()) and set(line.strip()) <= set("█▒░")]
    assert len(bar) == COLUMNS - 4
    marks = [line for line in lines if "▲" in line]
    assert sum(line.count("▲") for line in marks) == 2 + (soft is not None)
    for name, value in (("soft", soft), ("hard", hard), ("limit", 100)):
        assert value is None or any(f"{name} {value}.00" in line for line in marks)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0", "0.00"),
        ("12.5", "12.50"),
        ("1234.5", "1,234.50"),
        ("0.0001", "0.0001"),
        ("-3", "-3.00"),
        ("1E+3", "1,000.00"),
        ("123456789012345678901234567890.123456789012", "123,456,789,012,345,678,901,234,567,890.123456789012"),
    ],
)
def test_amounts_are_shown_in_full(value: str, text: str) -> None:
    assert amount(Decimal(value)) == text


def test_what_would_move_the_cursor_is_written_out() -> None:
    assert printable("a\x1b[31m\r\n\t\u202e\u00a0\u00ad é 漢 █") == r"a\x1b[31m\r\n\t\u202e\xa0\xad é 漢 █"
    assert printable("one\ntwo\r", keep="\n") == "one\ntwo\\r"


def test_spans_are_shown_in_two_units() -> None:
    spans = [span(timedelta(seconds=seconds)) for seconds in (-5, 59, 61, 3600, 90_000)]
    assert spans == ["0 s", "59 s", "1 min", "1 h 00 min", "25 h 00 min"]


# Errors and terminals


@pytest.mark.parametrize("command", [["status"], ["holds"], ["watch", "--count", "1"], ["reserve", "1", "svc"]])
def test_a_role_without_rights_is_told_which_it_needs(dsn: str, db: Connection, command: list[str]) -> None:
    db.execute("DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN")
    try:
        done = invoke(*command, dsn=make_conninfo(dsn, user="stranger"))
        assert (done.code, done.out) == (3, "")
        assert "permission denied" in done.err
        assert "budget_reader (status, holds, watch, doctor, budgets)" in " ".join(done.err.split())
        told = json.loads(invoke(*command, "--json", dsn=make_conninfo(dsn, user="stranger")).err)
        assert (told["sqlstate"], told["hint"][:7]) == ("42501", "Connect")
    finally:
        db.execute("DROP ROLE stranger")


def test_an_error_does_not_move_the_cursor_either(dsn: str) -> None:
    done = invoke("estimate", "tokens", "a\x1b[31m proposer", "1", "1", dsn=dsn)
    assert done.code == 1
    assert "\x1b" not in done.err
    assert r"a\x1b[31m proposer" in done.err


def test_a_terminal_that_has_no_bars_gets_something_else(dsn: str) -> None:
    done = run("status", "--dsn", dsn, env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert (done.code, done.err) == (0, "")
    assert "??? " not in done.out.splitlines()[0]
    assert "?" * 70 in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["status", "--dsn", "host=/nowhere"], 3, "/nowhere"),
        (["status", "--dsn", "nonsense"], 2, "postgresql://"),
        (["migrate", "--dsn", "postgresql://[::1/db"], 2, "matching"),
        (["migrate", "--series", "nope"], 2, "core"),
        (["rollback", "--count", "0"], 2, "count"),
        (["nope"], 2, "nope"),
        (["status", "--nope"], 2, "--nope"),
    ],
)
def test_a_users_error_is_a_message_and_a_code(arguments: list[str], code: int, says: str) -> None:
    done = run(*arguments)
    assert done.code == code
    assert done.out == ""
    assert says in done.err
    assert "Traceback" not in done.err


def test_a_database_without_pgbudget_is_told_to_migrate(empty_dsn: str) -> None:
    done = run("status", "--dsn", empty_dsn)
    assert done.code == 3
    assert "pgbudget migrate" in done.err
    assert "Traceback" not in done.err


def test_a_traceback_is_shown_to_those_who_ask(empty_dsn: str) -> None:
    assert "Traceback" in run("status", "--dsn", empty_dsn, env={"PGBUDGET_DEBUG": "1"}).err


def test_colour_is_for_terminals_alone(dsn: str, db: Connection) -> None:
    Budget(db).record(Decimal("60.25"), "svc")
    piped, shown = run("status", "--dsn", dsn), run_on_terminal("status", "--dsn", dsn)
    assert "\x1b[" not in piped.out
    assert "\x1b[" in shown.out
    assert [line.rstrip() for line in shown.text.splitlines()][2:] == [
        line.rstrip() for line in piped.out.splitlines()
    ][2:]
    assert "\x1b[3" not in run_on_terminal("status", "--dsn", dsn, env={"NO_COLOR": "1"}).out
