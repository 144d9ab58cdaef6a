"""A client that leaves after any event of any recorded stream: one record each, and the bill of an undisturbed run.

The provider says as many recorded events as the client hears, and nothing more until the gateway has noticed that its
client is gone: so every cut is where it is meant to be.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from arouter.domain.record import Record
from tests.acceptance.case import PROVIDERS, Case
from tests.acceptance.library_costs import body_of
from tests.acceptance.recorded import counts, data, dialect_of
from tests.faults.client import Heard, ask
from tests.faults.held_provider import HeldProvider, Line, listening, pieces_of, told_by
from tests.faults.ledgers import contents
from tests.faults.pacing import events_after
from tests.faults.processes import Gateway, Sections, place, wait_until
from tests.providers.test_recorded_costs import usage_object
from tests.recordings import Recording, need_recordings, recordings

APIS = ("openai.chat", "compatible.chat", "openrouter.chat", "anthropic.messages", "google.generate")
ROOM = 5000
"""For connections and drains: every client of a run is held at the same time."""
BILL = (
    "usage",
    "usage_source",
    "raw_usage",
    "cost",
    "rated_cost",
    "reported_cost",
    "price_source",
    "price_version",
    "finish_reason",
    "upstream_model",
    "upstream_id",
    "service_tier",
    "provider",
    "model",
    "attempts",
    "error_code",
)
"""What a record says of the answer, and not of its client."""


def streams() -> list[Case]:
    """Each recorded stream once: some were recorded again and again, word for word."""
    found = [one for api in APIS for one in recordings(api) if one.stream and one.status == 200]
    different = {one.response_text: one for one in found if dialect_of(one) != "responses"}
    return [Case(recording=one, piece_bytes=0) for one in different.values()]


STREAMS = streams()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A client that leaves when it has heard `heard` events, of which the provider had to say `said` pieces."""

    case: Case
    heard: int
    said: int
    finished: bool
    """The answer was over by then."""

    @property
    def name(self) -> str:
        return f"{self.case.recording.id}/{self.heard}/{self.said}"

    @property
    def at_head(self) -> bool:
        """The provider has said the head of its answer, of which the client hears nothing."""
        return (self.heard, self.said) == (0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Undisturbed:
    """A stream that was heard to its end."""

    heard: Heard
    record: Record

    @property
    def events(self) -> int:
        return self.heard.body.count(b"\n\n")


def cuts_of(case: Case, events: int) -> Iterator[Cut]:
    """After each of a client's events, and before the first one, with and without the head of the provider's answer."""
    recording = case.recording
    told = told_by(recording)
    counts = events_after(recording, told)
    # What makes an answer whole is its end mark in OpenAI's dialect, and the end of the body in the others.
    end = 1 + len(counts) if case.relayed else 2 + len(told)
    yield Cut(case=case, heard=0, said=0, finished=False)
    yield Cut(case=case, heard=0, said=1, finished=False)
    for heard in range(1, events + 1):
        said = next((2 + at for at, count in enumerate(counts) if count >= heard), end)
        yield Cut(case=case, heard=heard, said=said, finished=said == end)


# ---------------------------------------------------------------- the stage


class Stage:
    """A gateway in front of the provider, and its clients."""

    def __init__(self, gateway: Gateway, provider: HeldProvider) -> None:
        self.gateway = gateway
        self.provider = provider

    def line(self, name: str, recording: Recording, allowed: int) -> Line:
        line = self.provider.lines[name] = Line(pieces_of(recording), allowed)
        return line

    async def ask(self, name: str, case: Case, leave_after: int | None = None) -> Heard:
        return await ask(
            self.gateway.url,
            self.gateway.live,
            f"{case.provider}/{case.model}",
            stream=True,
            user=name,
            content=f"line {name}",
            leave_after=leave_after,
        )


@asynccontextmanager
async def stage(
    folder: Path, upstream: Mapping[str, object], server: Mapping[str, object] | None = None
) -> AsyncIterator[Stage]:
    """The gateway has stopped in the end, and answered everything until then."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=ROOM)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    provider = HeldProvider()
    with place(folder, sections(url, upstream, server or {})) as home:
        gateway = await asyncio.to_thread(home.start)
        async with listening(provider, listener):
            yield Stage(gateway, provider)
            gateway.terminate()
            assert await asyncio.to_thread(gateway.exit_code) == 0


def sections(url: str, upstream: Mapping[str, object], server: Mapping[str, object]) -> Sections:
    """A provider for each vendor whose streams were recorded."""
    found: dict[str, Mapping[str, object]] = {
        "server": {"port": 0, **server},
        "storage": {"url": "sqlite:///arouter.db"},
        "log": {"format": "json"},
        "upstream": {"most_connections": ROOM, "drain_most_requests": ROOM, **upstream},
    }
    for case in STREAMS:
        dialect = {} if case.recording.host in PROVIDERS else {"dialect": "openai"}
        base = f"{url}/v1" if case.relayed else url
        found[f"providers.{json.dumps(case.provider)}"] = {"base_url": base, "api_key": "any", **dialect}
    return found


async def becomes(gateway: Gateway, metric: str, value: int) -> None:
    await asyncio.to_thread(wait_until, lambda: gateway.metric(metric) == value, 30.0)


# ---------------------------------------------------------------- an undisturbed run


async def hear(on: Stage, case: Case) -> Heard:
    name = f"{case.recording.id}/whole"
    line = on.line(name, case.recording, 0)
    line.allow(len(line.pieces))
    heard = await on.ask(name, case)
    assert heard.success
    return heard


async def hear_all(folder: Path) -> dict[str, Heard]:
    async with stage(folder, {}) as on, asyncio.TaskGroup() as group:
        hearing = {case.recording.id: group.create_task(hear(on, case)) for case in STREAMS}
    return {name: task.result() for name, task in hearing.items()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Undisturbed]:
    """By the recording's id."""
    need_recordings()
    folder = tmp_path_factory.mktemp("undisturbed")
    answers = asyncio.run(hear_all(folder))
    records = contents(folder / "arouter.db").by_user()
    return {name: Undisturbed(heard=heard, record=records[f"{name}/whole"]) for name, heard in answers.items()}


def all_cuts(undisturbed: Mapping[str, Undisturbed]) -> list[Cut]:
    return [cut for case in STREAMS for cut in cuts_of(case, undisturbed[case.recording.id].events)]


# ---------------------------------------------------------------- clients that leave


async def leave(on: Stage, cut: Cut, *, hears: int) -> Heard:
    """Returns when the client is gone; the provider goes on holding its line. 0: as soon as the provider is asked."""
    line = on.line(cut.name, cut.case.recording, cut.said)
    if hears > 0:
        return await on.ask(cut.name, cut.case, leave_after=hears)
    asking = asyncio.ensure_future(on.ask(cut.name, cut.case))
    await line.asked.wait()
    asking.cancel()
    await asyncio.wait((asking,))
    return Heard(stream=True)


async def leave_everywhere(on: Stage, cuts: list[Cut]) -> dict[str, Heard]:
    async with asyncio.TaskGroup() as group:
        leaving = {cut.name: group.create_task(leave(on, cut, hears=cut.heard)) for cut in cuts}
    return {name: task.result() for name, task in leaving.items()}


async def leave_at_head(on: Stage, cuts: list[Cut]) -> None:
    """With the first keep-alive, which the gateway sends when it has the provider's head: nothing else would tell."""
    async with asyncio.TaskGroup() as group:
        for cut in cuts:
            group.create_task(leave(on, cut, hears=1))


async def drained(folder: Path, cuts: list[Cut]) -> dict[str, Heard]:
    """The provider goes on when the gateway has noticed every departure."""
    async with stage(folder, {"on_disconnect": "drain"}) as on:
        heard = await leave_everywhere(on, cuts)
        await becomes(on.gateway, "arouter_draining", sum(not cut.finished for cut in cuts))
        for line in on.provider.lines.values():
            line.allow(len(line.pieces))
        await becomes(on.gateway, "arouter_draining", 0)
    assert {line.requests for line in on.provider.lines.values()} == {1}
    return heard


async def cancelled(folder: Path, cuts: list[Cut]) -> None:
    """The provider says nothing more, and is hung up."""
    async with stage(folder, {"on_disconnect": "cancel"}) as on:
        await leave_everywhere(on, cuts)
        await hung_up(on, cuts)


async def cancelled_at_head(folder: Path, cuts: list[Cut]) -> None:
    async with stage(folder, {"on_disconnect": "cancel"}, {"keep_alive_s": 0.2}) as on:
        await leave_at_head(on, cuts)
        await hung_up(on, cuts)


async def hung_up(on: Stage, cuts: list[Cut]) -> None:
    async with asyncio.timeout(30):
        for cut in cuts:
            if not cut.finished:
                await on.provider.lines[cut.name].hung_up.wait()
    assert {line.requests for line in on.provider.lines.values()} == {1}


def chunks(heard: Heard) -> list[dict[str, Any]]:
    """Without what differs between two answers of the gateway's own making."""
    return [{name: value for name, value in event.items() if name not in ("id", "created")} for event in heard.events]


def check_what_was_heard(heard: Heard, whole: Heard, cut: Cut) -> None:
    """The beginning of what others heard; a little more than the client waited for may have come with it."""
    begun = chunks(heard)
    assert begun == chunks(whole)[: len(begun)], cut.name
    assert heard.body.count(b"\n\n") >= cut.heard, cut.name


def same_bill(record: Record, expected: Record) -> bool:
    return all(getattr(record, name) == getattr(expected, name) for name in BILL)


def told_usage(cut: Cut) -> bool:
    """Whether what the provider said had counts in it."""
    for piece in pieces_of(cut.case.recording)[1 : cut.said]:
        text = data(piece.decode().partition("\r\n")[2].strip())
        event = json.loads(text) if text is not None else {}
        if event.get("usage") or event.get("usageMetadata") or event.get("message", {}).get("usage"):
            return True
    return False


# ---------------------------------------------------------------- what must hold


def test_streams_of_all_dialects_are_cut() -> None:
    need_recordings()
    by_api = [case.recording.api for case in STREAMS]
    assert {api: by_api.count(api) for api in APIS} == {
        "openai.chat": 21,
        "compatible.chat": 2,
        "openrouter.chat": 4,
        "anthropic.messages": 6,
        "google.generate": 4,
    }


def test_an_undisturbed_stream_is_billed_as_the_provider_counts(undisturbed: dict[str, Undisturbed]) -> None:
    for case in STREAMS:
        record = undisturbed[case.recording.id].record
        told = counts(case.recording, usage_object(body_of(case.recording)))
        assert (record.status, record.usage_source) == ("success", "provider")
        assert (record.usage.prompt_tokens, record.usage.completion_tokens) == (
            told.prompt_tokens,
            told.completion_tokens,
        )


@pytest.mark.slow
def test_an_answer_that_nobody_waits_for_costs_what_it_would_have(
    undisturbed: dict[str, Undisturbed], tmp_path: Path
) -> None:
    cuts = all_cuts(undisturbed)
    heard = asyncio.run(drained(tmp_path, cuts))
    found = contents(tmp_path / "arouter.db")
    records = found.by_user()
    assert (found.report.problems, found.report.open_records) == ((), 0)
    assert records.keys() == {cut.name for cut in cuts}
    for cut in cuts:
        whole, record = undisturbed[cut.case.recording.id], records[cut.name]
        assert record.status == ("success" if cut.finished else "client_disconnect"), cut.name
        assert same_bill(record, whole.record), cut.name
        check_what_was_heard(heard[cut.name], whole.heard, cut)


@pytest.mark.slow
def test_an_answer_that_is_given_up_is_billed_as_far_as_it_was_told(
    undisturbed: dict[str, Undisturbed], tmp_path: Path
) -> None:
    cuts = all_cuts(undisturbed)
    records: dict[str | None, Record] = {}
    for at_head, cancel in ((False, cancelled), (True, cancelled_at_head)):
        chosen = [cut for cut in cuts if cut.at_head is at_head]
        folder = tmp_path / cancel.__name__
        folder.mkdir()
        asyncio.run(cancel(folder, chosen))
        found = contents(folder / "arouter.db")
        assert (found.report.problems, found.report.open_records) == ((), 0)
        assert found.by_user().keys() == {cut.name for cut in chosen}
        records |= found.by_user()
    for cut in cuts:
        record, whole = records[cut.name], undisturbed[cut.case.recording.id].record
        if cut.finished:
            assert record.status == "success", cut.name
            assert same_bill(record, whole), cut.name
            continue
        assert (record.status, record.attempts, record.error_code) == ("client_disconnect", 1, None), cut.name
        if cut.said == 0:  # the provider had not begun to answer
            assert (record.usage_source, record.cost) == ("none", None), cut.name
            continue
        assert record.usage_source == ("partial" if told_usage(cut) else "estimated"), cut.name
        assert (record.usage.prompt_tokens or 0) > 0, cut.name
        if record.upstream_model is not None:  # else the price is that of the model that was asked for
            assert (record.rated_cost is None) == (whole.rated_cost is None), cut.name
