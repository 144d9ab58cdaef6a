"""What is billed by another measure than tokens: the length of a sound, the characters of a text.

The usage object of a transcription says `{"type": "duration", "seconds": 9}` where the model is priced by the hour
(OpenAI's description of its API, `TranscriptTextUsageDuration`). Of speech that comes as bare sound nobody tells a
usage: there the characters of the text that was sent are counted here, and noted in the same manner.
"""

from decimal import Decimal
from fractions import Fraction

import msgspec

from arouter.domain.price import AUDIO_HOURS, CHARACTERS

SECONDS_PER_HOUR = 3600
LARGEST_QUANTITY = 10**9
"""Of seconds or characters. With this bound no cost at a real price exceeds what a record can hold."""


class _Measured(msgspec.Struct):
    type: str | None = None
    seconds: Decimal | None = None
    characters: int | None = None


_decode = msgspec.json.Decoder(_Measured).decode


def quantity_in(raw_usage: bytes) -> tuple[str, Fraction] | None:
    """The meter and the quantity that a usage object (JSON) names; None where it counts tokens, or makes no sense."""
    try:
        told = _decode(raw_usage)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if told.type == "duration" and told.seconds is not None:
        if not told.seconds.is_finite() or not 0 <= told.seconds <= LARGEST_QUANTITY:
            return None
        return AUDIO_HOURS, Fraction(told.seconds) / SECONDS_PER_HOUR
    if told.type == "characters" and told.characters is not None and 0 <= told.characters <= LARGEST_QUANTITY:
        return CHARACTERS, Fraction(told.characters)
    return None


def characters_usage(count: int) -> bytes:
    """The usage object of a text of so many characters, which `quantity_in` reads."""
    return b'{"type":"characters","characters":%d}' % count
