"""Which form an answer takes, and how it is compressed.

The form is what `format` says, else what the `Accept` header prefers, else JSON. `Accept-Encoding` compresses only
answers that stream.
"""

from collections.abc import Iterator, Mapping, Sequence

from fastapi import Request

from arouter.domain.errors import InvalidRequest
from arouter.web.api.parameters import Parameters
from arouter.wire.compression import CODINGS

PARQUET = "parquet"
"""Refused by its name where it is not served, and not answered with something else."""

MEDIA_TYPES = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "text/csv": "csv",
    "application/vnd.apache.parquet": PARQUET,
}


def wanted_format(request: Request, parameters: Parameters, formats: Sequence[str]) -> str:
    """One of `formats`. InvalidRequest for another; an `Accept` header that names none of ours means JSON."""
    chosen = parameters.choice("format", tuple(dict.fromkeys((*formats, PARQUET))))
    if chosen is None:
        chosen = _preferred(request.headers.getlist("accept"), MEDIA_TYPES)
        if chosen not in (*formats, PARQUET):
            return "json"
    if chosen not in formats:
        raise InvalidRequest(
            f"`format={chosen}` is not supported yet; use {', '.join(formats)}.",
            code="unsupported_parameter",
            param="format",
        )
    return chosen


def wanted_coding(request: Request) -> str | None:
    """One of `compression.CODINGS`, the one of the highest quality; None for none.

    What is not named is not wanted, unless `*` is. A client that refuses everything gets the answer as it is.
    """
    wanted = dict(_qualities(request.headers.getlist("accept-encoding")))
    others = wanted.get("*", 0.0)
    qualities = {coding: wanted.get(coding, others) for coding in CODINGS}
    best = max(CODINGS, key=lambda coding: qualities[coding])
    plain = wanted.get("identity", 0.0)
    return best if qualities[best] > 0 and qualities[best] >= plain else None


def _preferred(headers: Sequence[str], known: Mapping[str, str]) -> str | None:
    """The known media type of the highest quality; the first of equals."""
    best, best_quality = None, 0.0
    for media_type, quality in _qualities(headers):
        if media_type in known and quality > best_quality:
            best, best_quality = known[media_type], quality
    return best


def _qualities(headers: Sequence[str]) -> Iterator[tuple[str, float]]:
    """What is accepted, in lower case, with its quality."""
    for entry in ",".join(headers).split(","):
        name, *rest = [part.strip().lower() for part in entry.split(";")]
        yield name, _quality(rest)


def _quality(attributes: Sequence[str]) -> float:
    for attribute in attributes:
        name, _, value = attribute.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
