"""Which form an answer takes: what `format` says, else what the `Accept` header prefers, else JSON."""

from collections.abc import Mapping, Sequence

from fastapi import Request

from arouter.domain.errors import InvalidRequest
from arouter.web.api.parameters import Parameters

NOT_YET = "parquet"

MEDIA_TYPES = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "text/csv": "csv",
    "application/vnd.apache.parquet": NOT_YET,
}


def wanted_format(request: Request, parameters: Parameters, formats: Sequence[str]) -> str:
    """One of `formats`. InvalidRequest for another; an `Accept` header that names none of ours means JSON."""
    chosen = parameters.choice("format", (*formats, NOT_YET))
    if chosen is None:
        chosen = preferred(request.headers.getlist("accept"), MEDIA_TYPES)
        if chosen not in (*formats, NOT_YET):
            return "json"
    if chosen == NOT_YET:
        raise InvalidRequest(
            f"`format={NOT_YET}` is not supported yet; use {', '.join(formats)}.",
            code="unsupported_parameter",
            param="format",
        )
    return chosen


def preferred(headers: Sequence[str], known: Mapping[str, str]) -> str | None:
    """The known media type of the highest quality; the first of equals."""
    best, best_quality = None, 0.0
    for entry in ",".join(headers).split(","):
        media_type, *rest = [part.strip().lower() for part in entry.split(";")]
        quality = _quality(rest)
        if media_type in known and quality > best_quality:
            best, best_quality = known[media_type], quality
    return best


def _quality(attributes: Sequence[str]) -> float:
    for attribute in attributes:
        name, _, value = attribute.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
