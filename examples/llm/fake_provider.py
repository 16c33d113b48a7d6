"""A provider on this machine that answers like OpenAI's or Anthropic's, and fails when its prompt asks it to."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WORDS = ["A", " token", " for", " you", "."] * 40
INPUT_TOKENS = 12
PATIENCE_SECONDS = 30.0


class Provider(BaseHTTPRequestHandler):
    """One request, answered by its path, and by the first word of its prompt."""

    finished: threading.Event

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        wish = body["messages"][0]["content"].split()[0]
        if wish == "reject":
            self._answer(400, "application/json", [{"error": {"type": "invalid_request_error"}}])
        elif wish == "hang":
            self.finished.wait(PATIENCE_SECONDS)
        elif wish != "drop":
            openai = self.path.endswith("/chat/completions")
            events = (_openai if openai else _anthropic)(body["model"], bool(body.get("stream")))
            kind = "text/event-stream" if body.get("stream") else "application/json"
            self._answer(200, kind, events[: len(events) // 2] if wish == "break" else events)

    def _answer(self, status: int, kind: str, events: list[dict[str, Any]]) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.end_headers()
        frame = b"data: %s\n\n" if kind == "text/event-stream" else b"%s"
        try:
            for event in events:
                self.wfile.write(frame % json.dumps(event).encode())
        except ConnectionError:
            pass  # the caller has cut it off

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _openai(model: str, stream: bool) -> list[dict[str, Any]]:
    usage = {"prompt_tokens": INPUT_TOKENS, "completion_tokens": len(WORDS)}
    if not stream:
        message = {"role": "assistant", "content": "".join(WORDS)}
        return [{"model": model, "choices": [{"index": 0, "message": message}], "usage": usage}]
    deltas = [{"model": model, "choices": [{"index": 0, "delta": {"content": word}}], "usage": None} for word in WORDS]
    return [*deltas, {"model": model, "choices": [], "usage": usage}]


def _anthropic(model: str, stream: bool) -> list[dict[str, Any]]:
    usage = {"input_tokens": INPUT_TOKENS, "output_tokens": len(WORDS)}
    if not stream:
        return [{"model": model, "content": [{"type": "text", "text": "".join(WORDS)}], "usage": usage}]
    at_first = {"input_tokens": INPUT_TOKENS, "output_tokens": 1}
    return [
        {"type": "message_start", "message": {"model": model, "usage": at_first}},
        *({"type": "content_block_delta", "delta": {"type": "text_delta", "text": word}} for word in WORDS),
        {"type": "message_delta", "usage": {"output_tokens": len(WORDS)}},
        {"type": "message_stop"},
    ]


@contextmanager
def provider() -> Iterator[str]:
    """Serve on a free port of this machine; yields the URL."""
    Provider.finished = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            Provider.finished.set()
            server.shutdown()
            thread.join()
