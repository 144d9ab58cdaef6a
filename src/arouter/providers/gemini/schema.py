"""The JSON of a generateContent answer, decoded only as far as it is read.

Every field may be missing: the API leaves out what has its default value, and a stream tells little by little.
"""

import msgspec

from arouter.domain.errors import UpstreamFailed
from arouter.providers.gemini.citations import CitationMetadata, Grounding
from arouter.providers.gemini.error import ErrorObject

NOTHING = msgspec.Raw(b"")
"""A field that was not there."""

_NO_ARGUMENTS = msgspec.Raw(b"{}")


class FunctionCall(msgspec.Struct, gc=False):
    name: str = ""
    id: str | None = None
    args: msgspec.Raw = _NO_ARGUMENTS


class Blob(msgspec.Struct, rename="camel", gc=False):
    mime_type: str = ""
    data: str = ""


class Part(msgspec.Struct, rename="camel", gc=False):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: Blob | None = None


class Content(msgspec.Struct, gc=False):
    parts: list[Part] | None = None


class Token(msgspec.Struct, rename="camel", gc=False):
    token: str = ""
    log_probability: float | None = None


class TopTokens(msgspec.Struct, gc=False):
    candidates: list[Token] | None = None


class Logprobs(msgspec.Struct, rename="camel", gc=False):
    chosen_candidates: list[Token] | None = None
    top_candidates: list[TopTokens] | None = None


class Candidate(msgspec.Struct, rename="camel", gc=False):
    content: Content | None = None
    finish_reason: str | None = None
    index: int = 0
    grounding_metadata: Grounding | None = None
    citation_metadata: CitationMetadata | None = None
    logprobs_result: Logprobs | None = None


class Feedback(msgspec.Struct, rename="camel", gc=False):
    block_reason: str | None = None


class Answer(msgspec.Struct, rename="camel", gc=False):
    candidates: list[Candidate] | None = None
    prompt_feedback: Feedback | None = None
    usage_metadata: msgspec.Raw = NOTHING
    """Kept as it was written: it goes into the ledger."""
    model_version: str | None = None
    response_id: str | None = None
    error: ErrorObject | None = None

    def says_nothing(self) -> bool:
        """No field of this dialect is there: it is some other JSON object."""
        told = (self.candidates, self.prompt_feedback, self.model_version, self.response_id, self.error)
        return self.usage_metadata is NOTHING and all(field is None for field in told)


_DECODER = msgspec.json.Decoder(Answer)


def decode(data: bytes) -> Answer:
    try:
        answer = _DECODER.decode(data)
    except (ValueError, RecursionError) as exc:
        raise not_this_dialect(str(exc)) from exc
    if answer.candidates is None and answer.says_nothing():
        raise not_this_dialect("no field of generateContent is in it")
    return answer


def not_this_dialect(detail: str) -> UpstreamFailed:
    return UpstreamFailed("the provider's answer is not a Gemini answer", retryable=False, detail=detail)
