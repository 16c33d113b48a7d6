"""Every way in which a call can end, against a fake provider, and what the ledger is told of it.

DATABASE_URL=postgresql://app@host/db python examples/llm/try_it.py openai    (or anthropic)

At the end it fills the day, to run out of money: give it a database that nobody else uses.
"""

import importlib
import os
import sys
from collections import deque
from decimal import Decimal
from typing import Any

import guarded_http
from fake_provider import provider
from pgbudget import Budget
from pgbudget.results import Event, Outcome, Verdict

NOBODY_LISTENS = "http://127.0.0.1:9"
ENDINGS = {
    "answered": "say",
    "rejected": "reject",
    "timed out": "hang",
    "connection dropped": "drop",
    "connection refused": "say",
}
STREAMS = {"streamed": "say", "stream broken off": "break", "stream out of money": "say"}


def tell(event: Event) -> None:
    """Print what a call of the driver has done to the ledger."""
    match event.result:
        case Verdict():
            print("   ", event.function, event.result.reason)
        case Outcome():
            print("   ", event.function, event.result.status, event.result.actual_cost)


def fill_the_day(budget: Budget, room: Decimal) -> None:
    """Leave no more room than this."""
    budget.record((budget.check(0, "others").remaining or 0) - room, "others")


def show(site: Any, url: str, budget: Budget) -> None:
    """Let calls of one style end in every way."""
    for ending, word in (ENDINGS | STREAMS).items():
        print(ending)
        site.BASE_URL = NOBODY_LISTENS if ending == "connection refused" else url
        guarded_http.TIMEOUT_SECONDS = 0.5 if ending == "timed out" else 60
        if ending == "stream out of money":
            fill_the_day(budget, budget.estimate_tokens(site.MODEL, 100, site.STEP_TOKENS))
        prompt = f"{word} something"
        try:
            if ending in STREAMS:
                deque(site.stream(budget, prompt), maxlen=0)
            else:
                site.complete(budget, prompt)
        except OSError as error:
            print("   ", type(error).__name__)


if __name__ == "__main__":
    style = importlib.import_module(f"{sys.argv[1]}_style")
    with provider() as url, Budget(os.environ["DATABASE_URL"], on_event=tell) as budget:
        show(style, url, budget)
