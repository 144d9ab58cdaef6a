"""Exports as streams: what they hold while others write, how they go on, how they are compressed, what they cost."""

import asyncio
import gzip
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from arouter.domain.activity import ActivityQuery, Page
from arouter.domain.record import Status, UsageSource
from arouter.domain.usage import NOTHING_REPORTED
from arouter.engine.export import ROWS_AT_ONCE
from arouter.store.base import ColumnPage, Ledger
from arouter.web.api.app import create_api
from arouter.wire.activity_columns import columns_of
from tests.rfc4180 import read_csv, without_guard
from tests.web.api.gateway import NEEDS_NO_STORE, NOW_US, Gateway, exact

HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000
NOW = "2026-11-22T06:00:00.123456Z"


def ids(content: str) -> list[str]:
    return [exact(line.encode())["id"] for line in content.splitlines()]


@pytest.fixture
def many(gateway: Gateway) -> Gateway:
    """More than two pieces of an export; several records share an instant, and some know little."""
    for number in range(2 * ROWS_AT_ONCE + 7):
        if number % 50 == 0:
            gateway.add_record(
                user=None, ago_us=number // 2, status=Status.INTERRUPTED, usage=NOTHING_REPORTED, cost=None,
                usage_source=UsageSource.NONE, latency_us=None,
            )  # fmt: skip
        else:
            gateway.add_record(user=f"u{number % 9}", ago_us=number // 2, cost=number, tags=("a",) * (number % 3))
    return gateway


# ---------------------------------------------------------------- while others write


class TestUntil:
    """An export is what was written when it began, and says when that was."""

    def test_it_is_named_and_can_be_repeated(self, gateway: Gateway) -> None:
        gateway.add_record(user="before")
        first = gateway.get("/v1/activity?format=ndjson")
        assert first.headers["x-until"] == NOW
        gateway.now_us += 10
        gateway.add_record(user="began earlier, written later", ago_us=HOUR_US)
        gateway.add_record(user="later")
        assert gateway.get(f"/v1/activity?format=ndjson&until={NOW}").content == first.content
        assert len(gateway.get(f"/v1/activity?until={NOW}").json()["data"]) == 1
        assert gateway.get("/v1/activity?format=ndjson").text.count("\n") == 3

    def test_the_next_run_gets_what_this_one_lacks(self, gateway: Gateway) -> None:
        gateway.add_record(user="a")
        old = gateway.add_record(user="b", ago_us=1)
        until = gateway.get("/v1/activity?format=ndjson").headers["x-until"]
        gateway.now_us += 10
        gateway.add_record(user="long", ago_us=HOUR_US)
        gateway.adjust(old, 5)
        more = gateway.get("/v1/activity?format=ndjson&updated_since=2026-11-22T06:00:00.123457Z&order=asc")
        assert [exact(line.encode())["user"] for line in more.text.splitlines()] == ["long", "b"]
        inclusive = gateway.get(f"/v1/activity?format=ndjson&updated_since={until}")
        assert inclusive.text.count("\n") == 3

    def test_the_future_is_not_promised(self, gateway: Gateway) -> None:
        gateway.add_record(user="a")
        assert gateway.get("/v1/activity?format=csv&until=2099-01-01").headers["x-until"] == NOW

    def test_an_empty_ledger_has_one(self, gateway: Gateway) -> None:
        assert gateway.get("/v1/activity?format=csv").headers["x-until"] == NOW

    def test_what_is_written_while_it_runs_is_not_in_it(self, many: Gateway) -> None:
        record = many.add_record(user="before")
        before = many.get("/v1/activity?format=ndjson&order=asc").content
        many.now_us += 1

        async def write_more() -> None:
            opening = replace(record.opening, id="gen-meanwhile", created_at_us=NOW_US + HOUR_US)
            await many.store.ledger.close(replace(record, opening=opening))

        assert Listener(many, on_first=write_more).ask("format=ndjson&order=asc") == before
        assert many.get("/v1/activity?format=ndjson&order=asc").content.startswith(before + b'{"id":"gen-meanwhile"')


# ---------------------------------------------------------------- going on


class TestGoingOn:
    @pytest.mark.parametrize("order", ["asc", "desc"])
    def test_where_a_limit_cut(self, many: Gateway, order: str) -> None:
        whole = many.get(f"/v1/activity?format=ndjson&order={order}").text
        read, cursor = "", ""
        while True:
            answer = many.get(f"/v1/activity?format=ndjson&order={order}&limit=150{cursor}")
            read += answer.text
            if "x-next-cursor" not in answer.headers:
                break
            cursor = f"&cursor={answer.headers['x-next-cursor']}"
        assert read == whole

    @pytest.mark.parametrize("order", ["asc", "desc"])
    def test_behind_the_last_whole_line_of_a_download_that_broke_off(self, many: Gateway, order: str) -> None:
        answer = many.get(f"/v1/activity?format=ndjson&order={order}")
        lines = answer.text.splitlines(keepends=True)
        last = exact(lines[248].encode())
        rest = many.get(
            f"/v1/activity?format=ndjson&order={order}&until={answer.headers['x-until']}"
            f"&cursor={last['created_at']},{last['id']}"
        )
        assert "".join(lines[:249]) + rest.text == answer.text

    def test_csv_too(self, many: Gateway) -> None:
        answer = many.get("/v1/activity?format=csv")
        header, *rows = read_csv(answer.text)
        place = {name: number for number, name in enumerate(header)}
        created_at, record_id = rows[99][place["created_at"]], rows[99][place["id"]]
        rest = many.get(f"/v1/activity?format=csv&cursor={created_at},{record_id}")
        assert read_csv(rest.text) == [header, *rows[100:]]

    def test_without_a_limit_there_is_nothing_to_go_on_with(self, many: Gateway) -> None:
        assert "x-next-cursor" not in many.get("/v1/activity?format=csv").headers
        assert "x-next-cursor" not in many.get("/v1/activity?format=csv&limit=1000&user=u1").headers
        assert "x-next-cursor" in many.ask("HEAD", "/v1/activity?format=csv&limit=1", key=many.live).headers


# ---------------------------------------------------------------- Parquet


class TestParquet:
    def test_it_has_what_the_others_have(self, many: Gateway) -> None:
        answer = many.get("/v1/activity?format=parquet&order=asc")
        assert answer.headers["content-type"] == "application/vnd.apache.parquet"
        table = pq.read_table(pa.BufferReader(answer.content))
        assert table.column("id").to_pylist() == ids(many.get("/v1/activity?format=ndjson&order=asc").text)

    def test_duckdb_finds_the_totals_of_the_summary(self, many: Gateway, tmp_path: Path) -> None:
        path = tmp_path / "activity.parquet"
        path.write_bytes(many.get("/v1/activity?format=parquet").content)
        totals = exact(many.get("/v1/activity/summary").content)["totals"]
        with duckdb.connect() as connection:
            found = connection.execute(
                "SELECT count(*), sum(cost), sum(prompt_tokens), sum(completion_tokens), sum(total_tokens), "
                "sum(cached_tokens), sum(reasoning_tokens), count(DISTINCT user), count_if(status <> 'success') "
                "FROM read_parquet(?)",
                [str(path)],
            ).fetchone()
        names = ("requests", "cost", "prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens",
                 "reasoning_tokens", "users", "errors")  # fmt: skip
        assert found is not None
        assert dict(zip(names, map(Decimal, found), strict=True)) == {name: Decimal(totals[name]) for name in names}

    def test_the_file_says_what_was_asked_and_not_by_which_key(self, many: Gateway) -> None:
        answer = many.ask("GET", f"/v1/activity?format=parquet&user=u1&key={many.live}")
        metadata = pq.read_metadata(pa.BufferReader(answer.content)).metadata
        assert metadata[b"arouter.as_of"] == NOW.encode()
        assert metadata[b"arouter.query"] == b"format=parquet&user=u1"
        assert many.live.encode() not in answer.content

    def test_a_limit_holds(self, many: Gateway) -> None:
        answer = many.get("/v1/activity?format=parquet&limit=3")
        assert pq.read_table(pa.BufferReader(answer.content)).num_rows == 3
        assert "x-next-cursor" in answer.headers


# ---------------------------------------------------------------- FOCUS


def test_focus_has_the_sums_of_each_day(gateway: Gateway) -> None:
    for ago_us, user, cost in ((0, "a", 7), (1, "a", 8), (DAY_US, "a", None), (1, None, 2)):
        gateway.add_record(user=user, ago_us=ago_us, cost=cost)
    answer = gateway.get("/v1/activity?format=focus")
    assert answer.headers["content-type"] == "text/csv; header=present; charset=utf-8"
    header, *rows = read_csv(answer.text)
    shown = [dict(zip(header, row, strict=True)) for row in rows]
    assert [
        (row["ChargePeriodStart"], row["x_User"], row["BilledCost"], row["x_Requests"], row["x_RequestsWithoutPrice"])
        for row in shown
    ] == [
        ("2026-11-21T00:00:00Z", "a", "0.0", "1", "1"),
        ("2026-11-22T00:00:00Z", None, "0.000000000002", "1", "0"),
        ("2026-11-22T00:00:00Z", "a", "0.000000000015", "2", "0"),
    ]


def test_focus_adds_up_to_the_summary(many: Gateway) -> None:
    header, *rows = read_csv(many.get("/v1/activity?format=focus").text)
    shown = [dict(zip(header, row, strict=True)) for row in rows]
    totals = exact(many.get("/v1/activity/summary").content)["totals"]
    for column, name in (
        ("EffectiveCost", "cost"),
        ("x_Requests", "requests"),
        ("x_TotalTokens", "total_tokens"),
        ("x_RequestsWithoutUsage", "requests_without_usage"),
        ("x_RequestsWithoutPrice", "requests_without_price"),
    ):
        assert sum(Decimal(cast("str", row[column])) for row in shown) == Decimal(totals[name]), name


# ---------------------------------------------------------------- whose records


@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet", "focus"])
def test_a_key_exports_its_own_records_only(gateway: Gateway, form: str) -> None:
    _, neighbour = gateway.add_key("neighbour", workspace_id="ws_other")
    _, stranger = gateway.add_key("stranger", organization_id="org_other", workspace_id="ws_x")
    gateway.add_record(user="mine")
    theirs = [gateway.add_record(user=f"theirs-{key.name}", key=key, ago_us=-1) for key in (neighbour, stranger)]
    for query in ("", *(f"&api_key_hash={record.opening.key_hash}" for record in theirs)):
        for coding in ("identity", "gzip"):
            answer = gateway.get(f"/v1/activity?format={form}{query}", headers={"Accept-Encoding": coding})
            assert (b"mine" in answer.content) is (query == "")
            assert b"theirs" not in answer.content
            assert b"neighbour" not in answer.content
    everything = gateway.manage("GET", f"/v1/activity?format={form}").content
    assert (b"theirs-neighbour" in everything, b"theirs-stranger" in everything) == (True, False)


def test_a_cursor_shows_nothing_of_others(gateway: Gateway) -> None:
    _, neighbour = gateway.add_key("neighbour")
    theirs = gateway.add_record(user="theirs", key=neighbour)
    gateway.add_record(user="mine", ago_us=1)
    place = f"{NOW},{theirs.opening.id}"
    assert ids(gateway.get(f"/v1/activity?format=ndjson&cursor={place}").text) == ids(
        gateway.get("/v1/activity?format=ndjson").text
    )


# ---------------------------------------------------------------- compression

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (None, None),
        ("", None),
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("gzip, zstd", "zstd"),
        ("gzip, deflate, br", "gzip"),
        ("zstd;q=0.5, gzip;q=0.9", "gzip"),
        ("GZIP;Q=1", "gzip"),
        ("gzip;q=0", None),
        ("*", "zstd"),
        ("zstd;q=0, *;q=0.1", "gzip"),
        ("identity, gzip;q=0.5", None),
        ("br", None),
        ("gzip;q=x", None),
        ("identity;q=0, gzip;q=0", None),
    ],
)
@NEEDS_NO_STORE
def test_the_client_chooses_the_compression(gateway: Gateway, accepted: str | None, coding: str | None) -> None:
    gateway.add_record(user="a")
    headers = {"Accept-Encoding": accepted} if accepted is not None else {"Accept-Encoding": "identity"}
    answer = gateway.get("/v1/activity?format=csv", headers=headers)
    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    text = answer.content
    # The client of these tests undoes gzip by itself, and zstd where Python or a package of its can.
    if text.startswith(ZSTD_MAGIC):
        text = zstandard.ZstdDecompressor().decompressobj().decompress(text)
    assert len(read_csv(text.decode())) == 2


@pytest.mark.parametrize("form", ["csv", "ndjson", "focus"])
@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_what_is_compressed_is_the_same(many: Gateway, form: str, coding: str) -> None:
    plain = Listener(many).ask(f"format={form}")
    packed = Listener(many, coding=coding).ask(f"format={form}")
    assert len(packed) < len(plain) / 3
    unpacked = (
        gzip.decompress(packed) if coding == "gzip" else zstandard.ZstdDecompressor().decompressobj().decompress(packed)
    )
    assert unpacked == plain


def test_parquet_is_compressed_already(many: Gateway) -> None:
    answer = many.get("/v1/activity?format=parquet", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers


def test_what_has_arrived_can_be_read(many: Gateway) -> None:
    plain = Listener(many).ask("format=ndjson")
    listener = Listener(many, coding="gzip", leaves_after=2)
    begun = listener.ask("format=ndjson")
    read = zlib.decompressobj(31).decompress(begun)
    assert read.endswith(b"\n")
    assert plain.startswith(read)
    assert read.count(b"\n") == ROWS_AT_ONCE * len(listener.pieces)


# ---------------------------------------------------------------- who reads


class Counting:
    """A ledger that counts the pages that are read."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.pages = 0
        self.columns_read = 0
        self.written_until = ledger.written_until

    async def page(self, query: ActivityQuery) -> Page:
        self.pages += 1
        return await self._ledger.page(query)


class InColumns(Counting):
    """One that has its older records as columns, and the newest 100 as rows."""

    async def columns(self, query: ActivityQuery) -> ColumnPage | None:
        page = await self._ledger.page(replace(query, limit=40))
        if not page.rows or (page.rows[0].record.opening.created_at_us > NOW_US - 50):
            return None
        self.columns_read += 1
        return ColumnPage(batch=columns_of(page.rows), next_cursor=page.next_cursor)


class Listener:
    """A client that takes an answer piece by piece, over ASGI."""

    def __init__(
        self,
        gateway: Gateway,
        *,
        coding: str = "identity",
        leaves_after: int | None = None,
        on_first: Callable[[], Awaitable[None]] | None = None,
        ledger: type[Counting] = Counting,
    ) -> None:
        self._gateway = gateway
        self._coding = coding
        self._leaves_after = leaves_after
        self._on_first = on_first
        self.ledger = ledger(gateway.store.ledger)
        self.pieces: list[bytes] = []
        self.pages_read: list[int] = []
        """When each piece came."""

    def ask(self, query: str) -> bytes:
        self._gateway.run(self._ask(query))
        return b"".join(self.pieces)

    async def _ask(self, query: str) -> None:
        gone = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] != "http.response.body" or not message.get("body"):
                return
            await asyncio.sleep(0.01)  # A reader ahead of its client would have read on by now.
            self.pieces.append(bytes(message["body"]))
            self.pages_read.append(self.ledger.pages)
            if self._on_first is not None and len(self.pieces) == 1:
                await self._on_first()
            if len(self.pieces) == self._leaves_after:
                gone.set()
                await asyncio.sleep(3600)

        services = replace(self._gateway.services, ledger=cast("Ledger", self.ledger))
        scope = {
            "type": "http", "asgi": {"spec_version": "2.3"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": "/v1/activity", "raw_path": b"/v1/activity", "query_string": query.encode(), "root_path": "",
            "server": ("gateway", 80), "client": ("client", 1),
            "headers": [
                (b"authorization", f"Bearer {self._gateway.live}".encode()),
                (b"accept-encoding", self._coding.encode()),
            ],
        }  # fmt: skip
        answer: Awaitable[None] = create_api(services)(scope, receive, cast("Any", send))
        await asyncio.wait_for(answer, 60)


def test_no_page_is_read_before_the_client_took_the_one_before(many: Gateway) -> None:
    listener = Listener(many)
    listener.ask("format=ndjson")
    assert len(listener.pieces) >= 3
    assert listener.pages_read[0] == 1
    assert listener.ledger.pages == 3


def test_a_client_that_leaves_ends_the_reading(many: Gateway) -> None:
    listener = Listener(many, leaves_after=1)
    listener.ask("format=ndjson")
    assert (len(listener.pieces), listener.ledger.pages) == (1, 1)


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet", "focus"])
def test_columns_are_taken_where_there_are_some(many: Gateway, form: str, order: str) -> None:
    query = f"format={form}" + (f"&order={order}" if form != "focus" else "")
    of_rows = Listener(many).ask(query)
    listener = Listener(many, ledger=InColumns)
    of_columns = listener.ask(query)
    assert listener.ledger.columns_read > 3
    if form == "parquet":
        tables = [pq.read_table(pa.BufferReader(content)) for content in (of_rows, of_columns)]
        assert tables[0].to_pylist() == tables[1].to_pylist()
    else:
        assert of_columns == of_rows


def test_users_are_told_apart_in_focus(gateway: Gateway) -> None:
    users = ["", "=cmd()", 'a"b', None, "ü"]
    for user in users:
        gateway.add_record(user=user)
    header, *rows = read_csv(gateway.get("/v1/activity?format=focus").text)
    place = header.index("x_User")
    shown = [row[place] for row in rows]
    assert {None if one is None else without_guard(one) for one in shown} == set(users)
