"""Grounding as OpenAI's `url_citation` annotations.

Gemini tells sources (`groundingChunks`) and which segment of the text leans on which of them (`groundingSupports`).
A segment's bounds are bytes of UTF-8; OpenAI's are characters. In a stream the bounds count from the start of the
whole text, wherever the events cut it. A source that no segment names is cited for the whole text. Sources without
an address (a file of a search store) cannot be said in this form.
"""

from collections.abc import Iterable, Iterator

import msgspec

from arouter.domain.chat import Json


class _Source(msgspec.Struct, gc=False):
    uri: str | None = None
    title: str | None = None


class _Chunk(msgspec.Struct, rename="camel", gc=False):
    web: _Source | None = None
    retrieved_context: _Source | None = None
    maps: _Source | None = None
    image: _Source | None = None

    def source(self) -> _Source | None:
        """Where the evidence is from; None if it has no address."""
        for source in (self.web, self.retrieved_context, self.maps, self.image):
            if source is not None and source.uri:
                return source
        return None


class _Segment(msgspec.Struct, rename="camel", gc=False):
    start_index: int | None = None
    end_index: int | None = None
    text: str | None = None


class _Support(msgspec.Struct, rename="camel", gc=False):
    segment: _Segment | None = None
    grounding_chunk_indices: list[int] | None = None


class Grounding(msgspec.Struct, rename="camel", gc=False):
    """`groundingMetadata`, as far as it is cited from."""

    grounding_chunks: list[_Chunk] | None = None
    grounding_supports: list[_Support] | None = None


class _Citation(msgspec.Struct, rename="camel", gc=False):
    uri: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class CitationMetadata(msgspec.Struct, rename="camel", gc=False):
    """Sources that the answer quotes at length; the two APIs name the list differently."""

    citation_sources: list[_Citation] | None = None
    citations: list[_Citation] | None = None


def of_grounding(grounding: Grounding, text: str) -> Iterator[Json]:
    """The annotations of `text`, the visible text of the choice so far."""
    sources = [chunk.source() for chunk in grounding.grounding_chunks or ()]
    encoded = text.encode(errors="replace")
    cited: set[int] = set()
    for support in grounding.grounding_supports or ():
        start, end = _bounds(support.segment or _Segment(), text, encoded)
        for index in _known(support.grounding_chunk_indices or (), len(sources)):
            source = sources[index]
            cited.add(index)
            if source is not None:
                yield _annotation(source.uri or "", source.title, start, end)
    for index, source in enumerate(sources):
        if source is not None and index not in cited:
            yield _annotation(source.uri or "", source.title, 0, len(text))


def of_quotes(quotes: CitationMetadata, text: str) -> Iterator[Json]:
    """The annotations of verbatim quotes with an address."""
    encoded = text.encode(errors="replace")
    for quote in (*(quotes.citation_sources or ()), *(quotes.citations or ())):
        if quote.uri:
            segment = _Segment(start_index=quote.start_index, end_index=quote.end_index)
            yield _annotation(quote.uri, quote.title, *_bounds(segment, text, encoded))


def _known(indices: Iterable[int], count: int) -> Iterator[int]:
    return (index for index in indices if 0 <= index < count)


def _bounds(segment: _Segment, text: str, encoded: bytes) -> tuple[int, int]:
    """Start and end in characters. Where the bytes do not hold the segment's own text, it is looked for."""
    start = min(max(segment.start_index or 0, 0), len(encoded))
    end = len(encoded) if segment.end_index is None else min(max(segment.end_index, start), len(encoded))
    if segment.text and encoded[start:end] != segment.text.encode(errors="replace"):
        found = text.find(segment.text)
        return (0, len(text)) if found < 0 else (found, found + len(segment.text))
    return _characters(encoded[:start]), _characters(encoded[:end])


def _characters(encoded: bytes) -> int:
    return len(encoded.decode(errors="ignore"))


def _annotation(url: str, title: str | None, start: int, end: int) -> Json:
    return {
        "type": "url_citation",
        "url_citation": {"start_index": start, "end_index": end, "url": url, "title": title or url},
    }
