"""Texts made of numbers, for whole columns: ids that look as those of gateways and providers do."""

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Letters = NDArray[np.uint8]
"""A row of ASCII characters for each text."""

TAIL = 24
"""Characters of a provider's id after its prefix."""

_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
_PAIRS = np.array([[_HEX[byte >> 4], _HEX[byte & 15]] for byte in range(256)], dtype=np.uint8).view(np.uint16).ravel()
"""Both digits of a byte as one number: to look up one costs half of what two cost."""
_ALPHANUMERIC = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LETTER_OF_BYTE = np.array([_ALPHANUMERIC[byte % len(_ALPHANUMERIC)] for byte in range(256)], dtype=np.uint8)


def hexadecimal(words: Words) -> Letters:
    """16 digits for each number."""
    octets = words.astype(">u8").view(np.uint8)
    return _PAIRS[octets].view(np.uint8).reshape(-1, 16)


def generation_letters(high: Words, low: Words) -> Letters:
    """`gen-` and the 32 digits of each pair of words."""
    made = np.empty((len(high), 36), dtype=np.uint8)
    made[:, :4] = np.frombuffer(b"gen-", dtype=np.uint8)
    made[:, 4:20] = hexadecimal(high)
    made[:, 20:] = hexadecimal(low)
    return made


def id_words(created_at_us: NDArray[np.int64], rng: np.random.Generator) -> tuple[Words, Words]:
    """The 128 bits behind `gen-` of `arouter.domain.ids.generation_id`: 60 of microseconds, 68 that are random."""
    number = len(created_at_us)
    high = (created_at_us.astype(np.uint64) << np.uint64(4)) | rng.integers(0, 16, number, dtype=np.uint64)
    return high, rng.integers(0, 2**64, number, dtype=np.uint64)


def random_letters(number: int, rng: np.random.Generator) -> Letters:
    """`TAIL` letters and digits for each text."""
    return _LETTER_OF_BYTE[np.frombuffer(rng.bytes(number * TAIL), dtype=np.uint8)].reshape(number, TAIL)


def mixed(words: Words) -> Words:
    """Other numbers, the same for the same ones, that look random: the end of MurmurHash3."""
    made = words.copy()
    made ^= made >> np.uint64(33)
    made *= np.uint64(0xFF51AFD7ED558CCD)
    made ^= made >> np.uint64(33)
    made *= np.uint64(0xC4CEB9FE1A85EC53)
    made ^= made >> np.uint64(33)
    return made


def as_texts(letters: Letters) -> list[str]:
    """The texts themselves."""
    width = letters.shape[1]
    whole = np.ascontiguousarray(letters).tobytes().decode("ascii")
    return [whole[start : start + width] for start in range(0, len(whole), width)]
