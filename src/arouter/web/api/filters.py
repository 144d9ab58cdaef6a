"""The filters that every view of the activity understands."""

from datetime import UTC, tzinfo

from arouter.domain.activity import Filters
from arouter.domain.record import Status
from arouter.web.api.parameters import INSTANT, Parameter, Parameters, invalid

_INSTANT = "RFC 3339, a date, or Unix seconds with or without decimals; UTC where no offset is given."
STATUSES = tuple(status.value for status in Status)

FILTERS = (
    Parameter(
        name="user",
        repeatable=True,
        description="Requests of this user. Exact, byte for byte; `user=` matches the empty string. Repeatable.",
    ),
    Parameter(
        name="unattributed",
        schema={"type": "boolean", "default": False},
        description="Requests without a user; with `user` as well, both.",
    ),
    Parameter(name="start", schema=INSTANT, description=f"Created at or after. {_INSTANT}"),
    Parameter(name="end", schema=INSTANT, description=f"Created before: the range is half-open. {_INSTANT}"),
    Parameter(name="updated_since", schema=INSTANT, description=f"Written or re-priced at or after. {_INSTANT}"),
    Parameter(name="model", repeatable=True, description="The model that was routed to or the one asked for."),
    Parameter(name="provider", repeatable=True, description="The provider that answered."),
    Parameter(name="api_key_hash", repeatable=True, description="The key's hash."),
    Parameter(name="workspace_id", repeatable=True, description="The workspace of the key."),
    Parameter(
        name="status",
        repeatable=True,
        schema={"type": "string", "enum": list(STATUSES)},
        description="How the request ended.",
    ),
    Parameter(name="session_id", repeatable=True, description="The session that the client named."),
    Parameter(name="tag", repeatable=True, description="A tag that the client gave."),
    Parameter(name="endpoint", repeatable=True, description="The path that was called: `/v1/chat/completions`."),
)


def read_filters(parameters: Parameters, zone: tzinfo = UTC) -> Filters:
    """The filters of a request. Times without an offset are in `zone`."""
    start_us = parameters.instant("start", zone)
    end_us = parameters.instant("end", zone)
    if start_us is not None and end_us is not None and end_us < start_us:
        raise invalid("end", "lies before `start`")
    return Filters(
        users=parameters.every("user"),
        unattributed=parameters.flag("unattributed"),
        models=parameters.every("model"),
        providers=parameters.every("provider"),
        statuses=parameters.choices("status", STATUSES),
        endpoints=parameters.every("endpoint"),
        key_hashes=parameters.every("api_key_hash"),
        workspace_ids=parameters.every("workspace_id"),
        session_ids=parameters.every("session_id"),
        tags=parameters.every("tag"),
        start_us=start_us,
        end_us=end_us,
        updated_since_us=parameters.instant("updated_since", zone),
    )
