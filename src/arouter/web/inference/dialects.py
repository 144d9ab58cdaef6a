"""The inference paths, one row each."""

from collections.abc import Callable
from functools import partial

from arouter.domain.errors import ARouterError
from arouter.engine.call import Ingress
from arouter.engine.dialects import openai_endpoints as openai
from arouter.engine.dialects.chat import Chat
from arouter.engine.dialects.embeddings import GeminiEmbeddings, OpenAIEmbeddings
from arouter.engine.dialects.generate import Generate
from arouter.engine.dialects.messages import Messages
from arouter.engine.dialects.responses import Responses
from arouter.engine.dialects.token_counts import GeminiTokenCount, MessagesTokenCount
from arouter.web.inference import endpoint_requests as requests
from arouter.web.inference.chat_request import ChatReader
from arouter.web.inference.endpoint import Dialect
from arouter.web.inference.generate_request import (
    PREFIXES,
    CountTokensReader,
    EmbedBatchReader,
    EmbedReader,
    GenerateReader,
)
from arouter.web.inference.messages_request import CountReader, MessagesReader
from arouter.web.inference.responses_request import ResponsesReader
from arouter.wire.anthropic_messages.errors import anthropic_error_body
from arouter.wire.anthropic_messages.identity import Extraction
from arouter.wire.gemini_generate.calls import Method
from arouter.wire.gemini_generate.errors import gemini_error_body

GEMINI_PATH = "/v1beta/models/{model}:"

_MESSAGES_COUNT = MessagesTokenCount()
_GEMINI_COUNT = GeminiTokenCount()

CHAT = Dialect(path="/v1/chat/completions", reader=ChatReader, ingress=Chat())

ENDPOINTS = (
    Dialect(path="/v1/completions", reader=requests.CompletionReader, ingress=openai.COMPLETIONS),
    Dialect(path="/v1/embeddings", reader=requests.EmbeddingReader, ingress=OpenAIEmbeddings()),
    Dialect(path="/v1/rerank", reader=requests.RerankReader, ingress=openai.RERANK),
    Dialect(path="/v1/moderations", reader=requests.ModerationReader, ingress=openai.MODERATIONS),
    Dialect(path="/v1/images/generations", reader=requests.ImageReader, ingress=openai.IMAGES),
    Dialect(path="/v1/images/edits", reader=requests.ImageEditReader, ingress=openai.IMAGE_EDITS),
    Dialect(path="/v1/audio/speech", reader=requests.SpeechReader, ingress=openai.SPEECH),
    Dialect(path="/v1/audio/transcriptions", reader=requests.FormReader, ingress=openai.TRANSCRIPTIONS),
    Dialect(path="/v1/audio/translations", reader=requests.TranslationReader, ingress=openai.TRANSLATIONS),
)
"""OpenAI's other endpoints."""


def dialects(*, metadata_user: Extraction = "claude-code") -> tuple[Dialect, ...]:
    """All of them. `metadata_user` says how the user is found in the `metadata.user_id` of Anthropic's dialect."""
    return (
        CHAT,
        Dialect(path="/v1/responses", reader=ResponsesReader, ingress=Responses()),
        Dialect(
            path="/v1/messages",
            reader=partial(MessagesReader, extraction=metadata_user),
            ingress=Messages(),
            write_error=_anthropic_error,
        ),
        Dialect(
            path="/v1/messages/count_tokens",
            reader=partial(CountReader, extraction=metadata_user),
            ingress=_MESSAGES_COUNT,
            write_error=_anthropic_error,
            here=_MESSAGES_COUNT.here,
        ),
        *ENDPOINTS,
    )


def gemini_dialects() -> tuple[Dialect, ...]:
    """Those of Gemini's API, whose paths hold the model."""
    rows: tuple[tuple[Method, type[GenerateReader], Ingress], ...] = (
        (Method.GENERATE, GenerateReader, Generate()),
        (Method.STREAM, GenerateReader, Generate()),
        (Method.EMBED, EmbedReader, GeminiEmbeddings(is_batch=False)),
        (Method.EMBED_BATCH, EmbedBatchReader, GeminiEmbeddings(is_batch=True)),
    )
    counts = Dialect(
        path=GEMINI_PATH + Method.COUNT_TOKENS,
        reader=CountTokensReader,
        ingress=_GEMINI_COUNT,
        write_error=gemini_error_body,
        here=_GEMINI_COUNT.here,
    )
    return (
        *(
            Dialect(path=GEMINI_PATH + method, reader=reader, ingress=ingress, write_error=gemini_error_body)
            for method, reader, ingress in rows
        ),
        counts,
    )


def gemini_matcher(dialect: Dialect) -> Callable[[str], bool]:
    """Whether a path is one of a dialect of Gemini's, under any prefix that its SDKs and our base URLs make."""
    method = dialect.path[dialect.path.rindex(":") :]

    def matches(path: str) -> bool:
        return path.endswith(method) and path.startswith(PREFIXES)

    return matches


def _anthropic_error(error: ARouterError, status: int, type_: str) -> bytes:
    return anthropic_error_body(error, type_)
