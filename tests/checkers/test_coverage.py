"""The report of what was run names what was not, whatever kind of way it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.checkers import profile
from tests.checkers.coverage import Function, branches_of, report, statements_of
from tests.checkers.profile import Key, Statement
from tests.rows import Connection

IF = "IF p_way = 1 THEN RETURN 1; END IF;"
ELSIF = "IF p_way = 1 THEN RETURN 1; ELSIF p_way = 2 THEN RETURN 2; ELSE RETURN 3; END IF;"
CASE = "CASE p_way WHEN 1 THEN RETURN 1; WHEN 2 THEN NULL; ELSE RETURN 3; END CASE;"
LOOP = "WHILE p_way > 0 LOOP p_way := 0; END LOOP;"
HANDLER = "BEGIN p_way := 1 / p_way; EXCEPTION WHEN division_by_zero THEN p_way := 7; END;"
EMPTY_HANDLER = "BEGIN p_way := 1 / p_way; EXCEPTION WHEN division_by_zero THEN NULL; END;"
ERROR = "IF p_way = 1 THEN RAISE EXCEPTION 'counted as well'; END IF;"


@pytest.fixture(autouse=True)
def forgotten(db: Connection) -> Iterator[None]:
    yield
    db.execute("DROP FUNCTION IF EXISTS budget.ways")


def called(dsn: str, body: str, ways: list[int]) -> tuple[str, list[Statement]]:
    """A function with this body, and what calling it in these ways, each in a session of its own, has run of it."""
    source = f"""CREATE FUNCTION budget.ways(p_way integer) RETURNS integer LANGUAGE plpgsql AS $function$
    BEGIN
        {body}
        RETURN 9;
    END
    $function$"""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(source.encode())
    for way in ways:
        with psycopg.connect(dsn, autocommit=True) as connection:
            try:
                connection.execute("SELECT budget.ways(%s)", [way])
            except psycopg.errors.RaiseException:
                continue
    return source, [statement for statement in profile.read(dsn) if statement.name == "ways"]


@pytest.mark.proof
@pytest.mark.parametrize(
    ("body", "ways", "statements", "branches"),
    [
        (IF, [1, 2], [], []),
        (IF, [1], ["RETURN"], ["IF: passed by"]),
        (IF, [2], ["RETURN"], ["IF: then body"]),
        (ELSIF, [1, 2, 3], ["RETURN"], []),  # the last one of the function
        (ELSIF, [1, 3], ["RETURN"] * 2, ["IF: elsif 1"]),
        (ELSIF, [1, 2], ["RETURN"] * 2, ["IF: else body"]),
        (CASE, [1, 2, 3], [], []),
        (CASE, [1, 3], ["RETURN"], ["CASE: the branch that does nothing"]),
        (CASE, [1, 2], ["RETURN"], ["CASE: case else"]),
        (LOOP, [1], [], []),
        (LOOP, [0], ["assignment"], ["WHILE: loop body"]),
        (HANDLER, [0], [], []),
        (HANDLER, [1], ["assignment"], ["statement block: exception 1"]),
        (EMPTY_HANDLER, [0], [], []),
        (EMPTY_HANDLER, [1], [], ["the exception handler that does nothing"]),
        (ERROR, [1, 2], [], []),
        (ERROR, [2], ["RAISE"], ["IF: then body"]),
        (IF, [], ["statement block", "IF", "RETURN", "RETURN"], ["IF: then body", "IF: passed by"]),
    ],
)
def test_what_was_not_run_is_named(
    checked_dsn: str, body: str, ways: list[int], statements: list[str], branches: list[str]
) -> None:
    source, counted = called(checked_dsn, body, ways)
    assert [what for _, what in statements_of(counted).missing] == statements
    assert [what for _, what in branches_of(counted, profile.body_of(source)).missing] == branches


def test_reading_forgets(checked_dsn: str) -> None:
    called(checked_dsn, IF, [1])
    assert {statement.runs for statement in profile.read(checked_dsn)} == {0}


@pytest.mark.parametrize("ways", [[1, 2], [1], [2]])
def test_the_report_says_where_and_whether_it_is_enough(
    checked_dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], ways: list[int]
) -> None:
    source, counted = called(checked_dsn, IF, ways)
    file = tmp_path / "ways.sql"
    file.write_text(f"-- a line before it\n{source}")
    sums: dict[Key, Statement] = {}
    profile.added(counted, sums)

    assert report(sums, [Function.in_file(file)]) is (ways == [1, 2])

    missing = {statement.line for statement in counted if not statement.runs}
    assert all(f"ways.sql:{line + 1}" in capsys.readouterr().out for line in missing)


def test_what_was_run_of_another_text_does_not_count(checked_dsn: str, tmp_path: Path) -> None:
    source, counted = called(checked_dsn, IF, [1, 2])
    file = tmp_path / "ways.sql"
    file.write_text(source.replace("RETURN 9", "RETURN 8"))
    assert not report({profile.key(statement): statement for statement in counted}, [Function.in_file(file)])


def test_two_workers_make_one_sum(checked_dsn: str) -> None:
    _, counted = called(checked_dsn, IF, [1])
    sums: dict[Key, Statement] = {}
    profile.added(counted, sums)
    profile.added([Statement(**{**vars(statement), "runs": 5}) for statement in counted], sums)
    assert sorted(statement.runs for statement in sums.values()) == [5, 6, 6, 6]
