"""What a migration run would do to one very database, found out without doing any of it.

A series says so itself, in `plan.sql` beside its migrations. That is PL/pgSQL, because the tables that it reads may be
missing or of another shape, and so is the check of what stands in the way, which the migration itself runs. Both are
made as functions in `pg_temp`, where no other session sees them, and rolled back with their transaction: the server
promises that nothing stays. A second wording of the check, as a query that only reads, could come to differ from it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import psycopg

from pgbudget import _trust, _wire, migrations
from pgbudget.locks import Session, sessions

# What the migrations themselves ask, in the order in which they call each other.
_ASKED = (
    *("_ledger_owner", "_adopted_function", "_former_callers", "_code_rights"),
    *("_foreign_owners", "_foreign_code", "_preflight"),
)


@dataclass(frozen=True)
class Note:
    """One thing that a migration does here, that is to be expected of it, or that stops it.

    Attributes: `migration` (None for what comes after all of them); `kind`, one of 'does', 'expect', 'stops'; `note`;
    `remedy`, for what stops.
    """

    migration: str | None
    kind: str
    note: str
    remedy: str | None


@dataclass(frozen=True)
class Plan:
    """What `pgbudget.migrations.migrate` would do.

    Attributes: `database` and `role` that were asked; `pending` migrations in order; `notes` on them; `grant_to`, the
    roles that get budget_caller afterwards; `busy`, who uses the tables at this moment.
    """

    database: str
    role: str
    pending: list[str]
    notes: list[Note]
    grant_to: list[str]
    busy: list[Session]

    @property
    def stops(self) -> list[Note]:
        """Return what would stop the run; nothing may."""
        return [note for note in self.notes if note.kind == "stops"]


def plan(
    dsn: str,
    *,
    series: str = "core",
    grant_to: Sequence[str] = (),
    accept_negative: bool = False,
    accept_owner: bool = False,
) -> Plan:
    """Return what `migrate` with the same arguments would do to this database now. Changes nothing.

    Raises:
        BudgetError: if there is no role of a name in `grant_to`.
        psycopg.Error: if the database cannot be asked, as on a standby.
    """
    migrations.require_roles(dsn, grant_to)
    with _wire.connect(dsn, "pgbudget plan") as connection:
        found = migrations.bookkeeping(connection)
        notes = [Note(None, "stops", fault.found, fault.remedy) for fault in found.stops]
        if _wire.shares_sessions(connection, dsn):
            notes.append(Note(None, "stops", *migrations.POOLED))
        pending = [] if found.unreadable else migrations.pending_of(found, series)
        # As in a migration, nothing planted in the DBA's own search path is called. Reading a big ledger may take
        # longer than a role's queries may, but nobody is waited for.
        with connection.transaction(force_rollback=True):
            connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '5s'")
            if accept_negative:
                connection.execute(migrations.ACCEPT_NEGATIVE)
            if accept_owner:
                connection.execute(migrations.ACCEPT_OWNER)
            return Plan(
                database=connection.info.dbname,
                role=connection.info.user,
                pending=pending,
                notes=notes + _notes(connection, series, pending, grant_to, accept_owner),
                grant_to=list(grant_to),
                busy=sessions(connection) if pending else [],
            )


def _notes(
    connection: psycopg.Connection[Any], series: str, pending: list[str], grant_to: Sequence[str], accept_owner: bool
) -> list[Note]:
    """Ask the series itself, and before it core where that is not whole: `migrate` applies it first."""
    notes: list[Note] = []
    event_trigger = migrations.open_event_trigger(connection)
    if event_trigger is not None:
        # What asks here is made as functions, which would run it already.
        return [Note(None, "stops", *event_trigger)]
    owner = migrations.untrusted_owner(connection) if pending and not accept_owner else None
    if owner is not None:
        # To look at its tables would run its code already.
        return [Note(None, "stops", migrations.OF_ANOTHER.format(owner), migrations.ON_ANOTHER.format(owner))]
    seen = _trust.look(connection, accept_owner=accept_owner)
    if seen.is_there and seen.stops:
        return [Note(None, "stops", thing.told, thing.way_out) for thing in seen.stops[:1]]
    for each in dict.fromkeys(("core", series)):
        folder = migrations.series_dir(each)
        todo = [name for name in pending if name in migrations.names(each)]
        if not todo and each != series:
            continue
        questions = folder / "plan.sql"
        if not questions.is_file():
            notes += [Note(name, "does", _heading(folder / "migrations" / f"{name}.sql"), None) for name in todo]
            continue
        asked = "".join((folder / f"functions/_internal/{name}.sql").read_text() for name in _ASKED)
        asked = re.sub(rf"\bbudget\.({'|'.join(_ASKED)})\b", r"pg_temp.\1", asked)
        connection.execute(asked.encode() + questions.read_bytes())
        names = {name[:4]: name for name in todo}
        with connection.transaction():
            connection.execute("SET TRANSACTION READ ONLY")  # from here on, and up to this savepoint's end
            rows = connection.execute(
                "SELECT * FROM pg_temp._plan(%s::text[], %s::text[])", [list(names), list(grant_to)]
            ).fetchall()
        notes += [Note(names.get(number), kind, note, remedy) for number, kind, note, remedy in rows]
    return notes


def _heading(migration: Path) -> str:
    """Return the comment that a migration opens with, without yoyo's directives."""
    comment = takewhile(lambda line: line.startswith("--"), migration.read_text().splitlines())
    return " ".join(line[2:].strip() for line in comment if not re.match("-- [a-z]+:", line))
