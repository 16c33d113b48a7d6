"""yoyo's own tables, and what others may have made of them: code on them runs with the rights of who migrates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from pgbudget import _wire

if TYPE_CHECKING:
    from typing_extensions import LiteralString

TABLES = ("_yoyo_migration", "_yoyo_log", "_yoyo_version", "yoyo_lock")

# The first schema on the role's own path that has such a table, else the one where yoyo would make it.
_PLACE: LiteralString = """
SELECT coalesce(
    (
        SELECT s.name
        FROM unnest(%(path)s::name[]) WITH ORDINALITY AS s (name, place)
        INNER JOIN pg_namespace AS n ON s.name = n.nspname
        INNER JOIN pg_class AS c ON n.oid = c.relnamespace
        WHERE c.relname = '_yoyo_migration'
        ORDER BY s.place
        LIMIT 1
    ),
    (%(path)s::name[])[1]
)
"""

# Trusted is who is this role, or can do whatever it likes anyway. To be a member of a role is no trust in it: a hosted
# platform's administrator is a member of its web roles.
_FOUND: LiteralString = """
WITH trusted AS (
    SELECT r.oid FROM pg_roles AS r WHERE r.rolsuper OR r.rolname = current_user
),

tables AS (
    SELECT
        c.oid, c.relname::text AS name, c.relkind, c.relowner, c.relacl,
        c.relkind = 'r' AND NOT EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhparent = c.oid) AS is_table,
        c.relowner IN (SELECT t.oid FROM trusted AS t) AS is_trusted
    FROM pg_class AS c
    INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
    WHERE n.nspname = %(schema)s::text AND c.relname = ANY (%(tables)s::name[])
),

-- Whatever may call code when the table is read or written.
parts AS (
    SELECT t.oid AS tbl, 'pg_class'::regclass AS kind, t.oid FROM tables AS t
    UNION ALL
    SELECT g.tgrelid, 'pg_trigger', g.oid FROM pg_trigger AS g WHERE NOT g.tgisinternal
    UNION ALL
    SELECT w.ev_class, 'pg_rewrite', w.oid FROM pg_rewrite AS w
    UNION ALL
    SELECT p.polrelid, 'pg_policy', p.oid FROM pg_policy AS p
    UNION ALL
    SELECT a.adrelid, 'pg_attrdef', a.oid FROM pg_attrdef AS a
    UNION ALL
    SELECT k.conrelid, 'pg_constraint', k.oid FROM pg_constraint AS k
    UNION ALL
    SELECT i.indrelid, 'pg_class', i.indexrelid FROM pg_index AS i
),

code AS (
    SELECT DISTINCT
        t.name, p.kind, p.oid, f.owner,
        (SELECT g.tgname FROM pg_trigger AS g WHERE p.kind = 'pg_trigger'::regclass AND g.oid = p.oid) AS trigger
    FROM tables AS t
    INNER JOIN parts AS p ON t.oid = p.tbl
    INNER JOIN pg_depend AS d ON d.classid = p.kind AND d.objid = p.oid
    INNER JOIN (
        SELECT 'pg_proc'::regclass AS kind, x.oid, x.proowner AS owner FROM pg_proc AS x
        UNION ALL
        SELECT 'pg_operator', x.oid, x.oprowner FROM pg_operator AS x
        UNION ALL
        SELECT 'pg_type', x.oid, x.typowner FROM pg_type AS x
    ) AS f ON d.refclassid = f.kind AND d.refobjid = f.oid
    WHERE f.owner NOT IN (SELECT u.oid FROM trusted AS u)
),

rights AS (
    SELECT
        t.name, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee,
        bool_or(a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER')) AS is_writer,
        array_agg(DISTINCT a.privilege_type ORDER BY a.privilege_type) AS privileges
    FROM tables AS t
    CROSS JOIN LATERAL (
        SELECT x.grantee, x.privilege_type FROM aclexplode(t.relacl) AS x
        UNION ALL
        SELECT x.grantee, x.privilege_type
        FROM pg_attribute AS c
        CROSS JOIN LATERAL aclexplode(c.attacl) AS x
        WHERE c.attrelid = t.oid
    ) AS a
    WHERE a.grantee <> t.relowner AND a.grantee NOT IN (SELECT u.oid FROM trusted AS u)
    GROUP BY t.name, a.grantee
)

SELECT 'kind' AS what, t.name, format(
    '%%I.%%I is %%s, not a table of yoyo''s, and belongs to %%s', %(schema)s::text, t.name,
    CASE t.relkind
        WHEN 'r' THEN 'a table that others inherit'
        WHEN 'v' THEN 'a view'
        WHEN 'm' THEN 'a materialized view'
        WHEN 'p' THEN 'a partitioned table'
        WHEN 'f' THEN 'a foreign table'
        ELSE 'another kind of object'
    END,
    quote_ident(pg_get_userbyid(t.relowner))
) AS found, 'Somebody put it there. Look at it, and drop it or rename it.' AS remedy
FROM tables AS t
WHERE NOT t.is_table
UNION ALL
SELECT
    'owner', t.name,
    format(
        'yoyo''s table %%I.%%I belongs to %%I, who could run code as %%I with it',
        %(schema)s::text, t.name, pg_get_userbyid(t.relowner), current_user
    ),
    format(
        'Migrate as %%1$I; or, where you trust what is in it: ALTER TABLE %%2$I.%%3$I OWNER TO %%4$I',
        pg_get_userbyid(t.relowner), %(schema)s::text, t.name, current_user
    )
FROM tables AS t
WHERE t.is_table AND NOT t.is_trusted
UNION ALL
SELECT
    'code', c.name,
    format(
        '%%s on yoyo''s table %%I.%%I %%s code of %%I, who may change it, and would run it as %%I',
        coalesce('the trigger ' || quote_ident(c.trigger), 'a ' || CASE c.kind
            WHEN 'pg_rewrite'::regclass THEN 'rule'
            WHEN 'pg_policy'::regclass THEN 'policy'
            WHEN 'pg_attrdef'::regclass THEN 'default'
            WHEN 'pg_constraint'::regclass THEN 'constraint'
            ELSE 'column or an index'
        END),
        %(schema)s::text, c.name, CASE WHEN c.kind = 'pg_class'::regclass THEN 'uses' ELSE 'calls' END,
        pg_get_userbyid(c.owner), current_user
    ),
    coalesce(
        'DROP TRIGGER ' || quote_ident(c.trigger) || format(' ON %%I.%%I', %(schema)s::text, c.name),
        'Drop it, or have that code belong to you.'
    )
FROM code AS c
UNION ALL
SELECT
    CASE WHEN r.is_writer THEN 'right' ELSE 'look' END, r.name,
    format(
        '%%s has rights on yoyo''s table %%I.%%I: %%s',
        r.grantee, %(schema)s::text, r.name, array_to_string(r.privileges, ', ')
    ),
    format('REVOKE ALL ON %%I.%%I FROM %%s', %(schema)s::text, r.name, r.grantee)
FROM rights AS r
UNION ALL
SELECT 'there', t.name, '', ''
FROM tables AS t
ORDER BY 1, 2, 3
"""


@dataclass(frozen=True)
class Fault:
    """What is not as yoyo made it, and what to do about it.

    `what` is the 'kind' of object, its 'owner', 'code' on the table, a 'right' of others to write it, or to 'look'.
    """

    what: str
    table: str
    found: str
    remedy: str


@dataclass(frozen=True)
class Bookkeeping:
    """Yoyo's tables as they were seen in their schema: which are there, and what is wrong with them."""

    schema: str
    tables: frozenset[str]
    faults: Sequence[Fault]
    applied: frozenset[str] = frozenset()
    """The migrations that are marked as applied."""
    is_shared: bool = False
    """They hold migrations that are not this package's."""

    @property
    def unreadable(self) -> list[Fault]:
        """Faults that forbid even to read: a view runs the code of whoever made it."""
        return [fault for fault in self.faults if fault.what in ("kind", "code")]

    @property
    def stops(self) -> list[Fault]:
        """Faults at which a run stops. Rights of others are taken away, unless others use the tables too."""
        return [fault for fault in self.faults if fault.what != "look" and (fault.what != "right" or self.is_shared)]


def place(connection: psycopg.Connection[Any]) -> str | None:
    """Return the schema of yoyo's tables; None where the role's search_path has no schema that exists."""
    path = connection.schemas if isinstance(connection, _wire.PinnedConnection) else _wire.own_schemas(connection)
    with _wire.pinned(connection):
        [(schema,)] = connection.execute(_PLACE, {"path": path})
    return schema if schema is None else str(schema)


def look(connection: psycopg.Connection[Any], schema: str, ours: Sequence[str]) -> Bookkeeping:
    """Look at yoyo's tables; nothing of them is read before it is known whose they are.

    Args:
        connection: of ours.
        schema: as `place` says.
        ours: the names of this package's migrations.
    """

    def found() -> Bookkeeping:
        rows = connection.execute(_FOUND, {"schema": schema, "tables": list(TABLES)}).fetchall()
        there = frozenset(name for what, name, *_ in rows if what == "there")
        return Bookkeeping(schema, there, [Fault(*row) for row in rows if row[0] != "there"])

    with _wire.pinned(connection, row_security="off"):
        seen = found()
        read = [sql.Identifier(schema, table) for table in ("_yoyo_migration", "_yoyo_log") if table in seen.tables]
        if seen.unreadable or not read:
            return seen
        # Locked by their names, they stay what they are; and so they are looked at again.
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(sql.SQL(", ").join(read)))
        seen = found()
        if seen.unreadable:
            return seen
        names = [
            {name for (name,) in connection.execute(sql.SQL("SELECT t.migration_id FROM {} AS t").format(table))}
            for table in read
        ]
        applied = names[0] if "_yoyo_migration" in seen.tables else set()
        return replace(seen, applied=frozenset(applied), is_shared=bool(set().union(*names) - {None, *ours}))
