"""The routing rules, each branch: what is estimated, which proposer is chosen and what the decision says of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.pgtap import results_eq, throws_ok
from tests.race import Connection
from tests.routing.orders import (
    CHEAP,
    GENERAL,
    HARD_STOP,
    PLAIN,
    REFUSED,
    STRONG,
    add_order,
    add_proposer,
    deactivate,
    decided,
    hold_of,
    route,
)
from tests.rows import configure, spend, value

CEILING = "max_complexity_ceiling_with_cost_optimization"
OVERRIDE = "hard_stop_override"
FORCED = "budget_forced_optimization"

CONFIDENCE = {CEILING: 0.95, OVERRIDE: 1.0, FORCED: 0.8}


def held(db: Connection, decision: dict[str, Any]) -> str:
    return str(value(db, "SELECT cost FROM public.cost_tracking WHERE id = %s", hold_of(decision)))


@pytest.mark.parametrize(
    ("spent", "task", "score", "estimate", "strategy", "status", "proposer", "candidates", "fallback"),
    [
        # The cheapest whose threshold reaches the score, in the three tiers of the estimate.
        ("0", PLAIN, "-1", "0.10", CEILING, "normal", CHEAP, 3, GENERAL),
        ("0", PLAIN, "0", "0.10", CEILING, "normal", CHEAP, 3, GENERAL),
        ("0", PLAIN, "0.29999", "0.10", CEILING, "normal", CHEAP, 3, GENERAL),
        ("0", PLAIN, "0.3", "1.00", CEILING, "normal", CHEAP, 3, GENERAL),
        ("0", PLAIN, "0.30001", "1.00", CEILING, "normal", GENERAL, 2, STRONG),
        ("0", PLAIN, "0.7", "1.00", CEILING, "normal", GENERAL, 2, STRONG),
        ("0", PLAIN, "0.71", "1.00", CEILING, "normal", STRONG, 1, GENERAL),
        ("0", PLAIN, "0.99999", "1.00", CEILING, "normal", STRONG, 1, GENERAL),
        ("0", PLAIN, "1", "2.50", CEILING, "normal", STRONG, 1, GENERAL),
        # Nobody reaches it: the highest threshold.
        ("0", PLAIN, "1.00001", "2.50", CEILING, "normal", STRONG, 0, GENERAL),
        ("0", PLAIN, "7", "2.50", CEILING, "normal", STRONG, 0, GENERAL),
        # A hard stop wants the strongest, whatever the score.
        ("0", HARD_STOP, "0", "2.50", OVERRIDE, "within_limits", STRONG, 1, GENERAL),
        ("0", HARD_STOP, "0.5", "2.50", OVERRIDE, "within_limits", STRONG, 1, GENERAL),
        ("0", HARD_STOP, "7", "2.50", OVERRIDE, "within_limits", STRONG, 1, GENERAL),
        # The soft cap warns.
        ("19.999999999999", PLAIN, "0.5", "1.00", CEILING, "normal", GENERAL, 2, STRONG),
        ("20", PLAIN, "0.5", "1.00", CEILING, "warning", GENERAL, 2, STRONG),
        ("20", HARD_STOP, "0.5", "2.50", OVERRIDE, "within_limits", STRONG, 1, GENERAL),
        ("49.999999999999", PLAIN, "0.5", "1.00", CEILING, "warning", GENERAL, 2, STRONG),
        ("49.999999999999", HARD_STOP, "0.5", "2.50", OVERRIDE, "within_limits", STRONG, 1, GENERAL),
        # The hard cap forces the cheapest, on a hard stop too.
        ("50", PLAIN, "0.5", "1.00", FORCED, "hard_cap_exceeded", CHEAP, 3, None),
        ("50", PLAIN, "7", "2.50", FORCED, "hard_cap_exceeded", CHEAP, 3, None),
        ("50", HARD_STOP, "0.5", "2.50", FORCED, "hard_cap_exceeded", CHEAP, 3, None),
        ("97.5", HARD_STOP, "0.5", "2.50", FORCED, "hard_cap_exceeded", CHEAP, 3, None),
        ("99.9", PLAIN, "0", "0.10", FORCED, "hard_cap_exceeded", CHEAP, 3, None),
    ],
)
def test_the_choice(
    db: Connection,
    *,
    spent: str,
    task: str,
    score: str,
    estimate: str,
    strategy: str,
    status: str,
    proposer: str,
    candidates: int,
    fallback: str | None,
) -> None:
    spend(db, spent)
    decision = decided(db, add_order(db), task, score)
    assert held(db, decision) == estimate
    assert (decision["selected_proposer"], decision["fallback_proposer"]) == (proposer, fallback)
    assert decision["confidence"] == CONFIDENCE[strategy]
    assert decision["reason"]
    metadata = decision["routing_metadata"]
    assert metadata.pop("selection_timestamp") == "2025-10-03T12:00:00.000000Z"
    assert metadata == {
        "complexity_score": float(score),
        "hard_stop_required": task == HARD_STOP,
        "daily_spend": spent,
        "budget_status": status,
        "available_proposers": [GENERAL, STRONG, CHEAP],
        "candidates_count": candidates,
        "routing_strategy": strategy,
        "budget_reservation_id": str(hold_of(decision)),
    }


@pytest.mark.parametrize(
    ("spent", "task", "score"),
    [
        ("97.500000000001", HARD_STOP, 0),
        ("99.000000000001", PLAIN, 0.5),
        ("99.900000000001", PLAIN, 0),
        ("100", PLAIN, 0),
    ],
)
def test_what_does_not_fit_below_the_limit_is_refused(db: Connection, spent: str, task: str, score: float) -> None:
    spend(db, spent)
    assert route(db, add_order(db), task, score) == REFUSED
    assert value(db, "SELECT held FROM budget.status") == 0


def test_holds_count_for_the_status_like_spend(db: Connection) -> None:
    spend(db, "18.5")
    statuses = [decided(db, add_order(db))["routing_metadata"] for _ in range(3)]
    assert [(metadata["daily_spend"], metadata["budget_status"]) for metadata in statuses] == [
        ("18.5", "normal"),
        ("19.50", "normal"),
        ("20.50", "warning"),
    ]


@pytest.mark.parametrize(
    ("limits", "statuses"),
    [
        ({"emergency_kill": 100}, ["normal", "normal", "normal"]),
        ({"emergency_kill": 100, "daily_soft_cap": 20}, ["normal", "warning", "warning"]),
        ({"emergency_kill": 100, "daily_hard_cap": 50}, ["normal", "normal", "hard_cap_exceeded"]),
        ({"emergency_kill": 100, "daily_soft_cap": 0, "daily_hard_cap": 0}, ["hard_cap_exceeded"] * 3),
    ],
)
def test_a_cap_that_is_absent_is_no_cap(db: Connection, limits: dict[str, object], statuses: list[str]) -> None:
    configure(db, limits)
    found = []
    for spent in (0, 20, 30):
        spend(db, spent)
        found.append(decided(db, add_order(db), score=0)["routing_metadata"]["budget_status"])
    assert found == statuses


@pytest.mark.parametrize(
    ("spent", "task", "score", "without", "proposer", "strategy", "status", "fallback"),
    [
        # The hard stop's own proposer is inactive: the rules of the score decide.
        (0, HARD_STOP, 0.1, [STRONG], CHEAP, CEILING, "normal", GENERAL),
        (20, HARD_STOP, 0.9, [STRONG], GENERAL, CEILING, "warning", CHEAP),
        (0, PLAIN, 0.1, [CHEAP], GENERAL, CEILING, "normal", STRONG),
        (50, PLAIN, 0.1, [CHEAP], GENERAL, FORCED, "hard_cap_exceeded", None),
        # Who is alone has nobody to stand in.
        (0, PLAIN, 0.9, [STRONG, GENERAL], CHEAP, CEILING, "normal", None),
        (0, HARD_STOP, 0.9, [CHEAP, GENERAL], STRONG, OVERRIDE, "within_limits", None),
    ],
)
def test_an_inactive_proposer_is_not_chosen(
    db: Connection,
    *,
    spent: int,
    task: str,
    score: float,
    without: list[str],
    proposer: str,
    strategy: str,
    status: str,
    fallback: str | None,
) -> None:
    deactivate(db, *without)
    spend(db, spent)
    decision = decided(db, add_order(db), task, score)
    metadata = decision["routing_metadata"]
    assert (decision["selected_proposer"], metadata["routing_strategy"]) == (proposer, strategy)
    assert (metadata["budget_status"], decision["fallback_proposer"]) == (status, fallback)
    assert not set(metadata["available_proposers"]) & set(without)


@pytest.mark.parametrize("price", [None, "0.0000001", "free", {}, [0], -1, "missing"])
@pytest.mark.parametrize("spent", [0, 50])
def test_a_proposer_without_a_price_is_nobodys_cheapest(db: Connection, spent: int, price: object) -> None:
    add_proposer(db, "unpriced", "0.9", price)
    if price == "missing":
        db.execute("UPDATE public.proposer_configs SET cost_profile = '[]' WHERE name = 'unpriced'")
    spend(db, spent)
    assert decided(db, add_order(db), score=0)["selected_proposer"] == CHEAP


def test_where_none_has_a_price_the_first_is_taken(db: Connection) -> None:
    db.execute("UPDATE public.proposer_configs SET cost_profile = '{}'")
    assert decided(db, add_order(db), score=0)["selected_proposer"] == GENERAL
    assert decided(db, add_order(db), score=0.9)["selected_proposer"] == STRONG


def test_a_free_proposer_is_the_cheapest(db: Connection) -> None:
    add_proposer(db, "local", "0.3", 0)
    assert decided(db, add_order(db), score=0)["selected_proposer"] == "local"


@pytest.mark.parametrize(
    ("spent", "score", "expected"),
    [(0, 0, CHEAP), (50, 0, CHEAP), (0, 0.9, STRONG), (0, 7, STRONG)],
)
def test_among_equals_the_first_that_was_added_is_taken(
    db: Connection, spent: int, score: float, expected: str
) -> None:
    add_proposer(db, "a-twin-of-the-cheap", "0.30", 0.00000015)
    add_proposer(db, "a-twin-of-the-strong", "1.00", 0.000003)
    spend(db, spent)
    assert decided(db, add_order(db), score=score)["selected_proposer"] == expected


def test_of_the_highest_thresholds_the_cheapest_is_taken(db: Connection) -> None:
    add_proposer(db, "strong-and-cheaper", "1.00", 0.000001)
    assert decided(db, add_order(db), score=7)["selected_proposer"] == "strong-and-cheaper"


SECURITY = [
    "sql injection",
    "xss",
    "csrf",
    "authentication",
    "authorization",
    "encryption",
    "password hashing",
    "api keys",
    "secrets management",
    "access control",
    "input validation",
    "sanitization",
]
ARCHITECTURE = [
    "api contract",
    "schema change",
    "breaking change",
    "database migration",
    "event schema",
    "integration contract",
    "system design",
    "architectural decision",
]


@pytest.mark.parametrize("word", SECURITY + ARCHITECTURE)
def test_each_word_of_security_and_architecture_is_a_hard_stop(db: Connection, word: str) -> None:
    for text in (word, word.upper(), word.title(), f"Please see to the{word}s: soon"):
        results_eq(db, "SELECT budget.detect_hard_stop(%s)", [(True,)], [text])


@pytest.mark.parametrize("text", ["", PLAIN, "sql  injection", "api\ncontract", "hash the passwords", "migration"])
def test_other_words_are_no_hard_stop(db: Connection, text: str) -> None:
    results_eq(db, "SELECT budget.detect_hard_stop(%s)", [(False,)], [text])


def test_upper_case_is_understood_in_every_language_of_the_server(db: Connection) -> None:
    """Turkish has another I, where the server knows it: Debian's does, that of the wheel does not."""
    collations = db.execute("SELECT DISTINCT collname FROM pg_collation WHERE collname ~ '^(C|POSIX|tr([-_].*)?)$'")
    for (collation,) in collations.fetchall():
        query = f'SELECT budget.detect_hard_stop(%s COLLATE "{collation}")'
        results_eq(db, query, [(True,)], ["AUTHENTICATION"])


@pytest.mark.parametrize(
    ("proposer", "attempt", "expected"),
    [
        (CHEAP, 1, ("retry_same", CHEAP)),
        (CHEAP, 2, ("retry_stronger", GENERAL)),
        (GENERAL, 2, ("retry_stronger", STRONG)),
        (STRONG, 1, ("retry_same", STRONG)),
        (STRONG, 2, ("escalate", None)),
        (CHEAP, 3, ("escalate", None)),
        (CHEAP, 99, ("escalate", None)),
    ],
)
def test_a_retry_keeps_the_proposer_then_takes_a_stronger_then_asks_a_human(
    db: Connection, proposer: str, attempt: int, expected: tuple[str, str | None]
) -> None:
    action, next_proposer = expected
    assert value(db, "SELECT budget.retry_strategy(%s, %s, 'timeout')", proposer, attempt) == {
        "should_retry": action != "escalate",
        "action": action,
        "proposer": next_proposer,
        "attempt": attempt + 1,
        "max_attempts": 3,
        "failure_reason": "timeout",
    }


def test_a_retry_passes_over_inactive_proposers_and_prefers_the_cheaper_of_equals(db: Connection) -> None:
    add_proposer(db, "general-and-cheaper", "0.70", 0.000001)
    strategy = "SELECT budget.retry_strategy(%s, 2, NULL) ->> 'proposer'"
    assert value(db, strategy, CHEAP) == "general-and-cheaper"
    deactivate(db, GENERAL, "general-and-cheaper")
    assert value(db, strategy, CHEAP) == STRONG
    deactivate(db, STRONG)
    assert value(db, strategy, CHEAP) is None


@pytest.mark.parametrize(("proposer", "attempt"), [(None, 1), ("nobody", 1), (CHEAP, None), (CHEAP, 0), (CHEAP, -1)])
def test_a_retry_of_nothing_is_an_error(db: Connection, proposer: str | None, attempt: int | None) -> None:
    error = throws_ok(db, "SELECT budget.retry_strategy(%s, %s, 'x')", [proposer, attempt], "22023")
    assert error.diag.message_detail
    assert error.diag.message_hint


def test_the_estimate_is_what_estimate_says(db: Connection) -> None:
    """The tiers stand in one place."""
    for task, score in [(PLAIN, 0), (PLAIN, 0.5), (PLAIN, 2), (HARD_STOP, 0)]:
        estimate = value(db, "SELECT budget.estimate(%s::numeric, budget.detect_hard_stop(%s))", score, task)
        assert Decimal(held(db, decided(db, add_order(db), task, score))) == estimate
