"""A client that leaves never escapes the ledger: whenever it goes and whatever becomes of the answer, one record."""

import asyncio

import pytest

from arouter.domain.errors import UpstreamFailed
from arouter.domain.record import Record, Status, UsageSource
from arouter.engine.departure import DrainLimits
from tests.engine.pipeline import STREAM, Pipeline, ask, completion, playing, text, turns
from tests.engine.samples import call
from tests.engine.scripted_client import Says
from tests.engine.scripted_reply import ScriptedReply
from tests.recordings import Recording, need_recordings, recordings

CANCEL = DrainLimits(on_disconnect="cancel")
DRAIN = DrainLimits(on_disconnect="drain")


def one_recording() -> Recording | None:
    """The recorded stream with the most events, of those that tell their usage."""
    streams = [
        one
        for one in recordings("openai.chat")
        if one.stream and one.status == 200 and '"usage":{' in one.response_text.replace(" ", "")
    ]
    return max(streams, key=lambda one: one.response_text.count("data:"), default=None)


RECORDED = one_recording()
PIECES = [
    f"{event}\n\n".encode() for event in (RECORDED.response_text if RECORDED is not None else "").split("\n\n") if event
]
EVERY_PIECE = range(1, max(2, len(PIECES) - 1))
"""The usage and the end mark are the two pieces that are kept back; where nothing is recorded there is one skip."""


async def _leave(pipeline: Pipeline, reply: ScriptedReply, *, stream: bool = True) -> Record:
    await pipeline.completions.run(call(stream=stream), reply)
    record = await pipeline.only_record()
    assert reply.ends == []
    assert record.status is Status.CLIENT_DISCONNECT
    assert record.error_code is None
    return record


@playing
async def test_the_recorded_stream_is_long_enough_to_be_left() -> None:
    need_recordings()
    pipeline = Pipeline(Says(steps=PIECES))
    assert (await ask(pipeline, stream=True)).pieces == PIECES[:-2]
    assert len(EVERY_PIECE) > 20


@pytest.mark.parametrize("unseen", [False, True])
@pytest.mark.parametrize("leaves_after", EVERY_PIECE)
@playing
async def test_drained_the_usage_of_a_recorded_stream_arrives_whenever_the_client_leaves(
    leaves_after: int, unseen: bool
) -> None:
    need_recordings()
    whole = Pipeline(Says(steps=PIECES))
    await ask(whole, stream=True)
    expected = await whole.only_record()
    pipeline = Pipeline(Says(steps=PIECES), drain=DRAIN)
    record = await _leave(pipeline, ScriptedReply(leaves_after=leaves_after, unseen=unseen))
    assert record.usage == expected.usage
    assert record.raw_usage == expected.raw_usage
    assert record.cost == expected.cost
    assert record.usage_source is UsageSource.PROVIDER
    assert record.http_status == 200


@pytest.mark.parametrize("leaves_after", EVERY_PIECE)
@playing
async def test_cancelled_a_recorded_stream_is_given_up_whenever_the_client_leaves(leaves_after: int) -> None:
    need_recordings()
    pipeline = Pipeline(Says(steps=[*PIECES, asyncio.Event()]), drain=CANCEL)
    reply = ScriptedReply(leaves_after=leaves_after)
    record = await _leave(pipeline, reply)
    assert record.http_status == 200
    assert len(reply.pieces) == leaves_after


@pytest.mark.parametrize("limits", [DRAIN, CANCEL], ids=["drain", "cancel"])
@playing
async def test_who_leaves_before_the_provider_answers(limits: DrainLimits) -> None:
    pipeline = Pipeline(Says(before=[0.01], steps=STREAM), drain=limits)
    record = await _leave(pipeline, ScriptedReply(leaves_after=0))
    assert record.http_status is None
    assert record.time_to_first_token_us is None
    if limits is DRAIN:
        assert (record.usage_source, record.finish_reason) == (UsageSource.PROVIDER, "stop")
    else:
        assert (record.usage_source, record.cost) == (UsageSource.NONE, None)


@pytest.mark.parametrize("limits", [DRAIN, CANCEL], ids=["drain", "cancel"])
@playing
async def test_who_leaves_a_whole_answer(limits: DrainLimits) -> None:
    pipeline = Pipeline(Says(steps=[completion()[:30], 0.01, completion()[30:]]), drain=limits)
    reply = ScriptedReply()
    asyncio.get_running_loop().call_later(0.005, reply.leave)
    record = await _leave(pipeline, reply, stream=False)
    assert record.http_status is None
    assert record.usage_source is (UsageSource.PROVIDER if limits is DRAIN else UsageSource.ESTIMATED)


@pytest.mark.parametrize("limits", [DRAIN, CANCEL], ids=["drain", "cancel"])
@pytest.mark.parametrize("stream", [False, True])
@playing
async def test_a_departure_that_is_noticed_at_the_very_end_leaves_nothing_behind(
    limits: DrainLimits, stream: bool
) -> None:
    """Nobody watches a short answer: whether the client has left is asked when the answer is at its end."""
    pipeline = Pipeline(*[Says(steps=STREAM if stream else [completion()])] * 3, drain=limits)
    for _ in range(3):
        reply = ScriptedReply(unseen=True)
        reply.leave()
        await pipeline.completions.run(call(stream=stream), reply)
        assert reply.ends == []
    await turns()
    assert pipeline.drains.running == 0
    assert [record.status for record, _ in pipeline.told] == [Status.CLIENT_DISCONNECT] * 3
    assert {record.usage_source for record, _ in pipeline.told} == {UsageSource.PROVIDER}


@playing
async def test_a_provider_that_fails_a_client_that_has_left() -> None:
    pipeline = Pipeline(Says(steps=[STREAM[0], UpstreamFailed("cut")]))
    reply = ScriptedReply(leaves_after=1)
    await pipeline.completions.run(call(stream=True), reply)
    record = await pipeline.only_record()
    assert reply.ends == []
    assert (record.status, record.error_code) == (Status.CLIENT_DISCONNECT, "upstream_error")


@playing
async def test_a_refused_client_that_has_left_is_a_record_too() -> None:
    pipeline = Pipeline()
    reply = ScriptedReply()
    reply.leave()
    await pipeline.completions.run(call("nobody/knows"), reply)
    record = await pipeline.only_record()
    assert (record.status, record.http_status) == (Status.CLIENT_DISCONNECT, None)
    assert record.error_code == "model_not_found"


# ---------------------------------------------------------------- the bounds of a drain


@playing
async def test_a_drain_ends_after_its_time() -> None:
    pipeline = Pipeline(Says(steps=[STREAM[0], asyncio.Event()]), drain=DrainLimits(timeout_s=0.02))
    record = await _leave(pipeline, ScriptedReply(leaves_after=1))
    assert record.usage_source is UsageSource.ESTIMATED
    assert pipeline.client.hung_up == [True]


@playing
async def test_a_drain_ends_after_its_bytes() -> None:
    most = sum(map(len, STREAM[1:3])) - 1
    pipeline = Pipeline(Says(steps=STREAM), drain=DrainLimits(most_bytes=most))
    record = await _leave(pipeline, ScriptedReply(leaves_after=1))
    assert record.usage_source is UsageSource.ESTIMATED
    assert pipeline.client.hung_up == [True]


@playing
async def test_a_drain_of_just_as_many_bytes_is_whole() -> None:
    pipeline = Pipeline(Says(steps=STREAM), drain=DrainLimits(most_bytes=sum(map(len, STREAM[1:]))))
    record = await _leave(pipeline, ScriptedReply(leaves_after=1))
    assert record.usage_source is UsageSource.PROVIDER


@playing
async def test_only_so_many_are_drained_at_once() -> None:
    gate = asyncio.Event()
    answers = [Says(steps=[STREAM[0], gate, *STREAM[1:]]) for _ in range(3)]
    pipeline = Pipeline(*answers, drain=DrainLimits(most_requests=2))
    running = [
        asyncio.ensure_future(pipeline.completions.run(call(stream=True, id=f"gen-{n}"), ScriptedReply(leaves_after=1)))
        for n in range(3)
    ]
    await turns()
    assert pipeline.drains.running == 2
    assert [task.done() for task in running] == [False, False, True]
    gate.set()
    await asyncio.gather(*running)
    assert pipeline.drains.running == 0
    sources = {record.opening.id: record.usage_source for record, _ in pipeline.told}
    assert sources == {
        "gen-0": UsageSource.PROVIDER,
        "gen-1": UsageSource.PROVIDER,
        "gen-2": UsageSource.ESTIMATED,
    }


@playing
async def test_a_shutdown_ends_a_drain_as_interrupted() -> None:
    pipeline = Pipeline(Says(steps=[STREAM[0], asyncio.Event()]))
    reply = ScriptedReply(leaves_after=1)
    running = asyncio.ensure_future(pipeline.completions.run(call(stream=True), reply))
    await turns()
    assert pipeline.drains.running == 1
    running.cancel()
    await running
    assert (await pipeline.only_record()).status is Status.INTERRUPTED
    assert reply.ends == []


@playing
async def test_what_was_drained_counts_for_an_estimate() -> None:
    pipeline = Pipeline(Says(steps=[text("1234"), text("5678"), asyncio.Event()]), drain=DrainLimits(timeout_s=0.02))
    record = await _leave(pipeline, ScriptedReply(leaves_after=1))
    assert record.usage.output_tokens == 2
