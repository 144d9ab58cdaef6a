"""Records that are packed: the same comes back, whichever version left them."""

from typing import Any

import msgspec
import pytest

from arouter.domain.money import LARGEST
from arouter.domain.record import Opening, Record
from arouter.domain.usage import METERS, Usage
from arouter.store.sqlite.prepared import id_of, note_all, pack, prepare, prepare_all, unpack
from arouter.store.sqlite.rows import NAMED, PLAIN
from tests.conformance.samples import BARE, FULL, ZEROS, opening, record

USAGE_METERS = (*METERS, "reasoning_tokens")
RECORDS = (FULL, BARE, ZEROS)


def test_what_is_packed_comes_back() -> None:
    prepared = [prepare(each) for each in RECORDS]
    assert unpack(pack(prepared)) == (prepared, [])
    assert [id_of(each) for each in prepared] == [each.opening.id for each in RECORDS]


def test_an_earlier_version_knew_fewer_columns_in_another_order() -> None:
    prepared = [prepare(each) for each in RECORDS]
    plain, named = PLAIN[:-1][::-1], NAMED[:-1][::-1]
    left = [(tags, values[:-1][::-1], texts[:-1][::-1], user) for tags, values, texts, user in prepared]
    found, noted = unpack(msgspec.msgpack.encode((plain, named, left)))
    assert noted == []
    assert found == [(tags, (*values[:-1], None), (*texts[:-1], None), user) for tags, values, texts, user in prepared]


def test_a_column_that_is_not_known_is_not_dropped() -> None:
    with pytest.raises(ValueError, match="color"):
        unpack(msgspec.msgpack.encode(((*PLAIN, "color"), NAMED, [])))


@pytest.mark.parametrize("parts", [(PLAIN, NAMED, *[[]] * 3), (PLAIN, NAMED)])
def test_a_group_with_more_parts_or_fewer_is_not_read(parts: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="length"):
        unpack(msgspec.msgpack.encode(parts))


def test_intents_come_back_with_the_records_beside_them_or_alone() -> None:
    prepared = [prepare(each) for each in RECORDS]
    openings = [opening("gen-1"), opening("gen-2", user="Zoë", tags=("a", "b"))]
    noted = note_all(openings, 5)
    for some in (prepared, []):
        assert unpack(pack(some, noted)) == (some, noted)
    assert [(record_id, owner_no) for record_id, owner_no, _ in noted] == [("gen-1", 5), ("gen-2", 5)]
    assert [msgspec.json.decode(text, type=Opening) for _, _, text in noted] == openings


def test_an_intent_that_cannot_be_stored_is_left_out() -> None:
    noted = note_all([opening("gen-bad", user="\ud800"), opening("gen-1")], 5)
    assert [record_id for record_id, _, _ in noted] == ["gen-1"]


def test_what_is_wrong_with_a_record_is_told_of_that_alone() -> None:
    records = [FULL, record("gen-bad", latency_us=-1), record("gen-worse", model="\ud800"), BARE]
    prepared, problems = prepare_all(records)
    assert prepared == [prepare(FULL), prepare(BARE)]
    assert [problem is None for problem in problems] == [True, False, False, True]


@pytest.mark.parametrize("name", [*USAGE_METERS, "attempts", "latency_us", "time_to_first_token_us", "completed_at_us"])
def test_no_count_and_no_time_is_negative(name: str) -> None:
    bad: dict[str, Any] = {"usage": Usage(**{name: -1})} if name in USAGE_METERS else {name: -1}
    with pytest.raises(ValueError, match="-1"):
        prepare(record("gen-bad", **bad))


@pytest.mark.parametrize("name", ["cost", "rated_cost", "reported_cost"])
def test_an_amount_fits_in_64_bits(name: str) -> None:
    def made(amount: int | None) -> Record:
        fields: dict[str, Any] = {name: amount}
        return record("gen-1", **fields)

    for fits in (LARGEST, -LARGEST, 0, None):
        assert fits in prepare(made(fits))[1]
    for amount in (LARGEST + 1, -LARGEST - 1):
        with pytest.raises(ValueError, match="amount"):
            prepare(made(amount))
