"""Apply and roll back a series' migrations, with yoyo as a library.

State is kept in yoyo's own tables in yoyo's default place (the first schema of the search path), so plain
`yoyo apply` and this module see one state and may be mixed. What this module adds:

* libpq's own ways to name a database (URI with a socket directory, keywords, environment);
* a lock that ends with the sessions that hold it, where yoyo's lock row outlives a killed process;
* errors that carry the migration's name, and nothing printed;
* a refusal where yoyo would silently unmark a migration that has no rollback file.

All of it needs a direct connection: through a transaction pooler it is refused.
"""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from yoyo import internalmigrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI
from yoyo.migrations import (
    default_migration_table,
    read_migrations,
    topological_sort,
)

from pgbudget import _bookkeeping, _roles, _wire
from pgbudget._bookkeeping import Bookkeeping, Fault
from pgbudget._roles import Right
from pgbudget.errors import BudgetError, MigrationLocked, MissingRollback

if TYPE_CHECKING:
    from typing_extensions import LiteralString

LOCK_KEY = int.from_bytes(b"pgb-migr", "big")
"""Advisory lock of a migration run: exclusive to enter, then shared by every session of the run."""

POOLED = (
    "this connection leads through a pooler that lends sessions by the transaction, and a run locks in its own",
    "Connect directly, to the port of the server itself.",
)
"""What stops a run there, and what to do."""

_POLL_SECONDS = 0.2

ACCEPT_NEGATIVE: LiteralString = "SET pgbudget.accept_negative = on"
ACCEPT_OWNER: LiteralString = "SET pgbudget.accept_owner = on"

OF_ANOTHER = "pgbudget belongs to {!r} here, whose code would run with your rights"
ON_ANOTHER = "Go on as {!r}; or, if you trust that role with your rights, with --accept-owner."

_TIMEOUTS = ("statement_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout")

_CONCURRENTLY = re.compile(r"^((?:CREATE|DROP) (?:UNIQUE )?INDEX) CONCURRENTLY\b", re.MULTILINE)
_FOR_PSQL = """\
-- pgbudget, the migrations of series {series} in their order: psql -f this, on a direct connection{after}.
-- It stops at the first error; running it again resumes.
-- `pgbudget migrate --series {series}` afterwards changes nothing and marks them.
\\set ON_ERROR_STOP on

{chain}"""
_ONE_BATCH = """\
-- pgbudget, the migrations of series {series} in their order and in one transaction{after}: all or nothing.
-- The index is built plainly, because CREATE INDEX CONCURRENTLY cannot be in a transaction: a ledger that is there
-- already is closed to everyone from the second migration on until the end. If it is big or busy, do not use this.
-- `pgbudget migrate --series {series}` afterwards changes nothing and marks them.

BEGIN;

{chain}
COMMIT;
"""

OnStep = Callable[[str], None]


def db_dir() -> Path:
    """Return the folder of all series: inside the package when installed, at the repository's root in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "db"
    return installed if installed.is_dir() else package.parents[1] / "db"


def known_series() -> list[str]:
    """Return the names of the series that this package carries."""
    return sorted(path.parent.name for path in db_dir().glob("*/migrations"))


def series_dir(series: str = "core") -> Path:
    """Return the folder of one series; its chain is in `migrations/` below. ValueError if there is no such series."""
    if series not in known_series():
        raise ValueError(f"no migration series {series!r}; there is {', '.join(known_series()) or 'none'}")
    return db_dir() / series


def names(series: str = "core") -> list[str]:
    """Return the names of all migrations of a series, by their numbers."""
    files = (series_dir(series) / "migrations").glob("*.sql")
    return sorted(path.stem for path in files if not path.name.endswith(".rollback.sql"))


def pending(dsn: str, series: str = "core") -> list[str]:
    """Return the names of the migrations that `migrate` would apply, in order. Changes nothing and takes no lock.

    Raises:
        BudgetError: if yoyo's tables are such that to read them would run the code of others.
    """
    with _wire.connect(dsn, "pgbudget") as connection:
        return pending_of(bookkeeping(connection), series)


def pending_of(found: Bookkeeping, series: str) -> list[str]:
    """Do as `pending`, with what `bookkeeping` says."""
    if found.unreadable:
        raise _distrusted(found.unreadable)
    return [m.id for m in topological_sort(_read(series)) if m.id not in found.applied]


def bookkeeping(connection: psycopg.Connection[Any]) -> Bookkeeping:
    """Look at yoyo's tables: where they are, whose, and what others may do with them. Changes nothing.

    Raises:
        BudgetError: if the role's search_path has no schema that exists.
    """
    schema = _bookkeeping.place(connection)
    if schema is None:
        raise BudgetError("the search_path names no existing schema, so yoyo's tables have no place")
    return bookkeeping_in(connection, schema)


def bookkeeping_in(connection: psycopg.Connection[Any], schema: str) -> Bookkeeping:
    """Look at yoyo's tables in this schema."""
    return _bookkeeping.look(connection, schema, [name for series in known_series() for name in names(series)])


def _distrusted(faults: Sequence[Fault]) -> BudgetError:
    more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
    return BudgetError(
        f"nothing is run over what others may have prepared: {faults[0].found}{more}",
        detail="\n".join(fault.found for fault in faults) if more else None,
        hint="\n".join(["Nothing was changed.", *dict.fromkeys(fault.remedy for fault in faults)]),
    )


def migrate(
    dsn: str,
    *,
    series: str = "core",
    grant_to: Sequence[str] = (),
    accept_negative: bool = False,
    accept_owner: bool = False,
    on_step: OnStep | None = None,
    on_mend: Callable[[str], object] = lambda _: None,
    lock_wait_seconds: float = 60.0,
) -> list[str]:
    """Apply what is pending and return the names applied, in order.

    Calling again resumes: after an error, whose predecessors stay applied, and after a kill at any point. Each time the
    roles are made that the cluster lacks, and given their rights where they hold none at all, as after a dump was
    restored in another cluster; PUBLIC and anon lose what they may call.

    Args:
        dsn: libpq URI or keyword string of a direct connection; what it leaves out comes from libpq's environment.
        series: which chain.
        grant_to: roles that are granted budget_caller afterwards, those aside that have it.
        accept_negative: take negative rows of the ledger over as they are, instead of stopping at them.
        accept_owner: trust other owners of the tables with the migrating role's rights, instead of stopping at them.
        on_step: called with a migration's name before it runs.
        on_mend: called with what was done about roles and rights that were not as they are to be.
        lock_wait_seconds: how long to wait for another run in this database.

    Raises:
        BudgetError: if there is no role of a name in `grant_to`, or a role that is not trusted can change the functions
            that the migrations call, before anything is done.
        psycopg.Error: if a migration fails; its message begins with the migration's name.
        MigrationLocked: if the other run was not done in time.
    """
    migrations = _read(series)
    require_roles(dsn, grant_to)
    with _exclusive(dsn, lock_wait_seconds) as backend:
        backend.accept_negative, backend.accept_owner = accept_negative, accept_owner
        todo = list(backend.to_apply(migrations))
        if todo:
            backend.require_trusted_owner()
        for done in _roles.make(backend.connection):
            on_mend(done)
        for migration in todo:
            _run(backend.apply_one, migration, on_step)
        for done in _roles.restore(backend.connection, rights()):
            on_mend(done)
        for role in grant_to:
            backend.grant_caller(role)
    return [m.id for m in todo]


def untrusted_owner(connection: psycopg.Connection[Any]) -> str | None:
    """Return the role that owns pgbudget in this database, if it is neither the one that asks nor a superuser.

    Migrations call functions of the schema with the rights of whoever migrates, and its owner can change them. What is
    not installed yet is left to the migrations themselves.
    """
    found = connection.execute(
        """SELECT r.rolname FROM pg_namespace AS n INNER JOIN pg_roles AS r ON r.oid = n.nspowner
           WHERE n.nspname = 'budget'::name AND r.rolname <> current_user AND NOT r.rolsuper
               AND starts_with(obj_description(n.oid, 'pg_namespace'::name), 'pgbudget:')"""
    ).fetchone()
    return found[0] if found else None


def open_event_trigger(connection: psycopg.Connection[Any]) -> tuple[str, str] | None:
    """Return an event trigger whose function another role can change, and what to do: any DDL of ours would run it."""
    return connection.execute(
        """SELECT
               format(
                   'the event trigger %I runs %s of %s, which would run with the rights of %I', e.evtname,
                   p.oid::regprocedure, r.oid::regrole, current_user
               ),
               format(
                   'Look at what it does; then drop it, or let it belong to %1$I: ALTER ROUTINE %2$s OWNER TO %1$I',
                   current_user, p.oid::regprocedure
               )
           FROM pg_event_trigger AS e
           INNER JOIN pg_proc AS p ON p.oid = e.evtfoid
           INNER JOIN pg_roles AS r ON r.oid = p.proowner
           WHERE e.evtenabled <> 'D' AND r.rolname <> current_user AND NOT r.rolsuper
           ORDER BY e.evtname
           LIMIT 1"""
    ).fetchone()


def rights() -> list[Right]:
    """Return what the migrations of all series give our roles."""
    return _roles.wanted(
        [series_dir(series) / "migrations" / f"{name}.sql" for series in known_series() for name in names(series)]
    )


def require_roles(dsn: str, roles: Sequence[str]) -> None:
    """BudgetError that names those of the roles that the cluster does not have."""
    if roles:
        with _wire.connect(dsn, "pgbudget") as connection, _wire.pinned(connection):
            found = connection.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY (%s::name[])", [list(roles)])
            unknown = sorted({*roles} - {name for (name,) in found})
        if unknown:
            raise BudgetError(
                f"there is no role {', '.join(map(repr, unknown))} to grant budget_caller to",
                hint="Nothing was changed. CREATE ROLE makes one; names are taken as they are, capitals and all.",
            )


def script(series: str = "core", *, single_transaction: bool = False) -> str:
    """Return the whole chain as one file of plain SQL, for those who have psql or an editor and nothing else.

    Args:
        series: which chain.
        single_transaction: for editors that send a file as one batch, which is one transaction: indexes are built
            plainly, because CONCURRENTLY cannot be in one. Else the file is for psql, and stops at the first error.
    """
    chain = "\n".join(Path(migration.path).read_text() for migration in topological_sort(_own(series)))
    after = "" if series == "core" else ", after those of core"
    if single_transaction:
        return _ONE_BATCH.format(series=series, after=after, chain=_CONCURRENTLY.sub(r"\1", chain))
    return _FOR_PSQL.format(series=series, after=after, chain=chain)


def rollback(
    dsn: str,
    *,
    series: str = "core",
    count: int | None = 1,
    all: bool = False,  # noqa: A002 - reads as `rollback(dsn, all=True)`
    accept_owner: bool = False,
    on_step: OnStep | None = None,
    lock_wait_seconds: float = 60.0,
) -> list[str]:
    """Roll back the last applied migrations, newest first, and return their names in that order.

    After a rollback of all, yoyo's own tables are dropped too if nothing but this package's migrations was ever
    recorded in them: the database is then as it was found. Where another application uses yoyo here, they stay.

    Args:
        dsn: as for `migrate`.
        series: as for `migrate`.
        count: how many; None for all.
        all: all, whatever `count` says.
        accept_owner: as for `migrate`.
        on_step: as for `migrate`.
        lock_wait_seconds: as for `migrate`.

    Raises:
        MissingRollback: if one of them has no rollback file, before anything is touched.
        BudgetError: as for `migrate`, or if another series is built on this one.
        psycopg.Error, MigrationLocked: as for `migrate`.
    """
    if count is not None and count < 0:
        raise ValueError("count must not be negative")
    migrations = _own(series)
    above = [other for other in known_series() if series == "core" and other != series]
    with _exclusive(dsn, lock_wait_seconds) as backend:
        for other in above:
            if list(backend.to_rollback(_own(other))):
                raise BudgetError(f"series {other} is built on {series}", hint=f"Roll back series {other} first.")
        applied = list(backend.to_rollback(migrations))
        todo = applied if all or count is None else applied[:count]
        missing = [m.id for m in todo if not Path(m.path).with_suffix(".rollback.sql").is_file()]
        if missing:
            raise MissingRollback(f"no rollback file for {', '.join(missing)}", hint="Nothing was rolled back.")
        backend.accept_owner = accept_owner
        if todo:
            backend.require_trusted_owner()
        for _ in _roles.make(backend.connection):  # a way back grants what was before
            pass
        for migration in todo:
            _run(backend.rollback_one, migration, on_step)
        if len(todo) == len(applied):
            backend.drop_bookkeeping_if_ours()
    return [m.id for m in todo]


def _read(series: str) -> Any:
    """A series with what it builds on: every other one depends on core."""
    migrations = read_migrations(*(escape(str(series_dir(each) / "migrations")) for each in {"core": 0, series: 0}))
    if not names(series):
        raise ValueError(f"series {series!r} has no migrations")
    return migrations


def _own(series: str) -> Any:
    migrations = _read(series)
    return migrations.filter(lambda migration: migration.id in names(series))


def _run(operation: Callable[[Any], None], migration: Any, on_step: OnStep | None) -> None:
    if on_step:
        on_step(migration.id)
    try:
        operation(migration)
    except psycopg.Error as error:
        error.args = (f"{migration.id}: {error}", *error.args[1:])
        raise


@contextmanager
def _exclusive(dsn: str, wait_seconds: float) -> Iterator[_Backend]:
    """A backend that excludes every other run, ours or yoyo's, with yoyo's tables in place and closed to others."""
    with _wire.connect(dsn, "pgbudget") as connection:
        if _wire.shares_sessions(connection, dsn):
            raise BudgetError(POOLED[0], hint=f"Nothing was changed. {POOLED[1]}")
        with _wire.pinned(connection):
            found = open_event_trigger(connection)
        if found is not None:
            raise BudgetError(
                f"nothing is run over what others may have prepared: {found[0]}",
                hint=f"Nothing was changed. {found[1]}",
            )
    deadline = time.monotonic() + wait_seconds
    with _Backend.open(dsn) as backend:
        _poll(backend.try_session_lock, deadline, backend.session_lock_holders)
        backend.close_bookkeeping()
        _poll(backend.try_yoyo_lock, deadline, backend.yoyo_lock_holder)
        try:
            backend.complete_bookkeeping()
            yield backend
        finally:
            backend.release_yoyo_lock()


def _poll(attempt: Callable[[], bool], deadline: float, holder: Callable[[], str]) -> None:
    # Polling, not waiting in the server: a statement that waits holds a snapshot, and the other run's
    # CREATE INDEX CONCURRENTLY waits for every snapshot, so the two would wait for each other.
    while not attempt():
        if time.monotonic() >= deadline:
            raise MigrationLocked(f"another migration run is in the way: {holder()}", hint="Nothing was changed.")
        time.sleep(_POLL_SECONDS)


class _StepCursor(psycopg.Cursor[Any]):
    """yoyo prints the rows of any statement that has a description; this one never has."""

    @property
    def description(self) -> None:
        return None


class _Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]
    """yoyo's psycopg backend with our locks, and with its tables in one schema, where they were looked at."""

    connection: psycopg.Connection[Any]
    seen: Bookkeeping
    accept_negative = accept_owner = dropped = False

    @classmethod
    def open(cls, dsn: str) -> _Backend:
        # As a structure, not as text: yoyo's own parser knows neither keywords nor socket directories.
        arguments = {"fallback_application_name": "pgbudget migrate", **conninfo_to_dict(dsn)}
        return cls(DatabaseURI("postgresql+psycopg", None, None, None, None, None, arguments), default_migration_table)

    def connect(self, dburi: Any) -> psycopg.Connection[Any]:
        connection: psycopg.Connection[Any] = super().connect(dburi)
        # A role's timeouts are made for queries, not for an index build on a big ledger.
        connection.execute(f"SET {'; SET '.join(f'{name} = 0' for name in _TIMEOUTS)}".encode())
        connection.cursor_factory = _wire.Cursor  # whose results no DateStyle shapes
        # Where yoyo finds its tables, else where it would make them. Kept, because a migration that creates a schema
        # named like the role would move the first schema of "$user" under a run.
        try:
            self.seen = bookkeeping(connection)
        except Exception:
            connection.close()
            raise
        return connection

    def init_connection(self, connection: psycopg.Connection[Any]) -> None:
        """After each rollback too: no name is looked up where others may create."""
        connection.execute(f"SET search_path = {_wire.SEARCH_PATH}".encode())

    def quote_identifier(self, s: str) -> str:
        """Quote a name; with its schema, which is not in the search path, if it is a table of yoyo's."""
        quoted: str = super().quote_identifier(s)
        return f"{super().quote_identifier(self.seen.schema)}.{quoted}" if s in _bookkeeping.TABLES else quoted

    def list_tables(self, **_: Any) -> list[str]:
        """What yoyo asks before it makes its tables: those that were looked at. Another in their place is an error."""
        return list(self.seen.tables)

    def copy(self) -> _Backend:
        """Open the session for one migration's steps; it shares the run's lock.

        Should this process be killed, the next run so waits until the server has really ended the statement.
        """
        twin: _Backend = super().copy()
        twin.connection.execute("SELECT pg_advisory_lock_shared(%s)", [LOCK_KEY])
        if self.accept_negative:
            twin.connection.execute(ACCEPT_NEGATIVE)
        if self.accept_owner:
            twin.connection.execute(ACCEPT_OWNER)
        twin.connection.cursor_factory = _StepCursor
        return twin

    @contextmanager
    def lock(self, timeout: float = 10) -> Iterator[None]:  # noqa: ARG002 - yoyo's signature
        """What yoyo calls around an upgrade of its tables: held by `_exclusive` for the whole run already."""
        yield

    def get_log_data(self, migration: Any = None, operation: str = "apply") -> dict[str, Any]:
        """What yoyo logs of a step, asking neither the password file nor DNS: a container may have neither."""
        return {
            "id": str(uuid4()),
            "migration_id": migration and migration.id,
            "migration_hash": migration and migration.hash,
            "username": os.environ.get("LOGNAME") or os.environ.get("USER") or str(os.getuid()),
            "hostname": platform.node(),
            "created_at_utc": datetime.now(timezone.utc).replace(tzinfo=None),
            "operation": operation,
        }

    def try_session_lock(self) -> bool:
        if not self._value("SELECT pg_try_advisory_lock(%s)", LOCK_KEY):
            return False
        self._value("SELECT pg_advisory_lock_shared(%s)", LOCK_KEY)  # own locks never conflict
        self._value("SELECT pg_advisory_unlock(%s)", LOCK_KEY)
        return True

    def session_lock_holders(self) -> str:
        pids = self._value(
            """SELECT string_agg(DISTINCT pid::text, ', ') FROM pg_locks WHERE locktype = 'advisory' AND granted
               AND (classid::bigint << 32) + objid::bigint = %s AND objsubid = 1
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())""",
            LOCK_KEY,
        )
        return f"pgbudget, in server process {pids or '(just ended)'}"

    def close_bookkeeping(self) -> None:
        """Take the rights of others on yoyo's tables, and stop at what they may have put there, before any is written.

        In this order: who has no right any more puts nothing there after it was looked for.
        """
        self._look_again(writing=False)
        with suppress(psycopg.errors.DuplicateTable), self.transaction():  # a plain yoyo was faster
            if self.lock_table not in self.seen.tables:
                self.execute(self.format_sql(self.create_lock_table_sql))
            self._revoke()
        self._look_again()

    def complete_bookkeeping(self) -> None:
        """Make what yoyo lacks: nobody sees it before it is closed to others, whatever default privileges say."""
        self._look_again()
        if internalmigrations.needs_upgrading(self):
            with self.transaction():
                internalmigrations.upgrade(self)
                self._revoke()
            self._look_again()
        self._internal_schema_updated = True

    def _look_again(self, *, writing: bool = True) -> None:
        self.seen = bookkeeping_in(self.connection, self.seen.schema)
        faults = self.seen.stops if writing else [fault for fault in self.seen.stops if fault.what in ("kind", "owner")]
        if faults:
            raise _distrusted(faults)

    def _revoke(self) -> None:
        found = bookkeeping_in(self.connection, self.seen.schema)
        if not found.is_shared:
            for fault in found.faults:
                if fault.what in ("right", "look"):
                    self.connection.execute(fault.remedy.encode())

    def try_yoyo_lock(self) -> bool:
        """Take yoyo's lock row, so that a plain `yoyo apply` waits; first remove it where it is surely stale.

        Ours carry a negative process number: we hold the session lock, so no other run of ours is alive.
        Any other belongs to a plain yoyo, which keeps a session in this database as long as it lives: if there
        is no session but this one, it is dead. With other sessions about nobody can tell, so we wait and then say so.
        """
        self.connection.execute(
            self._named(
                """DELETE FROM {yoyo_lock} WHERE pid < 0 OR NOT EXISTS (
                       SELECT FROM pg_stat_activity WHERE datname = current_database()
                       AND backend_type = 'client backend' AND pid <> pg_backend_pid())"""
            )
        )
        taken = self.connection.execute(
            self._named(
                """INSERT INTO {yoyo_lock} (locked, ctime, pid) VALUES (1, timezone('UTC', now()), %s)
                   ON CONFLICT DO NOTHING"""
            ),
            [-os.getpid()],
        )
        return taken.rowcount == 1

    def yoyo_lock_holder(self) -> str:
        row = self.connection.execute(self._named("SELECT pid, ctime FROM {yoyo_lock}")).fetchone()
        pid, since = row or ("(just ended)", "now")
        return f"yoyo, process {pid} since {since} UTC; if that process is dead, run `yoyo break-lock`"

    def release_yoyo_lock(self) -> None:
        # A lost connection leaves the row to the next run, which knows it for ours.
        if not self.connection.closed and not self.dropped:
            self.connection.execute(self._named("DELETE FROM {yoyo_lock} WHERE pid = %s"), [-os.getpid()])

    def require_trusted_owner(self) -> None:
        """BudgetError where another role, not accepted, can change the functions that migrations call."""
        owner = None if self.accept_owner else untrusted_owner(self.connection)
        if owner is not None:
            raise BudgetError(OF_ANOTHER.format(owner), hint=f"Nothing was changed. {ON_ANOTHER.format(owner)}")

    def grant_caller(self, role: str) -> None:
        # Asked first: to grant what is granted already needs the right to grant it.
        if not self._value("SELECT pg_has_role(%s::name, 'budget_caller'::name, 'MEMBER'::text)", role):
            self.connection.execute(sql.SQL("GRANT budget_caller TO {}").format(sql.Identifier(role)))

    def drop_bookkeeping_if_ours(self) -> None:
        tables = self._named("{_yoyo_migration}, {_yoyo_log}, {_yoyo_version}, {yoyo_lock}")
        with self.connection.transaction():
            self.connection.execute(sql.SQL("LOCK TABLE {}").format(tables))
            [(is_empty,)] = self.connection.execute(self._named("SELECT NOT EXISTS (SELECT FROM {_yoyo_migration})"))
            if is_empty and not bookkeeping_in(self.connection, self.seen.schema).is_shared:
                self.connection.execute(sql.SQL("DROP TABLE {}").format(tables))
                self.dropped = True

    def _named(self, query: LiteralString) -> sql.Composed:
        """A statement that has yoyo's tables in braces."""
        return sql.SQL(query).format(**{t: sql.Identifier(self.seen.schema, t) for t in _bookkeeping.TABLES})

    def _value(self, query: LiteralString, *parameters: object) -> object:
        row = self.connection.execute(query, parameters).fetchone()
        return row[0] if row else None
