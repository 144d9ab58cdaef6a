"""Attempts as text and back."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.attempt import Attempt
from arouter.domain.usage import Usage
from arouter.store.attempts import read_attempts, write_attempts

ATTEMPTS = st.lists(st.from_type(Attempt), max_size=4).map(tuple)


@given(tried=ATTEMPTS)
def test_what_is_written_is_read_back(tried: tuple[Attempt, ...]) -> None:
    assert read_attempts(write_attempts(tried)) == tried


def test_what_is_unknown_takes_no_room() -> None:
    bare = Attempt(provider="groq", model="llama", http_status=None, error_code=None, latency_us=0)
    assert msgspec.json.decode(write_attempts((bare,))) == [{"provider": "groq", "model": "llama", "latency_us": 0}]
    known = Attempt(
        provider="groq", model="x", http_status=200, error_code=None, latency_us=0, usage=Usage(input_tokens=0)
    )
    assert msgspec.json.decode(write_attempts((known,)))[0]["usage"] == {"input_tokens": 0}


def test_a_text_that_is_not_unicode_is_refused() -> None:
    bad = Attempt(provider="\ud800", model="", http_status=None, error_code=None, latency_us=0)
    with pytest.raises(ValueError):
        write_attempts((bad,))
