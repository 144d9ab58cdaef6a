"""Every request is in one report."""

import pytest

from arouter.domain.endpoint_kinds import EndpointKind, kind_of
from arouter.web.inference.dialects import dialects, gemini_dialects

ELSEWHERE = {
    "/v1/embeddings": EndpointKind.EMBEDDINGS,
    "/v1beta/models/{model}:embedContent": EndpointKind.EMBEDDINGS,
    "/v1beta/models/{model}:batchEmbedContents": EndpointKind.EMBEDDINGS,
    "/v1/moderations": EndpointKind.MODERATIONS,
}


@pytest.mark.parametrize("path", [dialect.path for dialect in (*dialects(), *gemini_dialects())])
def test_every_path_has_a_kind(path: str) -> None:
    assert kind_of(path) is ELSEWHERE.get(path, EndpointKind.COMPLETIONS)


def test_a_providers_own_paths_have_one_too() -> None:
    assert kind_of("/openai/v1/embeddings") is EndpointKind.EMBEDDINGS
    assert kind_of("/openai/v1/files") is EndpointKind.COMPLETIONS


def test_what_has_no_path_is_a_completion() -> None:
    assert kind_of(None) is EndpointKind.COMPLETIONS
