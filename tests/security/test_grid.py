"""Who may do what: every public function, view and table as every role, really tried and compared with `grid.txt`.

After a wanted change: `GRID=write make test T=tests/security/test_grid.py`, and review the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import psycopg

from tests.rows import Connection
from tests.security.calls import CALLS, OWN_TABLES, TABLES, VIEWS
from tests.security.conftest import PLAIN, PLATFORM, run_again
from tests.series import by_series

# Another series has rows of its own beside core's.
GRIDS = [Path(__file__).with_name(name) for name in ("grid.txt", *by_series(core=[], budgets=["grid_budgets.txt"]))]

Grid = dict[str, dict[str, str]]

ATTEMPTS = {
    **{f"call {function}": statement for function, statement in CALLS.items()},
    **by_series(core={}, budgets={"call budget._budget_standing": "SELECT * FROM budget._budget_standing()"}),
    "call budget._drift": "SELECT * FROM budget._drift()",
    "call budget._escalated": "SELECT * FROM budget._escalated()",
    "call budget._reading": "SELECT * FROM budget._reading()",
    **{f"read {view}": f"SELECT * FROM {view}" for view in VIEWS},
    **{
        f"{verb} {table}": statement.format(table, {"budget.budgets": "name"}.get(table, "budget"))
        if table in OWN_TABLES
        else statement.format(table, "created_at")
        for table in TABLES
        for verb, statement in {
            "read": "SELECT * FROM {}",
            "insert": "INSERT INTO {0} SELECT (NULL::{0}).* WHERE false",
            "update": "UPDATE {} SET {} = NULL WHERE false",
            "delete": "DELETE FROM {} WHERE false",
            "truncate": "TRUNCATE {} CASCADE",
        }.items()
    },
    "create in budget": "CREATE FUNCTION budget.theirs() RETURNS integer LANGUAGE sql RETURN 1",
}


def may(connection: Connection, role: str, statement: str) -> str:
    """Try the statement as the role, undone afterwards. An error other than a lack of privilege is the test's."""
    with connection.transaction(force_rollback=True):
        connection.execute(f"SET LOCAL ROLE {role}".encode())
        try:
            connection.execute(statement.encode())
        except psycopg.errors.InsufficientPrivilege:
            return "-"
    return "yes"


def tried(connection: Connection, roles: tuple[str, ...]) -> Grid:
    return {what: {role: may(connection, role, how) for role in roles} for what, how in ATTEMPTS.items()}


def committed(roles: tuple[str, ...]) -> Grid:
    grid: Grid = {}
    for file in GRIDS:
        (_, *columns), *lines = [line.split() for line in file.read_text().splitlines() if not line.startswith("#")]
        for line in lines:
            cells = dict(zip(columns, line[-len(columns) :], strict=True))
            grid[" ".join(line[: -len(columns)])] = {role: cells[role] for role in columns if role in roles}
    return grid


def write(grid: Grid) -> None:
    """Core's rows into core's file, or into the other series' those that core's has not."""
    *others, file = GRIDS
    for other in others:
        grid = {what: cells for what, cells in grid.items() if what not in other.read_text()}
    width = max(map(len, grid))
    columns = [*PLAIN, *PLATFORM]
    lines = [
        "# Each cell was tried. What `nobody` may do, PUBLIC may. The last three roles are those of a hosted platform.",
        " ".join([f"{'role':{width}}", *columns]),
        *(
            " ".join([f"{what:{width}}", *(f"{cells[role]:{len(role)}}" for role in columns)]).rstrip()
            for what, cells in grid.items()
        ),
    ]
    file.write_text("\n".join(lines) + "\n")


def test_every_public_function_and_relation_is_tried(plain: Connection) -> None:
    functions = plain.execute(
        """SELECT 'budget.' || p.proname FROM pg_proc AS p
           WHERE p.pronamespace = 'budget'::regnamespace AND NOT starts_with(p.proname, '_') ORDER BY 1"""
    )
    assert [name for (name,) in functions] == [name for name in CALLS if name.startswith("budget.")]
    relations = plain.execute(
        """SELECT c.oid::regclass::text FROM pg_class AS c
           WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f', 'S') AND c.relnamespace = 'budget'::regnamespace ORDER BY 1"""
    )
    assert {name for (name,) in relations} == {*VIEWS, *OWN_TABLES}


def test_on_plain_postgresql(plain: Connection) -> None:
    assert tried(plain, PLAIN) == committed(PLAIN)


def test_on_a_hosted_platform(hosted: Connection) -> None:
    grid = tried(hosted, PLAIN + PLATFORM)
    if os.environ.get("GRID") == "write":
        write(grid)
    assert grid == committed(PLAIN + PLATFORM)


def test_after_the_functions_were_replaced(hosted: Connection) -> None:
    with hosted.transaction(force_rollback=True):
        run_again(hosted)
        assert tried(hosted, PLAIN + PLATFORM) == committed(PLAIN + PLATFORM)
