"""The records of a day's columns, one by one: what the ledger is given."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from arouter.domain.attempt import Attempt
from arouter.domain.record import Opening, Record
from arouter.domain.usage import Usage
from arouter.sandbox.history.asking import REQUESTED, TAG_SETS
from arouter.sandbox.history.columns import STATUSES, USAGE_SOURCES, Day, History
from arouter.sandbox.history.endings import ERRORS, FINISH_REASONS, OWN_KEYS
from arouter.sandbox.history.population import APPLICATIONS, ENDPOINTS, FAILURES, MODELS, Owner
from arouter.sandbox.history.prices import UNKNOWN
from arouter.sandbox.history.raw_usage import raw_usage
from arouter.sandbox.history.texts import as_texts, generation_letters, hexadecimal

UPSTREAM_PREFIXES = {"openai": "chatcmpl-", "anthropic": "msg_01", "google": ""}
REQUEST_PREFIX = "req_"
SESSION_PREFIX = "sess_"


def records_of(history: History, day: Day, owner: Owner) -> Iterator[Record]:
    """A day's records, oldest first."""
    return map(_Maker(history, day, owner).record, range(len(day)))


class _Maker:
    """A day's columns as lists: an element of an array costs ten times as much as one of a list."""

    def __init__(self, history: History, day: Day, owner: Owner) -> None:
        asked, ended, spent = day.asked, day.ended, day.spent
        self._names = history.names
        self._owner = owner
        self._cards = day.cards
        self._ids = as_texts(generation_letters(day.id_high, day.id_low))
        self._tails = as_texts(day.upstream_tail)
        self._requests = as_texts(hexadecimal(asked.request))
        self._sessions = as_texts(hexadecimal(asked.session))
        self._columns = {
            name: _nullable(column)
            for part in (asked, ended)
            for name in part.__dataclass_fields__
            if name not in ("request", "session")
            for column in [getattr(part, name)]
        }
        self._columns |= {
            name: _nullable(getattr(spent, name))
            for name in ("completed_at_us", "latency_us", "first_token_us", "first_latency_us")
        }
        self._meters = {name: _nullable(column) for name, column in spent.meters.items()}
        self._sources = spent.source.tolist()
        self._cost = _nullable(day.cost)
        self._asks = asked.request != 0, asked.session != 0

    def record(self, at: int) -> Record:
        def get(name: str) -> Any:
            return self._columns[name][at]

        number, cost = get("model"), self._cost[at]
        model = None if number is None else MODELS[number]
        card = None if number is None or cost is None else self._cards[number]
        usage = Usage(**{name: column[at] for name, column in self._meters.items()})
        source = USAGE_SOURCES[self._sources[at]]
        told = get("http_status") == 200
        return Record(
            opening=self._opening(at, get),
            completed_at_us=get("completed_at_us"),
            status=STATUSES[get("status")],
            http_status=get("http_status"),
            model=None if model is None else model.id,
            provider=None if model is None else model.provider,
            upstream_model=model.name if model is not None and told else None,
            upstream_id=UPSTREAM_PREFIXES[model.dialect] + self._tails[at] if model is not None and told else None,
            finish_reason=_one(FINISH_REASONS, get("finish")),
            error_code=_one(ERRORS, get("error")),
            usage=usage,
            raw_usage=raw_usage(model, usage) if model is not None and told else None,
            usage_source=source,
            cost=cost,
            rated_cost=cost,
            price_source=None if card is None else card.source,
            price_version=None if card is None else card.version,
            is_byok=get("byok"),
            latency_us=get("latency_us"),
            time_to_first_token_us=get("first_token_us"),
            attempts=get("attempts"),
            tried=()
            if get("first_failure") is None
            else attempts(
                get("application"),
                (get("first_model"), number),
                get("first_failure"),
                get("error"),
                (get("first_latency_us"), get("latency_us")),
            ),
        )

    def _opening(self, at: int, get: Callable[[str], Any]) -> Opening:
        application = APPLICATIONS[get("application")]
        user = get("user")
        has_request, has_session = (column[at] for column in self._asks)
        return Opening(
            id=self._ids[at],
            request_id=REQUEST_PREFIX + self._requests[at] if has_request else self._ids[at],
            created_at_us=get("created_at_us"),
            organization_id=self._owner.organization_id,
            workspace_id=self._owner.workspace_ids[application.workspace],
            key_hash=self._owner.key_hashes[get("application")],
            user=None if user is None else self._names[user],
            endpoint=ENDPOINTS[get("endpoint")],
            requested_model=REQUESTED[get("requested")],
            streamed=get("streamed"),
            session_id=SESSION_PREFIX + self._sessions[at] if has_session else None,
            tags=TAG_SETS[get("tags")],
            app_url=application.app_url,
            app_title=application.app_title,
        )


def attempts(
    application: int, models: tuple[int, int], failure: int, error: int | None, latencies_us: tuple[int, int]
) -> tuple[Attempt, ...]:
    """Two attempts: at one of `models` that failed with one of `FAILURES`, and at the other, which failed with one of
    `ERRORS` or did not. The latencies are those of the first and of the whole request."""
    first, last = MODELS[models[0]], MODELS[models[1]]
    _, code, status = FAILURES[failure]
    first_us, whole_us = latencies_us
    return (
        Attempt(
            provider=first.provider,
            model=first.name,
            http_status=status,
            error_code=code,
            latency_us=first_us,
            is_byok=bool(OWN_KEYS[application, models[0]]),
        ),
        Attempt(
            provider=last.provider,
            model=last.name,
            http_status=200 if error is None else status,
            error_code=_one(ERRORS, error),
            latency_us=whole_us - first_us,
            is_byok=bool(OWN_KEYS[application, models[1]]),
        ),
    )


def _nullable(column: NDArray[Any]) -> list[Any]:
    """Python's own numbers, None for `UNKNOWN`."""
    values: list[Any] = column.tolist()
    if column.dtype.kind == "b" or not (column == UNKNOWN).any():
        return values
    return [None if value == UNKNOWN else value for value in values]


def _one(texts: Sequence[str], place: int | None) -> str | None:
    return None if place is None else texts[place]
