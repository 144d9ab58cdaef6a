"""What the sandbox says, in no dialect yet.

A dialect reads its request into an `Ask`; `reply_to` decides what is said; the dialect writes the `Reply`.

How tokens are counted, always:

1. Input: one token for every four characters of all text in the request (instructions, messages, tool results),
   rounded down, and at least one.
2. Output: one token for every piece. A piece of text is a word with the white space before it; a piece of a tool's
   arguments is up to eight characters of their JSON.
3. A limit of the request on its output counts thoughts first, then the answer, and ends it with `length`.
"""

import re
from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec.structs import replace

from arouter.domain.chat import Json
from arouter.sandbox.behaviour import Behaviour
from arouter.sandbox.sample import sample, sample_object

_TEXT = (
    "Hello from the sandbox. No model was asked, nothing was spent, and these words are the same every time, so "
    "that your tests can rely on them. Ask for more tokens and the text begins again from the start."
)
_THOUGHT = "The sandbox pretends to think, one word for each token, before it says what it always says."
_REFUSAL = "The sandbox was asked to refuse, so it refuses."

_WORD = re.compile(r"\s*\S+|\s+")
_ARGUMENT = re.compile(r".{1,8}", re.DOTALL)
_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A tool that the model may call."""

    name: str
    parameters: Json | None = None
    """A JSON schema."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What the sandbox needs to know of a request."""

    model: str
    stream: bool
    characters: int
    """Of all text in it."""
    last_user_text: str = ""
    answers_tool: bool = False
    """Whether the last message is the result of a tool."""
    offers: tuple[Offer, ...] = ()
    """The tools it may call; none if the client forbids to call any."""
    must_call: bool = False
    """The client insists on a call."""
    wants_json: bool = False
    schema: Json | None = None
    limit: int | None = None
    """The most tokens that may come out."""
    choices: int = 1
    include_usage: bool = False
    """In the stream; only OpenAI's dialect has to ask."""


class Counts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Tokens as OpenAI counts them: the prompt includes what was cached, the completion includes reasoning."""

    prompt: int
    cached: int
    cache_written: int
    completion: int
    reasoning: int

    def after(self, pieces: int, thoughts: int) -> "Counts":
        """The counts when only so many pieces of the answer, of them so many thoughts, have been sent."""
        return replace(self, completion=min(pieces, self.completion), reasoning=min(thoughts, self.reasoning))


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What to say. Every piece is a token."""

    kind: Literal["text", "refusal", "tool_call"]
    pieces: tuple[str, ...]
    thoughts: tuple[str, ...]
    tool: str
    """The name of the tool to call, where `kind` says so."""
    complete: bool
    """Whether no limit cut the pieces short."""
    finish_reason: str
    """OpenAI's word, or whatever the behaviour put in its place."""
    counts: Counts | None
    """Of one choice; None if usage is not told."""

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def thought(self) -> str:
        return "".join(self.thoughts)


def count_prompt_tokens(characters: int) -> int:
    """Rule 1 above."""
    return max(1, characters // _CHARACTERS_PER_TOKEN)


def reply_to(ask: Ask, behaviour: Behaviour) -> Reply:
    """What the sandbox says to `ask` when it behaves like `behaviour`. The same ask gets the same reply."""
    kind, pieces, tool = _said(ask, behaviour)
    thoughts = _cycle(_THOUGHT_WORDS, behaviour.reasoning_tokens)
    whole = len(pieces)
    if ask.limit is not None:
        thoughts = thoughts[: ask.limit]
        pieces = pieces[: ask.limit - len(thoughts)]
    finish = "tool_calls" if kind == "tool_call" else "stop"
    complete = len(pieces) == whole and len(thoughts) == behaviour.reasoning_tokens
    return Reply(
        kind=kind,
        pieces=pieces,
        thoughts=thoughts,
        tool=tool,
        complete=complete,
        finish_reason=behaviour.finish_reason or (finish if complete else "length"),
        counts=_counts(ask, behaviour, len(pieces), len(thoughts)),
    )


def words(text: str) -> tuple[str, ...]:
    """The pieces of a text: joined, they are the text again."""
    return tuple(_WORD.findall(text))


def _said(ask: Ask, behaviour: Behaviour) -> tuple[Literal["text", "refusal", "tool_call"], tuple[str, ...], str]:
    wants_call = ask.must_call or (behaviour.tool_call and not ask.answers_tool)
    if ask.offers and wants_call:
        offer = ask.offers[0]
        arguments = msgspec.json.encode(sample_object(offer.parameters)).decode()
        return "tool_call", tuple(_ARGUMENT.findall(arguments)), offer.name
    if behaviour.says == "refusal":
        return "refusal", words(_REFUSAL), ""
    if behaviour.says == "echo":
        return "text", words(ask.last_user_text), ""
    if behaviour.says == "json" or ask.wants_json:
        value = sample(ask.schema) if ask.schema is not None else {"sandbox": True}
        return "text", words(msgspec.json.format(msgspec.json.encode(value), indent=1).decode()), ""
    return "text", _cycle(_TEXT_WORDS, behaviour.tokens), ""


def _counts(ask: Ask, behaviour: Behaviour, pieces: int, thoughts: int) -> Counts | None:
    if behaviour.usage == "none":
        return None
    if behaviour.usage == "zero":
        return Counts(prompt=0, cached=0, cache_written=0, completion=0, reasoning=0)
    prompt = behaviour.prompt_tokens
    if prompt is None:
        prompt = count_prompt_tokens(ask.characters)
    return Counts(
        # More from the cache than there was: a prompt that was counted grows, so that the parts still add up.
        prompt=max(prompt, behaviour.cached_tokens + behaviour.cache_write_tokens),
        cached=behaviour.cached_tokens,
        cache_written=behaviour.cache_write_tokens,
        completion=pieces + thoughts,
        reasoning=thoughts,
    )


_TEXT_WORDS = words(_TEXT)
_THOUGHT_WORDS = words(_THOUGHT)


def _cycle(source: tuple[str, ...], count: int) -> tuple[str, ...]:
    """`count` words, beginning again with a space when they run out."""
    if count <= len(source):
        return source[:count]
    again = (" " + source[0], *source[1:])
    times, rest = divmod(count - len(source), len(source))
    return source + again * times + again[:rest]
