"""Hypothesis strategies for the canonical chat: events as a provider's reader would give them, and any JSON."""

from hypothesis import strategies as st

from arouter.domain.chat import (
    Annotated,
    Event,
    Finished,
    FinishReason,
    ImageMade,
    Json,
    LogprobsTold,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallArguments,
    ToolCallStarted,
    UsageReported,
)
from arouter.domain.usage import METERS, Usage

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
"""Text as JSON can hold it: no lone surrogates."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
"""Any JSON value."""

MAYBE = st.none() | TEXT
FORMATS = st.none() | st.sampled_from(["anthropic-claude-v1", "google-gemini-v1", "openai-responses-v1", "unknown"])


@st.composite
def logprob(draw: st.DrawFn) -> Json:
    """One entry of OpenAI's `logprobs.content`."""
    return {"token": draw(TEXT), "logprob": draw(st.floats(-100, 0)), "bytes": None, "top_logprobs": []}


@st.composite
def annotation(draw: st.DrawFn) -> Json:
    """A citation."""
    start = draw(st.integers(0, 99))
    citation = {"url": "https://example.com/a", "title": draw(TEXT), "start_index": start, "end_index": start + 1}
    return {"type": "url_citation", "url_citation": citation}


def _spoken(choice: int) -> st.SearchStrategy[Event]:
    """An event that stands for itself."""
    at = st.just(choice)
    return st.one_of(
        st.builds(TextDelta, text=TEXT, choice=at),
        st.builds(
            ReasoningDelta,
            text=TEXT,
            signature=MAYBE,
            data=MAYBE,
            format=FORMATS,
            id=MAYBE,
            index=st.integers(0, 2),
            choice=at,
        ),
        st.builds(RefusalDelta, text=TEXT, choice=at),
        st.builds(Annotated, annotation=annotation(), choice=at),
        st.builds(ImageMade, url=TEXT.map("data:image/png;base64,{}".format), choice=at),
        st.builds(LogprobsTold, content=st.lists(logprob(), max_size=2).map(tuple), choice=at),
    )


@st.composite
def _calls(draw: st.DrawFn, choice: int) -> list[Event]:
    """The tool calls of a choice: each begins before its arguments, and they come one after the other or mixed."""
    begun = [
        ToolCallStarted(index=index, id=f"call_{index}", name=draw(TEXT), signature=draw(MAYBE), choice=choice)
        for index in range(draw(st.integers(0, 3)))
    ]
    events: list[Event] = []
    for call in begun:
        events.append(call)
        for fragment in draw(st.lists(TEXT, max_size=3)):
            index = draw(st.integers(0, call.index))
            events.append(ToolCallArguments(index=index, fragment=fragment, choice=choice))
    return events


@st.composite
def choice_events(draw: st.DrawFn, choice: int) -> list[Event]:
    """All events of one choice, up to its end."""
    events = draw(st.lists(_spoken(choice), max_size=6))
    at = draw(st.integers(0, len(events)))
    events[at:at] = draw(_calls(choice))
    events.append(
        draw(st.builds(Finished, reason=st.sampled_from(FinishReason), native_reason=MAYBE, choice=st.just(choice)))
    )
    return events


@st.composite
def answers(draw: st.DrawFn, max_choices: int = 3) -> list[Event]:
    """The events of one answer: a start, one or more choices whose events mix, and usage somewhere."""
    waiting = [draw(choice_events(choice)) for choice in range(draw(st.integers(1, max_choices)))]
    events: list[Event] = [draw(st.builds(Started, id=MAYBE, model=MAYBE))]
    while any(waiting):
        source = draw(st.sampled_from([events_left for events_left in waiting if events_left]))
        events.append(source.pop(0))
    usage = UsageReported(usage=draw(usages()), raw=b"{}")
    events.insert(draw(st.integers(1, len(events))), usage)
    return events


def usages() -> st.SearchStrategy[Usage]:
    """Counts, any of which may be unknown."""
    meter = st.none() | st.integers(0, 10**9)
    return st.builds(Usage, **dict.fromkeys((*METERS, "reasoning_tokens"), meter))
