"""Texts of any characters, in the order of their code points."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.store.postgres.pool import Pool
from arouter.store.postgres.texts import from_stored, listed, to_stored, unlisted

TEXTS = [
    "",
    "\x00",
    "\x00\x00",
    "\x000",
    "\x001",
    "\x01",
    "\x010",
    "\x011",
    "\x01\x00",
    "0",
    "1",
    "A",
    "a",
    "ä",
    "z",
    "\U0010ffff",
]


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("\x00\x0101")))
def test_a_text_comes_back_and_has_no_character_that_the_database_refuses(text: str) -> None:
    stored = to_stored(text)
    assert b"\x00" not in stored
    assert from_stored(stored) == text


@given(*[st.text(st.sampled_from("\x00\x01\x0201aä"))] * 2)
def test_the_order_is_kept(one: str, other: str) -> None:
    assert (one < other) == (to_stored(one) < to_stored(other))
    assert one.startswith(other) == to_stored(one).startswith(to_stored(other))


def test_a_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(ValueError):
        to_stored("\ud800")


def test_the_database_gives_back_texts_alone_and_in_lists_and_sorts_them(postgres_url: str) -> None:
    async def ask() -> tuple[list[str], list[str], list[str]]:
        pool = Pool(postgres_url)
        await pool.start()
        try:
            async with pool.transaction() as connection:
                alone = [await connection.fetchval("SELECT $1::text", text) for text in TEXTS]
                rows = await connection.fetch(
                    'SELECT text FROM unnest($1::text[]) AS text ORDER BY text COLLATE "C"', listed(TEXTS)
                )
                array = await connection.fetchval("SELECT $1::text[]", listed(TEXTS))
                return alone, [row["text"] for row in rows], unlisted(array)
        finally:
            await pool.close()

    assert asyncio.run(ask()) == (TEXTS, sorted(TEXTS), TEXTS)
