"""A provider that answers every chat completion, and notes with whose key it was asked."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
}


class WatchfulProvider:
    """On a port of its own, on threads of its own."""

    def __init__(self) -> None:
        self.url = ""
        self.refused: set[str] = set()
        """The keys that it does not take."""
        self.repeats = False
        """Whether a refusal repeats the key."""
        self.never_answers = False
        self.closing = threading.Event()
        self._asked: list[str] = []

    def answer(self, key: str) -> tuple[int, dict[str, object]]:
        """The status and the body for a request with this key."""
        self._asked.append(key)
        if self.never_answers:
            self.closing.wait()
        if key not in self.refused:
            return 200, ANSWER
        message = f"Incorrect API key: {key}." if self.repeats else "Incorrect API key."
        status = 403 if self.repeats else 401
        return status, {"error": {"message": message, "type": "invalid_request_error", "code": "invalid_api_key"}}

    def asked_with(self) -> list[str]:
        """The keys of the requests since this was asked last."""
        asked, self._asked = self._asked, []
        return asked


@contextmanager
def watchful_provider() -> Iterator[WatchfulProvider]:
    provider = WatchfulProvider()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, said = provider.answer(self.headers["Authorization"].removeprefix("Bearer "))
            body = json.dumps(said).encode()
            with suppress(ConnectionError):  # whoever asked may be dead
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the library's own word
            """Not a word."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        provider.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield provider
        finally:
            provider.closing.set()
            server.shutdown()
            thread.join()
