"""The rights of our roles as state: roles belong to the cluster, and a dump restored in another leaves them behind.

What each role is to have stands in the migrations, as GRANT, and is read from there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from typing_extensions import LiteralString

ROLES = ("budget_caller", "budget_admin", "budget_reader")
ENTRY = "public.check_and_reserve_budget(numeric, text, jsonb)"

_GRANT = re.compile(
    r"^GRANT (?P<privilege>EXECUTE|SELECT|USAGE) ON (?:(?P<kind>FUNCTION|SCHEMA) )?(?P<name>[^;]+?)"
    r" TO (?P<roles>[\w, ]+);$",
    re.MULTILINE,
)

_HELD: LiteralString = """
SELECT
    w.role, w.privilege, w.kind, w.name,
    EXISTS (
        SELECT FROM aclexplode(o.acl) AS a WHERE a.grantee = to_regrole(w.role)::oid AND a.privilege_type = w.privilege
    ) AS is_held
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) AS w (role, privilege, kind, name)
CROSS JOIN LATERAL (
    SELECT coalesce(p.proacl, acldefault('f', p.proowner)) AS acl
    FROM pg_proc AS p
    WHERE w.kind = 'FUNCTION' AND p.oid = to_regprocedure(CASE w.kind WHEN 'FUNCTION' THEN w.name END)
    UNION ALL
    SELECT coalesce(c.relacl, acldefault('r', c.relowner))
    FROM pg_class AS c
    WHERE w.kind = 'TABLE' AND c.oid = to_regclass(CASE w.kind WHEN 'TABLE' THEN w.name END)
    UNION ALL
    SELECT coalesce(n.nspacl, acldefault('n', n.nspowner))
    FROM pg_namespace AS n
    WHERE w.kind = 'SCHEMA' AND n.nspname = w.name
) AS o
ORDER BY w.role, w.kind, w.name
"""

# Rights of PUBLIC and of a platform's web roles on what is ours: on functions nobody wants them, and on the rest nobody
# did where a restore in another cluster has just made it, with that cluster's default privileges. `authenticated` may
# have been given some by its DBA, who is believed while the roles are as he left them.
_STRANGERS: LiteralString = """
SELECT DISTINCT
    o.name, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee
FROM (
    SELECT true, 'FUNCTION ' || p.oid::regprocedure::text, coalesce(p.proacl, acldefault('f', p.proowner))
    FROM pg_proc AS p
    WHERE
        p.pronamespace = to_regnamespace('budget')
        OR (p.oid = to_regprocedure(%(entry)s::text) AND p.prosrc LIKE '%%budget.reserve(%%')
    UNION ALL
    SELECT false, 'TABLE ' || c.oid::regclass::text, c.relacl
    FROM pg_class AS c
    WHERE
        c.relkind IN ('r', 'v')
        AND (
            c.relnamespace = to_regnamespace('budget')
            OR (
                c.relnamespace = to_regnamespace('public')
                AND obj_description(c.oid, 'pg_class') = 'Created by pgbudget.'
            )
        )
    UNION ALL
    SELECT false, 'SCHEMA budget', n.nspacl
    FROM pg_namespace AS n
    WHERE n.nspname = 'budget'
) AS o (is_function, name, acl)
CROSS JOIN LATERAL aclexplode(o.acl) AS a
WHERE
    (a.grantee = 0 OR a.grantee = to_regrole('anon')::oid OR (%(all)s AND a.grantee = to_regrole('authenticated')::oid))
    AND (%(all)s OR o.is_function)
ORDER BY 1, 2
"""


# What lets others run code with the rights of who writes a table. A restore gives it by the other cluster's default
# privileges.
_CODE_RIGHTS: LiteralString = """
SELECT r.right_name, r.table_name, r.grantee
FROM budget._code_rights() AS r
INNER JOIN pg_class AS c ON c.oid = r.table_name::regclass
WHERE pg_has_role(c.relowner, 'USAGE')
ORDER BY 2, 3, 1
"""


@dataclass(frozen=True)
class Right:
    """A right that a role is to have, and whether it has it."""

    role: str
    privilege: str
    kind: str
    name: str
    is_held: bool = False

    @property
    def statement(self) -> str:
        """What gives it."""
        return f"GRANT {self.privilege} ON {self.kind} {self.name} TO {self.role}"


def wanted(migrations: Sequence[Path]) -> list[Right]:
    """Return what these migrations give our roles."""
    found: dict[Right, None] = {}
    for file in migrations:
        for grant in _GRANT.finditer(file.read_text()):
            name = re.sub(r"\s+", " ", grant["name"]).replace("( ", "(").replace(" )", ")")
            for role in grant["roles"].split(", "):
                if role in ROLES:
                    found[Right(role, grant["privilege"], grant["kind"] or "TABLE", name)] = None
    return list(found)


def held(connection: psycopg.Connection[Any], rights: Sequence[Right]) -> list[Right]:
    """Return those of the rights that there can be here, with whether each is held."""
    columns = [[getattr(right, name) for right in rights] for name in ("role", "privilege", "kind", "name")]
    return [Right(*row) for row in connection.execute(_HELD, columns)]


def make(connection: psycopg.Connection[Any]) -> Iterator[str]:
    """Make the roles that the cluster lacks, where pgbudget is installed, and say which."""
    rows = connection.execute(
        """SELECT r FROM unnest(%s::text[]) AS r WHERE to_regrole(r) IS NULL
           AND starts_with(obj_description(to_regnamespace('budget')::oid, 'pg_namespace'), 'pgbudget:')""",
        [list(ROLES)],
    ).fetchall()
    for (role,) in rows:
        try:
            connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
        except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            continue  # another database of the cluster was faster
        yield f"made the role {role}, which this cluster did not have"


def restore(connection: psycopg.Connection[Any], rights: Sequence[Right]) -> Iterator[str]:
    """Give a role its rights where it holds none of them at all; where it holds some, a missing one was taken.

    And take from PUBLIC and a platform's web roles what they can have got by a restore alone. Says what was done.
    """
    there = held(connection, rights)
    bare = [role for role in ROLES if not any(right.is_held for right in there if right.role == role)]
    bare = [role for role in bare if any(right.role == role for right in there)]
    with connection.transaction():
        for role in bare:
            for right in there:
                if right.role == role:
                    connection.execute(right.statement.encode())
            yield f"gave {role} its rights in this database, of which it held none"
        if "budget_caller" in bare:
            is_lacking = connection.execute(
                """SELECT FROM pg_roles WHERE rolname = 'service_role'
                   AND NOT pg_has_role(oid, to_regrole('budget_caller')::oid, 'MEMBER')"""
            ).fetchone()
            if is_lacking is not None:
                connection.execute("GRANT budget_caller TO service_role")
                yield "made service_role a member of budget_caller"
        strangers = connection.execute(_STRANGERS, {"all": bool(bare), "entry": ENTRY}).fetchall()
        for name, grantee in strangers:
            connection.execute(f"REVOKE ALL ON {name} FROM {grantee}".encode())
        for grantee in sorted({grantee for _, grantee in strangers}):
            yield f"took from {grantee} the rights that it had on what is pgbudget's"
        if connection.execute("SELECT to_regprocedure('budget._code_rights()')").fetchone() == (None,):
            return
        for right, table, grantee in connection.execute(_CODE_RIGHTS).fetchall():
            connection.execute(f"REVOKE {right} ON {table} FROM {grantee} CASCADE".encode())
            yield f"took {right} on {table} from {grantee}"
