"""Is everything as it should be in this very database? Asked without changing anything.

What the catalogs and the views can say, a series says itself: in `doctor.sql` beside its migrations, whose queries
find nothing in a healthy database. What needs the files of this package, a plan or the client's clock is here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any, cast

import psycopg
from psycopg.rows import class_row

from pgbudget import _roles, _trust, _wire, migrations
from pgbudget._client import REQUIRED_VERSION
from pgbudget.errors import BudgetError
from pgbudget.locks import look

DAY_INDEX = "budget_day_idx"
SKEW = timedelta(seconds=2)
BIG_LEDGER_ROWS = 20_000
"""From here on reading all of the ledger for each decision is felt."""
_LEAST_BYTES = 64
_ROWS = """
SELECT CASE WHEN c.reltuples < 0 THEN pg_relation_size(c.oid) / %s ELSE c.reltuples END -- nobody has counted yet
FROM pg_class AS c
WHERE c.oid = to_regclass('public.cost_tracking')
"""

_CHECK = re.compile(r"^-- check: (?P<name>[^\n]+)\n(?P<query>.+?;)$", re.MULTILINE | re.DOTALL)
_COMMENT_OR_TEXT = re.compile(r"--[^\n]*|'(?:[^']|'')*'")
_READ = re.compile(r"\b(budget|public)\.(\w+)")
"""What a question reads or calls: names in its texts are only looked up in the catalogs."""
_FUNCTION = re.compile(
    r"^CREATE OR REPLACE FUNCTION (?P<name>[\w.]+)\(.*?\$function\$(?P<body>.*)\$function\$;", re.MULTILINE | re.DOTALL
)
_AGAIN = 'Run the migrations again as one file, which changes nothing else: pgbudget sql{} | psql "$DATABASE_URL"'
_ANOTHER_INDEX = (
    f"""psql "$DATABASE_URL" -c 'DROP INDEX CONCURRENTLY public.{DAY_INDEX}' && """
    'pgbudget sql | psql "$DATABASE_URL"'
)


@dataclass(frozen=True)
class Finding:
    """What a check has to say: `verdict` is 'wrong', 'note' for what may be meant, or 'info'; `mend` what to do."""

    verdict: str
    found: str
    mend: str | None = None


@dataclass(frozen=True)
class Check:
    """A check, and the worst of its findings as `verdict`: 'ok', 'note', 'wrong'; 'unknown' where it may not look."""

    name: str
    verdict: str
    findings: list[Finding]


def examine(
    dsn: str, on_check: Callable[[str], object] = lambda _: None, *, accept_owner: bool = False
) -> Iterator[Check]:
    """Look at everything, one check after the other.

    Args:
        dsn: libpq URI or keyword string; as the role that migrated, or nearly so, all of it can be seen.
        on_check: called with a check's name before it runs; some read the whole ledger.
        accept_owner: trust other owners of the tables with the rights of this role. Else, where they could run code
            with them, only the catalogs are looked at.

    Raises:
        psycopg.OperationalError: if the database cannot be reached.
    """
    # Nothing planted in this role's own search path is called, and the session is left as it was found.
    with _wire.connect(dsn, "pgbudget doctor") as connection:
        for name, series, look in _checks(connection, accept_owner):
            on_check(name)
            check = _checked(connection, name, series, look)
            yield check
            if name == "version" and check.verdict == "wrong":
                return  # nothing else can be asked


def _checks(
    connection: psycopg.Connection[Any], accept_owner: bool
) -> Iterator[tuple[str, str, Callable[[], Iterable[Finding]]]]:
    """Each check: its name, the series that it is about, and how to look."""
    trust = partial(_trust.look, connection, accept_owner=accept_owner)
    yield "version", "core", lambda: _version(connection, trust())
    yield "whose code runs", "core", lambda: _whose(trust())
    yield "clock", "core", lambda: _clock(connection)
    yield "connection", "core", lambda: _connection(connection)
    yield "yoyo's tables", "core", lambda: _bookkeeping(connection)
    installed = [series for series in migrations.known_series() if _is_installed(connection, series)]
    installed.sort(key=lambda series: series != "core")  # first: the others replace some of its functions
    for series in installed:
        yield f"migrations of {series}", series, partial(_pending, connection, series)
    yield "functions' bodies", "core", lambda: _drift(connection, installed)
    yield "rights of the roles", "core", lambda: _rights(connection)
    for series in installed:
        file = migrations.series_dir(series) / "doctor.sql"
        for match in _CHECK.finditer(file.read_text() if file.is_file() else ""):
            yield match["name"], series, partial(_asked, connection, match["query"], trust, accept_owner)
    yield "decision lock", "core", lambda: _decision_lock(connection)
    yield "index of the day", "core", lambda: _plan(connection, trust())


def _checked(
    connection: psycopg.Connection[Any], name: str, series: str, look: Callable[[], Iterable[Finding]]
) -> Check:
    try:
        with _wire.pinned(connection, transaction_read_only="on"):
            findings = list(look())
    except psycopg.errors.InsufficientPrivilege as error:
        return Check(name, "unknown", [Finding("info", f"not looked at: {error.diag.message_primary}")])
    except BudgetError as error:
        return Check(name, "unknown", [Finding("info", f"not looked at: {error.message}")])
    except psycopg.Error as error:
        if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
            raise  # the connection is lost
        return Check(
            name, "wrong", [Finding("wrong", f"it cannot be asked: {error.diag.message_primary}", _again(series))]
        )
    verdicts = [finding.verdict for finding in findings]
    return Check(name, next((v for v in ("wrong", "note") if v in verdicts), "ok"), findings)


def _asked(
    connection: psycopg.Connection[Any], query: str, trust: Callable[[], _trust.Seen], accept_owner: bool
) -> list[Finding]:
    """Ask a series' own question; what is no catalog in it, only where that runs nobody else's code."""
    read = set(_READ.findall(_COMMENT_OR_TEXT.sub("", query)))
    if read:
        trust().require()
        tables = sorted(table for schema, table in read if schema == "public")
        _trust.require_tables(connection, tables, accept_owner=accept_owner)
    with connection.cursor(row_factory=class_row(Finding)) as cursor:
        # The columns of a VALUES list or a UNION may have any names.
        named = f"SELECT q.* FROM ({query.rstrip(';')}) AS q (verdict, found, mend)"  # noqa: S608 - a file of ours
        return cursor.execute(named.encode()).fetchall()


def _whose(seen: _trust.Seen) -> Iterator[Finding]:
    """Whether a role could run code with the rights of who asks, which a superuser should not let any other do."""
    for thing in seen.stops[:1]:
        more = f" (and that of {len(seen.stops) - 1} more)" if len(seen.stops) > 1 else ""
        yield Finding("wrong", f"{thing.told}{more}: only the catalogs are looked at", thing.way_out)
    for owner in sorted({thing.owner for thing in seen.things if thing.is_accepted}):
        yield Finding("info", f"{owner!r} could run code with your rights, and is trusted with them")


def _version(connection: psycopg.Connection[Any], seen: _trust.Seen) -> Iterator[Finding]:
    if _value(connection, "SELECT to_regprocedure('budget.version()') IS NULL"):
        yield Finding("wrong", "pgbudget is not installed in this database", _forward(connection))
        return
    seen.require()
    found = str(_value(connection, "SELECT budget.version()"))
    theirs, ours = ([int(n) for n in re.findall(r"\d+", version)] for version in (found, REQUIRED_VERSION))
    if theirs < ours:
        yield Finding(
            "wrong", f"the database has {found}, behind this client's {REQUIRED_VERSION}", _forward(connection)
        )
    elif theirs > ours:
        mend = "To use what is new: pip install --upgrade pgbudget"
        yield Finding("note", f"the database has {found}, ahead of this client's {REQUIRED_VERSION}", mend)
    else:
        yield Finding("info", f"{found}, on PostgreSQL {_value(connection, 'SHOW server_version')}")


def _forward(connection: psycopg.Connection[Any]) -> str:
    """How this version comes into the database: not by what is marked as applied and yet is not there."""
    with suppress(psycopg.errors.InsufficientPrivilege, BudgetError):
        if not _unmarked(connection, "core"):
            return _again("core")
    return "pgbudget migrate"


def _clock(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    before = datetime.now(timezone.utc)
    theirs = cast(datetime, _value(connection, "SELECT clock_timestamp()"))
    after = datetime.now(timezone.utc)
    skew = theirs - after if theirs > after else theirs - before if theirs < before else timedelta(0)
    if abs(skew) > SKEW:
        which = "ahead of" if skew > timedelta(0) else "behind"
        found = f"the server's clock is {abs(skew).total_seconds():.1f} s {which} this machine's"
        yield Finding("note", found, "The server's clock decides; let NTP set both.")


def _connection(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    if _wire.is_pooled(connection):
        found = "this connection leads through a pooler: the server's process is not the one that greeted"
        yield Finding(
            "info", found, "Where it lends sessions by the transaction, migrate and rollback want a direct one."
        )


def _decision_lock(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    """Whether somebody keeps all others from deciding: the transaction of one session that does nothing is enough."""
    found = look(connection)
    for party in found.stuck:
        yield Finding("wrong", found.told(party), party.end(connection))


def _bookkeeping(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    """Whether others could run code as whoever migrates next."""
    for fault in migrations.bookkeeping(connection).faults:
        yield Finding("note" if fault.what in ("look", "owner") else "wrong", fault.found, fault.remedy)


def _is_installed(connection: psycopg.Connection[Any], series: str) -> bool:
    """Whether any migration of the series is marked as applied, or any function is there that it adds to core's."""
    if series == "core":
        return True
    with suppress(psycopg.errors.InsufficientPrivilege, BudgetError):
        if _unmarked(connection, series) != migrations.names(series):
            return True
    return not _found(connection).keys().isdisjoint(_bodies(series).keys() - _bodies("core").keys())


def _pending(connection: psycopg.Connection[Any], series: str) -> Iterator[Finding]:
    pending, mend = _unmarked(connection, series), f"pgbudget migrate --series {series}"
    if pending == migrations.names(series):  # and yet it is installed
        yield Finding("note", "applied by other means, and not marked", f"It changes nothing, and marks them: {mend}")
    elif pending:
        yield Finding("wrong", f"not applied: {', '.join(pending)}", mend)


def _unmarked(connection: psycopg.Connection[Any], series: str) -> list[str]:
    """The migrations of the series itself, not of those that it builds on, that are not marked as applied."""
    pending = migrations.pending_of(migrations.bookkeeping(connection), series)
    return [name for name in migrations.names(series) if name in pending]


def _bodies(series: str) -> dict[str, str]:
    """The functions of a series by their names, as its files have them."""
    files = sorted((migrations.series_dir(series) / "functions").rglob("*.sql"))
    return {match["name"]: match["body"] for file in files for match in _FUNCTION.finditer(file.read_text())}


def _found(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """The functions of this database that are of pgbudget, or could be, by their names."""
    return dict(
        connection.execute(
            """SELECT n.nspname || '.' || p.proname, p.prosrc
               FROM pg_proc AS p INNER JOIN pg_namespace AS n ON p.pronamespace = n.oid
               WHERE n.nspname = 'budget'
                   OR p.oid = to_regprocedure('public.check_and_reserve_budget(numeric, text, jsonb)')"""
        ).fetchall()
    )


def _drift(connection: psycopg.Connection[Any], installed: list[str]) -> Iterator[Finding]:
    """Compare the functions with the files of this package; a later series may replace some of an earlier one's."""
    found, known = _found(connection), {series: _bodies(series) for series in installed}
    owner = {name: series for series, bodies in known.items() for name in bodies}
    for series, bodies in known.items():
        ours = {name for name in bodies if owner[name] == series}
        changed = {name for name in ours & found.keys() if bodies[name] != found[name]}
        for names, what in ((ours - found.keys(), "missing"), (changed, "not as this version has them")):
            if names:
                yield Finding("wrong", f"{what}: {', '.join(sorted(names))}", _again(series))
    if names := found.keys() - owner.keys():
        yield Finding("note", f"none of this version's: {', '.join(sorted(names))}", "Drop them, if nobody calls them.")


def _rights(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    """What the roles may do no more: all of it after a restore without them, some of it by their DBA's wish."""
    there = _roles.held(connection, migrations.rights())
    for role in dict.fromkeys(right.role for right in there):
        lacking = [right for right in there if right.role == role and not right.is_held]
        if len(lacking) == sum(right.role == role for right in there):
            yield Finding("wrong", f"{role} holds none of its rights in this database", "pgbudget migrate")
        elif lacking:
            what = ", ".join(f"{right.privilege} on {right.name}" for right in lacking)
            yield Finding("note", f"{role} lacks {what}", "; ".join(right.statement for right in lacking))


def _again(series: str) -> str:
    return _AGAIN.format("" if series == "core" else f" --series {series}")


def _plan(connection: psycopg.Connection[Any], seen: _trust.Seen) -> Iterator[Finding]:
    """Whether the day's sum reads the day alone: as the view asks for it, which a reader may explain."""
    if not _value(
        connection,
        "SELECT EXISTS (SELECT FROM pg_index AS i WHERE i.indexrelid = to_regclass(%s) AND i.indisvalid)",
        f"public.{DAY_INDEX}",
    ):
        yield Finding("wrong", f"the index {DAY_INDEX} is missing or invalid", _again("core"))
        return
    rows = int(cast(float, _value(connection, _ROWS, _LEAST_BYTES)))
    seen.require()
    with connection.transaction():
        if DAY_INDEX in _explained(connection):
            yield Finding("info", f"in use, over about {rows} rows")
            return
        connection.execute("SET LOCAL enable_seqscan = off")
        usable = DAY_INDEX in _explained(connection)
    if not usable:
        yield Finding("wrong", f"the day's sum cannot use the index {DAY_INDEX}", _ANOTHER_INDEX)
    elif rows >= BIG_LEDGER_ROWS:
        yield Finding("note", f"the day's sum reads all of about {rows} rows", "ANALYZE public.cost_tracking")
    else:
        yield Finding("info", "usable; the ledger is so small that reading all of it is cheaper")


def _explained(connection: psycopg.Connection[Any]) -> str:
    return "\n".join(line for (line,) in connection.execute("EXPLAIN SELECT settled FROM budget.status"))


def _value(connection: psycopg.Connection[Any], query: Any, *parameters: object) -> object:
    row = connection.execute(query, parameters).fetchone()
    return row[0] if row else None
