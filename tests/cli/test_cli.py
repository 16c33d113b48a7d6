"""The commands as a user meets them: databases chosen, output, exit codes, errors without a traceback."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from io import StringIO
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from rich.console import Console

from pgbudget import Budget, Status, migrations
from pgbudget.cli._common import amount, span
from pgbudget.cli.state import show_status
from tests.cli.terminal import COLUMNS, run, run_on_terminal

Connection = psycopg.Connection[Any]

NAMES = [
    path.stem
    for path in sorted((migrations.series_dir() / "migrations").glob("[0-9]*.sql"))
    if path.stem.count(".") == 1
]


# Help


def test_help_teaches() -> None:
    done = run("--help")
    assert done.code == 0
    for word in ("Exit codes:", "  0 ", "  1 ", "  2 ", "  3 ", "DATABASE_URL", "PGBUDGET_DEBUG", "pgbudget demo"):
        assert word in done.out
    assert "\n    pgbudget demo  " in done.out, "the first steps stand on lines of their own"
    commands = [line.split()[0] for line in done.out.partition("Commands:\n")[2].splitlines()]
    assert commands[:4] == ["demo", "migrate", "rollback", "sql"]
    for command in commands:
        described = run(command, "--help")
        assert described.code == 0
        assert max(map(len, (done.out + described.out).splitlines())) <= COLUMNS
        assert "\\b" not in done.out + described.out
        assert "..." not in described.out.splitlines()[2]


def test_no_arguments_is_a_question_for_help() -> None:
    done = run()
    assert done.code == 2
    assert "Commands:" in done.out + done.err


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
    ],
)
def test_amounts_are_shown_in_full(value: str, text: str) -> None:
    assert amount(Decimal(value)) == text


def test_spans_are_shown_in_two_units() -> None:
    spans = [span(timedelta(seconds=seconds)) for seconds in (-5, 59, 61, 3600, 90_000)]
    assert spans == ["0 s", "59 s", "1 min", "1 h 00 min", "25 h 00 min"]


# Errors and terminals


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["status", "--dsn", "host=/nowhere"], 3, "/nowhere"),
        (["status", "--dsn", "nonsense"], 2, "nonsense"),
        (["migrate", "--dsn", "postgresql://[::1/db"], 2, "]"),
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
