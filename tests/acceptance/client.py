"""A client that adds nothing and hides nothing: one connection that is kept, bytes out, bytes in."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

Query = list[tuple[str, str]]
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


def fields(data: bytes | str) -> dict[str, bytes]:
    """The fields of a JSON object, each as the JSON that it is written in."""
    return {name: bytes(value) for name, value in _decode_object(data).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = self.json["error"]
        return found


class Client:
    """One connection to a gateway, with one key."""

    def __init__(self, url: str, key: str | None) -> None:
        address = urlsplit(url)
        assert address.hostname is not None
        self._connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request and its whole answer."""
        self._connection.request(method, path, body=body, headers={**self._headers, **(headers or {})})
        with self._connection.getresponse() as response:
            told = {name.lower(): value for name, value in response.getheaders()}
            return Answer(status=response.status, headers=told, body=response.read())

    def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> Answer:
        """A JSON body; text goes as it is, so that a test can write what no encoder would."""
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        return self.ask("POST", path, data, {"Content-Type": "application/json", **(headers or {})})

    def begin(self, path: str, body: object) -> None:
        """A request whose answer nobody waits for."""
        headers = {"Content-Type": "application/json", **self._headers}
        self._connection.request("POST", path, body=json.dumps(body).encode(), headers=headers)

    def chat(self, model: str, user: object = None, **fields: object) -> Answer:
        """A chat completion that says hello; a `user` of None is left out."""
        body: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": "Hello!"}], **fields}
        if user is not None:
            body["user"] = user
        return self.post("/v1/chat/completions", body)

    def activity(self, query: Query) -> Answer:
        """Whatever `/v1/activity` says to the query, which is encoded here."""
        return self.ask("GET", "/v1/activity?" + urlencode(query))

    def records(self, query: Query) -> list[dict[str, Any]]:
        """One page of records."""
        answer = self.activity(query)
        assert answer.status == 200, answer.body
        found: list[dict[str, Any]] = answer.json["data"]
        return found

    def raw_records(self, query: Query) -> list[dict[str, bytes]]:
        """One page of records, each field as the JSON that it is written in."""
        answer = self.activity(query)
        assert answer.status == 200, answer.body
        return [fields(bytes(record)) for record in _decode_list(fields(answer.body)["data"])]
