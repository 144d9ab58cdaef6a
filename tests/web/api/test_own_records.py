"""A member sees of every view what there would be if only the keys that the member made had ever been used.

Two gateways with the same people and keys: in one everybody asks, in the other only the member's keys were used, and an
admin looks. What the member is told in the first is what the admin is told in the second, byte for byte, wherever the
records lie: in rows, in columns of days, in sealed days.
"""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from arouter.domain.keys import Key
from arouter.domain.record import Record, Status
from arouter.domain.roles import ALLOWED, Action, Role
from arouter.store.buckets import DAY_US
from arouter.store.stores import Store
from tests.sqlite_file import open_store
from tests.web.api.gateway import Gateway, failure, in_memory
from tests.web.api.people import Town, member, signed_in, with_password
from tests.web.api.test_billing import pay

HOUR_US = 3_600_000_000
AGES_US = (0, 5 * HOUR_US, 30 * HOUR_US, 80 * HOUR_US, 9 * DAY_US, 9 * DAY_US + HOUR_US)
USERS = ("ada", "", "用户", None)
RANGE = "start=2026-11-01&end=2026-12-01"
FROM_S = 1_793_491_200
"""2026-11-01."""

PLACES = ("memory", "rows", "columns", "sealed", "sealed and columns")


@dataclass(kw_only=True)
class World:
    """One of the two gateways."""

    gateway: Gateway
    town: Town
    mine: list[Key]
    gone: Key
    records: list[Record]
    """Those of the member."""
    others: list[Record]
    idle: str = ""
    """The management key of a member whose keys were never used."""
    session: str = ""
    """The member has signed in."""

    @property
    def token(self) -> str:
        return self.town.people[Role.MEMBER].management

    def everyone_but_me(self) -> list[Key]:
        return [
            self.gateway.live_key,
            self.town.people[Role.ADMIN].live_key,
            self.town.people[Role.BILLING].live_key,
            self.town.foreigner.live_key,
        ]


def world(gateway: Gateway, *, alone: bool) -> World:
    town = Town(gateway)
    me = town.people[Role.MEMBER]
    _, second = gateway.add_key("second", creator=me.member.id)
    _, gone = gateway.add_key("gone", creator=me.member.id)
    made = World(gateway=gateway, town=town, mine=[me.live_key, second, gone], gone=gone, records=[], others=[])
    made.idle = town.settle(member("idle", Role.MEMBER)).management
    with_password(gateway, me.member)
    made.session = signed_in(gateway, me.member)
    for key in made.mine:
        made.records += records_of(gateway, key)
    for key in [] if alone else made.everyone_but_me():
        made.others += [*records_of(gateway, key), *records_of(gateway, key, user="only theirs")]
    gateway.now_us += 1
    gateway.adjust(made.records[3], 987_654_321_000_007)
    for record in made.others[3::11]:
        gateway.adjust(record, 5)
    assert gateway.run(gateway.store.directory.delete_key("org_home", gone.hash, now_us=gateway.now_us))
    return made


def records_of(gateway: Gateway, key: Key, **changes: Any) -> list[Record]:
    found = []
    for number, age_us in enumerate(AGES_US):
        for place, user in enumerate(USERS):
            name = f"{key.hash[:12]}-{number}-{place}-{'x' if changes else ''}"
            told: dict[str, Any] = {
                "id": f"gen-{name}",
                "request_id": f"req-{name}",
                "user": user,
                "tags": ("red", f"t{place}") if number % 2 else (),
                "session_id": f"s{place}",
                "model": f"openai/model-{number % 3}",
                "status": Status.UPSTREAM_ERROR if (number + place) % 7 == 0 else Status.SUCCESS,
                "latency_us": 1_000 * (number + 1) + int(key.hash[:2], 16),
                "cost": 1_000_003 * (1 + number + 10 * place + int(key.hash[:4], 16)),
                "is_byok": (number + place) % 5 == 0,
                **changes,
            }
            found.append(gateway.add_record(key=key, ago_us=age_us + place * 11_000_000, **told))
    return found


@pytest.fixture(scope="module", params=PLACES)
def worlds(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, World]]:
    """That of everybody, and that of the member alone."""
    folder = tmp_path_factory.mktemp("worlds")
    with Gateway(_maker(folder, "all", request.param)) as one, Gateway(_maker(folder, "alone", request.param)) as other:
        both = world(one, alone=False), world(other, alone=True)
        for each in both:
            if request.param != "memory":
                each.gateway.run(_settled(each.gateway.store, request.param, each.gateway.now_us))
        yield both


def _maker(folder: Path, name: str, place: str) -> Callable[[Callable[[], int]], Store]:
    if place == "memory":
        return in_memory
    return partial(open_store, folder / f"{name}.db", durability="relaxed")


async def _settled(store: Any, place: str, now_us: int) -> None:
    """Put what is there where it is to lie."""
    if "sealed" in place:
        assert await store.archive.seal(before_us=now_us - 4 * DAY_US) is not None
    if "columns" in place:
        folded = [await store.fold(day, now_us) for day in await store.days_to_fold(now_us, 1)]
        assert any(folded)


VIEWS = (
    "/v1/activity?limit=7",
    "/v1/activity?limit=1000",
    "/v1/activity?limit=1000&order=asc&user=ada&user=only+theirs",
    "/v1/activity?limit=1000&tag=red",
    "/v1/activity?limit=1000&session_id=s1&unattributed=true&user=",
    "/v1/activity?limit=1000&updated_since=2026-11-22T06:00:00.123457Z",
    f"/v1/activity?limit=1000&{RANGE}&status=success&model=openai/model-1",
    *(f"/v1/activity?format={form}{query}" for form in ("ndjson", "csv", "focus") for query in ("", "&user=ada")),
    "/v1/activity/summary",
    f"/v1/activity/summary?{RANGE}",
    "/v1/activity/summary?metrics=requests,cost,users,latency_ms_p50,latency_ms_p95&group_by=model",
    *(
        f"/v1/activity/summary?group_by={group_by}&metrics=requests,cost,users&limit=1000"
        for group_by in ("user", "api_key", "workspace", "model,status", "tag", "day", "hour,user", "month,endpoint")
    ),
    "/v1/activity/summary?group_by=user&order_by=cost&limit=2",
    "/v1/activity/summary?group_by=day&user=ada",
    "/v1/activity/summary?user=only+theirs",
    "/v1/activity/summary?user=ada&start=2026-11-12T03:00:01Z&end=2026-11-22T05:59:59Z",
    f"/v1/activity/summary?group_by=user&compare=previous&{RANGE}",
    "/v1/users?limit=2",
    "/v1/users?limit=1000",
    "/v1/users?limit=1000&order_by=name",
    "/v1/users?limit=1000&order_by=first_seen&order=asc&q=o",
    f"/v1/users/ada?{RANGE}",
    f"/v1/users/?user=&{RANGE}",
    f"/v1/users/only%20theirs?{RANGE}",
    f"/v1/activity/users?{RANGE}",
    f"/v1/activity/users?{RANGE}&order_by=requests&limit=2",
    f"/v1/activity/users?{RANGE}&format=csv",
    f"/v1/activity/report?format=json&{RANGE}",
    f"/v1/activity/report?format=json&{RANGE}&user=ada",
    "/v1/transactions?limit=1000",
    "/v1/billing/transactions?user=ada",
    "/v1/credits",
    "/v1/balance",
    *(
        f"/v1/organization/usage/completions?start_time={FROM_S}&limit=31{query}"
        for query in ("", "&group_by=user_id", "&group_by=api_key_id&group_by=model", "&user_ids=mem_boss")
    ),
    f"/v1/organization/usage/embeddings?start_time={FROM_S}&limit=31",
    f"/v1/organization/costs?start_time={FROM_S}&limit=31",
    f"/v1/organization/costs?start_time={FROM_S}&limit=31&group_by=line_item&group_by=project_id",
    "/api/usage/summary?by_user=true",
    "/api/usage/summary",
    "/api/usage/timeseries?start_time=2026-11-01T00:00:00Z&end_time=2026-12-01T00:00:00Z&granularity=daily&by_user=true",
)
"""Everything that tells of records, and of the sums of records."""


def told(gateway: Gateway, path: str, key: str) -> tuple[int, Any]:
    answer = gateway.ask("GET", path, key=key)
    assert answer.status_code in (200, 404), answer.text
    if answer.headers["content-type"] != "application/json":
        return answer.status_code, answer.content
    body = answer.json()
    for name in ("generated_by", "covers"):  # Who asked, and whose records they may see.
        body.pop(name, None)
    data = body.get("data")
    for one in (body, *(data if isinstance(data, list) else [data] if isinstance(data, dict) else ())):
        # Of users, and of the pool of credits: no records, and told by another action.
        for name in ("limits", "applied_limits", "blocked", "enabled"):
            one.pop(name, None)
    return answer.status_code, json.dumps(body)


@pytest.mark.parametrize("view", VIEWS)
def test_a_member_sees_what_there_would_be_without_the_others(worlds: tuple[World, World], view: str) -> None:
    everybody, alone = worlds
    wanted = told(alone.gateway, view, alone.gateway.management)
    assert told(everybody.gateway, view, everybody.token) == wanted
    assert told(alone.gateway, view, alone.token) == wanted


@pytest.mark.parametrize("key_hashes", ["mine", "theirs", "both"])
def test_a_filter_by_keys_shows_no_more(worlds: tuple[World, World], key_hashes: str) -> None:
    everybody, alone = worlds
    mine, theirs = everybody.mine[0].hash, everybody.gateway.live_key.hash
    asked = {"mine": [mine], "theirs": [theirs], "both": [mine, theirs]}[key_hashes]
    query = "&".join(f"api_key_hash={one}" for one in asked)
    for view in ("/v1/activity", "/v1/activity/summary", "/v1/activity/users", "/v1/activity/report"):
        path = f"{view}?{RANGE}&format=json&{query}"
        assert told(everybody.gateway, path, everybody.token) == told(alone.gateway, path, alone.gateway.management)


def test_a_generation_is_told_to_whoever_made_its_key(worlds: tuple[World, World]) -> None:
    everybody, _ = worlds
    statuses = {
        told(everybody.gateway, f"/v1/generation?id={one.opening.id}", everybody.token)[0]: one
        for one in everybody.others
    }
    assert statuses.keys() == {404}
    for one in everybody.records:
        assert told(everybody.gateway, f"/v1/generation?id={one.opening.id}", everybody.token)[0] == 200


def test_an_admin_sees_all_and_another_member_nothing(worlds: tuple[World, World]) -> None:
    everybody, _ = worlds
    gateway = everybody.gateway
    at_home = len(everybody.records) + sum(one.opening.organization_id == "org_home" for one in everybody.others)
    path = "/v1/activity/summary?group_by=user"
    totals = gateway.ask("GET", path, key=gateway.management).json()["totals"]
    assert totals["requests"] == at_home > len(everybody.records)
    idle = everybody.idle
    for view, name in (("/v1/activity", "data"), ("/v1/users", "data"), ("/v1/transactions", "transactions")):
        assert gateway.ask("GET", view, key=idle).json()[name] == []
    assert gateway.ask("GET", "/v1/activity?format=ndjson", key=idle).content == b""
    body = gateway.ask("GET", path, key=idle).json()
    assert (body["totals"]["requests"], body["data"]) == (0, [])
    assert gateway.ask("GET", f"/v1/users/ada?{RANGE}", key=idle).status_code == 404
    assert gateway.ask("GET", f"/v1/activity/users?{RANGE}", key=idle).json()["data"] == []


def test_a_parquet_export_holds_the_members_records(worlds: tuple[World, World]) -> None:
    everybody, _ = worlds
    content = everybody.gateway.ask("GET", "/v1/activity?format=parquet", key=everybody.token).content
    ids = parquet.read_table(io.BytesIO(content)).column("id").to_pylist()
    assert sorted(ids) == sorted(one.opening.id for one in everybody.records)


def test_a_session_sees_what_the_members_keys_see(worlds: tuple[World, World]) -> None:
    everybody, alone = worlds
    session = everybody.session
    for view in VIEWS[:: len(VIEWS) // 8]:
        assert told(everybody.gateway, view, session) == told(alone.gateway, view, alone.gateway.management)
    refused = everybody.gateway.ask("POST", "/v1/user_tokens", key=session, json={"user": "ada"})
    assert (refused.status_code, failure(refused)["code"]) == (403, "not_permitted")


def test_a_user_token_of_a_members_management_key_shows_no_more_than_the_member_sees(
    worlds: tuple[World, World],
) -> None:
    everybody, alone = worlds

    def own(one: World, key: str, user: str) -> Any:
        token = one.gateway.ask("POST", "/v1/user_tokens", key=key, json={"user": user}).json()["token"]
        return told(one.gateway, f"/v1/users/me/usage?{RANGE}", token)

    for user in ("ada", "only theirs"):
        assert own(everybody, everybody.token, user) == own(alone, alone.gateway.management, user)


def test_the_balance_is_for_those_who_may_read_the_billing() -> None:
    with Gateway() as gateway:
        pay(gateway, 1, 0)
        town = Town(gateway)
        for role in Role:
            pool = town.ask(role, "GET", "/v1/credits").json()["data"]
            entries = town.ask(role, "GET", "/v1/transactions").json()["transactions"]
            may = Action.READ_BILLING in ALLOWED[role]
            assert (pool["total_credits"] == 1) == may
            assert bool(entries) == may
