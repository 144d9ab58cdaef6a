"""What is recorded of a request whose process died."""

from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.interruption import interrupted, without_intent
from arouter.domain.usage import NOTHING_REPORTED, UsageSource
from tests.conformance.samples import opening


@given(asked_bytes=st.none() | st.integers(0, 10**9), routed=st.none() | st.sampled_from(["openai/a/b", "groq/x"]))
def test_it_says_what_is_known_and_invents_nothing(asked_bytes: int | None, routed: str | None) -> None:
    record = interrupted(opening("gen-1", asked_bytes=asked_bytes, routed_model=routed), now_us=9)
    assert (record.status, record.completed_at_us, record.cost) == ("interrupted", 9, None)
    assert (record.model, record.provider) == (routed, None if routed is None else routed.split("/")[0])
    assert record.attempts == (routed is not None)
    assert record.usage.completion_tokens is None
    if asked_bytes is None:
        assert (record.usage, record.usage_source) == (NOTHING_REPORTED, UsageSource.NONE)
    else:
        assert record.usage.prompt_tokens == -(-asked_bytes // 4)
        assert record.usage_source is UsageSource.ESTIMATED
    assert record.opening == without_intent(record.opening) == opening("gen-1")
