#!/usr/bin/env python3
"""Write docs/functions.md from what a database with all series says of itself: signatures, comments, grants.

    python db/document.py postgresql://…/db > docs/functions.md

A test holds the page to that, and writes it with DOCS_REFRESH=1.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

GROUPS = {
    "Reserve": "check_and_reserve_budget reserve reserve_advisory check extend",
    "Settle": "settle cancel record expire",
    "Estimate": "estimate estimate_tokens estimate_from_history",
    "Limits and the switch": "limits set_limits freeze unfreeze",
    "Work orders": "route_work_order detect_hard_stop retry_strategy escalate",
    "Version": "version",
    "Many budgets": "set_budget drop_budget prune reconcile",
    "Many at once": "reserve_many settle_many",
}

ROWS = ("verdict", "outcome", "budgets")
"""What functions return rows of."""

INTRODUCTION = """# Functions and views

Generated from the database: each text is the function's own `COMMENT`, which `\\df+` shows as well.

- Arguments can be given by name (`p_ttl => '10 minutes'`); those with a default can be left out. Amounts are in the
  currency of the limits.
- A function that returns rows of `budget.verdict` or `budget.outcome` returns exactly one, those for many at
  once one for each. A refusal is a row, not an error.
- Errors carry a SQLSTATE: 22023 bad argument, 22003 amount out of range, PB001 isolation level, PB002 unknown
  reservation, PB003 id reused with other arguments, PB004 the hold's state forbids it, PB005 bad configuration, PB006
  the ledger did not keep the row, 55P03 lock wait. The detail has the values, the hint says what to do.
- EXECUTE is granted as shown, and to nobody else.
- Many budgets and many at once are there where the series `budgets` is applied: [budgets.md](budgets.md).
"""

FUNCTIONS = """
    SELECT
        p.proname AS key,
        p.pronamespace::regnamespace || '.' || p.proname AS name,
        string_to_array(pg_get_function_arguments(p.oid), ', ') AS arguments,
        pg_get_function_result(p.oid) AS result,
        obj_description(p.oid, 'pg_proc') AS comment,
        ARRAY(
            SELECT a.grantee::regrole::text FROM aclexplode(p.proacl) AS a
            WHERE a.grantee <> p.proowner ORDER BY 1
        ) AS grantees
    FROM pg_proc AS p
    WHERE
        (p.pronamespace = 'budget'::regnamespace AND p.proname NOT LIKE '\\_%')
        OR p.oid = to_regproc('public.check_and_reserve_budget')
"""

VIEWS = """
    SELECT c.relname AS name, obj_description(c.oid, 'pg_class') AS comment
    FROM pg_class AS c
    WHERE c.relnamespace = 'budget'::regnamespace AND c.relkind = 'v'
    ORDER BY c.relname
"""

COLUMNS = """
    SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type
    FROM pg_attribute AS a
    WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""


def page(connection: psycopg.Connection[Any]) -> str:
    """The whole page."""
    cursor: Any  # rows with named columns, which no type knows
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        functions = {row.key: row for row in cursor.execute(FUNCTIONS)}
        views = cursor.execute(VIEWS).fetchall()
        columns = {
            relation: cursor.execute(COLUMNS, [f"budget.{relation}"]).fetchall()
            for relation in (*ROWS, *(view.name for view in views))
        }
    grouped = {title: names.split() for title, names in GROUPS.items()}
    if functions.keys() != {name for names in grouped.values() for name in names}:
        raise SystemExit("document: the groups in db/document.py do not name the functions that there are")
    parts = [INTRODUCTION]
    for title, names in grouped.items():
        parts.append(f"## {title}\n")
        parts += [function(functions[name]) for name in names]
    parts.append("## Rows\n")
    parts += [f"### budget.{name}\n\n{table(columns[name])}" for name in ROWS]
    parts.append("## Views\n\nFor `budget_reader`.\n")
    parts += [f"### budget.{view.name}\n\n{view.comment}\n\n{table(columns[view.name])}" for view in views]
    return "\n".join(parts)


def function(row: Any) -> str:
    """The section of a function."""
    arguments = "".join(f"\n    {argument}," for argument in row.arguments).removesuffix(",")
    end = "\n)" if arguments else ")"
    described = "\n\n".join(markdown(row.comment))
    signature = f"```text\n{row.name}({arguments}{end}\nRETURNS {row.result}\n```"
    return f"### {row.name}\n\n{signature}\n\n{described}\n\nGranted to: {', '.join(row.grantees)}.\n"


def markdown(comment: str) -> Iterator[str]:
    """The paragraphs of a comment: arguments become a list, and what it says of errors and locks stands out."""
    for paragraph in comment.split("\n\n"):
        if re.match(r"p_\w+(, p_\w+)*  ", paragraph):
            joined = re.sub(r"\n +", " ", paragraph)
            yield re.sub(r"^(p_\w+(?:, p_\w+)*) +", r"- `\1`: ", joined, flags=re.MULTILINE)
        else:
            apart = re.sub(r"\s+(?=(?:Errors|Locks): )", "\n\n", paragraph)
            yield re.sub(r"^(Errors and locks|Errors|Locks):", r"**\1**:", apart, flags=re.MULTILINE)


def table(columns: list[Any]) -> str:
    """The columns of a row, as a table."""
    lines = (f"| `{column.name}` | {column.type} |" for column in columns)
    return "\n".join(["| column | type |", "| --- | --- |", *lines]) + "\n"


if __name__ == "__main__":
    match sys.argv[1:]:
        case [dsn]:
            with psycopg.connect(dsn) as connection:
                sys.stdout.write(page(connection))
        case _:
            sys.exit(__doc__)
