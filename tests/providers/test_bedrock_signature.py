"""Signature Version 4, against the requests that AWS published with their signatures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.providers.bedrock.signature import AwsKey, Headers, signature_headers

AT_US = 1_440_938_160_000_000
"""2015-08-30T12:36:00Z, the time of the published requests."""
KEY = AwsKey(
    access_key_id="AKIDEXAMPLE",
    secret_access_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    region="us-east-1",
    service="service",
)
HOST: Headers = (("Host", "example.amazonaws.com"),)
UNRESERVED = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def signed(
    method: str = "GET",
    path: str = "/",
    query: str = "",
    headers: Headers = (),
    body: bytes = b"",
    key: AwsKey = KEY,
    at_us: int = AT_US,
) -> dict[str, str]:
    return dict(
        signature_headers(key, method=method, path=path, query=query, headers=HOST + headers, body=body, now_us=at_us)
    )


def authorization(names: str, signature: str) -> str:
    scope = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={signature}"


PLAIN = "host;x-amz-date"
VANILLA = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
FORM = (("Content-Type", "application/x-www-form-urlencoded"),)
PUBLISHED = [
    ("get-vanilla", {}, PLAIN, VANILLA),
    (
        "get-unreserved",
        {"path": f"/{UNRESERVED}"},
        PLAIN,
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    ),
    (
        "get-slashes",
        {"path": "//example//"},
        PLAIN,
        "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
    ),
    ("get-slash-dot-slash", {"path": "/./"}, PLAIN, VANILLA),
    ("get-relative", {"path": "/example/.."}, PLAIN, VANILLA),
    (
        "get-vanilla-query-order-key-case",
        {"query": "Param2=value2&Param1=value1"},
        PLAIN,
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    (
        "get-vanilla-query-order-value",
        {"query": "Param1=value2&Param1=value1"},
        PLAIN,
        "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694",
    ),
    (
        "get-vanilla-utf8-query",
        {"query": "%E1%88%B4=bar"},
        PLAIN,
        "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
    ),
    (
        "get-header-value-order",
        {"headers": tuple(("My-Header1", f"value{number}") for number in (4, 1, 3, 2))},
        "host;my-header1;x-amz-date",
        "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
    ),
    (
        "get-header-key-duplicate",
        {"headers": tuple(("My-Header1", f"value{number}") for number in (2, 2, 1))},
        "host;my-header1;x-amz-date",
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    ),
    (
        "get-header-value-trim",
        {"headers": (("My-Header1", " value1"), ("My-Header2", ' "a   b   c"'))},
        "host;my-header1;my-header2;x-amz-date",
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    (
        "post-x-www-form-urlencoded",
        {"method": "POST", "headers": FORM, "body": b"Param1=value1"},
        "content-type;host;x-amz-date",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
]


@pytest.mark.parametrize(
    ("request_parts", "names", "signature"), [case[1:] for case in PUBLISHED], ids=[case[0] for case in PUBLISHED]
)
def test_a_published_request_has_its_published_signature(
    request_parts: dict[str, object], names: str, signature: str
) -> None:
    found = signed(**request_parts)  # type: ignore[arg-type]
    assert found == {"X-Amz-Date": "20150830T123600Z", "Authorization": authorization(names, signature)}


def test_the_token_of_a_session_is_sent_and_signed() -> None:
    token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"
    key = AwsKey(
        access_key_id=KEY.access_key_id,
        secret_access_key=KEY.secret_access_key,
        session_token=token,
        region=KEY.region,
        service=KEY.service,
    )
    assert signed(key=key) == {
        "X-Amz-Date": "20150830T123600Z",
        "X-Amz-Security-Token": token,
        "Authorization": authorization(
            "host;x-amz-date;x-amz-security-token", "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"
        ),
    }


def test_a_colon_and_its_escape_in_a_path_are_signed_apart() -> None:
    """Computed with botocore 1.43.11: each is percent-encoded once more than it is on the wire."""
    key = AwsKey(
        access_key_id=KEY.access_key_id,
        secret_access_key=KEY.secret_access_key,
        region="eu-central-1",
        service="bedrock",
    )
    plain, escaped = (
        signed("POST", f"/model/anthropic.claude-v1{colon}0/invoke", body=b'{"a":1}', key=key)["Authorization"]
        for colon in (":", "%3A")
    )
    assert plain.endswith("e913ae4226c28e6293cc5730e6caa80de09fcfbfd67857b2194a0356ca8ccc23")
    assert escaped.endswith("1788722e80e24caf7d25fd4eae8f7192b40959edbcd1496b6aa97c297fc77a8f")


PARTS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#"), max_size=20)


@given(path=PARTS, query=PARTS, body=st.binary(max_size=20), at_us=st.integers(0, 4 * 10**15))
def test_whatever_a_request_is_it_can_be_signed_and_every_part_counts(
    path: str, query: str, body: bytes, at_us: int
) -> None:
    once = signed("POST", f"/{path}", query, body=body, at_us=at_us)
    assert once == signed("POST", f"/{path}", query, body=body, at_us=at_us)
    for other in (
        signed("PUT", f"/{path}", query, body=body, at_us=at_us),
        signed("POST", f"/{path}a", query, body=body, at_us=at_us),
        signed("POST", f"/{path}", f"{query}a", body=body, at_us=at_us),
        signed("POST", f"/{path}", query, body=body + b"a", at_us=at_us),
        signed("POST", f"/{path}", query, body=body, at_us=at_us + 1_000_000),
    ):
        assert other["Authorization"] != once["Authorization"]
