"""What the tests run of the PL/pgSQL, statement by statement, as plpgsql_check's profiler counts it.

With the variable PLPGSQL_COVERAGE in the environment (a directory; PostgreSQL with plpgsql_check is needed) the test
server profiles all its sessions, and what a database has counted is read before the database is dropped. Each worker
keeps the sums in a file of its own there; `tests.checkers.coverage` adds them up.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
from psycopg.rows import class_row

VARIABLE = "PLPGSQL_COVERAGE"

# Only a library that is loaded with the server counts for all sessions together. What one database has counted is
# forgotten when it is read, so there is room enough for the few that are there at a time.
SETTINGS = {
    "shared_preload_libraries": "plpgsql,plpgsql_check",
    "plpgsql_check.profiler": "on",
    "plpgsql_check.profiler_max_shared_chunks": "15000",
    "track_functions": "all",
}

# A function is known by its text: tests put others in its place, and give it another name.
OURS = """
    SELECT p.oid, p.proname AS name, md5(p.prosrc) AS text, l.lanname AS language
      FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
     WHERE p.pronamespace = to_regnamespace('budget') OR p.proname = 'check_and_reserve_budget'
"""
STATEMENTS = f"""
    SELECT f.name, f.text, s.stmtid AS id, s.parent_stmtid AS parent, coalesce(s.parent_note, '') AS branch,
           s.block_num AS place, s.lineno AS line, s.stmtname AS kind, s.exec_stmts AS runs, s.exec_stmts_err AS errors
      FROM ({OURS}) AS f CROSS JOIN LATERAL public.plpgsql_profiler_function_statements_tb(f.oid) AS s
     WHERE f.language = 'plpgsql'
"""
FORGET = f"SELECT public.plpgsql_profiler_reset(f.oid) FROM ({OURS}) AS f"

# PostgreSQL itself counts the calls of the functions in SQL. A function that pins its search_path is never inlined.
CALLS = f"""
    SELECT f.name, f.text, 0 AS id, NULL::integer AS parent, '' AS branch, 1 AS place, 1 AS line, 'function' AS kind,
           coalesce(c.calls, 0) AS runs, 0::bigint AS errors
      FROM ({OURS}) AS f LEFT JOIN pg_stat_user_functions AS c ON c.funcid = f.oid
     WHERE f.language = 'sql'
"""


@dataclass
class Statement:
    """One statement of a function, or a function in SQL as a whole."""

    name: str
    """The function."""
    text: str
    """The MD5 of its body."""
    id: int
    parent: int | None
    branch: str
    """Which part of its parent it stands in: `then body`, `elsif 1`, `case when 2`, `exception 1` ..."""
    place: int
    """Its place among the statements of that branch, from 1."""
    line: int
    """Counted from the line of the opening $function$."""
    kind: str
    runs: int
    errors: int


Key = tuple[str, int]


def key(statement: Statement) -> Key:
    return (statement.text, statement.id)


def added(statements: Iterable[Statement], sums: dict[Key, Statement]) -> None:
    """Add what these were run to the sums."""
    for statement in statements:
        sum_ = sums.setdefault(key(statement), statement)
        if sum_ is not statement:
            sum_.runs += statement.runs
            sum_.errors += statement.errors


def body_of(source: str) -> str:
    """The text between the function's dollar quotes."""
    return source.split("$function$")[1]


def text_of(body: str) -> str:
    return hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()


def settings() -> dict[str, str]:
    """Server settings for the run: none, unless it is to be profiled."""
    return SETTINGS if VARIABLE in os.environ else {}


def read(dsn: str) -> list[Statement]:
    """What a database has counted so far, which it then forgets. It may not have our schema."""
    with (
        psycopg.connect(dsn, autocommit=True) as connection,
        connection.cursor(row_factory=class_row(Statement)) as rows,
    ):
        rows.execute("CREATE EXTENSION IF NOT EXISTS plpgsql_check SCHEMA public")
        rows.execute("SET search_path = pg_catalog")  # a test may have planted operators in public
        statements = rows.execute(STATEMENTS.encode()).fetchall() + rows.execute(CALLS.encode()).fetchall()
        connection.execute(FORGET.encode())
    return statements


_sums: dict[Key, Statement] = {}


def collect(dsn: str) -> None:
    """Take down what a database has counted, if the run is profiled. Nobody uses the database afterwards."""
    if VARIABLE in os.environ:
        added(read(dsn), _sums)


def write() -> None:
    """Keep the sums of this process, if the run is profiled; called once, at its end."""
    if _sums:
        file = Path(os.environ[VARIABLE]) / f"{os.getpid()}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps([asdict(statement) for statement in _sums.values()]))
