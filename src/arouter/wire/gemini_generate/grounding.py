"""OpenAI's `url_citation` annotations as Gemini's `groundingMetadata`.

A segment's bounds are bytes of UTF-8, where an annotation's are characters. Each source is told once.
"""

from collections.abc import Sequence

from arouter.domain.chat import Json


def grounding_metadata(annotations: Sequence[Json], text: str) -> Json | None:
    """What `annotations` cite for `text`, the whole text of the choice; None if nothing with an address."""
    sources: list[Json] = []
    supports: list[Json] = []
    for annotation in annotations:
        citation = annotation.get("url_citation")
        if not isinstance(citation, dict) or not isinstance(citation.get("url"), str):
            continue
        source = _source(citation)
        if source not in sources:
            sources.append(source)
        segment = _segment(citation, text)
        if segment is not None:
            supports.append({"segment": segment, "groundingChunkIndices": [sources.index(source)]})
    if not sources:
        return None
    return {"groundingChunks": sources, **({"groundingSupports": supports} if supports else {})}


def _source(citation: Json) -> Json:
    title = citation.get("title")
    return {"web": {"uri": citation["url"], **({"title": title} if isinstance(title, str) and title else {})}}


def _segment(citation: Json, text: str) -> Json | None:
    """Where in the text; None if the citation does not say, or says what the text does not have."""
    start, end = citation.get("start_index"), citation.get("end_index")
    if not isinstance(start, int) or not isinstance(end, int) or not 0 <= start < end <= len(text):
        return None
    first = len(text[:start].encode(errors="replace"))
    said = text[start:end]
    segment: Json = {"endIndex": first + len(said.encode(errors="replace")), "text": said}
    return {"startIndex": first, **segment} if first else segment
