"""The deltas of one choice: what each event adds to its message, in OpenAI's words.

A stream sends them one by one, a whole answer is their sum: both are written from here, so that they cannot differ.

1. The first delta of a choice carries the role.
2. `content` is a text where there is one. A message of tool calls or of a refusal has `content: null`; one that ends
   without having said anything has the empty text.
3. An event that adds nothing (an empty piece of text) makes no delta.
4. The entries of a list that may come in pieces (tool calls, annotations, images, `reasoning_details`) carry their
   position as `index`, by which OpenAI's SDKs put them together.
5. Of annotations this dialect has citations of URLs only. Those of files, which Responses has too, are left out: SDKs
   that check what they read refuse the whole answer for them.
"""

from arouter.domain.chat import (
    Annotated,
    ChoiceEvent,
    Finished,
    ImageMade,
    Json,
    LogprobsTold,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStarted,
)
from arouter.wire.openai_chat.reasoning_details import DetailsWriter

_ANNOTATION = "url_citation"


class ChoiceDeltas:
    """Turns the events of one choice into deltas. Feed it every event of the choice, in order."""

    __slots__ = ("_annotations", "_details", "_images", "_said", "_started")

    def __init__(self) -> None:
        self._started = False
        self._said = False
        self._details = DetailsWriter()
        self._annotations = 0
        self._images = 0

    @property
    def has_content(self) -> bool:
        """Whether the role and some of the answer have been told, so that a further text is nothing but itself."""
        return self._started and self._said

    def delta(self, event: ChoiceEvent) -> Json | None:
        """What `event` adds to the message; None if nothing. Log probabilities and the end are told beside it."""
        added = self._added(event)
        if added is None:
            return None
        if self._started:
            return added
        self._started = True
        return {"role": "assistant", "content": None, **added}

    def _added(self, event: ChoiceEvent) -> Json | None:
        match event:
            case TextDelta(text=text):
                self._said = self._said or bool(text)
                return {"content": text} if text else None
            case ReasoningDelta():
                return self._thought(event)
            case RefusalDelta(text=text):
                self._said = self._said or bool(text)
                return {"refusal": text} if text else None
            case ToolCallStarted():
                self._said = True
                return self._call(event)
            case ToolCallArguments(index=index, fragment=fragment):
                return {"tool_calls": [{"index": index, "function": {"arguments": fragment}}]} if fragment else None
            case Annotated(annotation=annotation):
                if annotation.get("type") != _ANNOTATION:
                    return None
                self._annotations += 1
                return {"annotations": [{**annotation, "index": self._annotations - 1}]}
            case ImageMade(url=url):
                self._images += 1
                return {"images": [{"type": "image_url", "image_url": {"url": url}, "index": self._images - 1}]}
            case LogprobsTold():
                return {}
            case Finished():
                return {} if self._said else {"content": ""}

    def _thought(self, event: ReasoningDelta) -> Json | None:
        pieces = self._details.pieces(event)
        if not pieces:
            return None
        return {"reasoning": event.text, "reasoning_details": pieces} if event.text else {"reasoning_details": pieces}

    def _call(self, event: ToolCallStarted) -> Json:
        call: Json = {
            "index": event.index,
            "id": event.id,
            "type": "function",
            "function": {"name": event.name, "arguments": ""},
        }
        if event.signature is None:
            return {"tool_calls": [call]}
        # Clients of Google's OpenAI-compatible API send the one back, clients of OpenRouter the other.
        call["extra_content"] = {"google": {"thought_signature": event.signature}}
        return {"tool_calls": [call], "reasoning_details": [self._details.proof(event.id, event.signature)]}


def logprobs(told: LogprobsTold) -> Json:
    """The `logprobs` object of a choice."""
    return {"content": list(told.content), "refusal": None}
