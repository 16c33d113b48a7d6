"""budget.estimate_tokens: the most that a call can cost, from its proposer's prices."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.rows import Connection, as_owner, call, fails

PRICES = '{"input_cost_per_token": 0.000003, "output_cost_per_token": 0.000015}'


def propose(connection: Connection, cost_profile: str, *, active: bool = True) -> None:
    with as_owner(connection):
        connection.execute(
            """INSERT INTO public.proposer_configs (name, model, provider, cost_profile, active)
               VALUES ('claude', 'large', 'test', %s, %s)""",
            (cost_profile, active),
        )


@pytest.mark.parametrize(
    ("tokens", "estimate"), [((0, 0), "0"), ((1000, 0), "0.003"), ((0, 1000), "0.015"), ((12_345, 678), "0.047205")]
)
def test_both_kinds_of_tokens_at_their_prices(caller: Connection, tokens: tuple[int, int], estimate: str) -> None:
    propose(caller, PRICES)
    row = call(caller, "estimate_tokens", p_proposer="claude", p_input_tokens=tokens[0], p_max_output_tokens=tokens[1])
    assert row.estimate_tokens == Decimal(estimate)


def test_is_exact_and_rounded_up(caller: Connection) -> None:
    propose(caller, '{"input_cost_per_token": 0.1234567890123, "output_cost_per_token": 1e-20}')
    assert call(caller, "estimate_tokens", "claude", 1, 0).estimate_tokens == Decimal("0.123456789013")
    assert call(caller, "estimate_tokens", "claude", 10, 0).estimate_tokens == Decimal("1.234567890123")
    assert call(caller, "estimate_tokens", "claude", 0, 1).estimate_tokens == Decimal("0.000000000001")


def test_a_price_of_zero_is_a_price(caller: Connection) -> None:
    propose(caller, '{"input_cost_per_token": 0, "output_cost_per_token": 0}')
    assert call(caller, "estimate_tokens", "claude", 1000, 1000).estimate_tokens == 0


def test_an_inactive_proposer_has_its_price(caller: Connection) -> None:
    propose(caller, PRICES, active=False)
    assert call(caller, "estimate_tokens", "claude", 1000, 0).estimate_tokens == Decimal("0.003")


@pytest.mark.parametrize("proposer", [None, "", "Claude", "unknown"])
def test_an_unknown_proposer_is_never_free(caller: Connection, proposer: str | None) -> None:
    propose(caller, PRICES)
    fails(caller, "22023", "estimate_tokens", proposer, 0, 0)


@pytest.mark.parametrize(
    "cost_profile",
    [
        "{}",
        "[]",
        '"cheap"',
        '{"input_cost_per_token": 1}',
        '{"output_cost_per_token": 1}',
        '{"input_cost_per_token": null, "output_cost_per_token": 1}',
        '{"input_cost_per_token": "0.000003", "output_cost_per_token": 1}',
        '{"input_cost_per_token": "NaN", "output_cost_per_token": 1}',
        '{"input_cost_per_token": -1, "output_cost_per_token": 1}',
        '{"input_cost_per_token": 1, "output_cost_per_token": -0.000001}',
    ],
)
def test_an_unpriced_proposer_is_never_free(caller: Connection, cost_profile: str) -> None:
    propose(caller, cost_profile)
    fails(caller, "PB005", "estimate_tokens", "claude", 0, 0)


@pytest.mark.parametrize("tokens", [(-1, 0), (0, -1), (None, 0), (0, None)])
def test_token_counts_that_are_refused(caller: Connection, tokens: tuple[int | None, int | None]) -> None:
    propose(caller, PRICES)
    fails(caller, "22023", "estimate_tokens", "claude", *tokens)


def test_an_estimate_that_is_no_amount_is_refused(caller: Connection) -> None:
    propose(caller, '{"input_cost_per_token": 1, "output_cost_per_token": 1}')
    largest = 2**63 - 1
    fails(caller, "22003", "estimate_tokens", "claude", largest, largest)
