"""What the chain of hashes covers is the same, whether records are encoded one by one or many at once."""

from hypothesis import given, settings
from hypothesis import strategies as st

from arouter.store.sqlite.rows import NAMED, PLAIN, all_canonical_bytes, canonical_bytes, canonical_value

TEXTS = (
    st.none() | st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["\n", "\r\n", "\u2028", '"\\n'])
)
Row = tuple[int, int, int | None, tuple[str, ...], tuple[object, ...], tuple[str | None, ...]]
ROWS = st.tuples(
    st.integers(1, 2**62),
    st.integers(0, 2**62),
    st.none() | st.integers(1, 2**40),
    st.lists(st.text(st.sampled_from("x\n\\")), max_size=2).map(tuple),
    st.lists(TEXTS | st.integers(0, 2**62) | st.binary(max_size=9), min_size=len(PLAIN), max_size=len(PLAIN)).map(
        tuple
    ),
    st.lists(TEXTS, min_size=len(NAMED), max_size=len(NAMED)).map(tuple),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(ROWS, max_size=4))
def test_many_records_are_encoded_as_each_alone(rows: list[Row]) -> None:
    each = [canonical_bytes((seq, at_us, user), tags, plain, texts) for seq, at_us, user, tags, plain, texts in rows]
    assert all_canonical_bytes([canonical_value(*row) for row in rows]) == b"".join(each)
