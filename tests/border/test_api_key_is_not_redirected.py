"""The example of a guarded call to a provider: an answer that redirects it gets neither a second call nor the key."""

from __future__ import annotations

import importlib
import threading
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgbudget import Budget
from tests.rows import one

pytestmark = pytest.mark.proof

LLM = Path(__file__).parents[2] / "examples" / "llm"


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.02])  # how often it looks whether it is to end
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("style", ["openai", "anthropic"])
def test_a_redirect_to_another_host(
    db: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, status: int, style: str
) -> None:
    heard: list[dict[str, str]] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(dict(self.headers))
            self.send_error(404)

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None:
            pass

    class Provider(Elsewhere):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("location", elsewhere + self.path)
            self.end_headers()

    monkeypatch.syspath_prepend(str(LLM))
    monkeypatch.setenv(f"{style.upper()}_API_KEY", "secret")
    site = importlib.import_module(f"{style}_style")
    db.execute(
        """INSERT INTO public.proposer_configs (name, model, provider, cost_profile)
           VALUES (%s, '', '', '{"input_cost_per_token": 0.00001, "output_cost_per_token": 0.00001}')""",
        [site.MODEL],
    )
    with serving(Elsewhere) as elsewhere, serving(Provider) as provider:
        monkeypatch.setattr(site, "BASE_URL", provider)
        with pytest.raises(urllib.error.HTTPError) as caught:
            site.complete(Budget(db), "say something")
        assert caught.value.code == status
    assert heard == []
    assert one(db, "SELECT metadata ->> 'type' AS type FROM public.cost_tracking").type == "cancelled"
