"""The inference paths, one row each."""

from arouter.engine.dialects import openai_endpoints as openai
from arouter.engine.dialects.chat import Chat
from arouter.web.inference import endpoint_requests as requests
from arouter.web.inference.chat_request import ChatReader
from arouter.web.inference.endpoint import Dialect

CHAT = Dialect(path="/v1/chat/completions", reader=ChatReader, ingress=Chat())

ENDPOINTS = (
    Dialect(path="/v1/completions", reader=requests.CompletionReader, ingress=openai.COMPLETIONS),
    Dialect(path="/v1/embeddings", reader=requests.EmbeddingReader, ingress=openai.EMBEDDINGS),
    Dialect(path="/v1/rerank", reader=requests.RerankReader, ingress=openai.RERANK),
    Dialect(path="/v1/moderations", reader=requests.ModerationReader, ingress=openai.MODERATIONS),
    Dialect(path="/v1/images/generations", reader=requests.ImageReader, ingress=openai.IMAGES),
    Dialect(path="/v1/images/edits", reader=requests.ImageEditReader, ingress=openai.IMAGE_EDITS),
    Dialect(path="/v1/audio/speech", reader=requests.SpeechReader, ingress=openai.SPEECH),
    Dialect(path="/v1/audio/transcriptions", reader=requests.FormReader, ingress=openai.TRANSCRIPTIONS),
    Dialect(path="/v1/audio/translations", reader=requests.TranslationReader, ingress=openai.TRANSLATIONS),
)
"""OpenAI's other endpoints."""

DIALECTS = (CHAT, *ENDPOINTS)
