"""`pgbudget budgets`, and what doctor, watch, migrate, rollback and sql know of the series `budgets`."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from pytest_postgresql import factories

from pgbudget import Budget, migrations
from pgbudget.embedded import Server
from tests import chain
from tests.cli.command import invoke, picture
from tests.cli.states import NASTY
from tests.cli.terminal import COLUMNS, run_on_terminal
from tests.conftest import load_chain
from tests.remedies import Fault, caller, follow, mended, pasted, troubles
from tests.rows import configure, one, spend

Connection = psycopg.Connection[Any]

template = factories.postgresql_noproc(
    depends_on="endpoint", dbname="cli_budgets", load=[partial(load_chain, "budgets")]
)

COMMANDS: tuple[list[str], ...] = ([], ["list"], ["status"], ["set", "b", "--limit", "3"], ["drop", "b"])


def asked(dsn: str, *arguments: str) -> Any:
    """What a command has for machines."""
    done = invoke("budgets", *arguments, "--json", dsn=dsn)
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


def refused(dsn: str, code: int, *arguments: str) -> str:
    done = invoke("budgets", *arguments, dsn=dsn)
    assert (done.code, done.out) == (code, "")
    return " ".join(done.err.split())


# Without the series


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_without_the_series_they_say_how_to_apply_it(empty_dsn: str, command: list[str]) -> None:
    assert "pgbudget migrate" in refused(empty_dsn, 3, *command)
    migrations.migrate(empty_dsn)
    said = refused(empty_dsn, 3, *command)
    assert "the series budgets is not applied" in said
    assert "pgbudget migrate --series budgets" in said


def test_without_its_takeover_it_is_not_shown_as_if_it_limited(dsn: str) -> None:
    asked(dsn, "set", "b", "--limit", "5")
    migrations.rollback(dsn, series="budgets")
    assert "not applied, or not to its end" in refused(dsn, 3, "status")
    migrations.migrate(dsn, series="budgets")
    assert asked(dsn, "status", "b")["count"] == 1


def test_a_plan_of_it_begins_with_what_core_lacks(empty_dsn: str) -> None:
    def plan() -> dict[str, list[str]]:
        done = invoke("migrate", "--plan", "--series", "budgets", "--json", dsn=empty_dsn)
        assert (done.code, done.err) == (0, "")
        return {step["migration"]: step["does"] for step in json.loads(done.out)["pending"]}

    core, more = migrations.names("core"), migrations.names("budgets")
    whole = plan()
    assert list(whole) == [*core, *more]
    assert whole[core[0]] == ["schema budget is missing: made"]
    assert whole[more[0]] == ["Many budgets and their balances. Nothing uses them yet."]
    migrations.migrate(empty_dsn)
    assert plan() == {name: whole[name] for name in more}


def test_the_series_comes_and_goes(empty_dsn: str) -> None:
    migrations.migrate(empty_dsn)
    names = migrations.names("budgets")
    plan = invoke("migrate", "--plan", "--series", "budgets", dsn=empty_dsn)
    assert plan.code == 0
    assert [line for line in plan.out.splitlines() if line.startswith("0")] == names
    done = invoke("migrate", "--series", "budgets", dsn=empty_dsn)
    assert (done.code, done.out.splitlines()[-1]) == (0, f"{len(names)} applied")
    assert asked(empty_dsn, "list")["budgets"][0]["name"] == "daily"
    assert invoke("rollback", "--all", dsn=empty_dsn).code == 1  # core is built upon
    done = invoke("rollback", "--series", "budgets", "--all", dsn=empty_dsn)
    assert (done.code, done.out.splitlines()[-1]) == (0, f"{len(names)} rolled back")
    assert invoke("status", dsn=empty_dsn).code == 0


def test_it_can_be_had_as_one_file(empty_dsn: str) -> None:
    migrations.migrate(empty_dsn)
    done = invoke("sql", "--series", "budgets", "--single-transaction", dsn="")
    with psycopg.connect(empty_dsn, autocommit=True) as db:
        db.execute(done.out.encode())
    assert asked(empty_dsn, "list")["budgets"][0]["name"] == "daily"


# Set and list


def kept(db: Connection, name: str) -> dict[str, Any]:
    budget: dict[str, Any] = one(
        db, "SELECT to_jsonb(b) AS budget FROM budget.budgets AS b WHERE b.name = %s", name
    ).budget
    return {key: value for key, value in budget.items() if key not in ("name", "counted_from")}


NEW = {
    "dimension": "*",
    "member": "*",
    "period": "day",
    "limit_amount": 5,
    "timezone": None,
    "soft_limits": [],
    "enforcement": "block",
    "is_active": True,
    "slots": 1,
    "extra": None,
    "extra_until": None,
}


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        ("", {}),
        ("--of team", {"dimension": "team", "member": None}),
        ("--of team --member alpha", {"dimension": "team", "member": "alpha"}),
        ("--period month --timezone Europe/Berlin", {"period": "month", "timezone": "Europe/Berlin"}),
        ("--soft 3 --soft 4.5", {"soft_limits": [3, 4.5]}),
        ("--warn", {"enforcement": "warn"}),
        ("--inactive", {"is_active": False}),
        ("--slots 8", {"slots": 8}),
        (
            "--extra 2 --until 2031-11-30T18:00+01:00",
            {"extra": 2, "extra_until": "2031-11-30T17:00:00+00:00"},
        ),
    ],
)
def test_a_new_budget(dsn: str, db: Connection, given: str, changes: dict[str, Any]) -> None:
    db.execute("SET timezone = 'UTC'")
    answer = asked(dsn, "set", "b", "--limit", "5", *given.split())
    assert (answer["name"], answer["limit_amount"]) == ("b", "5")
    assert kept(db, "b") == NEW | changes


OLD = "--limit 5 --of team --member alpha --period month --timezone Asia/Tokyo --soft 3 --warn --inactive --slots 8"


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        ("--limit 9", {"limit_amount": 9}),
        ("--of user", {"dimension": "user", "member": None}),
        ("--of service --member mail", {"dimension": "service", "member": "mail"}),
        ("--of *", {"dimension": "*", "member": "*"}),
        ("--of team", {}),
        ("--each", {"member": None}),
        ("--member beta", {"member": "beta"}),
        ("--timezone ", {"timezone": None}),
        ("--soft 2", {"soft_limits": [2]}),
        ("--no-soft", {"soft_limits": []}),
        ("--block --active --slots 1", {"enforcement": "block", "is_active": True, "slots": 1}),
        ("--no-extra", {"extra": None, "extra_until": None}),
    ],
)
def test_what_is_not_given_stays(dsn: str, db: Connection, given: str, changes: dict[str, Any]) -> None:
    asked(dsn, "set", "b", *OLD.split(), "--extra", "1", "--until", "2031-01-01")
    before = kept(db, "b")
    asked(dsn, "set", "b", *given.split(" "))
    assert kept(db, "b") == before | changes


def test_a_raise_for_a_length_of_time(dsn: str, db: Connection) -> None:
    asked(dsn, "set", "b", "--limit", "5")
    asked(dsn, "set", "b", "--extra", "2", "--until", "90m")
    until = one(db, "SELECT b.extra_until FROM budget.budgets AS b WHERE b.name = 'b'").extra_until
    assert abs(until - datetime.now(timezone.utc) - timedelta(minutes=90)) < timedelta(seconds=30)
    assert "raised by 2.00 until" in invoke("budgets", "list", dsn=dsn).out
    asked(dsn, "set", "b", "--limit", "6")
    assert one(db, "SELECT b.extra FROM budget.budgets AS b WHERE b.name = 'b'").extra == 2


def test_of_daily_the_slots_alone_can_be_set(dsn: str, db: Connection) -> None:
    asked(dsn, "set", "daily", "--slots", "4")
    assert kept(db, "daily")["slots"] == 4
    assert "pgbudget limits set emergency_kill=AMOUNT" in refused(dsn, 2, "set", "daily", "--limit", "3")
    assert "only --slots" in refused(dsn, 2, "set", "daily", "--slots", "2", "--warn")
    assert kept(db, "daily")["slots"] == 4
    assert asked(dsn, "list")["budgets"][0]["limit_amount"] == "100"


@pytest.mark.parametrize(
    ("code", "arguments", "says"),
    [
        (2, ["set", "b", "--of", "team"], "there is no budget named b yet, and a new one needs a --limit"),
        (1, ["set", "b", "--limit", "-1"], "p_limit is out of range"),
        (1, ["set", "b", "--limit", "1", "--timezone", "Mars"], "knows no time zone named Mars"),
        (1, ["set", "b", "--limit", "1", "--member", "m"], "the dimension * has no members"),
        (2, ["set", "b", "--limit", "much"], "not an amount"),
        (2, ["set", "b", "--limit", "1", "--extra", "3"], "a raise has both"),
        (2, ["set", "b", "--limit", "1", "--until", "3h"], "a raise has both"),
        (2, ["set", "b", "--limit", "1", "--extra", "3", "--until", "soon"], "neither 90m"),
        (2, ["set", "b", "--limit", "1", "--extra", "3", "--until", "2020-01-01T00:00Z"], "is past: nothing would be"),
        (2, ["set", "b", "--limit", "1", "--soft", "1", "--no-soft"], "exclude each other"),
        (2, ["set", "b", "--limit", "1", "--member", "m", "--each"], "exclude each other"),
        (2, ["set", "b", "--limit", "1", "--slots", "65"], "65"),
        (2, ["set", "b", "--limit", "1", "--period", "year"], "year"),
        (2, ["set"], "NAME"),
        (1, ["drop", "b"], "there is no budget named b to drop"),
        (1, ["drop", "daily"], "there is no budget named daily to drop"),
        (1, ["status", "b"], "there is no budget named b"),
    ],
)
def test_what_cannot_be(dsn: str, code: int, arguments: list[str], says: str) -> None:
    assert says in refused(dsn, code, *arguments)


def test_dropping_asks_on_a_terminal(dsn: str, db: Connection) -> None:
    env = {"DATABASE_URL": dsn}
    for name in ("one", "two"):
        asked(dsn, "set", name, "--limit", "5")
    assert run_on_terminal("budgets", "drop", "one", env=env, typed="n\n").code == 1
    assert run_on_terminal("budgets", "drop", "one", env=env, typed="y\n").code == 0
    assert run_on_terminal("budgets", "drop", "two", "--yes", env=env).code == 0
    assert "Drop it?" not in run_on_terminal("budgets", "drop", "daily", env=env).out
    assert [budget["name"] for budget in asked(dsn, "list")["budgets"]] == ["daily"]


def test_roles(dsn: str, db: Connection, app_role: str) -> None:
    db.execute("CREATE ROLE manages LOGIN IN ROLE budget_admin; CREATE ROLE looks LOGIN IN ROLE budget_reader")
    try:
        manager, looker, caller = (make_conninfo(dsn, user=role) for role in ("manages", "looks", app_role))
        asked(manager, "set", "b", "--limit", "5")
        asked(manager, "set", "b", "--limit", "6")
        assert asked(looker, "list")["budgets"][1]["limit_amount"] == "6"
        assert asked(looker, "status", "b")["count"] == 1
        for who, command in ((looker, COMMANDS[4]), (caller, COMMANDS[1]), (caller, COMMANDS[2])):
            assert "permission denied" in refused(who, 3, *command)
        asked(manager, "drop", "b")
    finally:
        db.execute("DROP ROLE manages, looks")


# How they stand


@pytest.fixture
def busy(dsn: str, db: Connection) -> str:
    """Two budgets with members, and one that is inactive."""
    for given in (
        "daily --slots 1",
        "teams --of team --period month --limit 100 --soft 50",
        "users --of user --period hour --limit 10 --warn",
        "ever --period total --limit 2000 --slots 4",
        "idle --of nothing --limit 7 --inactive",
    ):
        asked(dsn, "set", *given.split())
    budget = Budget(db)
    budget.record(Decimal("12.5"), "svc", {"team": "alpha", "user": "ada"})
    budget.reserve(Decimal("9.25"), "svc", {"team": "beta", "user": "bob"})
    return dsn


LIST = """
budget  limits              to  a
daily   everybody       100.00  day    the limit is that of pgbudget limits
ever    everybody     2,000.00  ever   4 slots
idle    each nothing      7.00  day    inactive
teams   each team       100.00  month  escalates at 50.00
users   each user        10.00  hour   only escalates
"""

STATUS = """
budget       spent  held   free        of  used
users ada    12.50  0.00  -2.50     10.00  125%
users bob     0.00  9.25   0.75     10.00   92%
daily        12.50  9.25  78.25    100.00   22%
teams alpha  12.50  0.00  87.50    100.00   12%
teams beta    0.00  9.25  90.75    100.00    9%
ever         12.50  9.25  1,978.25  2,000.00  1%
"""


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.strip().splitlines()]


def test_the_list_as_it_looks(busy: str) -> None:
    assert [line.rstrip() for line in invoke("budgets", "list", dsn=busy).out.splitlines()] == LIST.strip().splitlines()


def test_the_fullest_come_first(busy: str) -> None:
    lines = words(picture(invoke("budgets", "status", dsn=busy).out))
    assert [line[: len(wanted)] for line, wanted in zip(lines, words(STATUS), strict=True)] == words(STATUS)
    assert lines[-1][-1] == "never"


def test_one_of_them_and_one_member(busy: str) -> None:
    assert [row["member"] for row in asked(busy, "status", "teams")["budgets"]] == ["alpha", "beta"]
    [row] = asked(busy, "status", "teams", "--member", "beta")["budgets"]
    assert (row["held"], row["remaining"], row["period"]) == ("9.25", "90.75", "month")
    assert asked(busy, "status", "--member", "nobody") == {"count": 0, "budgets": []}
    assert "nothing to show" in invoke("budgets", "status", "idle", dsn=busy).out


def test_more_than_fit_are_counted(busy: str) -> None:
    assert "4 more are not shown (--limit)" in invoke("budgets", "status", "--limit", "2", dsn=busy).out
    shown = asked(busy, "status", "--limit", "2")
    assert (shown["count"], len(shown["budgets"])) == (6, 2)


def test_watch_shows_who_is_near_the_limit(busy: str) -> None:
    done = invoke("watch", "--count", "1", dsn=busy)
    near = done.out.split("Budgets near their limit\n")[1].split("\n\n")[0].splitlines()
    assert [(line.split()[0], "users, user" in line) for line in near] == [("125%", True), ("92%", True)]
    look = json.loads(invoke("watch", "--json", "--count", "1", dsn=busy).out)
    assert [row["member"] for row in look["budgets"]] == ["ada", "bob"]


def test_watch_leaves_the_day_to_its_own_place(dsn: str, db: Connection) -> None:
    Budget(db).record(95, "svc")
    assert "Budgets near" not in invoke("watch", "--count", "1", dsn=dsn).out


def test_a_small_screen_keeps_room_for_the_rest(dsn: str, db: Connection) -> None:
    asked(dsn, "set", "users", "--of", "user", "--limit", "1")
    for number in range(30):
        spend(db, 1, metadata={"user": f"user {number}"})
    shown = run_on_terminal("watch", "--count", "1", env={"DATABASE_URL": dsn}).text
    assert "Budgets near their limit (4 of 30)" in shown
    assert "Latest holds" in shown
    assert "Latest escalations" in shown


def test_no_text_of_a_caller_moves_the_cursor_or_breaks_the_width(dsn: str, db: Connection) -> None:
    asked(dsn, "set", NASTY[:100], "--of", NASTY[:90], "--limit", "999999999999999", "--soft", "0.000000000001")
    spend(db, Decimal("999999999999999"), metadata={NASTY[:90]: NASTY})
    for width in (COLUMNS, 200):
        for look in (["budgets", "list"], ["budgets", "status"], ["watch", "--count", "1"], ["doctor"]):
            done = invoke(*look, dsn=dsn, width=width)
            assert done.code in (0, 1), done.err
            lines = done.out.splitlines()
            assert max(map(len, lines)) <= width, look
            assert not {c for line in lines for c in line if unicodedata.category(c)[0] == "C"}


def test_broken_limits_leave_the_rest_to_be_seen(busy: str, db: Connection) -> None:
    configure(db, "{}")
    assert invoke("budgets", "list", dsn=busy).code == 0
    assert asked(busy, "status")["budgets"][-1]["name"] == "daily"


# Doctor


FAULTS = [
    *(
        Fault(
            "triggers of the balances",
            f"ALTER TABLE {table} DISABLE TRIGGER {name}",
            "wrong",
            f"the trigger {name} is switched off",
        )
        for name, table in (
            ("budget_post_insert", "public.cost_tracking"),
            ("budget_post_update", "public.cost_tracking"),
            ("budget_post_delete", "public.cost_tracking"),
            ("budget_post_truncate", "public.cost_tracking"),
            ("budget_rezone", "public.system_config"),
        )
    ),
    Fault(
        "triggers of the balances",
        "DROP TRIGGER budget_post_update ON public.cost_tracking",
        "wrong",
        "the trigger budget_post_update is missing",
    ),
    Fault(
        "indexes of the balances",
        "DROP INDEX public.budget_expiry_idx",
        "wrong",
        "the index public.budget_expiry_idx is missing or invalid",
    ),
    Fault(
        "indexes of the balances",
        "DROP INDEX budget.postings_balance_idx",
        "wrong",
        "the index budget.postings_balance_idx is missing or invalid",
    ),
    Fault(
        "invariants",
        """SELECT budget.reserve(1, 'svc'); SET session_replication_role = replica;
           INSERT INTO public.cost_tracking (service_name, cost) VALUES ('svc', 3);
           RESET session_replication_role""",
        "wrong",
        "a balance is the sum of its ledger rows (1 times",
    ),
    Fault(
        "slots",
        """SELECT budget.set_budget('-the user''s', 5, 'user', p_slots => 2);
           INSERT INTO public.cost_tracking (service_name, cost, metadata)
           SELECT 'svc', 1, jsonb_build_object('user', n) FROM generate_series(1, 100) AS n;
           SELECT budget.prune()""",
        "note",
        "budget -the user's has 2 slots for each of 100 members",
    ),
    Fault(
        "replica identity",
        "ALTER TABLE budget.postings REPLICA IDENTITY DEFAULT",
        "wrong",
        "postings has no replica identity",
    ),
]


def test_a_healthy_database_gives_nothing_to_say(busy: str) -> None:
    assert troubles(busy) == []


@pytest.mark.proof
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.check}: {fault.says}")
def test_a_fault_is_found_and_its_mend_ends_it(
    server: Server, dsn: str, db: Connection, app_role: str, fault: Fault
) -> None:
    mended(server, dsn, db, fault)
    assert troubles(dsn) == []


def test_a_budget_that_was_lost_comes_back_as_it_was_set(
    server: Server, dsn: str, db: Connection, app_role: str
) -> None:
    db.execute(
        """SELECT budget.set_budget('the team''s', 5, 'team', p_period => 'week', p_timezone => 'Europe/Berlin',
               p_soft_limits => '{1,2.5}', p_enforcement => 'warn', p_active => false, p_slots => 2, p_extra => 3,
               p_until => clock_timestamp() + interval '1 day');
           SELECT budget.set_budget('ada', 7, 'user', 'ada');
           SELECT budget.set_budget('all', 9, p_extra => 1, p_until => clock_timestamp())"""
    )
    kept = "SELECT to_jsonb(b) - ARRAY['counted_from', 'extra_until'] FROM budget.budgets AS b ORDER BY b.name"
    before = db.execute(kept).fetchall()
    db.execute("DELETE FROM budget.budgets WHERE name <> 'daily'")
    found = [(check, verdict, mend or "") for check, verdict, _, mend in troubles(dsn)]
    assert {each[:2] for each in found} == {("budgets as they were last set", "wrong")}
    with caller(dsn, app_role, "SELECT budget.reserve_advisory(0.001, 'svc')"):
        for *_, mend in found:
            follow(server, dsn, pasted(mend) or "")
    assert troubles(dsn) == []
    db.execute(
        "UPDATE budget.budgets SET extra = 1, extra_until = now() WHERE name = 'all'"
    )  # a raise that is over does not come back
    assert db.execute(kept).fetchall() == before


@pytest.mark.proof
def test_slots_above_what_sessions_there_can_be() -> None:
    with Server(settings={"fsync": "off", "max_connections": "20"}) as server:
        dsn = server.dsn()
        chain.load(dsn, "budgets")
        with psycopg.connect(dsn, autocommit=True) as db:
            db.execute("CREATE ROLE app LOGIN; GRANT budget_caller TO app")
            offence = "SELECT budget.set_budget('the day''s', 50, p_slots => 21)"
            found = "budget the day's has 21 slots, more than the 20 sessions that there can be"
            mended(server, dsn, db, Fault("slots", offence, "note", found))
            assert troubles(dsn) == []


@pytest.fixture
def old_snapshot(dsn: str, db: Connection) -> Iterator[None]:
    with suppress(psycopg.errors.AdminShutdown), psycopg.connect(dsn, application_name="a report") as reporting:
        reporting.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reporting.execute("SELECT 1")
        db.execute(
            """CREATE TEMPORARY TABLE burnt (n integer);
               DO $$ BEGIN
                   FOR n IN 1..10000 LOOP
                       BEGIN INSERT INTO burnt VALUES (n); EXCEPTION WHEN division_by_zero THEN NULL; END;
                   END LOOP;
               END $$"""
        )
        yield


def test_an_old_snapshot_is_found(server: Server, dsn: str, app_role: str, old_snapshot: None) -> None:
    [(check, verdict, found, mend)] = troubles(dsn)
    assert (check, verdict) == ("old snapshots", "note")
    assert "(a report) keeps a snapshot" in found
    with caller(dsn, app_role, "SELECT budget.reserve_advisory(0.001, 'svc')"):
        follow(server, dsn, pasted(mend or "") or "")
    assert troubles(dsn) == []


def test_postings_that_pile_up_are_folded_by_prune(server: Server, dsn: str, db: Connection, app_role: str) -> None:
    db.execute("SET default_transaction_isolation = 'repeatable read'")  # none takes others along
    for _ in range(1000):
        db.execute("INSERT INTO public.cost_tracking (service_name, cost) VALUES ('svc', 0.01)")
    db.execute("RESET default_transaction_isolation")
    [(check, _, _, mend)] = troubles(dsn)
    assert (check, mend) == ("postings", "From cron: SELECT budget.prune()")
    with caller(dsn, app_role, "SELECT budget.reserve_advisory(0.001, 'svc')"):
        follow(server, dsn, pasted(mend or "") or "")
    assert troubles(dsn) == []


def test_a_table_that_is_gone_comes_with_the_files_of_the_series(dsn: str, db: Connection) -> None:
    db.execute("DROP TABLE budget.postings")
    mends = {check: mend or "" for check, _, found, mend in troubles(dsn) if "cannot be asked" in found}
    assert mends["postings"].endswith(': pgbudget sql --series budgets | psql "$DATABASE_URL"')
