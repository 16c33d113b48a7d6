"""Calls of Anthropic's messages that cannot pass the budget."""

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

from guarded_http import post, server_sent_events, tokens_of, tokens_of_prompt
from pgbudget import Budget, Hold

BASE_URL = os.environ.get("ANTHROPIC_BASE_URL", "https://api.anthropic.com")
MODEL = "claude-sonnet-4-5"  # a name of proposer_configs, where its prices are
MAX_OUTPUT_TOKENS = 2000
STEP_TOKENS = 500  # a stream holds money for so many at a time


def complete(budget: Budget, prompt: str) -> str:
    """Hold what the call can cost at most, make it, and settle what its usage says."""
    ceiling = budget.estimate_tokens(MODEL, tokens_of_prompt(prompt), MAX_OUTPUT_TOKENS)
    with budget.hold(ceiling, "anthropic", on_error="keep") as hold, _post(hold, prompt) as response:
        answer = json.load(response)
        hold.settle(_cost(budget, answer["usage"]), {"model": answer["model"]})
    return "".join(block["text"] for block in answer["content"] if block["type"] == "text")


def stream(budget: Budget, prompt: str) -> Iterator[str]:
    """Yield the answer as it comes, and hold more money as it grows. Where there is no more of it, it is cut off."""
    prompt_tokens, held_tokens, received_tokens = tokens_of_prompt(prompt), STEP_TOKENS, 0
    estimate = budget.estimate_tokens(MODEL, prompt_tokens, held_tokens)
    usage: dict[str, int] = {}
    with (
        budget.hold(estimate, "anthropic", ttl=timedelta(minutes=5), on_error="keep") as hold,
        _post(hold, prompt, stream=True) as response,
    ):
        for event in server_sent_events(response):
            match event["type"]:
                case "message_start":
                    usage |= event["message"]["usage"]
                case "message_delta":
                    usage |= event["usage"]  # the output so far, in all
                case "message_stop":
                    hold.settle(_cost(budget, usage))
                    return
                case "error":
                    raise ConnectionError(event["error"]["type"])
                case "content_block_delta":
                    text = event["delta"].get("text", "")
                    received_tokens += tokens_of(text)
                    while held_tokens < received_tokens + STEP_TOKENS // 2:  # ahead of the stream
                        held_tokens += STEP_TOKENS
                        if not hold.extend(budget.estimate_tokens(MODEL, prompt_tokens, held_tokens)):
                            hold.settle(hold.estimate, {"cut_off": True})
                            return
                    yield text
        raise ConnectionError("the stream ended without message_stop")


def _post(hold: Hold, prompt: str, **options: Any) -> Any:
    headers = {"x-api-key": os.environ.get("ANTHROPIC_API_KEY", ""), "anthropic-version": "2023-06-01"}
    messages = [{"role": "user", "content": prompt}]
    body = {"model": MODEL, "max_tokens": MAX_OUTPUT_TOKENS, "messages": messages, **options}
    return post(hold, f"{BASE_URL}/v1/messages", headers, body)


def _cost(budget: Budget, usage: dict[str, int]) -> Decimal:
    # Whoever caches prompts adds cache_creation_input_tokens and cache_read_input_tokens, at their own prices.
    return budget.estimate_tokens(MODEL, usage["input_tokens"], usage["output_tokens"])
