"""Identifiers sort by time; keys have one shape."""

from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.errors import ARouterError, RateLimited, UpstreamFailed, UpstreamTimeout
from arouter.domain.estimate import tokens_of
from arouter.domain.ids import RANDOM_BYTES, generation_id, named_id
from arouter.domain.keys import PREFIXES, KeyKind, digest, has_key_shape, masked, new_plaintext

TIMES = st.integers(0, 2**57)
ENTROPY = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)


@given(TIMES, TIMES, ENTROPY, ENTROPY)
def test_generation_ids_sort_as_their_microseconds(one_us: int, other_us: int, one: bytes, other: bytes) -> None:
    left, right = generation_id(one_us, one), generation_id(other_us, other)
    assert len(left) == len(right) == len("gen-") + 32
    if one_us != other_us:
        assert (left < right) == (one_us < other_us)


def test_named_ids_say_what_they_name() -> None:
    assert named_id("org", b"\x00\xff") == "org_00ff"


@given(st.sampled_from(KeyKind), st.binary(min_size=24, max_size=24))
def test_a_new_key_has_the_shape_and_is_masked(kind: KeyKind, entropy: bytes) -> None:
    plaintext = new_plaintext(kind, entropy)
    assert plaintext == PREFIXES[kind] + entropy.hex()
    assert has_key_shape(plaintext)
    assert not has_key_shape(plaintext + "\n")
    assert not has_key_shape(plaintext[:-1])
    assert masked(plaintext) == f"{plaintext[:12]}…{plaintext[-4:]}"
    assert len(digest(plaintext)) == 64


@given(st.integers(0, 10**9))
def test_an_estimate_is_rounded_up(size: int) -> None:
    assert 4 * tokens_of(size) - size in range(4)


def test_errors_have_a_code_and_a_failure_of_the_client_is_not_retried() -> None:
    assert ARouterError("x").code == "internal_error"
    assert RateLimited("x", retry_after_s=1.5, code="c").code == "c"
    assert UpstreamTimeout("x").retryable
    assert not UpstreamFailed("x", client_fault=True).retryable
    assert UpstreamFailed("x", metadata={"a": 1}).metadata == {"a": 1}
