"""A trigger in a transaction that is still open when the migration looks is found under the lock that waits for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests import chain
from tests.migration.support import APPLICATION, NAMES, migrate_up_to, one
from tests.race import SECONDS, until
from tests.rows import Connection

ROLES = ("app_writer", "app_reader", "anon", "App Owner", "maker")


@pytest.fixture
def db(empty_dsn: str) -> Iterator[Connection]:
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        for role in ROLES:
            connection.execute(f'CREATE ROLE "{role}" LOGIN'.encode())
        connection.execute(APPLICATION.read_bytes())
        connection.execute("CREATE SCHEMA maker AUTHORIZATION maker; DELETE FROM public.system_config")
        try:
            yield connection
        finally:
            for role in ROLES:
                connection.execute(f'DROP OWNED BY "{role}" CASCADE; DROP ROLE "{role}"'.encode())


@pytest.mark.parametrize(
    ("table", "before", "grant"),
    [
        ("system_config", NAMES[1], ""),
        ("cost_tracking", NAMES[1], ""),
        # TRIGGER is given back by somebody, after all was looked at.
        ("cost_tracking", NAMES[3], "GRANT TRIGGER ON public.cost_tracking TO maker"),
    ],
)
def test_it_stops_the_migration(db: Connection, empty_dsn: str, table: str, before: str, grant: str) -> None:
    db.execute(f"GRANT TRIGGER ON public.{table} TO maker".encode())
    migrate_up_to(empty_dsn, before)
    if grant:
        db.execute(grant.encode())
    caught: list[BaseException] = []

    def run() -> None:
        try:
            chain.migrate(empty_dsn)
        except psycopg.Error as error:
            caught.append(error)

    migrating = threading.Thread(target=run)
    with psycopg.connect(make_conninfo(empty_dsn, user="maker")) as maker:
        maker.execute(
            "CREATE FUNCTION maker.trap() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE SQLSTATE ''TRAP1''; END'"
        )
        maker.execute(
            f"CREATE TRIGGER trap BEFORE INSERT ON public.{table} FOR EACH ROW EXECUTE FUNCTION maker.trap()".encode()
        )
        migrating.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
        until(lambda: one(db, waiting) > 0, "the migration to wait")
        maker.commit()
    migrating.join(SECONDS)
    (error,) = caught
    assert isinstance(error, psycopg.errors.ObjectNotInPrerequisiteState), error
    assert f"{table} is open to code of maker" in str(error)
