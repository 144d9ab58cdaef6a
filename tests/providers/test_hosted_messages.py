"""Anthropic's Messages as Vertex AI and Bedrock host them."""

from typing import Any

import msgspec
import pytest

from arouter.domain.errors import InvalidRequest
from arouter.providers.base import Platform, Prepared
from arouter.providers.bedrock import Bedrock
from arouter.providers.vertex import Vertex
from tests.providers.anthropic_requests import prepare

VERTEX_MODEL = "claude-sonnet-4-5@20250929"
BEDROCK_MODEL = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"


def placed(platform: Platform, model: str, **changes: Any) -> Prepared:
    return platform.place(prepare(model=model, **changes), model, "anthropic")


def body(prepared: Prepared) -> dict[str, Any]:
    return msgspec.json.decode(prepared.body, type=dict[str, Any])


def test_at_vertex_the_model_is_in_the_path_and_the_version_in_the_body() -> None:
    prepared = placed(Vertex(), VERTEX_MODEL)
    assert prepared.path == f"/publishers/anthropic/models/{VERTEX_MODEL}:rawPredict"
    assert body(prepared)["anthropic_version"] == "vertex-2023-10-16"
    assert "model" not in body(prepared)
    assert prepared.headers == ()


def test_at_vertex_a_stream_has_a_method_of_its_own_and_is_asked_for_in_the_body_too() -> None:
    prepared = placed(Vertex(), VERTEX_MODEL, stream=True)
    assert prepared.path.endswith(":streamRawPredict")
    assert body(prepared)["stream"] is True


def test_at_bedrock_the_operation_says_whether_it_is_a_stream_and_the_body_does_not() -> None:
    whole, stream = (placed(Bedrock(), BEDROCK_MODEL, stream=stream) for stream in (False, True))
    escaped = BEDROCK_MODEL.replace(":", "%3A")
    assert (whole.path, stream.path) == (
        f"/model/{escaped}/invoke",
        f"/model/{escaped}/invoke-with-response-stream",
    )
    for prepared in (whole, stream):
        assert body(prepared)["anthropic_version"] == "bedrock-2023-05-31"
        assert not {"model", "stream"} & body(prepared).keys()
        assert prepared.headers == ()


def test_beta_versions_are_a_header_at_vertex_and_a_field_at_bedrock() -> None:
    rest = {"betas": ["context-1m-2025-08-07", "other"]}
    at_vertex, at_bedrock = placed(Vertex(), VERTEX_MODEL, rest=rest), placed(Bedrock(), BEDROCK_MODEL, rest=rest)
    assert at_vertex.headers == (("anthropic-beta", "context-1m-2025-08-07,other"),)
    assert "anthropic_beta" not in body(at_vertex)
    assert at_bedrock.headers == ()
    assert body(at_bedrock)["anthropic_beta"] == rest["betas"]


@pytest.mark.parametrize(("platform", "model"), [(Vertex(), VERTEX_MODEL), (Bedrock(), BEDROCK_MODEL)])
def test_the_pseudonym_of_the_end_user_goes_nowhere(platform: Platform, model: str) -> None:
    assert b"0123abcd" not in placed(platform, model, identity="0123abcd").body


def test_what_bedrock_does_not_take_is_named() -> None:
    assert placed(Bedrock(), BEDROCK_MODEL, service_tier="auto", n=2).dropped == ("n", "service_tier")
    assert placed(Vertex(), VERTEX_MODEL, service_tier="auto").dropped == ()


@pytest.mark.parametrize("platform", [Vertex(), Bedrock()])
def test_every_other_value_stays_as_it_was_written(platform: Platform) -> None:
    written = b'{"model":"m","max_tokens":1,"messages":[ {"role":"user","content":"\\u00e9 1e2"} ],"x":1.50}'
    sent = platform.place(Prepared(path="/v1/messages", body=written), "claude", "anthropic").body
    assert b'"messages":[ {"role":"user","content":"\\u00e9 1e2"} ]' in sent
    assert b'"x":1.50' in sent


@pytest.mark.parametrize("platform", [Vertex(), Bedrock()])
@pytest.mark.parametrize("model", ["claude/../x", "claude?x=1", "claude#x", "clau de", "claude\ud800", "claude%2F"])
def test_no_name_of_a_model_leaves_its_segment_of_the_path(platform: Platform, model: str) -> None:
    path = platform.place(Prepared(path="/v1/messages", body=b"{}"), model, "anthropic").path
    assert path.count("/") == (4 if isinstance(platform, Vertex) else 3)
    assert not set("?# ") & set(path)
    assert path.isascii()


@pytest.mark.parametrize("platform", [Vertex(), Bedrock()])
def test_what_only_anthropic_itself_is_asked_for_is_refused(platform: Platform) -> None:
    with pytest.raises(InvalidRequest) as refused:
        platform.place(Prepared(path="/v1/messages/count_tokens", body=b"{}"), "claude", "anthropic")
    assert refused.value.param == "model"
