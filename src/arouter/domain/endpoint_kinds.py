"""Which of OpenAI's usage reports a request belongs to, by the path that it called.

Every request belongs to exactly one, so that the reports together are everything.
"""

from enum import StrEnum


class EndpointKind(StrEnum):
    """The reports that the ledger can fill. Those of images and sound count what records do not hold (pictures,
    seconds, characters): such requests are among the completions, with their tokens."""

    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    MODERATIONS = "moderations"


_ENDS = (
    (EndpointKind.EMBEDDINGS, ("/embeddings", ":embedContent", ":batchEmbedContents")),
    (EndpointKind.MODERATIONS, ("/moderations",)),
)


def kind_of(endpoint: str | None) -> EndpointKind:
    """The kind of a path as records have it, such as `/v1/embeddings`."""
    for kind, ends in _ENDS:
        if endpoint is not None and endpoint.endswith(ends):
            return kind
    return EndpointKind.COMPLETIONS
