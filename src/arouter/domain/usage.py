"""What a request used, as disjoint meters.

Providers overlap their counts (OpenAI's prompt tokens include the cached ones, Anthropic's do not, Gemini keeps
thoughts apart from candidates). Here each token is counted in exactly one meter, so that a price is a plain sum
of products. `reasoning_tokens` is the one exception: it is a part of `output_tokens`, kept for information.

A meter that the provider did not report is None; a reported zero is 0. Every reader of usage keeps the two apart.
"""

from enum import StrEnum
from operator import attrgetter

from arouter.domain.value import value

INPUT_METERS = (
    "input_tokens",
    "input_audio_tokens",
    "input_image_tokens",
    "input_video_tokens",
    "cache_read_tokens",
    "cache_read_audio_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
)
OUTPUT_METERS = ("output_tokens", "output_audio_tokens", "output_image_tokens")
COUNT_METERS = ("web_searches",)
METERS = INPUT_METERS + OUTPUT_METERS + COUNT_METERS
"""The meters that are priced, each token or event in exactly one."""

_input_counts = attrgetter(*INPUT_METERS)
_output_counts = attrgetter(*OUTPUT_METERS)


class UsageSource(StrEnum):
    PROVIDER = "provider"
    """The provider's own final figures."""
    PARTIAL = "partial"
    """The provider's own figures as far as they came before the answer broke off."""
    ESTIMATED = "estimated"
    """Counted here, because the provider told nothing."""
    NONE = "none"
    """Nothing was used, or nothing is known."""


class _Sums:
    """What the meters of a `Usage` add up to: worked out once, since every request asks for it several times."""

    __slots__ = ("completion_tokens", "prompt_tokens")

    prompt_tokens: int | None
    """All input tokens, as OpenAI counts them. None if the provider reported no input at all."""
    completion_tokens: int | None
    """All output tokens, reasoning included, as OpenAI counts them."""


@value(frozen=True, slots=True, kw_only=True)
class Usage(_Sums):
    """Disjoint counts; None means that the provider did not say."""

    input_tokens: int | None = None
    """Read at the full price: not cached, not written to a cache, neither audio, image nor video of its own meter."""
    input_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    input_video_tokens: int | None = None
    cache_read_tokens: int | None = None
    """Read from a cache, without the audio counted in `cache_read_audio_tokens`."""
    cache_read_audio_tokens: int | None = None
    cache_write_tokens: int | None = None
    """Written to a cache for five minutes, or for a time that the provider does not name."""
    cache_write_1h_tokens: int | None = None
    output_tokens: int | None = None
    """Everything generated, reasoning included, without the audio and images that have their own meters."""
    output_audio_tokens: int | None = None
    output_image_tokens: int | None = None
    reasoning_tokens: int | None = None
    """A part of `output_tokens`; never added to it."""
    web_searches: int | None = None

    def __post_init__(self) -> None:
        # One by one: a sum over a tuple takes twice as long.
        prompt = (
            (self.input_tokens or 0)
            + (self.input_audio_tokens or 0)
            + (self.input_image_tokens or 0)
            + (self.input_video_tokens or 0)
            + (self.cache_read_tokens or 0)
            + (self.cache_read_audio_tokens or 0)
            + (self.cache_write_tokens or 0)
            + (self.cache_write_1h_tokens or 0)
        )
        self.prompt_tokens = prompt or _zero(_input_counts(self))  # type: ignore[misc]  # a slot of the parent
        completion = (self.output_tokens or 0) + (self.output_audio_tokens or 0) + (self.output_image_tokens or 0)
        self.completion_tokens = completion or _zero(_output_counts(self))  # type: ignore[misc]  # likewise

    @property
    def total_tokens(self) -> int | None:
        """Input and output together; None only if neither is known."""
        return _add(self.prompt_tokens, self.completion_tokens)

    @property
    def cached_tokens(self) -> int | None:
        return _add(self.cache_read_tokens, self.cache_read_audio_tokens)

    @property
    def cache_written_tokens(self) -> int | None:
        return _add(self.cache_write_tokens, self.cache_write_1h_tokens)

    @property
    def audio_tokens(self) -> int | None:
        return _add(_add(self.input_audio_tokens, self.cache_read_audio_tokens), self.output_audio_tokens)

    @property
    def image_tokens(self) -> int | None:
        return _add(self.input_image_tokens, self.output_image_tokens)


def _add(left: int | None, right: int | None) -> int | None:
    if left is None:
        return right
    return left if right is None else left + right


def _zero(counts: tuple[int | None, ...]) -> int | None:
    """What counts that are none of them above zero add up to: nothing, or unknown."""
    return 0 if counts.count(None) < len(counts) else None


NOTHING_REPORTED = Usage()
"""No meter is known."""
