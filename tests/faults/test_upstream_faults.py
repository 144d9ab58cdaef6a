"""Providers that fail in every way: one record each that says so, and the error that the contract promises."""

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from arouter.domain.record import Record
from tests.faults.client import Heard, ask
from tests.faults.ledgers import Contents, contents
from tests.faults.processes import place, sandbox_at, sandbox_process

PROVIDERS = ("openai", "anthropic", "google")
TIMEOUTS = {"first_byte_timeout_s": 1.0, "idle_timeout_s": 1.0, "connect_timeout_s": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What the provider does, and what follows from it."""

    knobs: str
    code: str
    status: int
    """What a client of a whole answer gets; and of a stream, if it had not begun."""
    begins: bool = False
    """Whether a streaming client has got a first byte."""
    whole_is_well: bool = False
    """Whether an answer that is not streamed is none the worse for it."""


FAULTS = {
    "dies in the middle": Fault(knobs="tokens=9&cut_after=6", code="upstream_error", status=502, begins=True),
    "resets in the middle": Fault(
        knobs="tokens=9&token_ms=30&cut_after=6&reset", code="upstream_error", status=502, begins=True
    ),
    "stalls in the middle": Fault(knobs="tokens=9&stall_after=6", code="upstream_timeout", status=504, begins=True),
    "reports an error in the middle": Fault(
        knobs="tokens=9&error_after=6", code="upstream_error", status=502, begins=True, whole_is_well=True
    ),
    "never answers": Fault(knobs="never_answer", code="upstream_timeout", status=504),
    "hangs up at once": Fault(knobs="drop", code="upstream_error", status=502),
    "resets at once": Fault(knobs="drop&reset", code="upstream_error", status=502),
    "is out of order": Fault(knobs="failure_rate=1&failure_status=500", code="upstream_error", status=502),
    "does not speak HTTP": Fault(knobs="wrong_output=not_http", code="upstream_error", status=502),
    "says nothing": Fault(knobs="wrong_output=empty", code="upstream_error", status=502),
    "says something else": Fault(knobs="wrong_output=html", code="upstream_error", status=502),
    "does not speak JSON": Fault(knobs="wrong_output=not_json", code="upstream_error", status=502),
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    with sandbox_process() as url:
        yield url


@dataclass(frozen=True, slots=True)
class Outcome:
    answers: dict[str, Heard]
    """By `provider fault stream`, which is the user as well."""
    found: Contents


@pytest.fixture(scope="module")
def outcome(sandbox: str, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Every fault in every dialect, streamed and not, all at once."""
    folder = tmp_path_factory.mktemp("faults")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        sections = sandbox_at(sandbox, upstream=TIMEOUTS)
        sections['providers."nobody"'] = {
            "dialect": "openai",
            "base_url": f"http://127.0.0.1:{closed.getsockname()[1]}/v1",
            "api_key": "any",
        }
        with place(folder, sections) as home:
            gateway = home.start()

            async def everything() -> dict[str, Heard]:
                async with asyncio.TaskGroup() as group:
                    asking = {
                        f"{provider}|{name}|{stream}": group.create_task(
                            ask(
                                gateway.url,
                                gateway.live,
                                f"{provider}/sandbox?{fault.knobs}",
                                stream=stream,
                                user=f"{provider}|{name}|{stream}",
                            )
                        )
                        for provider in PROVIDERS
                        for name, fault in FAULTS.items()
                        for stream in (True, False)
                    }
                    asking |= {
                        f"nobody|{stream}": group.create_task(
                            ask(gateway.url, gateway.live, "nobody/model", stream=stream, user=f"nobody|{stream}")
                        )
                        for stream in (True, False)
                    }
                return {user: task.result() for user, task in asking.items()}

            answers = asyncio.run(everything())
            gateway.terminate()
            assert gateway.exit_code() == 0
    return Outcome(answers, contents(folder / "arouter.db"))


def test_each_request_has_one_record_and_one_end(outcome: Outcome) -> None:
    assert outcome.found.by_user().keys() == outcome.answers.keys()
    assert outcome.found.report.problems == ()
    assert all(answer.whole for answer in outcome.answers.values())


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("name", FAULTS)
def test_a_whole_answer_that_cannot_be_is_an_http_error(outcome: Outcome, provider: str, name: str) -> None:
    fault = FAULTS[name]
    answer, record = of(outcome, f"{provider}|{name}|False")
    if fault.whole_is_well:
        assert answer.success
        assert record.status == "success"
        return
    assert answer.status == record.http_status == fault.status
    told_in_contract(answer, record, fault.code)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("name", FAULTS)
def test_a_stream_that_breaks_off_says_so(outcome: Outcome, provider: str, name: str) -> None:
    fault = FAULTS[name]
    answer, record = of(outcome, f"{provider}|{name}|True")
    assert answer.status == record.http_status == (200 if fault.begins else fault.status)
    told_in_contract(answer, record, fault.code)
    if fault.begins:
        error = answer.events[-1]
        assert error["error"]["code"] == fault.code
        assert error["choices"][0]["finish_reason"] == "error"
        assert record.usage_source in ("estimated", "partial")
        assert (record.usage.completion_tokens or 0) > 0


@pytest.mark.parametrize("stream", [True, False])
def test_nobody_there_is_an_http_error(outcome: Outcome, stream: bool) -> None:
    answer, record = of(outcome, f"nobody|{stream}")
    assert answer.status == record.http_status == 502
    told_in_contract(answer, record, "upstream_error")
    assert record.usage_source == "none"


def of(outcome: Outcome, user: str) -> tuple[Heard, Record]:
    return outcome.answers[user], outcome.found.by_user()[user]


def told_in_contract(answer: Heard, record: Record, code: str) -> None:
    assert [error["code"] for error in answer.errors] == [code] == [record.error_code]
    assert record.status == "upstream_error"
    assert record.attempts == 1
    assert answer.errors[0]["metadata"]["provider"] == record.provider
