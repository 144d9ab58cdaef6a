"""Random bytes are given out once."""

from hypothesis import given
from hypothesis import strategies as st

from arouter.wiring.entropy import BLOCK_BYTES, Entropy


@given(st.lists(st.integers(min_value=1, max_value=BLOCK_BYTES), max_size=50))
def test_no_byte_is_given_twice(sizes: list[int]) -> None:
    made: list[bytes] = []

    def source(size: int) -> bytes:
        made.append(bytes([len(made)]) * size)
        return made[-1]

    entropy = Entropy(source)
    taken = [entropy(size) for size in sizes]
    assert [len(one) for one in taken] == sizes
    for number in range(len(made)):
        assert sum(one.count(number) for one in taken) <= BLOCK_BYTES
    assert all(len(set(one)) == 1 for one in taken)


def test_the_bytes_of_a_block_come_in_their_order() -> None:
    entropy = Entropy(lambda size: bytes(index % 256 for index in range(size)))
    assert [entropy(2), entropy(3), entropy(1)] == [b"\x00\x01", b"\x02\x03\x04", b"\x05"]
