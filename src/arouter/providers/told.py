"""What a provider has told of one request so far: everything that the ledger will want to know of it."""

from dataclasses import dataclass
from typing import ClassVar

from arouter.domain.usage import Usage


@dataclass(slots=True)
class Told:
    """Filled while an answer is read; mutable, and owned by one exchange."""

    countable: ClassVar[bool] = True
    """Whether what is asked and answered is text, from whose size tokens can be estimated."""

    upstream_id: str | None = None
    upstream_model: str | None = None
    finish_reason: str | None = None
    service_tier: str | None = None
    """What it was served with, where that has a price of its own: `flex`, `priority`, …"""
    speed: str | None = None
    """Anthropic's `fast`."""
    usage: Usage | None = None
    raw_usage: bytes | None = None
    """The provider's usage object as JSON."""
    has_plain_usage: bool = False
    """It is known that there is no cost of the provider's own in that object."""
    advice: tuple[tuple[str, Usage], ...] = ()
    """What other models used on behalf of this answer, each with its name; not in `usage`."""
    output_bytes: int = 0
    """Bytes of generated text, thought and arguments: what an estimate is made from if no usage ever comes."""
    failure: str | None = None
    """The provider reported an error in the middle of a stream; its message."""
    failure_code: str | None = None
    complete: bool = False
    """The provider said that the answer is at its end."""


class ToldWithoutText(Told):
    """Of images, sound, vectors and verdicts: what the provider does not tell is not known."""

    __slots__ = ()

    countable: ClassVar[bool] = False
