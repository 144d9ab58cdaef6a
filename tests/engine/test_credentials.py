"""Credentials that change: what is added to the head of a request."""

import asyncio

import pytest

from arouter.engine.credentials import AwsSignature, Headers, Unsigned, credential_lines
from arouter.engine.origin import Origin
from arouter.engine.upstream import Client
from arouter.providers.base import Prepared
from arouter.providers.bedrock.signature import AwsKey, signature_headers
from tests.engine.scripted_client import ScriptedClient
from tests.engine.scripted_clock import NOON_US

ORIGIN = Origin(scheme="https", host="bedrock-runtime.eu-west-1.amazonaws.com", port=443, path="/base")
PREPARED = Prepared(path="/model/x%3A0/invoke", query="a=b", body=b"{}")
KEY = AwsKey(access_key_id="AKID", secret_access_key="secret", session_token="t", region="eu-west-1", service="bedrock")


def test_a_signature_covers_the_request_as_it_is_sent() -> None:
    lines = asyncio.run(credential_lines(AwsSignature(KEY), ORIGIN, PREPARED, ScriptedClient(), NOON_US))
    expected = signature_headers(
        KEY,
        method="POST",
        path="/base/model/x%3A0/invoke",
        query="a=b",
        headers=(("Host", "bedrock-runtime.eu-west-1.amazonaws.com"),),
        body=b"{}",
        now_us=NOON_US,
    )
    assert lines == "".join(f"{name}: {text}\r\n" for name, text in expected).encode()


class Injecting:
    async def headers(self, request: Unsigned, client: Client, now_us: int) -> Headers:
        return (("Authorization", "Bearer x\r\nHost: evil"),)


def test_no_credentials_end_their_line() -> None:
    with pytest.raises(ValueError, match="may not be sent"):
        asyncio.run(credential_lines(Injecting(), ORIGIN, PREPARED, ScriptedClient(), NOON_US))
