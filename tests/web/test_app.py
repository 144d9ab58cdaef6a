"""The ASGI entry: who answers which path, and its life."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import pytest

from arouter.domain.errors import StorageUnavailable
from arouter.web.app import App, Handlers, aliases
from arouter.web.asgi import Message, Receive, Scope, Send
from arouter.web.inference.body import Body
from arouter.web.inference.head import Head
from arouter.web.inference.reply import HttpReply

INFERENCE = "/v1/chat/completions"


@dataclass(frozen=True)
class Handler:
    """Notes that it was asked, and for what."""

    name: str
    asked: list[tuple[str, str]]
    methods: frozenset[str] = frozenset({"POST"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append((self.name, scope["path"]))

    def begin(self, head: Head, body: bytes, reply: HttpReply) -> bool:
        return False

    async def answer(self, head: Head, body: bytes | Body, reply: HttpReply) -> None:
        raise AssertionError("nothing came this way")


class Stage:
    """An application whose handlers note who was asked for what."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.asked: list[tuple[str, str]] = []
        self.life: list[str] = []
        self.sent: list[Message] = []
        self._failure = failure
        self.app = App(start=self._start, stop=self._stop)

    async def _start(self) -> Handlers:
        if self._failure is not None:
            raise self._failure
        self.life.append("started")
        passing = Handler("passing", self.asked, frozenset({"GET", "POST"}))
        pattern = Handler("pattern", self.asked)
        return Handlers(
            inference={INFERENCE: Handler("inference", self.asked)},
            patterns=(
                (lambda path: path.startswith("/openai/"), passing),
                (lambda path: path.endswith(":generate"), pattern),
            ),
            api=Handler("api", self.asked),
        )

    async def _stop(self) -> None:
        self.life.append("stopped")

    def live(self, *messages: str) -> list[str]:
        told = iter([{"type": f"lifespan.{message}"} for message in messages])

        async def receive() -> Message:
            return dict(next(told))

        self.sent = []
        asyncio.run(self.app({"type": "lifespan"}, receive, self._send))
        return [message["type"].removeprefix("lifespan.") for message in self.sent]

    def ask(self, method: str, path: str, kind: str = "http") -> Sequence[Message]:
        async def receive() -> Message:
            raise AssertionError("nothing to read")

        self.sent = []
        asyncio.run(self.app({"type": kind, "method": method, "path": path}, receive, self._send))
        return self.sent

    async def _send(self, message: Message) -> None:
        self.sent.append(message)


@pytest.fixture
def stage() -> Stage:
    made = Stage()
    assert made.live("startup", "shutdown") == ["startup.complete", "shutdown.complete"]
    assert made.life == ["started", "stopped"]
    return made


def test_a_path_is_served_with_and_without_its_version_and_under_api() -> None:
    assert aliases(INFERENCE) == (INFERENCE, "/chat/completions", "/api/v1/chat/completions", "/api/chat/completions")


@pytest.mark.parametrize("path", aliases(INFERENCE))
def test_inference_goes_straight_to_its_handler(stage: Stage, path: str) -> None:
    stage.ask("POST", path)
    assert stage.asked == [("inference", path)]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_inference_takes_post_only(stage: Stage, method: str) -> None:
    start, body = stage.ask(method, INFERENCE)
    headers = dict(start["headers"])
    assert (start["status"], headers[b"allow"]) == (405, b"POST")
    assert headers[b"content-length"] == b"%d" % len(body["body"])
    error = msgspec.json.decode(body["body"])["error"]
    assert (error["code"], error["type"]) == ("method_not_allowed", "invalid_request_error")
    assert stage.asked == []


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/v1/models", "/v1/models"),
        ("/models", "/v1/models"),
        ("/api/v1/models", "/api/v1/models"),
        ("/activity/summary", "/v1/activity/summary"),
        ("/v1/chat/completions/", "/v1/chat/completions/"),
        *((own, own) for own in ("/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/v1beta/models")),
    ],
)
def test_everything_else_goes_to_the_api_with_its_version(stage: Stage, path: str, meant: str) -> None:
    stage.ask("GET", path)
    assert stage.asked == [("api", meant)]


def test_a_start_that_fails_says_why() -> None:
    stage = Stage(StorageUnavailable("The disk is full."))
    assert stage.live("startup") == ["startup.failed"]
    assert stage.sent[0]["message"] == "The disk is full."


def test_nobody_answers_before_the_start() -> None:
    with pytest.raises(RuntimeError, match="has not started"):
        Stage().ask("GET", "/healthz")


def test_a_websocket_gets_no_word(stage: Stage) -> None:
    assert list(stage.ask("GET", "/v1/realtime", "websocket")) == []
    assert stage.asked == []


@pytest.mark.parametrize(("method", "taken"), [("GET", True), ("POST", True), ("DELETE", False)])
def test_a_pattern_takes_its_own_methods(stage: Stage, method: str, taken: bool) -> None:
    stage.ask(method, "/openai/v1/files")
    assert stage.asked == [("passing", "/openai/v1/files") if taken else ("api", "/v1/openai/v1/files")]


def test_a_pattern_takes_posts_to_paths_that_it_matches(stage: Stage) -> None:
    stage.ask("POST", "/v1/models/a/b:generate")
    stage.ask("GET", "/v1/models/a/b:generate")
    stage.ask("POST", "/v1/models/a/b")
    assert stage.asked == [
        ("pattern", "/v1/models/a/b:generate"),
        ("api", "/v1/models/a/b:generate"),
        ("api", "/v1/models/a/b"),
    ]
