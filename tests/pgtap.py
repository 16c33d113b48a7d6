"""pgTAP's assertions for pytest: its names, a psycopg connection as the first argument.

A failure says what was asked, what the database has and what was wanted. Functions are named with their argument types,
`has_function(db, "budget.reserve", ["numeric", "text"])`, or whole, as regprocedure reads them:
`is_definer(db, "budget.cancel(uuid, text)")`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import psycopg
from psycopg.pq import TransactionStatus

Connection = psycopg.Connection[Any]
Row = tuple[Any, ...]

__tracebackhide__ = True  # pytest then shows the test's line, not this module's


def _fail(what: str, have: object, want: object) -> NoReturn:
    raise AssertionError(f"{what}\n  have: {have!r}\n  want: {want!r}")


def _is(what: str, have: object, want: object) -> None:
    if have != want:
        _fail(what, have, want)


def _value(conn: Connection, query: str, *params: object) -> Any:
    row = conn.execute(query.encode(), params).fetchone()  # bytes: psycopg's types take literal text alone
    return row[0] if row else None


# ---------------------------------------------------------------------------------------------------- existence


def has_schema(conn: Connection, schema: str) -> None:
    _is(f"schema {schema} exists", _value(conn, "SELECT to_regnamespace(%s) IS NOT NULL", schema), True)


def has_role(conn: Connection, role: str) -> None:
    _is(f"role {role} exists", _value(conn, "SELECT count(*) FROM pg_roles WHERE rolname = %s", role), 1)


def has_table(conn: Connection, table: str) -> None:
    _is(f"{table} is a table", _relkind(conn, table) in ("r", "p"), True)


def hasnt_table(conn: Connection, table: str) -> None:
    _is(f"{table} is a table", _relkind(conn, table) in ("r", "p"), False)


def has_view(conn: Connection, view: str) -> None:
    _is(f"{view} is a view", _relkind(conn, view) == "v", True)


def _relkind(conn: Connection, relation: str) -> Any:
    return _value(conn, "SELECT relkind::text FROM pg_class WHERE oid = to_regclass(%s)", relation)


def has_index(conn: Connection, table: str, index: str, columns: Sequence[str] | None = None) -> None:
    """`index` is on `table`, valid, and, if given, on exactly these columns or expressions in this order."""
    have = _value(
        conn,
        """SELECT array_agg(pg_get_indexdef(indexrelid, n, true) ORDER BY n)
             FROM pg_index, generate_series(1, indnatts) AS n
            WHERE indrelid = to_regclass(%s) AND indexrelid::regclass::text = to_regclass(%s)::text AND indisvalid""",
        table,
        index,
    )
    if have is None or columns is not None:
        _is(f"{table} has the valid index {index} on", have, list(columns) if columns is not None else "any columns")


def has_function(conn: Connection, name: str, args: Sequence[str]) -> None:
    """There is a function of this name with exactly these argument types."""
    if _value(conn, "SELECT to_regprocedure(%s)", f"{name}({', '.join(args)})") is None:
        _fail(f"function {name} takes", _overloads(conn, name), list(args))


def hasnt_function(conn: Connection, name: str, args: Sequence[str] | None = None) -> None:
    """There is no function of this name, or none with these argument types."""
    have = _overloads(conn, name)
    if args is not None:
        have = [name] if _value(conn, "SELECT to_regprocedure(%s)", f"{name}({', '.join(args)})") is not None else []
    _is(f"functions {name}", have, [])


def _overloads(conn: Connection, name: str) -> Any:
    return _value(
        conn,
        """SELECT coalesce(array_agg(pg_get_function_identity_arguments(p.oid) ORDER BY p.oid), '{}')
             FROM pg_proc AS p
             JOIN pg_namespace AS n ON n.oid = p.pronamespace
            WHERE parse_ident(%s) = ARRAY[n.nspname::text, p.proname::text]""",
        name,
    )


# ------------------------------------------------------------------------------------------------------ columns


def _column(conn: Connection, table: str, column: str, what: str) -> Any:
    return _value(
        conn,
        f"""SELECT {what}
              FROM pg_attribute AS a
              LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
             WHERE a.attrelid = to_regclass(%s) AND a.attname = %s AND a.attnum > 0 AND NOT a.attisdropped""",
        table,
        column,
    )


def has_column(conn: Connection, table: str, column: str) -> None:
    _is(f"column {table}.{column} exists", _column(conn, table, column, "true"), True)


def hasnt_column(conn: Connection, table: str, column: str) -> None:
    _is(f"column {table}.{column} exists", _column(conn, table, column, "true"), None)


def col_type_is(conn: Connection, table: str, column: str, want: str) -> None:
    _is(f"type of {table}.{column}", _column(conn, table, column, "format_type(a.atttypid, a.atttypmod)"), want)


def col_default_is(conn: Connection, table: str, column: str, want: str | None) -> None:
    """The default is this expression as PostgreSQL prints it; `None`: the column is there and has none."""
    has_column(conn, table, column)
    _is(f"default of {table}.{column}", _column(conn, table, column, "pg_get_expr(d.adbin, d.adrelid)"), want)


def col_not_null(conn: Connection, table: str, column: str) -> None:
    _is(f"{table}.{column} is NOT NULL", _column(conn, table, column, "a.attnotnull"), True)


def col_is_null(conn: Connection, table: str, column: str) -> None:
    _is(f"{table}.{column} is NOT NULL", _column(conn, table, column, "a.attnotnull"), False)


# ---------------------------------------------------------------------------------------------------- functions


def _function(conn: Connection, function: str, what: str) -> Any:
    have = _value(conn, f"SELECT {what} FROM pg_proc AS p WHERE p.oid = to_regprocedure(%s)", function)
    if have is None:
        _fail("function", None, function)
    return have


def function_returns(conn: Connection, function: str, want: str) -> None:
    """The result type reads like this, for instance `SETOF budget.verdict` or `TABLE(a integer, b text)`."""
    _is(f"result of {function}", _function(conn, function, "pg_get_function_result(p.oid)"), want)


def function_args_are(conn: Connection, function: str, want: str) -> None:
    """Arguments with names, types and defaults read like this: they are what callers write."""
    _is(f"arguments of {function}", _function(conn, function, "pg_get_function_arguments(p.oid)"), want)


def function_lang_is(conn: Connection, function: str, want: str) -> None:
    language = "(SELECT lanname::text FROM pg_language AS l WHERE l.oid = p.prolang)"
    _is(f"language of {function}", _function(conn, function, language), want)


def volatility_is(conn: Connection, function: str, want: str) -> None:
    """`want` is "volatile", "stable" or "immutable"."""
    have = {"v": "volatile", "s": "stable", "i": "immutable"}[_function(conn, function, "p.provolatile::text")]
    _is(f"volatility of {function}", have, want)


def is_definer(conn: Connection, function: str) -> None:
    _is(f"{function} is SECURITY DEFINER", _function(conn, function, "p.prosecdef"), True)


def isnt_definer(conn: Connection, function: str) -> None:
    _is(f"{function} is SECURITY DEFINER", _function(conn, function, "p.prosecdef"), False)


def function_owner_is(conn: Connection, function: str, want: str) -> None:
    _is(f"owner of {function}", _function(conn, function, "pg_get_userbyid(p.proowner)::text"), want)


def function_settings_are(conn: Connection, function: str, want: Iterable[str]) -> None:
    """The settings that the function carries are these, each as `name=value`."""
    have = _function(conn, function, "coalesce(p.proconfig, '{}')")
    _is(f"settings of {function}", sorted(have), sorted(want))


# --------------------------------------------------------------------------------------------------- privileges

_TABLE_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")


def _privileges(conn: Connection, kind: str, role: str, target: str, known: Iterable[str]) -> list[str]:
    """What the role may really do, by whatever way: its own grants, its roles' or PUBLIC's."""
    check = f"SELECT has_{kind}_privilege(%s, %s, %s)"
    return sorted(privilege for privilege in known if _value(conn, check, role, target, privilege))


def function_privs_are(conn: Connection, function: str, role: str, want: Iterable[str]) -> None:
    have = _privileges(conn, "function", role, function, ["EXECUTE"])
    _is(f"privileges of {role} on function {function}", have, sorted(want))


def table_privs_are(conn: Connection, table: str, role: str, want: Iterable[str]) -> None:
    have = _privileges(conn, "table", role, table, _TABLE_PRIVILEGES)
    _is(f"privileges of {role} on table {table}", have, sorted(want))


def schema_privs_are(conn: Connection, schema: str, role: str, want: Iterable[str]) -> None:
    have = _privileges(conn, "schema", role, schema, ["CREATE", "USAGE"])
    _is(f"privileges of {role} on schema {schema}", have, sorted(want))


# --------------------------------------------------------------------------------------------------- statements


def _attempt(conn: Connection, query: str, params: Sequence[object] | None) -> None:
    """Execute as the caller would; in a transaction behind a savepoint, so that an error does not spoil it."""
    if conn.autocommit and conn.info.transaction_status == TransactionStatus.IDLE:
        conn.execute(query.encode(), params)
    else:
        with conn.transaction():
            conn.execute(query.encode(), params)


def throws_ok(
    conn: Connection, query: str, params: Sequence[object] | None, sqlstate: str, message: str | None = None
) -> psycopg.Error:
    """The statement fails with this SQLSTATE and a message that this pattern is found in.

    Returns the error, whose `diag` has DETAIL and HINT. A transaction that was open goes on.
    """
    try:
        _attempt(conn, query, params)
    except psycopg.Error as error:
        have = error.diag.message_primary or str(error)
        _is(f"SQLSTATE of {query} ({have})", error.sqlstate, sqlstate)
        if message is not None and not re.search(message, have):
            _fail(f"message of {query}", have, message)
        return error
    _fail(f"SQLSTATE of {query}", "no error", sqlstate)


def lives_ok(conn: Connection, query: str, params: Sequence[object] | None = None) -> None:
    """The statement does not fail."""
    try:
        _attempt(conn, query, params)
    except psycopg.Error as error:
        _fail(query, f"{error.sqlstate}: {error}", "no error")


def _rows(conn: Connection, query: str, params: Sequence[object] | None) -> list[Row]:
    return [tuple(row) for row in conn.execute(query.encode(), params).fetchall()]


def results_eq(conn: Connection, query: str, want: Iterable[Row], params: Sequence[object] | None = None) -> None:
    """The rows are these, in this order."""
    _is(f"rows of {query}", _rows(conn, query, params), list(want))


def bag_eq(conn: Connection, query: str, want: Iterable[Row], params: Sequence[object] | None = None) -> None:
    """The rows are these, in any order, each as often as it is given."""
    missing, surplus = list(want), []
    for row in _rows(conn, query, params):
        if row in missing:
            missing.remove(row)
        else:
            surplus.append(row)
    if missing or surplus:
        _fail(f"rows of {query}, in any order, without those that agree", surplus, missing)


def is_empty(conn: Connection, query: str, params: Sequence[object] | None = None) -> None:
    _is(f"rows of {query}", _rows(conn, query, params), [])


def isnt_empty(conn: Connection, query: str, params: Sequence[object] | None = None) -> None:
    if not _rows(conn, query, params):
        _fail(f"rows of {query}", [], "at least one")
