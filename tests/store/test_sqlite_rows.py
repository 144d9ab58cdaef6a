"""What the chain of hashes covers is the same, whether records are encoded one by one or many at once."""

import apsw
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from arouter.store.queries import read_sql
from arouter.store.sqlite.rows import COLUMNS, NAMED, PLAIN, STORED, all_canonical_bytes, canonical_bytes
from arouter.store.sqlite.statements import ENGINE

TEXTS = (
    st.none() | st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["\n", "\r\n", "\u2028", '"\\n'])
)
Row = tuple[int, int | None, tuple[str, ...], tuple[object, ...], tuple[str | None, ...]]
ROWS = st.tuples(
    st.integers(1, 2**62),
    st.none() | st.integers(1, 2**40),
    st.lists(st.text(st.sampled_from("x\n\\")), max_size=2).map(tuple),
    st.lists(TEXTS | st.integers(0, 2**62) | st.binary(max_size=9), min_size=len(PLAIN), max_size=len(PLAIN)).map(
        tuple
    ),
    st.lists(TEXTS, min_size=len(NAMED), max_size=len(NAMED)).map(tuple),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(ROWS, max_size=4), st.integers(0, 2**62))
def test_many_records_are_encoded_as_each_alone(rows: list[Row], at_us: int) -> None:
    each = [canonical_bytes((seq, at_us, user), tags, plain, texts) for seq, user, tags, plain, texts in rows]
    seqs, users = [row[0] for row in rows], [row[1] for row in rows]
    prepared = [(tags, plain, texts, None) for _, _, tags, plain, texts in rows]
    assert all_canonical_bytes(seqs, at_us, users, prepared) == b"".join(each)


@settings(max_examples=50, deadline=None)
@given(ROWS, st.integers(0, 2**62))
def test_a_record_is_one_json_array_without_what_older_ones_do_not_have(row: Row, at_us: int) -> None:
    seq, user, tags, plain, texts = row
    whole: list[object] = [seq, at_us, user, tags]
    for values in (plain, texts):
        whole.append(values[:-1] if values[-1] is None else values)
    assert canonical_bytes((seq, at_us, user), tags, plain, texts) == msgspec.json.encode(whole)


def test_rows_are_inserted_in_the_order_of_the_table() -> None:
    """Else SQLite copies each value once more."""
    connection = apsw.Connection(":memory:")
    connection.execute(read_sql(ENGINE, "schema.sql"))
    assert tuple(row[1] for row in connection.execute("PRAGMA table_info (records)")) == STORED
    assert {*STORED} == {*COLUMNS}
