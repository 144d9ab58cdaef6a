"""The ids of new records have their form, and no random digit is in two of them."""

from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.ids import RANDOM_BYTES, RANDOM_DIGITS, generation_id
from arouter.wiring.record_ids import IDS_IN_BLOCK, RecordIds


@given(st.integers(0, 2**60 - 1), st.binary(min_size=1, max_size=64))
def test_they_are_what_the_domain_makes_of_the_same_digits(now_us: int, pattern: bytes) -> None:
    made = RecordIds(lambda size: (pattern * size)[:size]).new(now_us)
    digits = made[-RANDOM_DIGITS:]
    assert made == generation_id(now_us, bytes.fromhex("0" + digits))
    assert len(bytes.fromhex("0" + digits)) == RANDOM_BYTES


def test_every_digit_of_a_block_is_given_out_once_before_another_one_is_asked_for() -> None:
    blocks: list[bytes] = []

    def source(size: int) -> bytes:
        blocks.append(bytes((len(blocks) * 31 + at * 7) % 256 for at in range(size)))
        return blocks[-1]

    ids = RecordIds(source)
    for number in range(3):
        endings = [ids.new(0)[-RANDOM_DIGITS:] for _ in range(IDS_IN_BLOCK)]
        assert len(blocks) == number + 1
        assert "".join(reversed(endings)) == blocks[number].hex()
