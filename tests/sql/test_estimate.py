"""budget.estimate: the hand-over's three tiers."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.rows import Connection, call, fails

COMPLEX, MEDIUM, SIMPLE = Decimal("2.50"), Decimal("1.00"), Decimal("0.10")


@pytest.mark.parametrize(
    ("score", "hard_stop", "tier"),
    [
        ("0", False, SIMPLE),
        ("-1", False, SIMPLE),
        ("0.2999999999", False, SIMPLE),
        ("0.3", False, MEDIUM),
        ("0.5", False, MEDIUM),
        ("0.9999999999", False, MEDIUM),
        ("1.0", False, COMPLEX),
        ("7", False, COMPLEX),
        ("0", True, COMPLEX),
        ("0.5", True, COMPLEX),
        ("1", True, COMPLEX),
    ],
)
def test_tiers(caller: Connection, score: str, hard_stop: bool, tier: Decimal) -> None:
    row = call(caller, "estimate", p_complexity_score=Decimal(score), p_hard_stop_required=hard_stop)
    assert row.estimate == tier


@pytest.mark.parametrize(
    ("score", "hard_stop"),
    [(None, False), (None, True), ("NaN", False), ("Infinity", False), ("-Infinity", True), ("0.5", None)],
)
def test_no_score_is_no_estimate(caller: Connection, score: str | None, hard_stop: bool | None) -> None:
    fails(caller, "22023", "estimate", Decimal(score) if score else None, hard_stop)
