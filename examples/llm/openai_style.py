"""Calls of OpenAI's chat completions, or of whatever speaks like them, that cannot pass the budget."""

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

from guarded_http import post, server_sent_events, tokens_of, tokens_of_prompt
from pgbudget import Budget, Hold

BASE_URL = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
MODEL = "gpt-4o-mini"  # a name of proposer_configs, where its prices are
MAX_OUTPUT_TOKENS = 2000
STEP_TOKENS = 500  # a stream holds money for so many at a time


def complete(budget: Budget, prompt: str) -> str:
    """Hold what the call can cost at most, make it, and settle what its usage says."""
    ceiling = budget.estimate_tokens(MODEL, tokens_of_prompt(prompt), MAX_OUTPUT_TOKENS)
    with budget.hold(ceiling, "openai", on_error="keep") as hold, _post(hold, prompt) as response:
        answer = json.load(response)
        hold.settle(_cost(budget, answer["usage"]), {"model": answer["model"]})
    return str(answer["choices"][0]["message"]["content"])


def stream(budget: Budget, prompt: str) -> Iterator[str]:
    """Yield the answer as it comes, and hold more money as it grows. Where there is no more of it, it is cut off."""
    prompt_tokens, held_tokens, received_tokens = tokens_of_prompt(prompt), STEP_TOKENS, 0
    estimate = budget.estimate_tokens(MODEL, prompt_tokens, held_tokens)
    options = {"stream": True, "stream_options": {"include_usage": True}}
    with (
        budget.hold(estimate, "openai", ttl=timedelta(minutes=5), on_error="keep") as hold,
        _post(hold, prompt, **options) as response,
    ):
        for event in server_sent_events(response):
            if event.get("usage"):  # the last event
                hold.settle(_cost(budget, event["usage"]))
                return
            text = event["choices"][0]["delta"].get("content") or ""
            received_tokens += tokens_of(text)
            while held_tokens < received_tokens + STEP_TOKENS // 2:  # ahead of the stream
                held_tokens += STEP_TOKENS
                if not hold.extend(budget.estimate_tokens(MODEL, prompt_tokens, held_tokens)):
                    hold.settle(hold.estimate, {"cut_off": True})
                    return
            yield text
        raise ConnectionError("the stream ended without its usage")


def _post(hold: Hold, prompt: str, **options: Any) -> Any:
    headers = {"authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', '')}"}
    messages = [{"role": "user", "content": prompt}]
    body = {"model": MODEL, "messages": messages, "max_completion_tokens": MAX_OUTPUT_TOKENS, **options}
    return post(hold, f"{BASE_URL}/chat/completions", headers, body)


def _cost(budget: Budget, usage: dict[str, int]) -> Decimal:
    return budget.estimate_tokens(MODEL, usage["prompt_tokens"], usage["completion_tokens"])
