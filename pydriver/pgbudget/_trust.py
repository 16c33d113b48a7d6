"""Whose code a look at the budget would run, asked before anything of it is read or called.

A view calls its functions with the rights of whoever reads it, and a function may be made to run with its caller's. So
whoever owns one of them runs code as each role that uses it; and no SET ROLE of that role is a fence, for the code may
RESET it. A role that has little but the right to call or to read has little to lose. One that has more is stopped where
a role can change what it is about to use that is no superuser, not itself, and no owner that it says it trusts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from pgbudget import _wire
from pgbudget.errors import BudgetError, DatabaseBehind

if TYPE_CHECKING:
    from typing_extensions import LiteralString

# More than a plain role has who has an attribute, or is a member of any role but ours, those that read statistics, and
# those of which the owner in question is a member too. The role is that of the session: see above. Only pg_catalog is
# asked, with that path and nothing else pinned, and nothing that a database's owner can set.
_FOUND: LiteralString = """
WITH me AS (
    SELECT r.* FROM pg_catalog.pg_roles AS r WHERE r.rolname = session_user
),

reach AS (
    SELECT r.oid
    FROM me
    INNER JOIN pg_catalog.pg_roles AS r ON pg_catalog.pg_has_role(me.oid, r.oid, 'MEMBER')
    WHERE
        r.oid <> me.oid
        AND r.rolname <> ALL (
            ARRAY[
                'budget_caller', 'budget_admin', 'budget_reader', 'pg_monitor', 'pg_read_all_settings',
                'pg_read_all_stats', 'pg_stat_scan_tables', 'pg_use_reserved_connections'
            ]::pg_catalog.name []
        )
),

things AS (
    SELECT 1 AS place, 'pgbudget' AS name, n.nspowner AS owner
    FROM pg_catalog.pg_namespace AS n
    WHERE n.oid = pg_catalog.to_regnamespace(%(schema)s)::pg_catalog.oid
    UNION ALL
    SELECT 2, c.oid::pg_catalog.regclass::text, c.relowner
    FROM pg_catalog.pg_class AS c
    WHERE
        c.relkind NOT IN ('i', 'I', 't')
        AND (
            c.relnamespace = pg_catalog.to_regnamespace(%(schema)s)::pg_catalog.oid
            OR (
                c.relnamespace = pg_catalog.to_regnamespace('public')::pg_catalog.oid
                AND c.relname = ANY (%(tables)s::pg_catalog.name [])
            )
        )
    UNION ALL
    SELECT 3, p.oid::pg_catalog.regprocedure::text, p.proowner
    FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = pg_catalog.to_regnamespace(%(schema)s)::pg_catalog.oid
),

accepted AS (
    SELECT c.relowner AS owner
    FROM pg_catalog.pg_class AS c
    WHERE
        %(accept)s
        AND c.relnamespace = pg_catalog.to_regnamespace('public')::pg_catalog.oid
        AND c.relname IN ('cost_tracking', 'escalations', 'system_config', 'proposer_configs', 'work_orders')
)

SELECT t.name, o.rolname::text AS owner, o.oid IN (SELECT a.owner FROM accepted AS a) AS is_accepted
FROM me
CROSS JOIN things AS t
INNER JOIN pg_catalog.pg_roles AS o ON t.owner = o.oid
WHERE
    o.oid <> me.oid
    AND NOT o.rolsuper
    AND (
        me.rolsuper OR me.rolcreaterole OR me.rolcreatedb OR me.rolreplication OR me.rolbypassrls
        OR EXISTS (SELECT FROM reach AS r WHERE NOT pg_catalog.pg_has_role(o.oid, r.oid, 'MEMBER'))
    )
ORDER BY t.place, t.name
"""

# A name is looked up as of now, and the catalogs are read as of the transaction's snapshot, which may be older.
_STILL_THERE: LiteralString = """
SELECT
FROM pg_catalog.unnest(%(tables)s::pg_catalog.text []) AS t
INNER JOIN pg_catalog.pg_class AS c
    ON c.oid = pg_catalog.to_regclass(pg_catalog.format('public.%%I', t))::pg_catalog.oid
"""

TABLES = ("cost_tracking", "system_config", "proposer_configs")
"""Those of the application's that a command reads itself, and not through a view or a function."""


@dataclass(frozen=True)
class Thing:
    """What another role can change that would run with this role's rights; `is_accepted` where that role is trusted."""

    name: str
    owner: str
    is_accepted: bool

    @property
    def told(self) -> str:
        """Whose it is, in a sentence."""
        return f"{self.name} belongs to {self.owner!r} here, whose code would run with your rights"

    @property
    def way_out(self) -> str:
        """What to do instead."""
        return (
            f"Connect as {self.owner!r}, or as a role that has nothing but budget_reader, budget_caller or "
            "budget_admin; or, if you trust the owner of the tables with your rights, with --accept-owner."
        )


@dataclass(frozen=True)
class Seen:
    """What was found before anything was read: whether pgbudget is there, and what of it is another's."""

    is_there: bool
    things: Sequence[Thing]

    @property
    def stops(self) -> list[Thing]:
        """Return what is not to be used."""
        return [thing for thing in self.things if not thing.is_accepted]

    def require(self) -> None:
        """Raise an error where nothing is to be read or called.

        Raises:
            DatabaseBehind: where there was nothing to look at, so that what is made meanwhile is not used unseen.
            BudgetError: where it would run another role's code.
        """
        for thing in self.stops:
            raise BudgetError(thing.told, hint=f"Nothing was read or called. {thing.way_out}")
        if not self.is_there:
            raise DatabaseBehind("the database has no pgbudget", hint="Run `pgbudget migrate`.")


def look(connection: psycopg.Connection[Any], *, accept_owner: bool = False) -> Seen:
    """Look whose the schema `budget` is, and all that is in it, and the tables that are read beside it.

    Args:
        connection: that is about to use it.
        accept_owner: whether the owners of the application's tables are trusted with the rights of this role.
    """
    with _wire.pinned(connection):
        return Seen(_is_there(connection), _things(connection, "budget", TABLES, accept_owner))


def require_tables(connection: psycopg.Connection[Any], tables: Sequence[str], *, accept_owner: bool = False) -> None:
    """Stop where to read these tables of `public` could run another role's code, pgbudget or not.

    Args:
        connection: in the transaction that then reads them. They are locked, so that they stay what they are: the owner
            of `public` may put others in their place at any time.
        tables: their names.
        accept_owner: as for `look`.

    Raises:
        BudgetError: as `Seen.require`.
        psycopg.Error: as for SELECT, if one is missing or may not be read.
    """
    for table in tables:
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(sql.Identifier("public", table)))
    found = _wire.Cursor(connection).execute(_STILL_THERE, {"tables": list(tables)}).fetchall()
    if len(found) != len(tables):
        raise BudgetError(
            "another table was put in the place of one that is read", hint="Nothing was read. Look whose."
        )
    Seen(True, _things(connection, None, tables, accept_owner)).require()


def _is_there(connection: psycopg.Connection[Any]) -> bool:
    [(found,)] = _wire.Cursor(connection).execute("SELECT pg_catalog.to_regnamespace('budget') IS NOT NULL")
    return bool(found)


def _things(
    connection: psycopg.Connection[Any], schema: str | None, tables: Sequence[str], accept_owner: bool
) -> list[Thing]:
    asked = {"schema": schema, "tables": list(tables), "accept": accept_owner}
    return [Thing(*row) for row in _wire.Cursor(connection).execute(_FOUND, asked)]
