"""Embeddings in canonical form: what both dialects' requests are read into, and both answers are told in."""

from collections.abc import Mapping
from dataclasses import field

from arouter.domain.usage import Usage
from arouter.domain.value import value

Input = str | tuple[int, ...]
"""A text, or the numbers of its tokens for the model that is asked."""

Vector = tuple[float, ...]


@value(frozen=True, slots=True, kw_only=True)
class EmbeddingsRequest:
    """Texts whose vectors are asked for."""

    model: str
    """The upstream's own name of the model."""
    inputs: tuple[Input, ...]
    dimensions: int | None = None
    """How many numbers a vector shall have; None leaves it to the model."""
    task_type: str | None = None
    """What for, in Gemini's words: `RETRIEVAL_QUERY`, `CLUSTERING`, …"""
    title: str | None = None
    """Of a document that is to be retrieved."""
    identity: str | None = None
    """The pseudonym of the end user for the provider; never the raw value."""
    rest: Mapping[str, object] = field(default_factory=dict)
    """Fields that the ingress dialect has and this form does not, decoded; named as dropped by who cannot say them."""


@value(frozen=True, slots=True, kw_only=True)
class EmbeddingsAnswer:
    """The vectors, in the order of the inputs."""

    vectors: tuple[Vector, ...]
    model: str | None = None
    """The model that answered, by the provider's own name; None if it did not say."""
    usage: Usage | None = None
    raw_usage: bytes | None = None
    """The provider's usage object as JSON."""
