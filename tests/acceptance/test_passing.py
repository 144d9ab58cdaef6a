"""The providers' own paths, with their own SDKs and with none: what goes on, what does not, and what is refused."""

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import anthropic
import openai
import pytest
from google import genai

from arouter.sandbox.server import Sandbox
from tests.acceptance.client import Client
from tests.acceptance.gateway import Gateway, running_gateway
from tests.acceptance.replay import Replay, running_replay
from tests.acceptance.test_openai_endpoints import FILES, FORM, SOUND, only_record, part, told

SAYS = "Hello from the sandbox."
CHAT = {"model": "gpt-5.4", "messages": [{"role": "user", "content": "Hello!"}]}


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    with running_replay() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(vendors: Sandbox, replay: Replay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Three vendors that the sandbox plays, and a provider of the operator's own that says what a test wrote down."""
    providers = {
        "openai": {"api_key": "key-of-openai", "base_url": vendors.url + "/v1"},
        "anthropic": {"api_key": "key-of-anthropic", "base_url": vendors.url},
        "google": {"api_key": "key-of-google", "base_url": vendors.url},
        "replayed": {"dialect": "openai", "base_url": f"{replay.url}/api/v1", "api_key": "key-of-replayed"},
    }
    with running_gateway(tmp_path_factory.mktemp("passing"), providers, pass_through="all") as started:
        yield started


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[Client]:
    with gateway.client() as connected:
        yield connected


def as_user(user: str) -> dict[str, str]:
    return {"X-ARouter-User": user}


# ---------------------------------------------------------------- with the SDKs


def test_openai_sdk(gateway: Gateway, client: Client) -> None:
    with openai.OpenAI(base_url=f"{gateway.url}/openai/v1", api_key=gateway.live, max_retries=0) as sdk:
        answer = sdk.chat.completions.create(
            model="gpt-5.4", messages=[{"role": "user", "content": "Hi"}], extra_headers=as_user("openai sdk")
        )
        assert (answer.choices[0].message.content or "").startswith(SAYS)
        assert answer.usage is not None
        assert "cost" not in (answer.usage.model_extra or {})
        stream = sdk.chat.completions.create(
            model="gpt-5.4",
            messages=[{"role": "user", "content": "Hi"}],
            stream=True,
            stream_options={"include_usage": True},
            extra_headers=as_user("openai sdk stream"),
        )
        chunks = list(stream)
        assert chunks[-1].usage == answer.usage
        assert [model.id for model in sdk.models.list()]
        speech = sdk.audio.speech.create(model="tts-1", input="one", voice="alloy", extra_headers=as_user("sound"))
        assert speech.read()
        text = sdk.audio.transcriptions.create(model="whisper-1", file=SOUND, extra_headers=as_user("heard"))
        assert text.text.startswith(SAYS)
    for user in ("openai sdk", "openai sdk stream"):
        assert told(client, user, "endpoint", "model", "completion_tokens", "finish_reason", "status") == (
            "/openai/v1/chat/completions",
            "openai/gpt-5.4",
            16,
            "stop",
            "success",
        )
    assert only_record(client, "openai sdk")["cost"] == only_record(client, "openai sdk stream")["cost"] != b"null"
    assert told(client, "heard", "endpoint", "model", "cost") == (
        "/openai/v1/audio/transcriptions",
        "openai/whisper-1",
        "0.0003",
    )
    assert told(client, "sound", "endpoint", "model", "cost", "usage_source") == (
        "/openai/v1/audio/speech",
        "openai/tts-1",
        None,
        "none",
    )


@pytest.mark.parametrize("stream", [False, True])
def test_anthropic_sdk(gateway: Gateway, client: Client, stream: bool) -> None:
    user = f"anthropic {stream}"
    with anthropic.Anthropic(base_url=f"{gateway.url}/anthropic", api_key=gateway.live, max_retries=0) as sdk:
        asked: Any = {
            "model": "claude-sonnet-4-6",
            "max_tokens": 100,
            "messages": [{"role": "user", "content": "Hi"}],
            "extra_headers": as_user(user),
        }
        if stream:
            with sdk.messages.stream(**asked) as events:
                assert events.get_final_text().startswith(SAYS)
        else:
            assert sdk.messages.create(**asked).content[0].text.startswith(SAYS)
    assert told(client, user, "endpoint", "model", "completion_tokens", "finish_reason", "streamed") == (
        "/anthropic/v1/messages",
        "anthropic/claude-sonnet-4-6",
        16,
        "end_turn",
        stream,
    )
    assert only_record(client, user)["cost"] != b"null"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ["google", "gemini"])
def test_gemini_sdk(gateway: Gateway, client: Client, name: str, stream: bool) -> None:
    user = f"{name} {stream}"
    options: Any = {"base_url": f"{gateway.url}/{name}", "headers": as_user(user)}
    sdk = genai.Client(api_key=gateway.live, http_options=options)
    if stream:
        pieces = sdk.models.generate_content_stream(model="gemini-2.5-flash", contents="Hi")
        assert "".join(piece.text or "" for piece in pieces).startswith(SAYS)
    else:
        assert (sdk.models.generate_content(model="gemini-2.5-flash", contents="Hi").text or "").startswith(SAYS)
    sdk.close()
    verb = "streamGenerateContent" if stream else "generateContent"
    assert told(client, user, "endpoint", "provider", "model", "completion_tokens") == (
        f"/{name}/v1beta/models/{{model}}:{verb}",
        "google",
        "google/gemini-2.5-flash",
        16,
    )


def test_a_stream_of_gemini_as_one_array(client: Client) -> None:
    asked = {"contents": [{"parts": [{"text": "Hi"}]}]}
    answer = client.post("/google/v1beta/models/gemini-2.5-flash:streamGenerateContent", asked, as_user("array"))
    assert isinstance(answer.json, list)
    assert told(client, "array", "completion_tokens", "usage_source") == (16, "provider")


# ---------------------------------------------------------------- what goes on


def test_our_key_and_the_clients_own_marks_stay_here(gateway: Gateway, client: Client, vendors: Sandbox) -> None:
    body = json.dumps(CHAT, indent=3).encode()
    with Client(gateway.url, None) as anybody:
        answer = anybody.ask(
            "POST",
            f"/openai/v1/chat/completions?a=1&key={gateway.live}&b=%20&%6bey=x",
            body,
            {
                "Content-Type": "application/json; charset=utf-8",
                "Cookie": "session=1",
                "X-Forwarded-For": "192.0.2.1",
                "Referer": "https://example.com",
                "User-Agent": "browser",
                "X-Stainless-OS": "Linux",
                "OpenAI-Organization": "org-1",
                "OpenAI-Beta": "assistants=v2",
                "Idempotency-Key": "once",
                **as_user("who asks"),
            },
        )
    assert answer.status == 200
    received = vendors.requests[-1]
    assert received.body == body
    assert received.target == "/v1/chat/completions?a=1&b=%20"
    headers = dict(received.headers)
    assert headers.pop("user-agent").startswith("arouter/")
    assert headers.pop("host")
    assert headers == {
        "authorization": "Bearer key-of-openai",
        "content-type": "application/json; charset=utf-8",
        "content-length": str(len(body)),
        "openai-beta": "assistants=v2",
        "idempotency-key": "once",
    }


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH", "POST"])
def test_any_method(client: Client, vendors: Sandbox, method: str) -> None:
    user = f"method {method}"
    body = b'{"purpose": 1}' if method in ("PUT", "PATCH", "POST") else None
    answer = client.ask(method, "/openai/v1/files/file%2F1?limit=2", body, as_user(user))
    received = vendors.requests[-1]
    assert (received.method, received.target) == (method, "/v1/files/file%2F1?limit=2")
    assert received.body == (body or b"")
    assert answer.status == 404  # the sandbox keeps no files, and says so itself
    assert answer.json["error"]["message"].startswith("Unknown request URL")
    assert told(client, user, "endpoint", "model", "provider", "status", "http_status", "error_code", "cost") == (
        "/openai/*",
        None,
        "openai",
        "upstream_error",
        404,
        "upstream_error",
        None,
    )


# ---------------------------------------------------------------- what comes back


def says(replay: Replay, head: str, body: bytes = b"") -> None:
    """What the operator's own provider answers next."""
    replay.received = None
    replay.answer = f"HTTP/1.1 {head}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    replay.pieces = ()


def test_looking_at_an_answer_again_costs_nothing(client: Client, replay: Replay) -> None:
    again = b'{"id":"resp_1","object":"response","model":"gpt-5.4","usage":{"input_tokens":5,"output_tokens":5}}'
    says(replay, "200 OK\r\ncontent-type: application/json", again)
    answer = client.ask("GET", "/replayed/v1/responses/resp_1", None, as_user("again"))
    assert answer.body == again
    assert replay.received is not None
    assert replay.received.target == "/api/v1/responses/resp_1"
    assert told(client, "again", "total_tokens", "cost", "usage_source") == (None, None, "none")


@pytest.mark.parametrize("path", ["/api/v1/files", "/v1/files", "/files"])
def test_the_end_of_the_base_url_may_be_left_out(client: Client, replay: Replay, path: str) -> None:
    says(replay, "200 OK\r\ncontent-type: application/json", b"{}")
    assert client.ask("GET", f"/replayed{path}").body == b"{}"
    assert replay.received is not None
    assert replay.received.target == "/api/v1/files"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_only_safe_header_fields_come_back(client: Client, replay: Replay, method: str) -> None:
    head = "206 Partial Content\r\ncontent-type: audio/mpeg\r\netag: x\r\nset-cookie: a=b\r\nserver: theirs\r\n"
    says(replay, f"{head}openai-organization: org-1\r\nx-ratelimit-limit-requests: 5\r\nretry-after: 3", b"\0\r\n\0")
    answer = client.ask(method, "/replayed/v1/files/1/content", b"" if method == "POST" else None, as_user(method))
    assert (answer.status, answer.body) == (206, b"\0\r\n\0")
    assert (answer.headers["content-type"], answer.headers["etag"], answer.headers["retry-after"]) == (
        "audio/mpeg",
        "x",
        "3",
    )
    assert not {"set-cookie", "openai-organization", "x-ratelimit-limit-requests"} & answer.headers.keys()
    assert answer.headers.get("server") != "theirs"
    assert told(client, method, "status", "http_status") == ("success", 206)


@pytest.mark.parametrize("method", ["DELETE", "POST"])
def test_an_answer_without_a_body(client: Client, replay: Replay, method: str) -> None:
    replay.answer = b"HTTP/1.1 204 No Content\r\n\r\n"
    for _ in range(2):
        answer = client.ask(method, "/replayed/v1/files/1", b"" if method == "POST" else None)
        assert (answer.status, answer.body) == (204, b"")
        assert not {"transfer-encoding", "content-length"} & answer.headers.keys()


def test_what_a_provider_says_of_our_credentials_stays_here(client: Client, replay: Replay) -> None:
    says(
        replay, "401 Unauthorized\r\ncontent-type: application/json", b'{"error":{"message":"wrong: key-of-replayed"}}'
    )
    answer = client.ask("GET", "/replayed/v1/files", None, as_user("unauthorized"))
    assert (answer.status, answer.error["code"]) == (502, "upstream_error")
    assert b"key-of" not in answer.body


def test_an_error_in_a_stream_goes_on_and_is_recorded(client: Client) -> None:
    asked = {**CHAT, "model": "gpt-5.4;error_after=4", "stream": True}
    answer = client.post("/openai/v1/chat/completions", asked, as_user("error in stream"))
    assert b'"error":{"message":"The sandbox was asked to fail' in answer.body
    assert answer.body.count(b"upstream_error") == 0
    assert told(client, "error in stream", "status", "http_status", "error_code", "usage_source") == (
        "upstream_error",
        200,
        "upstream_error",
        "estimated",
    )


def test_a_stream_that_is_cut_is_cut(gateway: Gateway, client: Client) -> None:
    with (
        openai.OpenAI(base_url=f"{gateway.url}/openai/v1", api_key=gateway.live, max_retries=0) as sdk,
        pytest.raises(openai.APIConnectionError),
    ):
        list(
            sdk.chat.completions.create(
                model="gpt-5.4;cut_after=4;token_ms=5",
                messages=[{"role": "user", "content": "Hi"}],
                stream=True,
                extra_headers=as_user("cut stream"),
            )
        )
    assert told(client, "cut stream", "status", "usage_source") == ("upstream_error", "estimated")


def test_an_answer_without_usage_is_estimated(client: Client) -> None:
    client.post("/openai/v1/chat/completions", {**CHAT, "model": "gpt-5.4;usage=none"}, as_user("no usage"))
    assert told(client, "no usage", "usage_source", "status") == ("estimated", "success")


def test_garbage_goes_on_as_it_is(client: Client) -> None:
    asked = {**CHAT, "model": "gpt-5.4;wrong_output=html"}
    answer = client.post("/openai/v1/chat/completions", asked, as_user("garbage"))
    assert answer.body.startswith(b"<!doctype html>")
    assert told(client, "garbage", "status") == ("success",)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/nobody/v1/chat/completions", 404, "model_not_found"),
        ("/mistral/v1/chat/completions", 503, "no_provider_available"),
        ("/openai/v1/../admin", 400, "invalid_value"),
        ("/openai/v1/%2E%2e/admin", 400, "invalid_value"),
        ("/openai/v1/files?name=%", 404, "upstream_error"),
    ],
)
def test_a_path_that_leads_nowhere(gateway: Gateway, path: str, status: int, code: str) -> None:
    with gateway.client(gateway.new_key("paths")) as own:
        answer = own.post(path, CHAT, as_user("path"))
        assert answer.status == status
        [record] = own.records([])
    assert (record["http_status"], record["error_code"], record["user"]) == (status, code, "path")
    assert record["endpoint"] == "/{provider}/*" if "nobody" in path else record["endpoint"].startswith("/")


def test_a_key_is_needed(gateway: Gateway) -> None:
    with Client(gateway.url, None) as nobody:
        assert nobody.post("/openai/v1/chat/completions", CHAT).error["code"] == "missing_api_key"
    with gateway.manager() as manager:
        assert manager.post("/openai/v1/chat/completions", CHAT).error["code"] == "wrong_key_type"


def test_a_test_key_reaches_the_sandbox_alone(gateway: Gateway) -> None:
    with gateway.client(gateway.new_key("test", key_type="test")) as tester:
        assert tester.post("/openai/v1/chat/completions", CHAT).error["code"] == "wrong_key_type"
        assert tester.ask("GET", "/openai/v1/models").error["code"] == "wrong_key_type"
        assert tester.post("/sandbox/v1/chat/completions", CHAT).status == 200
        assert tester.ask("GET", "/sandbox/v1/models").status == 200


def test_the_lists_of_a_key_hold(gateway: Gateway) -> None:
    with gateway.client(gateway.new_key("lists", allowed_providers=["anthropic"])) as own:
        assert own.post("/openai/v1/chat/completions", CHAT).error["code"] == "provider_not_allowed"
        assert own.ask("GET", "/openai/v1/files").error["code"] == "provider_not_allowed"
    with gateway.client(gateway.new_key("lists", allowed_models=["openai/gpt-5.4", "google/gemini-2.5-flash"])) as own:
        assert own.post("/openai/v1/chat/completions", CHAT).status == 200
        asked = {"contents": [{"parts": [{"text": "Hi"}]}]}
        assert own.post("/google/v1beta/models/gemini-2.5-flash:generateContent", asked).status == 200
        for refused in (
            own.post("/google/v1beta/models/gemini-2.5-pro:generateContent", asked),
            own.post("/openai/v1/chat/completions", {**CHAT, "model": "gpt-5"}),
            own.post("/openai/v1/chat/completions", {**CHAT, "models": ["gpt-5"]}),
            own.post("/openai/v1/chat/completions", '{"model":"gpt-5","messages":[],"model":"gpt-5.4"}'),
            own.post("/openai/v1/chat/completions", '{"mod\\u0065l":"gpt-5","messages":[],"model":"gpt-5.4"}'),
            own.post("/openai/v1/chat/completions", "no JSON"),
            own.post("/openai/v1/batches", {"input_file_id": "file-1"}),
            own.ask("GET", "/openai/v1/files"),
            own.ask("POST", "/openai/v1/audio/transcriptions", (FILES + part("model", "x") + "--b--").encode(), FORM),
        ):
            assert (refused.status, refused.error["code"]) == (403, "model_not_allowed"), refused.body
    with gateway.client(gateway.new_key("lists", allowed_models=["openai/*"])) as own:
        assert own.ask("GET", "/openai/v1/models").status == 200


def test_a_key_may_demand_a_user(gateway: Gateway) -> None:
    with gateway.client(gateway.new_key("users", user_policy="required")) as own:
        assert own.post("/openai/v1/chat/completions", CHAT).error["code"] == "user_required"
        assert own.post("/openai/v1/chat/completions", CHAT, as_user("somebody")).status == 200


def test_a_body_that_is_too_large(gateway: Gateway) -> None:
    with gateway.client(gateway.new_key("large")) as own:
        answer = own.ask("POST", "/openai/v1/files", bytes(21 * 1024 * 1024))
        assert (answer.status, answer.error["code"]) == (413, "request_too_large")
    with gateway.manager() as manager:
        [record] = manager.records([("limit", "1")])
    assert (record["endpoint"], record["status"], record["error_code"]) == (
        "/openai/*",
        "rejected",
        "request_too_large",
    )


def test_other_methods_are_refused(client: Client) -> None:
    answer = client.ask("OPTIONS", "/openai/v1/files")
    assert (answer.status, answer.error["code"]) == (404, "not_found")


def test_a_websocket_is_refused(gateway: Gateway, client: Client) -> None:
    address = urlsplit(gateway.url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(
            b"GET /openai/v1/realtime?model=gpt-realtime HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"X-ARouter-User: websocket\r\nAuthorization: Bearer %b\r\n\r\n" % gateway.live.encode()
        )
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 400
        assert json.loads(answer.read())["error"]["code"] == "websocket_not_supported"
    assert told(client, "websocket", "status", "error_code") == ("rejected", "websocket_not_supported")
