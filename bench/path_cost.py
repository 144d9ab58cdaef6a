"""What the pure parts of a request's path cost, counted in bytecodes and calls, beside what they may cost.

`python -m bench.path_cost` prints the table; `--write` keeps it as the budget that `tests/structure` compares with.
The counts depend on the minor version of Python, so there is a budget for each that somebody has counted with.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from arouter.domain.keys import Key, KeyKind
from arouter.domain.record import Opening
from arouter.engine.account import Account
from arouter.engine.adapters import Adapters
from arouter.engine.admission import Admission
from arouter.engine.billing import Bill, Billing
from arouter.engine.breaker import BreakerRules, Breakers
from arouter.engine.call import Call
from arouter.engine.clock import SystemClock
from arouter.engine.dialects.chat import Chat
from arouter.engine.exchange import Exchange, RelayExchange, TranslatedExchange
from arouter.engine.routing import Plan, Routing
from arouter.engine.selection import Selection
from arouter.engine.speeds import Speeds
from arouter.engine.standing import Standing
from arouter.providers.prices import PriceBook
from arouter.settings import Provider, Secret, Settings
from arouter.store.base import Home
from arouter.store.memory import MemoryStore
from arouter.web.inference.chat_request import ChatReader
from arouter.web.inference.head import read_head
from arouter.wire.sse import Splitter
from arouter.wiring.providers import deployments
from arouter.wiring.storage import make_key
from bench.answers import Dialect, events_of, whole_answer
from bench.cases import BY_NAME, Case
from bench.counting import Counted, count
from bench.exchanged import Exchanged
from bench.expressed import Expressed
from bench.limited import budget, limited_part
from bench.passed_on import PassedOn
from bench.requests import body_of

BUDGETS = Path(__file__).with_name("path_cost.json")
ALLOWED_MORE = 0.03
"""A part may cost so much more than its budget."""
ALLOWED_LESS = 0.15
"""And so much less, before its budget must follow: else it could creep up again unseen."""

_HOW = "keep the new count with `python -m bench.path_cost --write`"

NOW_US = 1_790_000_000_000_000
_HEAD = read_head({}, b"")
_IDENTITY = "0" * 64
_TOGETHER = 10

Work = Callable[[], object]


class Sample:
    """One request of a benchmark's case, at every station of its path."""

    def __init__(self, case: Case, model: str) -> None:
        home = Home(organization_id="org_1", workspace_id="ws_1", secret=b"s")
        self.key: Key
        self.key, _ = make_key(home, KeyKind.LIVE, "count", now_us=NOW_US)
        self.body = msgspec.json.encode(body_of(case, model))
        self.store = MemoryStore(clock=lambda: NOW_US)
        on, off = deployments(_settings(), None)
        self.routing = Routing(on, off=off)
        self.billing = Billing(PriceBook().card)
        self.selection = Selection(self.routing, _standing())
        self.admission = Admission()
        self.call = self._call(self.read())
        self.route = self.routing.resolve(model)

    def read(self) -> ChatReader:
        """The body, as a request to us."""
        reader = ChatReader(self.key, _HEAD)
        reader.read(self.body)
        return reader

    def admit(self) -> Plan:
        """Where it goes, and whether it may."""
        return self.selection.plan(self.call, self.admission.check)

    def exchange(self) -> Exchange:
        """The request to the provider, and the reader of its answer."""
        relayed = self.call.ingress.relay(self.call, self.route, _IDENTITY)
        if relayed is not None:
            return RelayExchange(self.call, self.route, *relayed)
        return TranslatedExchange(self.call, self.route, Adapters().of(self.route), _IDENTITY)

    def account(self, exchange: Exchange) -> Account:
        account = Account(self.call.opening, started_us=0)
        account.route, account.exchange, account.attempts, account.http_status = self.route, exchange, 1, 200
        return account

    def _call(self, reader: ChatReader) -> Call:
        opening = Opening(
            id="gen-1",
            request_id="req-1",
            created_at_us=NOW_US,
            organization_id=self.key.organization_id,
            workspace_id=self.key.workspace_id,
            key_hash=self.key.hash,
            user=reader.user,
            endpoint="/v1/chat/completions",
            requested_model=reader.requested_model,
            streamed=reader.stream,
        )
        return Call(
            ingress=Chat(),
            opening=opening,
            key=self.key,
            models=reader.models,
            fields=reader.fields,
            stream=reader.stream,
            include_usage=reader.include_usage,
        )


def _standing() -> Standing:
    clock = SystemClock()
    return Standing(
        breakers=Breakers(BreakerRules()), speeds=Speeds(), card=lambda *_: None, clock=clock, random=lambda: 0.5
    )


def _settings() -> Settings:
    provider = Provider(api_key=Secret("k"))
    return Settings(providers={"openai": provider, "anthropic": provider, "google": provider})


# ---------------------------------------------------------------- the parts


def parts() -> Mapping[str, Work]:
    """What is counted, by name."""
    json = Sample(BY_NAME["json"], "openai/gpt-4o-mini")
    stream = Sample(BY_NAME["stream-100x100"], "openai/gpt-4o-mini")
    answered = json.exchange()
    answered.read_answer(_body("openai"))
    bill = _bill(json, answered)
    return {
        "read a request": json.read,
        "route and admit": json.admit,
        "hold and settle four budgets": limited_part(json.call, json.route, budget()),
        "make the provider's request": json.exchange,
        "ask over a connection that is kept": Exchanged().again,
        "read an answer": lambda: json.exchange().read_answer(_body("openai")),
        "price its usage": lambda: _bill(json, answered),
        "write the answer": lambda: answered.answer(bill),
        "make the record": lambda: json.account(answered).record(bill, now_us=NOW_US, monotonic_us=1),
        "a usual request, all of it": _expressed(json, "openai").again,
        "translated for Anthropic, all of it": _expressed(
            Sample(BY_NAME["json-anthropic"], "anthropic/claude-sonnet-4-5"), "anthropic"
        ).again,
        "translated for Gemini, all of it": _expressed(
            Sample(BY_NAME["json-gemini"], "google/gemini-2.5-flash"), "gemini"
        ).again,
        "split a chunk": partial(Splitter().feed, events_of("openai", 1)[1]),
        **_streamed("relay", stream, "openai"),
        "pass a chunk on": PassedOn(stream.exchange(), stream.call.opening).again,
        "end a relayed stream": lambda: _whole_stream(stream, "openai"),
        **_streamed(
            "translate from Anthropic", Sample(BY_NAME["stream-anthropic"], "anthropic/claude-sonnet-4-5"), "anthropic"
        ),
        **_streamed("translate from Gemini", Sample(BY_NAME["stream-gemini"], "google/gemini-2.5-flash"), "gemini"),
    }


def _expressed(sample: Sample, dialect: Dialect) -> Expressed:
    return Expressed(sample.call, sample.key, sample.selection, sample.billing, sample.body, dialect)


def _streamed(name: str, sample: Sample, dialect: Dialect) -> Mapping[str, Work]:
    """A chunk in the middle of a stream, and ten that arrive together."""
    exchange = sample.exchange()
    begin, chunk, _ = events_of(dialect, 1)
    exchange.feed(begin)
    return {
        f"{name}: a chunk": partial(exchange.feed, chunk),
        f"{name}: {_TOGETHER} chunks together": partial(exchange.feed, chunk * _TOGETHER),
    }


def _whole_stream(sample: Sample, dialect: Dialect) -> bytes:
    """Made, fed with one chunk, ended, priced."""
    exchange = sample.exchange()
    for piece in events_of(dialect, 1):
        exchange.feed(piece)
    exchange.end()
    return exchange.last(_bill(sample, exchange))


def _bill(sample: Sample, exchange: Exchange) -> Bill:
    return sample.billing.bill(sample.route, exchange.told, asked_bytes=100, at_us=NOW_US)


def _body(dialect: Dialect) -> bytes:
    return whole_answer(dialect).partition(b"\r\n\r\n")[2]


# ---------------------------------------------------------------- counted and kept


def counted() -> dict[str, Counted]:
    """The costs of this Python, now."""
    return {name: count(work) for name, work in parts().items()}


def python_version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def budgets() -> dict[str, dict[str, Counted]]:
    """By version of Python, then by part."""
    return msgspec.json.decode(BUDGETS.read_bytes(), type=dict[str, dict[str, Counted]])


def over_budget(name: str, found: Counted, budget: Counted) -> str | None:
    """What to say of a part that costs another amount than it may; None if it does not."""
    for what, is_, may in (("bytecodes", found.bytecodes, budget.bytecodes), ("calls", found.calls, budget.calls)):
        if is_ > may * (1 + ALLOWED_MORE):
            return f"'{name}' takes {is_:,} {what}, its budget is {may:,}. If that is worth it, {_HOW}, and say why."
        if is_ < may * (1 - ALLOWED_LESS):
            return f"'{name}' takes {is_:,} {what} only, its budget is {may:,}: {_HOW}, so that it stays so."
    return None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.path_cost", description=__doc__)
    parser.add_argument("--write", action="store_true", help="keep what was counted as the budget")
    write = parser.parse_args().write
    known = budgets() if BUDGETS.exists() else {}
    before, now = known.get(python_version(), {}), counted()
    _show(before, now)
    if write:
        known[python_version()] = now
        BUDGETS.write_bytes(msgspec.json.format(msgspec.json.encode(dict(sorted(known.items()))), indent=1) + b"\n")
    return 0


def _show(before: Mapping[str, Counted], now: Mapping[str, Counted]) -> None:
    table = Table(title=f"One execution, CPython {python_version()}", title_justify="left")
    table.add_column("part")
    for name in ("bytecodes", "budget", "calls", "budget"):
        table.add_column(name, justify="right")
    for name, found in now.items():
        budget = before.get(name)
        told = ("", "") if budget is None else (f"{budget.bytecodes:,}", f"{budget.calls:,}")
        table.add_row(name, f"{found.bytecodes:,}", told[0], f"{found.calls:,}", told[1])
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
