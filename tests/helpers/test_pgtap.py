"""The assertions of tests/pgtap.py, both ways: each passes on the right thing and fails on the wrong one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests import pgtap

Connection = psycopg.Connection[Any]

FIXTURE = """
DO $$ BEGIN CREATE ROLE tap_owner; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE tap_nobody; EXCEPTION WHEN duplicate_object THEN NULL; END $$;

CREATE SCHEMA shop;
CREATE TABLE shop.item (
    id integer NOT NULL,
    price numeric(10, 4) DEFAULT 0,
    tags jsonb,
    gone text
);
ALTER TABLE shop.item DROP COLUMN gone;
CREATE INDEX item_price ON shop.item (price, lower(tags::text));
CREATE VIEW shop.cheap AS SELECT id FROM shop.item WHERE price < 1;
CREATE SEQUENCE shop.counter;

CREATE FUNCTION shop.total(p_a integer, p_b numeric DEFAULT 0) RETURNS numeric LANGUAGE sql IMMUTABLE
AS 'SELECT p_a + p_b';
CREATE FUNCTION shop.buy(p_item text) RETURNS TABLE (item text, ok boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off
AS 'BEGIN RETURN QUERY SELECT p_item, true; END';
CREATE FUNCTION shop.fail() RETURNS void LANGUAGE plpgsql
AS $$BEGIN RAISE 'no % left', 'apples' USING ERRCODE = 'PB002', DETAIL = 'asked: 3', HINT = 'take pears'; END$$;
ALTER FUNCTION shop.total(integer, numeric) OWNER TO tap_owner;
REVOKE ALL ON FUNCTION shop.buy(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shop.buy(text) TO tap_owner;
GRANT SELECT, INSERT ON shop.item TO tap_owner;
GRANT USAGE ON SCHEMA shop TO tap_owner;
"""

BUY = "shop.buy(text)"
TOTAL = "shop.total(integer, numeric)"
NUMBERS = "SELECT n FROM generate_series(1, 3) AS n"

# Each line: the assertion, arguments that hold, arguments that do not.
BOTH_WAYS: list[tuple[Callable[..., object], tuple[Any, ...], tuple[Any, ...]]] = [
    (pgtap.has_schema, ("shop",), ("shopp",)),
    (pgtap.has_role, ("tap_owner",), ("tap_stranger",)),
    (pgtap.has_table, ("shop.item",), ("shop.items",)),
    (pgtap.has_table, ("shop.item",), ("shop.cheap",)),
    (pgtap.hasnt_table, ("shop.items",), ("shop.item",)),
    (pgtap.hasnt_table, ("shop.cheap",), ("shop.item",)),
    (pgtap.has_view, ("shop.cheap",), ("shop.item",)),
    (pgtap.has_view, ("shop.cheap",), ("shop.dear",)),
    (pgtap.has_index, ("shop.item", "shop.item_price"), ("shop.item", "shop.item_cost")),
    (pgtap.has_index, ("shop.item", "shop.item_price"), ("shop.cheap", "shop.item_price")),
    (
        pgtap.has_index,
        ("shop.item", "shop.item_price", ["price", "lower(tags::text)"]),
        ("shop.item", "shop.item_price", ["price"]),
    ),
    (pgtap.has_function, ("shop.total", ["integer", "numeric"]), ("shop.total", ["integer"])),
    (pgtap.has_function, ("shop.fail", []), ("shop.succeed", [])),
    (pgtap.hasnt_function, ("shop.sell",), ("shop.buy",)),
    (pgtap.hasnt_function, ("shop.buy", ["integer"]), ("shop.buy", ["text"])),
    (pgtap.has_column, ("shop.item", "price"), ("shop.item", "gone")),
    (pgtap.has_column, ("shop.item", "price"), ("shop.item", "ctid")),
    (pgtap.hasnt_column, ("shop.item", "gone"), ("shop.item", "price")),
    (pgtap.col_type_is, ("shop.item", "price", "numeric(10,4)"), ("shop.item", "price", "numeric")),
    (pgtap.col_type_is, ("shop.item", "id", "integer"), ("shop.item", "gone", "text")),
    (pgtap.col_default_is, ("shop.item", "price", "0"), ("shop.item", "price", "1")),
    (pgtap.col_default_is, ("shop.item", "id", None), ("shop.item", "price", None)),
    (pgtap.col_default_is, ("shop.item", "id", None), ("shop.item", "gone", None)),
    (pgtap.col_not_null, ("shop.item", "id"), ("shop.item", "price")),
    (pgtap.col_not_null, ("shop.item", "id"), ("shop.item", "gone")),
    (pgtap.col_is_null, ("shop.item", "price"), ("shop.item", "id")),
    (pgtap.col_is_null, ("shop.item", "price"), ("shop.item", "gone")),
    (pgtap.function_returns, (BUY, "TABLE(item text, ok boolean)"), (BUY, "record")),
    (pgtap.function_returns, (TOTAL, "numeric"), ("shop.total(integer)", "numeric")),
    (
        pgtap.function_args_are,
        (TOTAL, "p_a integer, p_b numeric DEFAULT 0"),
        (TOTAL, "p_a integer, p_b numeric"),
    ),
    (pgtap.function_lang_is, (BUY, "plpgsql"), (TOTAL, "plpgsql")),
    (pgtap.volatility_is, (TOTAL, "immutable"), (TOTAL, "stable")),
    (pgtap.volatility_is, (BUY, "stable"), (BUY, "volatile")),
    (pgtap.volatility_is, ("shop.fail()", "volatile"), ("shop.fail()", "immutable")),
    (pgtap.is_definer, (BUY,), (TOTAL,)),
    (pgtap.isnt_definer, (TOTAL,), (BUY,)),
    (pgtap.isnt_definer, (TOTAL,), ("shop.total()",)),
    (pgtap.function_owner_is, (TOTAL, "tap_owner"), (BUY, "tap_owner")),
    (
        pgtap.function_settings_are,
        (BUY, ["search_path=pg_catalog, pg_temp", "row_security=off"]),
        (BUY, ["search_path=pg_catalog, pg_temp"]),
    ),
    (pgtap.function_settings_are, (TOTAL, []), (BUY, [])),
    (pgtap.function_privs_are, (BUY, "tap_owner", ["EXECUTE"]), (BUY, "tap_nobody", ["EXECUTE"])),
    (pgtap.function_privs_are, (BUY, "tap_nobody", []), (TOTAL, "tap_nobody", [])),  # PUBLIC may run the second
    (
        pgtap.table_privs_are,
        ("shop.item", "tap_owner", ["SELECT", "INSERT"]),
        ("shop.item", "tap_owner", ["SELECT"]),
    ),
    (pgtap.table_privs_are, ("shop.item", "tap_nobody", []), ("shop.item", "tap_nobody", ["SELECT"])),
    (pgtap.schema_privs_are, ("shop", "tap_owner", ["USAGE"]), ("shop", "tap_owner", ["USAGE", "CREATE"])),
    (pgtap.schema_privs_are, ("shop", "tap_nobody", []), ("shop", "tap_owner", [])),
    (pgtap.throws_ok, ("SELECT shop.fail()", None, "PB002"), ("SELECT shop.fail()", None, "PB003")),
    (
        pgtap.throws_ok,
        ("SELECT shop.fail()", None, "PB002", "no .* left"),
        ("SELECT shop.fail()", None, "PB002", "no pears"),
    ),
    (pgtap.throws_ok, ("SELECT 1 / %s", [0], "22012"), ("SELECT 1 / %s", [1], "22012")),
    (pgtap.lives_ok, ("SELECT 1 / %s", [1]), ("SELECT 1 / %s", [0])),
    (pgtap.results_eq, (NUMBERS, [(1,), (2,), (3,)]), (NUMBERS, [(1,), (3,), (2,)])),
    (pgtap.results_eq, (NUMBERS, [(1,), (2,), (3,)]), (NUMBERS, [(1,), (2,)])),
    (pgtap.results_eq, ("SELECT %s::numeric", [(Decimal("1.50"),)], ["1.5"]), ("SELECT 1.5", [(Decimal("1.51"),)])),
    (pgtap.bag_eq, (NUMBERS, [(1,), (3,), (2,)]), (NUMBERS, [(1,), (3,)])),
    (pgtap.bag_eq, (NUMBERS, [(1,), (3,), (2,)]), (NUMBERS, [(1,), (3,), (2,), (2,)])),
    (pgtap.bag_eq, ("SELECT '{}'::jsonb", [({},)]), ("SELECT '{}'::jsonb", [({"a": 1},)])),
    (pgtap.is_empty, ("SELECT 1 WHERE %s", [False]), ("SELECT 1 WHERE %s", [True])),
    (pgtap.isnt_empty, ("SELECT 1 WHERE %s", [True]), ("SELECT 1 WHERE %s", [False])),
]


@pytest.fixture
def shop(empty_dsn: str) -> Iterator[Connection]:
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute(FIXTURE.encode())
        yield connection
        connection.execute("DROP OWNED BY tap_owner CASCADE; DROP ROLE tap_owner, tap_nobody")


def failure(assertion: Callable[..., object], *arguments: object) -> str | None:
    try:
        assertion(*arguments)
    except AssertionError as error:
        return str(error)
    return None


def test_every_assertion_passes_on_the_right_thing_and_fails_on_the_wrong_one(shop: Connection) -> None:
    for assertion, right, wrong in BOTH_WAYS:
        assertion(shop, *right)
        message = failure(assertion, shop, *wrong)
        assert message is not None, f"{assertion.__name__}{wrong} passes"
        assert re.search("have: (?s:.*)want: ", message), message


def test_every_assertion_is_in_the_list() -> None:
    public = {name for name, value in vars(pgtap).items() if callable(value) and value.__module__ == pgtap.__name__}
    assert {name for name in public if not name.startswith("_")} == {line[0].__name__ for line in BOTH_WAYS}


def test_a_failure_says_what_the_database_has(shop: Connection) -> None:
    with pytest.raises(
        AssertionError, match=r"(?s)shop\.total.*have: \['p_a integer, p_b numeric'\].*want: \['text'\]"
    ):
        pgtap.has_function(shop, "shop.total", ["text"])


def test_throws_ok_gives_the_error_for_a_closer_look(shop: Connection) -> None:
    error = pgtap.throws_ok(shop, "SELECT shop.fail()", None, "PB002")
    assert (error.diag.message_detail, error.diag.message_hint) == ("asked: 3", "take pears")


def test_an_open_transaction_survives_an_expected_error(shop: Connection) -> None:
    with shop.transaction():
        shop.execute("INSERT INTO shop.item (id) VALUES (1)")
        pgtap.throws_ok(shop, "SELECT 1 / 0", None, "22012")
        pgtap.lives_ok(shop, "INSERT INTO shop.item (id) VALUES (2)")
    pgtap.results_eq(shop, "SELECT id FROM shop.item ORDER BY id", [(1,), (2,)])


def test_outside_a_transaction_statements_run_as_the_caller_would_run_them(shop: Connection) -> None:
    pgtap.lives_ok(shop, "VACUUM shop.item")  # fails inside a transaction
