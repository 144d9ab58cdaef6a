"""What is particular about the requests to OpenAI's endpoints besides chat."""

from typing import ClassVar

import msgspec

from arouter.domain.errors import InvalidRequest
from arouter.engine.call import Sent
from arouter.web.inference.request import RequestReader, read_text
from arouter.wire.multipart import boundary_of, read_form

DEFAULT_MODERATION = "omni-moderation-latest"
"""What OpenAI takes where a request for a verdict names no model."""


class WholeReader(RequestReader):
    """A request whose answer is no stream."""

    __slots__ = ()

    must: ClassVar[tuple[str, ...]] = ()
    """The fields that have to be there."""

    def _check(self) -> int | None:
        for name in self.must:
            if name not in self.fields:
                raise missing(name)
        return super()._check()

    def _read_stream(self) -> bool:
        return False


class CompletionReader(RequestReader):
    """`prompt` is a text, or an array of texts or of tokens."""

    __slots__ = ()

    asks = ("prompt",)

    def _check(self) -> int | None:
        if "prompt" not in self.fields:
            raise missing("prompt")
        return super()._check()


class EmbeddingReader(WholeReader):
    __slots__ = ()

    asks = must = ("input",)


class RerankReader(WholeReader):
    __slots__ = ()

    asks = must = ("query", "documents")


class ModerationReader(WholeReader):
    __slots__ = ()

    asks = must = ("input",)

    def _read_model(self) -> str | None:
        model = super()._read_model()
        return DEFAULT_MODERATION if model is None else model


class ImageReader(RequestReader):
    __slots__ = ()

    asks = ("prompt",)

    def _check(self) -> int | None:
        if read_text(self.fields, "prompt") is None:
            raise missing("prompt")
        return super()._check()


class SpeechReader(RequestReader):
    """A text that is to be spoken."""

    __slots__ = ()

    asks = ("input",)
    in_pieces = True

    def _check(self) -> int | None:
        if read_text(self.fields, "input") is None:
            raise missing("input")
        return super()._check()

    def _read_stream(self) -> bool:
        return read_text(self.fields, "stream_format") == "sse"


class FormReader(RequestReader):
    """A form with a file. Its few fields that matter here are read as those of a JSON object."""

    __slots__ = ()

    read_: ClassVar[tuple[str, ...]] = ("model", "user", "session_id", "stream", "response_format", "prompt")
    files: ClassVar[tuple[str, ...]] = ("file",)
    """One of them has to be there."""

    def read(self, body: bytes) -> None:
        content_type = self.head.content_type
        form = read_form(body, boundary_of(content_type))
        self.sent = Sent(content_type=content_type, body=body, form=form)
        told = {name: text for name in self.read_ if (text := form.text(name)) is not None}
        fields: dict[str, object] = dict(told)
        if "stream" in told:
            fields["stream"] = {"true": True, "false": False}.get(told["stream"].lower(), told["stream"])
        super().read(msgspec.json.encode(fields))
        if not form.has_file(*self.files):
            raise missing(self.files[0])

    def _check(self) -> int | None:
        """How many tokens a sound or an image is, nobody can tell from its bytes."""
        return None


class ImageEditReader(FormReader):
    __slots__ = ()

    files = ("image", "image[]")

    def read(self, body: bytes) -> None:
        """Images may also be named in JSON, by their URLs or the ids of files."""
        if self.head.content_type.partition(";")[0].strip().lower() == "application/json":
            RequestReader.read(self, body)
        else:
            super().read(body)

    def _check(self) -> int | None:
        if "prompt" not in self.fields:
            raise missing("prompt")
        return super()._check()


class TranslationReader(FormReader):
    __slots__ = ()

    def _read_stream(self) -> bool:
        return False


def missing(name: str) -> InvalidRequest:
    return InvalidRequest(f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name)
