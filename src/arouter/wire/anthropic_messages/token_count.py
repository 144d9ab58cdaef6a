"""The answer of `/v1/messages/count_tokens`."""

import msgspec


def token_count_body(tokens: int) -> bytes:
    return msgspec.json.encode({"input_tokens": tokens})
