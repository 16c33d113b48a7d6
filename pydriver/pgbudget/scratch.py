"""A database for a while, on a server that may belong to others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo


@contextmanager
def scratch_database(dsn: str, purpose: str) -> Iterator[str]:
    """Make an empty database and give its connection string; drop it at the end, and leave the server as it was found.

    Also without the budget's roles, which belong to the server, unless another database has come to use them.

    Args:
        dsn: the server, as a role that may create databases and roles.
        purpose: a word for the database's name, which begins with `pgbudget_`.

    Raises:
        psycopg.Error: if the server does.
    """
    name = f"pgbudget_{purpose}_{uuid4().hex[:8]}"
    with psycopg.connect(dsn, autocommit=True) as admin:
        roles = _roles(admin)
    try:
        with psycopg.connect(dsn, autocommit=True) as admin:
            admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        yield make_conninfo(dsn, dbname=name)
    finally:
        with psycopg.connect(dsn, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            for role in _roles(admin) - roles:
                with suppress(psycopg.errors.DependentObjectsStillExist):
                    admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def _roles(admin: psycopg.Connection[Any]) -> set[str]:
    return {role for (role,) in admin.execute(r"SELECT rolname FROM pg_roles WHERE rolname LIKE 'budget\_%'")}
