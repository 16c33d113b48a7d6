"""Guard one call with the driver: DATABASE_URL=postgresql://app@host/db python examples/python/driver.py."""

import os
from decimal import Decimal

from pgbudget import Budget, Refused


def call_the_model(prompt: str) -> tuple[str, Decimal]:
    """Stand in for the call: what it answered, and what it cost."""
    return f"Summary of {prompt}", Decimal("1.87")


with Budget(os.environ["DATABASE_URL"]) as budget:
    try:
        with budget.hold(Decimal("2.50"), "summaries", {"user": "ada"}) as hold:
            answer, cost = call_the_model("a long text")
            hold.settle(cost)
        print(answer)
    except Refused as refused:
        print(f"no budget: {refused.verdict.reason}, try again at {refused.verdict.retry_at}")
    print("spent today:", budget.check(0, "summaries").current_total)
