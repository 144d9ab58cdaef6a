"""AWS's event stream, written: the inverse of what the gateway reads."""

import zlib
from base64 import b64encode
from collections.abc import Mapping
from struct import pack
from typing import Any

import msgspec


def message(payload: bytes = b"", headers: Mapping[str, str] | None = None, *, raw_headers: bytes = b"") -> bytes:
    """One message; `raw_headers` are header fields as bytes, before those of `headers`."""
    fields = raw_headers + b"".join(
        pack(
            f">B{len(name.encode())}sBH{len(text.encode())}s",
            len(name.encode()),
            name.encode(),
            7,
            len(text.encode()),
            text.encode(),
        )
        for name, text in (headers or {}).items()
    )
    prelude = pack(">II", 16 + len(fields) + len(payload), len(fields))
    before = prelude + pack(">I", zlib.crc32(prelude)) + fields + payload
    return before + pack(">I", zlib.crc32(before))


def event(name: str, content: Any) -> bytes:
    """An event with its content as JSON."""
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return message(msgspec.json.encode(content), headers)


def chunk(data: bytes) -> bytes:
    """An event of another provider's within one of Bedrock's, padded as Bedrock does."""
    return event("chunk", {"bytes": b64encode(data).decode(), "p": "abcdefgh"})


def exception(name: str, text: str) -> bytes:
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return message(msgspec.json.encode({"message": text}), headers)
