"""A database for a while, on a server that may belong to others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import errors, sql
from psycopg.conninfo import make_conninfo

_ROLES = ("budget_caller", "budget_admin", "budget_reader")

# A role that somebody has come to use is theirs, though it was made here. On PostgreSQL 16 and newer who makes a role
# is a member of it, and the migrations grant one to service_role. What another database has granted to it, DROP ROLE
# finds.
_STILL_OURS = """
SELECT r.rolname FROM pg_catalog.pg_roles AS r
WHERE r.oid = %s AND NOT r.rolcanlogin AND r.rolconfig IS NULL AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_auth_members AS m JOIN pg_catalog.pg_roles AS o ON o.oid = m.member
    WHERE m.member = r.oid OR (m.roleid = r.oid AND o.rolname NOT IN (current_user, 'service_role'))
)
"""


@contextmanager
def scratch_database(dsn: str, purpose: str) -> Iterator[str]:
    """Make an empty database and give its connection string; drop it at the end, with what else was made for it.

    That is the budget's roles, which belong to the server: those that were missing are made here, so that it is known
    which, and dropped unless somebody else has come to use them.

    Args:
        dsn: the server, as a role that may create databases and roles.
        purpose: a word for the database's name, which begins with `pgbudget_`.

    Raises:
        psycopg.Error: if the server does.
    """
    name = f"pgbudget_{purpose}_{uuid4().hex[:8]}"
    made: list[int] = []
    try:
        with psycopg.connect(dsn, autocommit=True) as admin:
            admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
            for role in _ROLES:
                if _oid(admin, role) is None:
                    # Somebody else may be making it at this moment; who may not make it is told so by the migration.
                    with suppress(errors.DuplicateObject, errors.UniqueViolation, errors.InsufficientPrivilege):
                        admin.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
                        made += [oid for oid in [_oid(admin, role)] if oid]
        yield make_conninfo(dsn, dbname=name)
    finally:
        with psycopg.connect(dsn, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            for oid in made:
                for (role,) in admin.execute(_STILL_OURS, [oid]).fetchall():
                    with suppress(errors.DependentObjectsStillExist, errors.UndefinedObject):
                        admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def _oid(admin: psycopg.Connection[Any], role: str) -> int | None:
    row = admin.execute("SELECT oid FROM pg_catalog.pg_roles WHERE rolname = %s", [role]).fetchone()
    return row and row[0]
