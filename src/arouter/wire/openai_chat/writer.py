"""A translated answer as OpenAI's chat completions tell it."""

from collections.abc import Mapping, Sequence

from arouter.domain.charge import Charge
from arouter.domain.chat import Event
from arouter.wire.openai_chat.chunks import ChunkEncoder
from arouter.wire.openai_chat.completion import completion_body
from arouter.wire.openai_chat.usage import usage_json


class ChatWriter:
    """Implements `arouter.wire.answer.AnswerWriter`."""

    __slots__ = ("_created_s", "_encoder", "_id", "_model", "encode")

    def __init__(self, *, id: str, created_s: int, model: str) -> None:  # noqa: A002 - the field's own name
        """`id` is our generation id, `created_s` Unix seconds, `model` the provider's name of what was asked for."""
        self._id = id
        self._created_s = created_s
        self._model = model
        self._encoder = encoder = ChunkEncoder(id=id, created_s=created_s, model=model)
        self.encode = encoder.encode

    def last(self, charge: Charge | None) -> bytes:
        return self._encoder.last(None if charge is None else _usage(charge))

    def error(self, message: str, code: str, metadata: Mapping[str, object], *, type_: str) -> bytes:
        return self._encoder.error(message, code, metadata, type_=type_) + self._encoder.last(None)

    def whole(self, events: Sequence[Event], charge: Charge) -> bytes:
        return completion_body(
            events, id=self._id, created_s=self._created_s, model=self._model, usage_json=_usage(charge)
        )


def _usage(charge: Charge) -> bytes:
    return usage_json(
        charge.usage, cost=charge.cost, prompt_cost=charge.prompt_cost, completion_cost=charge.completion_cost
    )
