"""What the call sites share: one POST, told apart by what its failure cost. Standard library alone."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any

from pgbudget import Hold

TIMEOUT_SECONDS = 60.0


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follow no redirect: urllib would send the key along, to whatever host the answer names."""

    def redirect_request(self, *_: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_Stay)


def tokens_of(text: str) -> int:
    """How many tokens a text has at most: each is a byte or more. A tokenizer of the provider comes closer."""
    return len(text.encode())


def tokens_of_prompt(prompt: str) -> int:
    """The same of a message, with what the provider frames it in."""
    return tokens_of(prompt) + 32


def post(hold: Hold, url: str, headers: dict[str, str], body: dict[str, Any]) -> HTTPResponse:
    """POST inside a hold with on_error="keep", and cancel it where the provider certainly bills nothing.

    All else that goes wrong, a timeout, a dropped connection, an error of the server, leaves open whether the model
    has worked. It is left to the hold, which keeps the estimate as spent.
    """
    headers = {"content-type": "application/json", **headers}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        response: HTTPResponse = _OPENER.open(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code < 500:
            hold.cancel(f"HTTP {error.code}")
        raise
    except urllib.error.URLError as error:
        if isinstance(error.reason, ConnectionRefusedError):
            hold.cancel("connection refused")
        raise
    return response


def server_sent_events(response: HTTPResponse) -> Iterator[dict[str, Any]]:
    """Yield the JSON of a stream's events, leaving out what is not JSON, as OpenAI's closing mark."""
    for line in response:
        if line.startswith(b"data: {"):
            yield json.loads(line.removeprefix(b"data: "))
