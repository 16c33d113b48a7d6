"""One identity for a member, its text: `7`, `7.0` and `"7"` are one team, `"7.0"` another, nested values by their text.

BerriAI/litellm#25549, Synapse-OSS#55: with `{"team": 7.0}` and `{"team": 7}` in one batch balances parted from the
ledger, and a limit was doubled, because jsonb takes for equal what has another text.
"""

from __future__ import annotations

import pytest
from psycopg.types.json import Jsonb

from tests.rows import Connection, call, rows

TEAMS = {
    "7": "7",
    "7.0": "7",
    "70e-1": "7",
    "0.7e1": "7",
    '"7"': "7",
    '"7.0"': "7.0",
    "-0": "0",
    "0.000": "0",
    "1e2": "100",
    "1.50": "1.5",
    "1e-3": "0.001",
    "[7.0]": "[7.0]",
    "[7]": "[7]",
    '{"a": 7.00}': '{"a": 7.00}',
    "true": "true",
}


@pytest.fixture
def db(budgets: Connection) -> Connection:
    return budgets


def balanced(db: Connection) -> dict[str, int]:
    """What each member has, in balances and in the ledger, which agree."""
    assert rows(db, "SELECT * FROM budget.invariants") == []
    standing = rows(db, "SELECT member, spent + held AS total FROM budget.budget_status WHERE name = 'team'")
    return {row.member: row.total for row in standing if row.member is not None}


@pytest.mark.parametrize(("written", "member"), TEAMS.items())
def test_whose_it_is(db: Connection, written: str, member: str) -> None:
    call(db, "set_budget", "team", 10, "team")
    request = f'{{"team": {written}}}'
    assert rows(db, "SELECT * FROM budget.reserve(1, 'svc', %s::jsonb)", request)[0].can_proceed
    assert balanced(db) == {member: 1}


@pytest.mark.parametrize("number", ["1e131071", "-1e131071", "1e-16383"])
def test_a_number_of_any_length_is_a_member(db: Connection, number: str) -> None:
    """As a direct writer has it: of a caller more than 64 KiB are refused."""
    call(db, "set_budget", "team", 10, "team")
    for _ in range(2):
        db.execute(
            "INSERT INTO public.cost_tracking (service_name, cost, metadata) VALUES ('svc', 1, %s::jsonb)",
            [f'{{"team": {number}}}'],
        )
    assert list(balanced(db).values()) == [2]


@pytest.mark.parametrize(
    ("one", "other"), [("7", "7.0"), ("[7]", "[7.0]"), ('"7"', "7.00"), ('{"a": 1}', '{"a": 1.0}')]
)
def test_a_batch_leaves_no_balance_that_is_not_the_sum_of_its_rows(db: Connection, one: str, other: str) -> None:
    call(db, "set_budget", "team", 10, "team")
    batch = "[{}]".format(
        ", ".join(
            f'{{"estimated_cost": 5, "service_name": "svc", "metadata": {{"team": {team}}}}}' for team in (one, other)
        )
    )
    holds = [row.reservation_id for row in rows(db, "SELECT * FROM budget.reserve_many(%s::jsonb)", batch)]
    assert sum(balanced(db).values()) == 10
    settlements = [{"reservation_id": str(hold), "actual_cost": n} for n, hold in zip((3, 4), holds, strict=True)]
    assert len(rows(db, "SELECT * FROM budget.settle_many(%s)", Jsonb(settlements))) == 2
    after = balanced(db)
    assert sorted(after.values()) in ([7], [3, 4])
    granted = 0
    while rows(db, "SELECT * FROM budget.reserve(1, 'svc', %s::jsonb)", f'{{"team": {one}}}')[0].can_proceed:
        granted += 1
    assert granted == (3 if len(after) == 1 else 7)
    balanced(db)


def test_a_request_may_be_repeated_by_a_client_that_writes_its_numbers_otherwise(db: Connection) -> None:
    call(db, "set_budget", "team", 10, "team")
    query = "SELECT * FROM budget.reserve(5, 'svc', %s::jsonb, '00000000-0000-0000-0000-000000000007')"
    assert [rows(db, query, f'{{"team": {team}}}')[0].reason for team in ("7", "7.0")] == ["granted", "replayed"]
    assert balanced(db) == {"7": 5}
