"""Who sees what, and a cursor that stays right while the ledger grows: on the real process."""

import threading
import time
from types import TracebackType

from tests.acceptance.client import Client, Query
from tests.acceptance.gateway import Gateway

MODEL = "sandbox/sandbox"


def ids(client: Client, query: Query | None = None) -> list[str]:
    return [record["id"] for record in client.records(query if query is not None else [("limit", "1000")])]


def asked(client: Client, user: str | None = None) -> str:
    answer = client.chat(MODEL, user)
    assert answer.status == 200, answer.body
    return answer.headers["x-generation-id"]


def test_a_cursor_stays_right_while_records_are_being_added(alone: Gateway) -> None:
    """Each record that was there before the first page is seen once and in order, and none that came after it."""
    key = alone.new_key("pages")
    with alone.client(key) as reader, alone.client(key) as writer:
        before = [asked(reader, f"user_{number % 3}") for number in range(60)]
        with Adding(writer) as adding:
            assert newest_first(reader, adding, limit=7) == before[::-1]
        assert len(adding.made) >= 60 // 7
        assert ids(reader) == [*adding.made[::-1], *before[::-1]]


def test_an_ascending_cursor_reaches_what_was_added_behind_it(alone: Gateway) -> None:
    with alone.client(alone.new_key("upwards")) as reader:
        made = [asked(reader) for _ in range(5)]
        page = reader.activity([("order", "asc"), ("limit", "3")]).json
        assert [record["id"] for record in page["data"]] == made[:3]
        made.append(asked(reader))
        rest = reader.activity([("order", "asc"), ("limit", "3"), ("cursor", page["next_cursor"])]).json
        assert [record["id"] for record in rest["data"]] == made[3:]


def test_a_live_key_sees_its_own_records_only(alone: Gateway) -> None:
    with alone.client(alone.new_key("one")) as one, alone.client(alone.new_key("other")) as other:
        mine, theirs = asked(one, "shared user"), asked(other, "shared user")
        [record] = other.records([("user", "shared user")])
        assert (record["id"], record["api_key_name"]) == (theirs, "other")
        assert ids(one) == [mine]
        assert ids(one, [("api_key_hash", record["api_key_hash"])]) == []
        assert ids(one, [("workspace_id", record["workspace_id"])]) == [mine]
        assert one.ask("GET", f"/v1/generation?id={theirs}").status == 404
        assert one.ask("GET", f"/v1/generation?id={mine}").status == 200
        assert theirs.encode() not in one.activity([("format", "csv")]).body
        assert theirs.encode() not in one.activity([("format", "ndjson")]).body
        [total] = one.ask("GET", "/v1/activity/summary?group_by=user").json["data"]
        assert (total["user"], total["requests"]) == ("shared user", 1)


def test_anothers_cursor_opens_nothing(alone: Gateway) -> None:
    with alone.client(alone.new_key("one")) as one, alone.client(alone.new_key("other")) as other:
        theirs = [asked(other) for _ in range(3)]
        page = other.activity([("limit", "1")]).json
        assert page["data"][0]["id"] == theirs[-1]
        assert ids(one, [("cursor", page["next_cursor"])]) == []


def test_a_management_key_sees_everything_and_infers_nothing(alone: Gateway) -> None:
    with alone.manager() as manager, alone.client() as first, alone.client(alone.new_key("second")) as second:
        made = {asked(first), asked(second)}
        assert made <= set(ids(manager))
        refused = manager.chat(MODEL)
        assert (refused.status, refused.error["code"]) == (403, "wrong_key_type")
        [record] = manager.records([("limit", "1")])
        assert (record["id"], record["status"]) == (refused.headers["x-generation-id"], "rejected")


def test_a_test_key_reaches_the_sandbox_only(three_dialects: Gateway) -> None:
    with three_dialects.client(three_dialects.new_key("trial", key_type="test")) as trial:
        assert trial.chat("sandbox/sandbox").status == 200
        for model in ("openai/gpt-5.4", "gpt-5.4", "anthropic/claude-sonnet-4.6", "google/gemini-2.5-flash"):
            refused = trial.chat(model)
            assert (refused.status, refused.error["code"]) == (403, "wrong_key_type")
        statuses = [(record["status"], record["attempts"]) for record in trial.records([])]
        assert statuses == [("rejected", 0)] * 4 + [("success", 1)]


def test_no_key_and_a_wrong_key_see_nothing(alone: Gateway) -> None:
    for key, code in (
        ("", "missing_api_key"),
        ("lr_live_" + "0" * 48, "invalid_api_key"),
        ("nonsense", "invalid_api_key"),
    ):
        with alone.client(key) as stranger:
            answer = stranger.activity([])
            assert (answer.status, answer.error["code"]) == (401, code)


# ---------------------------------------------------------------- readers and writers


class Adding:
    """Requests in a thread of their own, one after the other, from the first page to the last."""

    def __init__(self, writer: Client) -> None:
        self.made: list[str] = []
        self._writer = writer
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._add)

    def __enter__(self) -> "Adding":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def wait_for_another(self) -> None:
        before = len(self.made)
        while len(self.made) == before:
            assert self._thread.is_alive()
            time.sleep(0.001)

    def _add(self) -> None:
        while not self._stop.is_set():
            self.made.append(asked(self._writer))


def newest_first(reader: Client, adding: Adding, *, limit: int) -> list[str]:
    """The ids of all pages; before each page at least one record more has been added. What the first page has of
    those is left out."""
    found: list[str] = []
    query = [
        ("limit", str(limit)),
        ("user", "user_0"),
        ("user", "user_1"),
        ("user", "user_2"),
        ("unattributed", "true"),
    ]
    page = reader.activity(query).json
    while True:
        found.extend(record["id"] for record in page["data"] if record["user"] is not None)
        if page["next_cursor"] is None:
            return found
        adding.wait_for_another()
        page = reader.activity([*query, ("cursor", page["next_cursor"])]).json
