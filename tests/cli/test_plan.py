"""`pgbudget migrate --plan`: what would be done to this very database, what stands in the way, and nothing changed."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgbudget import migrations
from pgbudget.embedded import Server
from tests import pgtap
from tests.cli.terminal import COLUMNS, Done, run, run_on_terminal
from tests.migration.support import TABLES, Connection, migrate_up_to, one, session
from tests.race import SECONDS, until

NAMES = migrations.names()
"""Of core, which is migrated where no series is named."""

NAME = "public.check_and_reserve_budget"
ADOPTED = f"{NAME}(numeric,text,jsonb)"
CONSTRAINTS = (
    "cost_tracking gets CHECK constraints for new rows: 0 <= cost < 1e15, created_at not NULL, "
    "expires_at in reservations alone"
)


def plan(dsn: str, *options: str) -> Any:
    """The plan for machines; it says by its exit code whether something stops it."""
    done = run("migrate", "--plan", "--json", "--dsn", dsn, *options)
    found = json.loads(done.out)
    assert (done.code, done.err) == (1 if found["stops"] else 0, "")
    return found


def notes(found: Any, number: str, kind: str = "does") -> list[str]:
    """What it says of one migration."""
    (notes,) = [step[kind] for step in found["pending"] if step["migration"].startswith(number)]
    assert isinstance(notes, list)
    return notes


def stops(dsn: str, *options: str) -> list[tuple[str, str]]:
    return [(stop["migration"], stop["found"]) for stop in plan(dsn, *options)["stops"]]


@contextmanager
def changed(dsn: str, statements: str) -> Iterator[Connection]:
    with session(dsn) as connection:
        connection.execute(statements.encode())
        yield connection


# ------------------------------------------------------------------------------------------------------ nothing changes


def everything(server: Server, dsn: str) -> list[str]:
    """All that a dump of the database has, rows and yoyo's tables too, and the cluster's roles."""
    command = [str(server.bin_dir / "pg_dump"), f"--dbname={dsn}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    with session(dsn) as connection:
        roles = connection.execute("SELECT rolname, r::text FROM pg_roles AS r ORDER BY 1").fetchall()
        members = connection.execute("SELECT m::text FROM pg_auth_members AS m ORDER BY 1").fetchall()
    # The key of these two lines is made anew for every dump.
    lines = [line for line in done.stdout.splitlines() if not line.startswith(("\\restrict ", "\\unrestrict "))]
    return [*lines, *map(str, roles), *map(str, members)]


def empty(dsn: str) -> str:
    return dsn


def wrong(dsn: str) -> str:
    with changed(dsn, "ALTER TABLE cost_tracking ALTER cost DROP NOT NULL; UPDATE system_config SET value = '{'"):
        return dsn


def half_way(dsn: str) -> str:
    migrate_up_to(dsn, NAMES[4])
    return dsn


def up_to_date(dsn: str) -> str:
    migrations.migrate(dsn)
    return dsn


@pytest.mark.proof
@pytest.mark.parametrize("made", [empty, wrong, half_way, up_to_date])
def test_nothing_is_changed(server: Server, application_dsn: str, made: Any) -> None:
    dsn = made(application_dsn)
    before = everything(server, dsn)
    for options in ([], ["--json"], ["--grant-to", "app_reader", "--accept-negative"]):
        run("migrate", "--plan", "--dsn", dsn, *options)
        assert everything(server, dsn) == before


def test_nothing_is_changed_in_an_empty_database(server: Server, empty_dsn: str) -> None:
    before = everything(server, empty_dsn)
    assert run("migrate", "--plan", "--dsn", empty_dsn).code == 0
    assert everything(server, empty_dsn) == before


def test_a_busy_table_is_not_waited_for_long_and_holds_up_nobody(application_dsn: str) -> None:
    """Where even reading has to wait, the plan gives up; meanwhile it is in nobody's way but theirs who lock it all."""
    with session(application_dsn) as holder, holder.transaction():
        holder.execute("LOCK TABLE cost_tracking")
        done = run("migrate", "--plan", "--dsn", application_dsn)
    assert done.code == 3
    assert "lock timeout" in done.err


# ---------------------------------------------------------------------------------------------------- an empty database


def test_an_empty_database(empty_dsn: str) -> None:
    found = plan(empty_dsn)
    assert [step["migration"] for step in found["pending"]] == NAMES
    assert found["database"] == "empty"
    assert "schema budget is missing: made" in notes(found, "0001")
    assert notes(found, "0002") == [
        f"tables that are missing, and made empty: {', '.join(TABLES)}",
        "system_config.budget_limits is missing: written, with the limits that pgbudget begins with",
    ]
    assert not any("yours" in note for note in notes(found, "0004"))
    assert notes(found, "0005") == ["0 rows are held against the new constraints; writers go on"]
    assert notes(found, "0007") == ["no reservation of today is open"]
    assert not any(step["expect"] for step in found["pending"])
    assert (found["stops"], found["busy"], found["grant_to"]) == ([], [], [])


def test_roles_that_are_missing_are_made() -> None:
    """On a server of its own: the tests' cluster has had the roles since its first migration."""
    with Server(settings={"fsync": "off"}) as server:
        made = "roles that are missing, and made for the whole cluster: budget_caller, budget_admin, budget_reader"
        assert made in notes(plan(server.dsn()), "0001")
        with session(server.dsn()) as connection:
            connection.execute("CREATE ROLE service_role; CREATE ROLE budget_admin")
            found = notes(plan(server.dsn()), "0001")
            assert made.replace("budget_admin, ", "") in found
            assert "budget_caller is granted to service_role" in found
            connection.execute("CREATE ROLE plain LOGIN; GRANT CREATE ON SCHEMA public TO plain")
        assert [what for _, what in stops(make_conninfo(server.dsn(), user="plain"))] == [
            "plain may not make the schema budget",
            "plain may not make roles, and some are missing",
        ]
        migrations.migrate(server.dsn())
        with session(server.dsn()) as connection:
            assert one(connection, "SELECT pg_has_role('service_role', 'budget_caller', 'MEMBER')")


# ------------------------------------------------------------------------------------------------------- an adopted one


def test_an_application_is_taken_over(application_dsn: str) -> None:
    found = plan(application_dsn)
    assert notes(found, "0002") == [
        "cost_tracking.cost is numeric(10,4): widened to numeric, no rewrite",
        "cost_tracking.expires_at is missing: added, no rewrite",
        CONSTRAINTS,
        "escalations.reason is missing: added, no rewrite",
        "system_config.budget_limits is there: kept. Its limit is 200 a day, of which 6 are used today",
    ]
    unenforced, lock = notes(found, "0002", "expect")
    assert unenforced == "nothing enforces these keys of budget_limits: monthly_hard_cap, monthly_target"
    assert lock.startswith("for milliseconds nobody else uses public.cost_tracking and public.escalations;")
    assert notes(found, "0004")[1] == (
        f"{ADOPTED} of yours is renamed to check_and_reserve_budget_before_pgbudget; ours takes its place"
    )
    assert notes(found, "0005") == ["9 rows are held against the new constraints; writers go on"]
    assert notes(found, "0006") == ["index on created_at: built CONCURRENTLY over 9 rows; writers go on"]
    assert notes(found, "0006", "expect")[0].startswith("it waits for all transactions that are open then;")
    assert notes(found, "0007") == [
        "open reservations of today, 1 with together 6: each lapses 01:00:00 after it was made",
        "older reservations that nothing ended: history, they stay as they are: 1",
    ]
    assert found["stops"] == []


SHORT_LIFE = """
UPDATE system_config SET value = value::jsonb || '{"reservation_ttl": "1 second"}' WHERE key = 'budget_limits';
UPDATE cost_tracking SET created_at = now() - interval '2 seconds' WHERE cost = 6
"""
OTHER_ARGUMENTS = f"""
CREATE FUNCTION {NAME}(p_estimated_cost numeric, p_service_name text) RETURNS integer LANGUAGE sql AS 'SELECT 1'
"""


@pytest.mark.parametrize(
    ("change", "number", "kind", "note"),
    [
        ("DROP TABLE system_config", "0002", "does", "tables that are missing, and made empty: system_config"),
        ("DELETE FROM system_config", "0002", "does", "system_config.budget_limits is missing: written"),
        ("UPDATE system_config SET value = '{'", "0002", "does", "system_config.budget_limits is there, without a nu"),
        ("UPDATE system_config SET value = '[]'", "0002", "does", "system_config.budget_limits is there, without a nu"),
        (OTHER_ARGUMENTS, "0004", "expect", f"a call that fits ours as well becomes ambiguous with: {NAME}(numeric"),
        (f"CREATE VIEW v AS SELECT * FROM {NAME}(1, 'a')", "0004", "expect", "bound to your function, not to its name"),
        (SHORT_LIFE, "0007", "expect", "1 of these are older than that already, and count nothing any more"),
    ],
)
def test_what_is_particular_is_said(application_dsn: str, change: str, number: str, kind: str, note: str) -> None:
    with changed(application_dsn, change):
        found = plan(application_dsn)
    assert found["stops"] == []
    assert [said for said in notes(found, number, kind) if said.startswith(note)]


def test_what_is_there_already_is_not_said_again(application_dsn: str) -> None:
    with changed(
        application_dsn, "ALTER TABLE cost_tracking ALTER cost TYPE numeric; ALTER TABLE escalations ADD reason text"
    ):
        found = plan(application_dsn)
    said = " ".join(notes(found, "0002") + notes(found, "0002", "expect"))
    assert "widened" not in said
    assert "escalations" not in said


def test_the_roles_that_keep_and_lose_execute_are_those_of_the_migration(application_dsn: str) -> None:
    keep, lose = (
        "roles that keep EXECUTE, for they may write the ledger: ",
        "roles that lose EXECUTE, until budget_caller is",
    )
    # A role by way of another, and one that will be a caller: it loses nothing.
    with changed(application_dsn, f'GRANT app_writer TO "App Owner"; GRANT EXECUTE ON FUNCTION {NAME} TO PUBLIC') as db:
        found = plan(application_dsn, "--grant-to", "app_reader")
        (kept,) = [note.removeprefix(keep).split(", ") for note in notes(found, "0004") if note.startswith(keep)]
        (line,) = [note for note in notes(found, "0004", "expect") if note.startswith(lose)]
        lost = line.split(": ")[1].split(", ")
        assert kept == ['"App Owner"', "app_writer"]
        assert "anon" in lost
        assert not {"app_reader", "budget_caller", "postgres"} & set(lost)

        migrations.migrate(application_dsn, grant_to=["app_reader"])
        may = "SELECT has_function_privilege(%s::regrole, %s, 'EXECUTE')"
        assert all(one(db, may, role, ADOPTED) for role in [*kept, "app_reader"])
        assert not any(one(db, may, role, ADOPTED) for role in lost)
        pgtap.function_privs_are(db, ADOPTED, "app_writer", ["EXECUTE"])
        db.execute("REVOKE budget_caller FROM app_reader")


def test_an_index_that_was_cut_short_is_built_again(application_dsn: str) -> None:
    migrate_up_to(application_dsn, NAMES[5])
    with changed(application_dsn, "CREATE INDEX budget_day_idx ON cost_tracking (created_at)") as db:
        db.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'budget_day_idx'::regclass")
        found = plan(application_dsn)
    assert [step["migration"] for step in found["pending"]] == NAMES[5:]
    assert (
        notes(found, "0006")[0] == "budget_day_idx is left invalid by a build that was cut short: dropped CONCURRENTLY"
    )


def test_who_uses_the_tables_now_is_named(application_dsn: str) -> None:
    with (
        session(application_dsn, application_name="reader") as holder,
        session(application_dsn) as waiter,
        session(application_dsn) as watcher,
    ):
        holder.execute("BEGIN; SELECT * FROM cost_tracking; LOCK TABLE escalations IN SHARE MODE")
        waiting = threading.Thread(target=waiter.execute, args=("DELETE FROM escalations",))
        waiting.start()
        until(lambda: one(watcher, "SELECT count(*) FROM pg_locks WHERE NOT granted") == 1, "a lock to be waited for")
        found = plan(application_dsn)
        holder.execute("COMMIT")
        waiting.join(SECONDS)
    first, second = found["busy"]
    assert found["stops"] == []
    assert (first["role"], first["application"], first["state"]) == ("postgres", "reader", "idle in transaction")
    assert first["locks"] == ["cost_tracking: AccessShareLock", "escalations: ShareLock"]
    assert first["query"].startswith("BEGIN; SELECT * FROM cost_tracking")
    assert second["locks"] == ["escalations: RowExclusiveLock (waiting)"]


def test_prepared_transactions_that_use_the_tables_are_named() -> None:
    """Nobody's session has them, and they hold their locks for ever. It takes a server that allows them."""
    with Server(settings={"fsync": "off", "max_prepared_transactions": "1"}) as server:
        with session(server.dsn()) as connection:
            connection.execute("CREATE TABLE cost_tracking (id uuid)")
            connection.execute("BEGIN; LOCK TABLE cost_tracking IN ROW EXCLUSIVE MODE; PREPARE TRANSACTION 'forgotten'")
        (found,) = plan(server.dsn())["busy"]
    assert (found["pid"], found["role"], found["state"]) == (None, "postgres", "prepared transaction forgotten")
    assert found["locks"] == ["cost_tracking: RowExclusiveLock"]


# ----------------------------------------------------------------------------------------------- what stands in the way


def test_what_stops_it_is_said_with_its_remedy(application_dsn: str) -> None:
    broken = """ALTER TABLE cost_tracking ALTER cost DROP NOT NULL;
                ALTER TABLE escalations ALTER created_at DROP DEFAULT, ALTER created_at TYPE text"""
    with changed(application_dsn, broken) as db:
        found = plan(application_dsn)
        assert [(stop["migration"], stop["found"].split(" is ")[0]) for stop in found["stops"]] == [
            (NAMES[1], "public.cost_tracking.cost"),
            (NAMES[1], "public.escalations.created_at"),
        ]
        assert found["stops"][0]["remedy"] == "ALTER TABLE public.cost_tracking ALTER COLUMN cost SET NOT NULL"
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
            migrations.migrate(application_dsn)
        for stop in found["stops"]:
            db.execute(
                stop["remedy"].split(", with")[0].replace(" zone", " zone USING created_at::timestamptz").encode()
            )
    assert stops(application_dsn) == []
    migrations.migrate(application_dsn)


def test_negative_rows_stop_it_unless_they_are_accepted(application_dsn: str) -> None:
    with changed(application_dsn, "UPDATE cost_tracking SET cost = -cost WHERE cost BETWEEN 3 AND 5"):
        ((migration, found),) = stops(application_dsn)
    assert migration == NAMES[1]
    assert found.startswith("public.cost_tracking.cost is negative (rows: 3, for example id ")
    accepted = plan(application_dsn, "--accept-negative")
    assert notes(accepted, "0005", "expect") == ["negative rows that are accepted as they are: 3"]


def test_a_schema_of_others_stops_it(application_dsn: str) -> None:
    with changed(application_dsn, "CREATE SCHEMA budget"):
        assert stops(application_dsn) == [(NAMES[0], "the schema budget that is there is not of pgbudget")]


def test_a_function_that_was_made_anew_after_the_adoption_stops_it(application_dsn: str) -> None:
    migrate_up_to(application_dsn, NAMES[3])
    renamed = f"{NAME}_before_pgbudget(numeric,text,jsonb)"
    body = "RETURNS int LANGUAGE sql AS 'SELECT 1'"
    with changed(application_dsn, f"CREATE FUNCTION {renamed} {body}"):
        assert stops(application_dsn) == [
            (
                NAMES[3],
                f"{ADOPTED} is there, and so is {renamed}",
            )
        ]


def test_rows_that_are_hidden_from_the_migrating_role_stop_it(server: Server, application_dsn: str) -> None:
    with changed(application_dsn, "CREATE ROLE hoster LOGIN; GRANT CREATE ON SCHEMA public TO hoster") as db:
        try:
            db.execute("ALTER TABLE cost_tracking OWNER TO hoster, ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
            for table in ("escalations", "work_orders", "system_config", "proposer_configs"):
                db.execute(f"ALTER TABLE {table} OWNER TO hoster".encode())
            db.execute(f"ALTER FUNCTION {NAME} OWNER TO hoster".encode())
            db.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO hoster").format(sql.Identifier(db.info.dbname)))
            hoster = make_conninfo(application_dsn, user="hoster")
            ((migration, found),) = stops(hoster)
            assert (migration, "row-level security" in found) == (NAMES[1], True)
            db.execute("ALTER TABLE cost_tracking NO FORCE ROW LEVEL SECURITY")
            assert stops(hoster) == []
        finally:
            db.execute("REASSIGN OWNED BY hoster TO postgres; DROP OWNED BY hoster; DROP ROLE hoster")


def test_a_role_that_may_do_nothing_is_told_all_of_it(application_dsn: str, app_role: str) -> None:
    with changed(application_dsn, "CREATE ROLE nobody_in_particular LOGIN") as db:
        try:
            # TEMP comes to everyone by default; without it nothing can be asked.
            found = stops(make_conninfo(application_dsn, user="nobody_in_particular"), "--grant-to", "app_writer")
        finally:
            db.execute("DROP ROLE nobody_in_particular")
    assert {(migration, what.split(" (")[0]) for migration, what in found} >= {
        (NAMES[0], "nobody_in_particular may not make the schema budget"),
        (NAMES[1], "nobody_in_particular may not make anything in the schema public"),
        (NAMES[1], "public.cost_tracking is owned by postgres"),
        (NAMES[3], f"{ADOPTED} is owned by postgres"),
        (None, "nobody_in_particular may not grant budget_caller to app_writer"),
    }


# ----------------------------------------------------------------------------------------------------------- for humans


def readable(done: Done) -> list[str]:
    """The lines of a plan, which fit the width and end where they end."""
    lines = done.text.splitlines()
    assert max(map(len, lines)) <= COLUMNS
    assert [line for line in lines if line != line.rstrip()] == []
    return lines


def test_a_plan_is_read_from_top_to_bottom(application_dsn: str) -> None:
    with (
        changed(application_dsn, "ALTER TABLE cost_tracking ALTER cost DROP NOT NULL"),
        session(application_dsn) as busy,
    ):
        busy.execute("BEGIN; SELECT * FROM cost_tracking")
        done = run_on_terminal("migrate", "--plan", "--grant-to", "app_reader", "--dsn", application_dsn)
    assert done.code == 1
    lines = readable(done)
    assert lines[0] == "Plan for database empty as role postgres; nothing is changed"
    sections = [line for before, line in pairwise(lines) if not before]
    assert [section.split(" ")[0] for section in sections] == [*NAMES, "then", "Transactions", "In"]
    assert " + cost_tracking.cost is numeric(10,4): widened to numeric, no rewrite" in lines
    assert lines[-3:] == [
        " x public.cost_tracking.cost is without NOT NULL, so that spend could be written",
        "   without an amount",
        "   ALTER TABLE public.cost_tracking ALTER COLUMN cost SET NOT NULL",
    ]


def test_a_database_that_is_up_to_date_has_nothing_to_do(dsn: str, db: Connection) -> None:
    db.execute("BEGIN; SELECT * FROM cost_tracking")
    done = run("migrate", "--plan", "--dsn", dsn)
    assert done.code == 0
    assert readable(done)[1:] == ["", "nothing to apply: the database is up to date"]
    assert plan(dsn)["pending"] == plan(dsn)["busy"] == []


def test_what_psql_has_done_already_is_marked_alone(server: Server, dsn: str, db: Connection) -> None:
    """The files were applied by hand, so nothing is marked: they run again."""
    db.execute("DELETE FROM _yoyo_migration")
    done = run("migrate", "--plan", "--dsn", dsn)
    assert done.code == 0
    lines = readable(done)
    assert lines[lines.index(NAMES[0]) + 1] == " + done already: runs again, changes nothing, and is marked"
    assert not any("missing" in line or "renamed" in line for line in lines)


def test_a_series_without_questions_of_its_own_shows_what_its_files_say(
    empty_dsn: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pgbudget.plan import plan as plan_of  # noqa: PLC0415

    chain = tmp_path / "core" / "migrations"
    chain.mkdir(parents=True)
    (chain / "0001.a.sql").write_text(
        "-- depends:\n-- One thing is done,\n-- and another.\n\n-- Not this.\nSELECT 1;\n"
    )
    monkeypatch.setattr(migrations, "db_dir", lambda: tmp_path)
    (note,) = plan_of(empty_dsn).notes
    assert (note.migration, note.kind, note.note) == ("0001.a", "does", "One thing is done, and another.")
