"""Disjoint meters: sums that keep apart what is zero and what is not known."""

from dataclasses import fields, replace

from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.usage import INPUT_METERS, METERS, NOTHING_REPORTED, OUTPUT_METERS, Usage

COUNTS = st.none() | st.integers(min_value=0, max_value=10**9)
USAGES = st.builds(Usage, **{field.name: COUNTS for field in fields(Usage)})


def test_every_field_is_a_meter_except_reasoning() -> None:
    assert {field.name for field in fields(Usage)} == {*METERS, "reasoning_tokens"}
    assert len(METERS) == len(set(METERS))


def test_nothing_reported_is_not_zero() -> None:
    assert NOTHING_REPORTED.prompt_tokens is None
    assert NOTHING_REPORTED.completion_tokens is None
    assert NOTHING_REPORTED.total_tokens is None
    assert NOTHING_REPORTED.cached_tokens is None


def test_a_reported_zero_is_zero() -> None:
    usage = Usage(input_tokens=0, output_tokens=0, cache_read_tokens=0)
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, usage.cached_tokens) == (0, 0, 0, 0)
    assert usage.audio_tokens is None


@given(USAGES)
def test_sums_count_every_meter_once_and_reasoning_never(usage: Usage) -> None:
    def known(meters: tuple[str, ...]) -> list[int]:
        return [count for meter in meters if (count := getattr(usage, meter)) is not None]

    assert usage.prompt_tokens == (sum(known(INPUT_METERS)) if known(INPUT_METERS) else None)
    assert usage.completion_tokens == (sum(known(OUTPUT_METERS)) if known(OUTPUT_METERS) else None)
    every = known(INPUT_METERS + OUTPUT_METERS)
    assert usage.total_tokens == (sum(every) if every else None)


@given(USAGES, COUNTS)
def test_another_count_makes_another_sum(usage: Usage, output: int | None) -> None:
    changed = replace(usage, output_tokens=output)
    assert (
        changed.completion_tokens
        == Usage(
            output_tokens=output,
            output_audio_tokens=usage.output_audio_tokens,
            output_image_tokens=usage.output_image_tokens,
        ).completion_tokens
    )
    assert changed.prompt_tokens == usage.prompt_tokens


def test_the_views_openai_has() -> None:
    usage = Usage(
        input_tokens=1,
        input_audio_tokens=2,
        input_image_tokens=4,
        input_video_tokens=8,
        cache_read_tokens=16,
        cache_read_audio_tokens=32,
        cache_write_tokens=64,
        cache_write_1h_tokens=128,
        output_tokens=256,
        output_audio_tokens=512,
        output_image_tokens=1024,
        reasoning_tokens=200,
    )
    assert usage.prompt_tokens == 255
    assert usage.completion_tokens == 1792
    assert usage.cached_tokens == 48
    assert usage.cache_written_tokens == 192
    assert usage.audio_tokens == 2 + 32 + 512
    assert usage.image_tokens == 4 + 1024
