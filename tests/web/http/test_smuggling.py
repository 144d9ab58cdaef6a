"""Requests that two readers might understand in two ways, said to a real gateway: at most one answer, and the request
that is hidden in another one is never asked of the provider."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from arouter.sandbox.behaviour import Behaviour
from arouter.sandbox.server import Sandbox
from tests.acceptance.gateway import Gateway, running_gateway
from tests.sandbox.conftest import running
from tests.web.http.serving import Answer, Wire, read_answers

CHAT = b"/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Place:
    """A gateway and the provider behind it."""

    gateway: Gateway
    provider: Sandbox

    @property
    def key(self) -> bytes:
        return b"Authorization: Bearer " + self.gateway.live.encode()

    async def connect(self) -> Wire:
        address = urlsplit(self.gateway.url)
        return Wire(*await asyncio.open_connection(address.hostname, address.port))

    def users(self) -> list[str]:
        """Of all records, in no order."""
        with self.gateway.client() as client:
            return sorted(str(record["user"]) for record in client.records([("limit", "500")]))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running(Behaviour()) as provider:
        providers = {
            "openai": {"api_key": "key-of-openai", "base_url": provider.url + "/v1"},
            "google": {"api_key": "key-of-google", "base_url": provider.url},
        }
        with running_gateway(tmp_path_factory.mktemp("smuggling"), providers) as gateway:
            yield Place(gateway, provider)


def ask(user: str, **more: object) -> bytes:
    fields = "".join(f', "{name}": {value}' for name, value in more.items())
    messages = '[{"role": "user", "content": "Hi"}]'
    return f'{{"model": "openai/sandbox", "user": "{user}", "messages": {messages}{fields}}}'.encode()


def said(*lines: bytes, body: bytes = b"", first: bytes = b"POST /v1/chat/completions HTTP/1.1") -> bytes:
    return b"\r\n".join((first, b"Host: x", *lines)) + b"\r\n\r\n" + body


def plain(place: Place, user: str, *lines: bytes) -> bytes:
    body = ask(user)
    return said(place.key, *lines, b"Content-Length: %d" % len(body), body=body)


def chunks(data: bytes, *, extension: bytes = b"", last: bytes = b"0\r\n\r\n") -> bytes:
    return b"%x%b\r\n%b\r\n%b" % (len(data), extension, data, last)


async def hear(wire: Wire, *, quiet_s: float = 0.3) -> bytes:
    """What comes until the gateway hangs up, or is quiet."""
    told = b""
    try:
        while True:
            async with asyncio.timeout(quiet_s if told else 5 * quiet_s):
                data = await wire.reader.read(65536)
            if not data:
                break
            told += data
    except TimeoutError:
        pass
    await wire.close()
    return told


# ---------------------------------------------------------------- requests in which another one is hidden


def vectors(place: Place) -> dict[str, tuple[bytes, ...]]:
    """By name: what is said, in one packet or several. The user of the outer request is `outer`, of the hidden one
    `smuggled`."""
    hidden = plain(place, "smuggled")
    outer = ask("outer")
    key = place.key
    te = b"Transfer-Encoding: chunked"
    length = b"Content-Length: %d"
    terminated = chunks(outer)
    codings = {
        "CL.TE": (length % (len(terminated) + len(hidden)), te),
        "TE.CL": (te, length % (len(terminated) + len(hidden))),
        "TE with a space": (b"Transfer-Encoding : chunked", length % (len(terminated) + len(hidden))),
        "TE with a tab": (b"Transfer-Encoding\t: chunked", length % (len(terminated) + len(hidden))),
        "TE folded": (b"X: a", b" Transfer-Encoding: chunked", length % (len(terminated) + len(hidden))),
        "TE with its value folded": (b"Transfer-Encoding:", b" chunked", length % (len(terminated) + len(hidden))),
        "TE behind a vertical tab": (b"Transfer-Encoding:\x0bchunked", length % (len(terminated) + len(hidden))),
        "TE behind a bare line feed": (b"X: a\nTransfer-Encoding: chunked", length % (len(terminated) + len(hidden))),
        "TE behind a bare return": (b"X: a\rTransfer-Encoding: chunked", length % (len(terminated) + len(hidden))),
        "TE behind a NUL": (b"X: \0\r\nTransfer-Encoding: chunked", length % (len(terminated) + len(hidden))),
        "TE.TE": (te, b"Transfer-Encoding: identity"),
        "TE.TE reversed": (b"Transfer-Encoding: identity", te),
        "TE.TE unknown": (te, b"Transfer-Encoding: x"),
        "TE unknown": (b"Transfer-Encoding: xchunked",),
        "TE quoted": (b'Transfer-Encoding: "chunked"',),
        "TE list": (b"Transfer-Encoding: gzip, chunked",),
        "TE twice": (b"Transfer-Encoding: chunked, chunked",),
        "TE not last": (b"Transfer-Encoding: chunked, gzip",),
        "TE underscore": (b"Transfer_Encoding: chunked", length % (len(terminated) + len(hidden))),
    }
    lengths = {
        "CL twice": (length % len(outer), length % (len(outer) + len(hidden))),
        "CL twice reversed": (length % (len(outer) + len(hidden)), length % len(outer)),
        "CL list": (b"Content-Length: %d, %d" % (len(outer), len(outer) + len(hidden)),),
        "CL plus": (b"Content-Length: +%d" % len(outer),),
        "CL minus": (b"Content-Length: -%d" % len(outer),),
        "CL hex": (b"Content-Length: 0x%x" % len(outer),),
        "CL underscore": (b"Content-Length: %d_%d" % (len(outer) // 10, len(outer) % 10),),
        "CL huge": (b"Content-Length: %d" % (2**64 + len(outer)),),
        "CL with a space": (b"Content-Length : %d" % len(outer),),
        "CL with a NUL": (b"Content-Length: %d\0" % len(outer),),
        "CL folded": (b"Content-Length: %d" % (len(outer) // 10), b" %d" % (len(outer) % 10)),
        "no length": (),
    }
    found: dict[str, tuple[bytes, ...]] = {
        name: (said(key, *lines, body=terminated + hidden),) for name, lines in codings.items()
    }
    found |= {name: (said(key, *lines, body=outer + hidden),) for name, lines in lengths.items()}
    whole = length % len(hidden)
    upgrade = (b"Connection: Upgrade", b"Upgrade: h2c")
    for name, lines, first in (
        ("a body of GET", (), b"GET /healthz HTTP/1.1"),
        ("a body of an unknown path", (), b"POST /v1/nowhere HTTP/1.1"),
        ("a body of a refused method", (), b"DELETE /v1/chat/completions HTTP/1.1"),
        ("a body of who is unknown", (), b"POST /v1/chat/completions HTTP/1.1"),
        ("a body of who is unknown, by a name in %", (), b"POST /v1/chat%2Fcompletions HTTP/1.1"),
        ("a body that is expected", (b"Expect: 100-continue",), b"POST /v1/chat/completions HTTP/1.1"),
        ("a body of an upgrade", upgrade, b"POST /v1/chat/completions HTTP/1.1"),
        ("a body of an upgrade of GET", upgrade, b"GET /healthz HTTP/1.1"),
        ("a body of a connect", (), b"CONNECT x:80 HTTP/1.1"),
        ("a body of HTTP/1.0", (b"Connection: keep-alive",), b"POST /v1/chat/completions HTTP/1.0"),
        ("a body of an absolute target", (), b"POST http://x/v1/chat/completions HTTP/1.1"),
    ):
        head = said(*lines, whole, first=first)
        found[name] = (head + hidden,)
        found[name + ", later"] = (head, hidden)
    sized = len(b"%x" % len(hidden))
    found |= {
        "an extension": (said(key, te, body=chunks(outer, extension=b";a=\n" + hidden)),),
        "an extension with a return": (said(key, te, body=chunks(outer, extension=b";a\rb")) + hidden,),
        "a quoted extension": (said(key, te, body=chunks(outer, extension=b';a="\r\n' + hidden)),),
        "a chunk's size in 0x": (said(key, te, body=b"0x" + terminated) + hidden,),
        "a chunk's size with a space": (said(key, te, body=chunks(outer, extension=b" ")) + hidden,),
        "a chunk's size behind a bare line feed": (said(key, te, body=terminated.replace(b"\r\n", b"\n", 1)) + hidden,),
        "a chunk without its end": (said(key, te, body=b"%x\r\n%b0\r\n\r\n" % (len(outer), outer)) + hidden,),
        "a chunk's end of two bytes": (
            said(key, te, body=b"%x\r\n%bXX%x\r\n%b\r\n0\r\n\r\n" % (len(outer), outer, len(hidden), hidden)),
        ),
        "a chunk's size that overflows": (said(key, te, body=b"1" + b"0" * 16 + terminated) + hidden,),
        "a chunk in a trailer": (said(key, te, body=chunks(outer, last=b"0\r\nX: y\r\n" + hidden[:-sized])),),
        "line feeds only": (said(key, length % len(outer), body=outer + hidden).replace(b"\r\n", b"\n"),),
        "two Hosts": (said(key, b"Host: y", length % len(outer), body=outer + hidden),),
        "no Host": (said(key, length % len(outer), body=outer + hidden).replace(b"Host: x\r\n", b""),),
        "a NUL in a name": (said(key, b"X\0: y", length % len(outer), body=outer + hidden),),
        "a line without a colon": (said(key, b"X", length % len(outer), body=outer + hidden),),
        "a space before the first field": (said(b" X: y", key, length % len(outer), body=outer + hidden),),
        "the other version": (
            said(key, length % len(outer), body=outer + hidden, first=b"POST /v1/chat/completions HTTP/2.0"),
        ),
        "after a close": (said(key, b"Connection: close", length % len(outer), body=outer + hidden),),
        "after a close of theirs": (said(key, te, b"Connection: close", body=terminated + hidden),),
    }
    return found


def test_a_hidden_request_is_never_asked(place: Place) -> None:
    """Where bytes can be understood in two ways, the gateway must not find two requests in them."""
    asked_before = len(place.provider.requests)

    async def play(packets: tuple[bytes, ...]) -> bytes:
        wire = await place.connect()
        for packet in packets:
            wire.say(packet)
            await asyncio.sleep(0.05)
        return await hear(wire)

    async def all_of_them() -> dict[str, bytes]:
        found = vectors(place)
        told = await asyncio.gather(*(play(packets) for packets in found.values()))
        return dict(zip(found, told, strict=True))

    told = asyncio.run(all_of_them())
    more = {name: read_answers(data) for name, data in told.items()}
    assert {name: answers for name, answers in more.items() if len(answers) != 1} == {}
    users = place.users()
    assert "smuggled" not in users
    good = sum(status == 200 and b'"choices"' in body for answers in more.values() for status, body in answers)
    assert len(place.provider.requests) - asked_before == users.count("outer") == good
    # Nothing but these is answered as if it were well.
    assert {name for name, ((status, _),) in more.items() if status == 200} == {
        "after a close",
        "after a close of theirs",
        "a body of GET",
        "a body of GET, later",
        "a body of an upgrade of GET",
        "a body of an upgrade of GET, later",
    }


def test_a_request_that_is_not_hidden_is_asked(place: Place) -> None:
    """The hidden request is one that the gateway would serve, if it came as itself."""

    async def play() -> bytes:
        wire = await place.connect()
        wire.say(plain(place, "honest") + plain(place, "honest", b"Connection: close"))
        return await hear(wire)

    assert [status for status, _ in read_answers(asyncio.run(play()))] == [200, 200]
    assert place.users().count("honest") == 2


def test_a_key_in_a_trailer_opens_nothing(place: Place) -> None:
    async def play() -> bytes:
        wire = await place.connect()
        body = chunks(ask("trailed"), last=b"0\r\n" + place.key + b"\r\nX-ARouter-User: trailed\r\n\r\n")
        wire.say(said(b"Transfer-Encoding: chunked", body=body))
        return await hear(wire)

    assert [status for status, _ in read_answers(asyncio.run(play()))] == [401]
    assert "trailed" not in place.users()


# ---------------------------------------------------------------- the two ways give the same answer

CHANGES = re.compile(rb'gen-[0-9a-f]{32}|"created":\s?\d+|chatcmpl-[0-9A-Za-z-]+')
FRAMING = {b"content-length", b"transfer-encoding", b"connection"}

BOTH: dict[str, tuple[tuple[bytes, ...], bytes]] = {
    "whole": ((), ask("both")),
    "stream": ((), ask("both", stream="true")),
    "header user": ((b"X-ARouter-User: j%C3%BC", b"X-Request-Id: mine"), ask("both")),
    "dropped": ((), ask("both", seed=7, **{"x\\r\\nSet-Cookie: a": 1}).replace(b"openai/", b"google/")),
    "not json": ((), b"{"),
    "nothing": ((), b""),
    "no model": ((), b'{"messages": []}'),
    "unknown model": ((), ask("both").replace(b"openai/", b"nobody/")),
    "bad user": ((b"X-ARouter-User: %ff",), ask("both")),
    "bad tags": ((b"X-ARouter-Tags: " + b",".join(b"%d" % n for n in range(20)),), ask("both")),
    "a failure": ((), ask("both").replace(b"openai/sandbox", b"openai/sandbox?failure_rate=1&failure_status=400")),
    "a strange status": ((), ask("both").replace(b"sandbox", b"sandbox?failure_rate=1&failure_status=418")),
    "too many": ((), ask("both").replace(b"sandbox", b"sandbox?failure_rate=1&failure_status=429&retry_after_s=3")),
}


@pytest.mark.parametrize("name", [*BOTH, "no key", "a wrong key"])
def test_both_ways_give_the_same_answer(place: Place, name: str) -> None:
    lines, body = BOTH.get(name, ((), ask("both")))
    key = {"no key": (), "a wrong key": (b"Authorization: Bearer x",)}.get(name, (place.key,))

    async def play(request: bytes) -> Answer:
        wire = await place.connect()
        wire.say(request)
        answer = await wire.answer()
        await wire.close()
        return answer

    ours = asyncio.run(play(said(*key, *lines, b"Content-Length: %d" % len(body), body=body)))
    last = chunks(body) if body else b"0\r\n\r\n"
    theirs = asyncio.run(play(said(*key, *lines, b"Transfer-Encoding: chunked", body=last)))

    def told(answer: Answer) -> object:
        fields = {key: CHANGES.sub(b"", value) for key, value in answer.headers.items() if key not in FRAMING}
        return answer.status, fields, CHANGES.sub(b"", answer.body)

    assert told(ours) == told(theirs)
    assert ours.headers.keys() >= {b"x-generation-id", b"x-request-id", b"content-type"}
    if name == "dropped":
        assert b"x-arouter-dropped" in ours.headers
    if name == "too many":
        assert ours.headers[b"retry-after"] == b"3"
