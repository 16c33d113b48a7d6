"""`pgbudget.migrations` on small chains made for the purpose: order, locks, kills, connection strings, bookkeeping."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgbudget import MigrationLocked, MissingRollback, migrations
from pgbudget.embedded import Server
from pgbudget.errors import BudgetError
from tests.race import SECONDS, barrier, until

CHAIN = {
    "0001.base": ("CREATE TABLE IF NOT EXISTS public.thing (id int);", "DROP TABLE public.thing;"),
    "0002.index": (
        """-- depends: 0001.base
-- transactional: false
CREATE INDEX CONCURRENTLY IF NOT EXISTS thing_idx ON public.thing (id);""",
        "DROP INDEX CONCURRENTLY IF EXISTS public.thing_idx;",
    ),
    "0003.rows": (
        "-- depends: 0002.index\nINSERT INTO public.thing VALUES (3);\nSELECT 'printed' AS a, '100%' AS b;",
        "DELETE FROM public.thing;",
    ),
}
NAMES = list(CHAIN)
BOOKKEEPING = {"_yoyo_log", "_yoyo_migration", "_yoyo_version", "yoyo_lock"}

Write = Callable[[dict[str, tuple[str, str | None]]], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Replace the package's series by a `core` of the given migrations."""
    chain = tmp_path / "a [db]" / "core" / "migrations"  # a folder's name is no pattern
    chain.mkdir(parents=True)
    monkeypatch.setattr(migrations, "db_dir", lambda: chain.parents[1])

    def write_files(files: dict[str, tuple[str, str | None]]) -> Path:
        for name, (apply, undo) in files.items():
            (chain / f"{name}.sql").write_text(apply)
            if undo is not None:
                (chain / f"{name}.rollback.sql").write_text(undo)
        return chain

    return write_files


@pytest.fixture
def chain(write: Write) -> Path:
    return write({**CHAIN})


def tables(dsn: str) -> set[str]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        return {name for (name,) in rows}


def things(dsn: str) -> list[Any]:
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT id FROM public.thing").fetchall()


def yoyo(command: str, dsn: str, chain: Path) -> str:
    """Run the plain yoyo program."""
    done = subprocess.run(
        yoyo_command(command, dsn, chain), capture_output=True, text=True, timeout=SECONDS, check=True
    )
    return done.stdout


def yoyo_command(command: str, dsn: str, chain: Path) -> list[str]:
    p = conninfo_to_dict(dsn)
    uri = f"postgresql+psycopg://{p['user']}@/{p['dbname']}?host={p['host']}&port={p['port']}"
    folder = str(chain).replace("[", "[[]")  # yoyo takes a pattern
    return [sys.executable, "-m", "yoyo", command, "--batch", "--no-config-file", "--database", uri, folder]


PATIENT_YOYO = f"""
import sys, time
from yoyo import backends
from yoyo.scripts.main import main
backends.DatabaseBackend.lock.__wrapped__.__defaults__ = ({SECONDS},)
backends.base.time.sleep = lambda _, sleep=time.sleep: (print("it waits", flush=True), sleep(0.1))
main(sys.argv[1:])
"""
"""Plain yoyo, but that it says when it waits for a lock, and for how long it does."""


def run_elsewhere(dsn: str, chain: Path) -> subprocess.Popen[str]:
    """Migrate in another process, which prints each migration's name before it runs."""
    code = f"""
import pathlib
from pgbudget import migrations
migrations.db_dir = lambda: pathlib.Path({str(chain.parents[1])!r})
migrations.migrate({dsn!r}, on_step=lambda name: print(name, flush=True))
"""
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def kill_at(process: subprocess.Popen[str], step: str, dsn: str) -> None:
    """SIGKILL as soon as the server is executing the step, which is `HELD_UP`."""
    assert process.stdout
    while process.stdout.readline().strip() != step:
        assert process.poll() is None
    with psycopg.connect(dsn, autocommit=True) as watch:
        until(lambda: held_up(watch) == 1, "the step to be held up")
    process.kill()
    process.wait(SECONDS)
    process.stdout.close()


HELD_UP = "SELECT pg_advisory_lock(4711);"
"""What takes a migration as long as a test has it wait."""


@contextmanager
def holding_up(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """Let a migration that is `HELD_UP` wait until this connection is closed."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(HELD_UP)
        yield connection


def held_up(connection: psycopg.Connection[Any]) -> int:
    """How many sessions are."""
    count: int = one(
        connection,
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()",
    )
    return count


def in_line(connection: psycopg.Connection[Any], query: str) -> Callable[[], bool]:
    """Whether another session's last statement was like this."""
    asked = """SELECT count(*) > 0 FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE %s"""
    return lambda: connection.execute(asked, [query]).fetchone() == (True,)


def one(connection: psycopg.Connection[Any], query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    assert row
    return row[0]


def test_applies_in_order_once_and_prints_nothing(
    empty_dsn: str, chain: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    steps: list[str] = []
    assert migrations.pending(empty_dsn) == NAMES
    assert tables(empty_dsn) == set()  # asking changes nothing
    assert migrations.migrate(empty_dsn, on_step=steps.append) == NAMES
    assert steps == NAMES
    assert migrations.pending(empty_dsn) == []
    assert migrations.migrate(empty_dsn) == []
    assert things(empty_dsn) == [(3,)]
    assert tables(empty_dsn) == {"thing", *BOOKKEEPING}
    assert capfd.readouterr() == ("", "")


def test_an_error_names_the_migration_and_leaves_those_before(empty_dsn: str, write: Write) -> None:
    write({**CHAIN, "0004.bad": ("-- depends: 0003.rows\nSELECT 1 / 0;", "")})
    with pytest.raises(psycopg.errors.DivisionByZero, match=r"^0004\.bad: division by zero") as caught:
        migrations.migrate(empty_dsn)
    assert caught.value.diag.message_primary == "division by zero"
    assert migrations.pending(empty_dsn) == ["0004.bad"]
    write({"0004.bad": ("-- depends: 0003.rows\nSELECT 1;", "")})
    assert migrations.migrate(empty_dsn) == ["0004.bad"]


def test_an_unknown_series_is_an_error(empty_dsn: str, chain: Path) -> None:
    with pytest.raises(ValueError, match="no migration series 'cores'; there is core"):
        migrations.migrate(empty_dsn, series="cores")


def test_the_packaged_series_is_found() -> None:
    assert "core" in migrations.known_series()
    assert (migrations.series_dir("core") / "migrations").is_dir()


# Concurrency and kills


def test_four_at_once_apply_each_migration_once(empty_dsn: str, chain: Path) -> None:
    start = barrier(4)

    def run() -> list[str]:
        start.wait()
        return migrations.migrate(empty_dsn)

    with ThreadPoolExecutor(4) as threads:
        runs = [future.result(SECONDS) for future in [threads.submit(run) for _ in range(4)]]
    assert sorted(runs, key=len) == [[], [], [], NAMES]
    assert things(empty_dsn) == [(3,)]


def test_waiting_for_another_run_is_bounded_and_says_who(empty_dsn: str, chain: Path) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock_shared(%s)", [migrations.LOCK_KEY])
        started = time.monotonic()
        with pytest.raises(MigrationLocked, match=f"server process {other.info.backend_pid}\n"):
            migrations.migrate(empty_dsn, lock_wait_seconds=0.5)
        assert time.monotonic() - started >= 0.5
        assert tables(empty_dsn) == set()


@pytest.mark.parametrize("directive", ["", "-- transactional: false\n"])
def test_after_a_kill_the_next_run_waits_for_the_servers_end_of_it_and_resumes(
    empty_dsn: str, write: Write, directive: str
) -> None:
    slow = f"-- depends: 0003.rows\n{directive}{HELD_UP}\nCREATE TABLE IF NOT EXISTS public.late (id int);"
    chain = write({**CHAIN, "0004.slow": (slow, "DROP TABLE public.late;")})
    still_running: list[int] = []
    with psycopg.connect(empty_dsn, autocommit=True) as watch, ThreadPoolExecutor(1) as thread:
        with holding_up(empty_dsn) as holder:
            kill_at(run_elsewhere(empty_dsn, chain), "0004.slow", empty_dsn)
            assert one(watch, "SELECT count(*) FROM yoyo_lock") == 1  # what a killed yoyo leaves behind for good
            assert held_up(watch) == 1  # nobody has told the server yet
            next_run = thread.submit(
                migrations.migrate, empty_dsn, on_step=lambda _: still_running.append(held_up(watch))
            )
            until(in_line(holder, "SELECT pg_try_advisory_lock(%"), "the next run to ask for its lock")
            assert not next_run.done()
        assert next_run.result(SECONDS) == ["0004.slow"]
        assert still_running == [0]
        assert one(watch, "SELECT count(*) FROM yoyo_lock") == 0


def test_a_run_that_lost_its_server_connection_leaves_nothing_in_the_way(empty_dsn: str, write: Write) -> None:
    chain = write({**CHAIN, "0004.slow": (f"-- depends: 0003.rows\n{HELD_UP}", "")})
    with holding_up(empty_dsn) as admin:
        process = run_elsewhere(empty_dsn, chain)
        until(lambda: held_up(admin) == 1, "the step to be held up")
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgbudget migrate'"
        )
    assert process.wait(SECONDS) != 0
    assert process.stdout
    process.stdout.close()
    write({"0004.slow": ("-- depends: 0003.rows\nSELECT 1;", "")})
    assert migrations.migrate(empty_dsn) == ["0004.slow"]


# Plain yoyo beside us


def test_plain_yoyo_and_this_module_see_one_state(empty_dsn: str, chain: Path) -> None:
    migrations.migrate(empty_dsn)
    listing = yoyo("list", empty_dsn, chain)
    assert [line.split()[:2] for line in listing.splitlines()[2:]] == [["A", name] for name in NAMES]
    assert migrations.rollback(empty_dsn) == NAMES[-1:]
    yoyo("apply", empty_dsn, chain)
    assert migrations.pending(empty_dsn) == []
    assert things(empty_dsn) == [(3,)]


def test_a_lock_row_of_a_plain_yoyo_is_respected_while_it_may_be_alive(empty_dsn: str, chain: Path) -> None:
    yoyo("list", empty_dsn, chain)
    with psycopg.connect(empty_dsn, autocommit=True) as other:
        other.execute("INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, now(), 4711)")
        with pytest.raises(MigrationLocked, match=r"process 4711 .*yoyo break-lock"):
            migrations.migrate(empty_dsn, lock_wait_seconds=0.5)
    # Its session is gone, and with it any doubt.
    until(lambda: alone(empty_dsn), "its session to end")
    assert migrations.migrate(empty_dsn) == NAMES


def alone(dsn: str) -> bool:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return bool(
            one(
                connection,
                """SELECT count(*) = 1 FROM pg_stat_activity
                   WHERE datname = current_database() AND backend_type = 'client backend'""",
            )
        )


def test_a_plain_yoyo_waits_for_our_run(empty_dsn: str, chain: Path) -> None:
    processes: list[subprocess.Popen[str]] = []

    def during(_: str) -> None:
        if not processes:
            waiting = yoyo_command("apply", empty_dsn, chain)
            waiting[1:3] = ["-c", PATIENT_YOYO]
            processes.append(subprocess.Popen(waiting, stdout=subprocess.PIPE, text=True))
            assert processes[0].stdout
            assert processes[0].stdout.readline() == "it waits\n"
            assert processes[0].poll() is None

    assert migrations.migrate(empty_dsn, on_step=during) == NAMES
    processes[0].communicate(timeout=SECONDS)
    assert processes[0].returncode == 0
    assert things(empty_dsn) == [(3,)]


# Rollback


def test_rolls_back_newest_first_by_count(empty_dsn: str, chain: Path) -> None:
    migrations.migrate(empty_dsn)
    assert migrations.rollback(empty_dsn, count=2) == ["0003.rows", "0002.index"]
    assert migrations.pending(empty_dsn) == ["0002.index", "0003.rows"]
    assert migrations.rollback(empty_dsn, count=0) == []
    with pytest.raises(ValueError, match="negative"):
        migrations.rollback(empty_dsn, count=-1)


@pytest.mark.parametrize("arguments", [{"all": True}, {"count": None}, {"count": 99}])
def test_a_rollback_of_everything_leaves_the_database_as_it_was(
    empty_dsn: str, chain: Path, arguments: dict[str, Any]
) -> None:
    migrations.migrate(empty_dsn)
    assert migrations.rollback(empty_dsn, **arguments) == NAMES[::-1]
    assert tables(empty_dsn) == set()
    assert migrations.rollback(empty_dsn, **arguments) == []
    assert tables(empty_dsn) == set()


def test_the_bookkeeping_of_another_user_of_yoyo_stays(empty_dsn: str, chain: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "0001.initial.sql").write_text("CREATE TABLE public.theirs (id int);")
    yoyo("apply", empty_dsn, theirs)
    migrations.migrate(empty_dsn)
    assert migrations.rollback(empty_dsn, all=True) == NAMES[::-1]
    assert tables(empty_dsn) == {"theirs", *BOOKKEEPING}
    assert "A  " in yoyo("list", empty_dsn, theirs)


def test_a_missing_rollback_file_refuses_before_anything_is_touched(empty_dsn: str, chain: Path) -> None:
    migrations.migrate(empty_dsn)
    (chain / "0002.index.rollback.sql").unlink()
    with pytest.raises(MissingRollback, match=r"0002\.index"):
        migrations.rollback(empty_dsn, all=True)
    assert migrations.pending(empty_dsn) == []
    assert things(empty_dsn) == [(3,)]
    assert migrations.rollback(empty_dsn) == ["0003.rows"]


# Ways to name a database


def test_a_keyword_string_and_libpqs_environment_work(
    empty_dsn: str, chain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert migrations.pending(make_conninfo(empty_dsn)) == NAMES
    for name, value in conninfo_to_dict(empty_dsn).items():
        monkeypatch.setenv({"dbname": "PGDATABASE"}.get(name, f"PG{name.upper()}"), str(value))
    assert migrations.migrate("") == NAMES
    assert migrations.pending(empty_dsn) == []


def test_a_password_with_every_special_character_works(chain: Path) -> None:
    password = r"p@ss/w:rd?#%41 &=+'\"[x]"
    with Server(tcp=True) as server:
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            literal = psycopg.sql.Literal(password)
            admin.execute(psycopg.sql.SQL('CREATE ROLE "o:dd@user" SUPERUSER LOGIN PASSWORD {}').format(literal))
        dsn = make_conninfo(
            "", host=server.host, port=server.port, dbname="postgres", user="o:dd@user", password=password
        )
        assert migrations.migrate(dsn) == NAMES
        with pytest.raises(psycopg.OperationalError, match="password"):
            migrations.migrate(make_conninfo(dsn, password="wrong"))


# Where yoyo's tables are, and who may touch them


def test_a_migration_that_makes_a_schema_named_like_the_role_moves_nothing(empty_dsn: str, write: Write) -> None:
    write(
        {**CHAIN, "0004.own": ("-- depends: 0003.rows\nCREATE SCHEMA IF NOT EXISTS postgres;", "DROP SCHEMA postgres;")}
    )
    migrations.migrate(empty_dsn)
    assert migrations.migrate(empty_dsn) == []
    assert tables(empty_dsn) == {"thing", *BOOKKEEPING}


def test_the_first_schema_of_the_search_path_is_kept_as_yoyo_would(empty_dsn: str, chain: Path) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute('CREATE SCHEMA "Own; place"')
    dsn = make_conninfo(empty_dsn, options=r'-csearch_path="Own;\ place",public')
    assert migrations.migrate(dsn) == NAMES
    assert tables(empty_dsn) == {"thing"}
    assert migrations.pending(dsn) == []
    assert migrations.rollback(dsn, all=True) == NAMES[::-1]


def test_a_search_path_without_any_schema_is_explained(empty_dsn: str, chain: Path) -> None:
    with pytest.raises(BudgetError, match="search_path names no existing schema"):
        migrations.migrate(make_conninfo(empty_dsn, options="-csearch_path=nowhere"))


def test_a_role_that_may_not_create_tables_gets_the_servers_own_error(empty_dsn: str, chain: Path) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as admin:
        admin.execute("DO $$ BEGIN CREATE ROLE migrate_nobody LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="schema public"):
        migrations.migrate(make_conninfo(empty_dsn, user="migrate_nobody"))


@pytest.fixture
def web_roles(server: Server) -> Iterator[None]:
    """The roles of a hosted platform's web users; only those that this fixture made are dropped."""
    made = []
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        for role in ("anon", "authenticated"):
            if one(admin, f"SELECT to_regrole('{role}') IS NULL"):
                admin.execute(f"CREATE ROLE {role}".encode())
                made.append(role)
        yield
        for role in made:
            admin.execute(f"DROP ROLE {role}".encode())


@pytest.mark.usefixtures("web_roles")
def test_web_roles_lose_what_default_privileges_gave_them(chain: Path, server: Server, empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as admin:
        admin.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated")
        migrations.migrate(empty_dsn)
        granted = admin.execute(
            """SELECT table_name, grantee FROM information_schema.role_table_grants
               WHERE grantee IN ('anon', 'authenticated')"""
        ).fetchall()
        assert {table for table, _ in granted} == {"thing"}  # the series' own tables are the series' business
        admin.execute("DROP OWNED BY anon, authenticated")
        admin.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM anon, authenticated")


def test_a_user_without_a_name_can_migrate(empty_dsn: str, chain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under a bare number."""

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", nameless)
    for name in ("LOGNAME", "USER"):
        monkeypatch.delenv(name, raising=False)
    assert migrations.migrate(empty_dsn) == NAMES
    with psycopg.connect(empty_dsn) as connection:
        assert one(connection, "SELECT DISTINCT username FROM _yoyo_log") == str(os.getuid())


def test_short_timeouts_of_the_role_do_not_cut_a_migration_short(empty_dsn: str, write: Write) -> None:
    timeouts = ("statement_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout")
    columns = ", ".join(f"current_setting('{name}') AS {name}" for name in timeouts)
    write({"0001.slow": (f"CREATE TABLE public.seen AS SELECT {columns};", "")})
    dsn = make_conninfo(empty_dsn, options=" ".join(f"-c{name}=1min" for name in timeouts))
    assert migrations.migrate(dsn) == ["0001.slow"]
    with psycopg.connect(empty_dsn) as connection:
        assert connection.execute("SELECT * FROM public.seen").fetchall() == [("0", "0", "0")]
