"""The `usage` object of an answer: OpenAI's counts, with what the request cost.

`cost` is US dollars as a JSON number with exactly the digits needed, and null where no price is known. What else is
unknown is left out, but for the three totals, which every client reads: they are null.
"""

import msgspec

from arouter.domain.charge import Charge
from arouter.domain.money import DECIMALS, PICODOLLARS_PER_DOLLAR, Picodollars, to_text
from arouter.domain.usage import Usage

_NULL = msgspec.Raw(b"null")
_BACKSLASH, _SPACE, _LINE_FEED, _CARRIAGE_RETURN, _TAB = b"\\ \n\r\t"


def usage_json(
    usage: Usage,
    *,
    cost: Picodollars | None,
    prompt_cost: Picodollars | None = None,
    completion_cost: Picodollars | None = None,
    upstream_cost: Picodollars | None = None,
) -> bytes:
    """The usage of a translated answer. `prompt_cost` and `completion_cost` are the two shares of `cost`,
    `upstream_cost` is what the provider itself says that it charged."""
    told: dict[str, object] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }
    for name, details in (
        ("prompt_tokens_details", _prompt_details(usage)),
        ("completion_tokens_details", _completion_details(usage)),
    ):
        known = {meter: tokens for meter, tokens in details.items() if tokens is not None}
        if known:
            told[name] = known
    counts = msgspec.json.encode(told)
    return counts[:-1] + _costs(cost, upstream_cost, prompt_cost, completion_cost)


def charged_usage(raw_usage: bytes | None, charge: Charge) -> bytes:
    """An upstream's own usage object with the costs; one of ours where it told none."""
    cost, prompt_cost, completion_cost = charge.cost, charge.prompt_cost, charge.completion_cost
    if raw_usage is None:
        return usage_json(charge.usage, cost=cost, prompt_cost=prompt_cost, completion_cost=completion_cost)
    return extend_usage(raw_usage, cost=cost, prompt_cost=prompt_cost, completion_cost=completion_cost)


def extend_usage(
    raw_usage: bytes,
    *,
    cost: Picodollars | None,
    prompt_cost: Picodollars | None = None,
    completion_cost: Picodollars | None = None,
    is_plain: bool = False,
) -> bytes:
    """An upstream's own usage object with our cost: every other field stays byte for byte, in its place.

    A cost that the upstream tells itself moves to `cost_details.upstream_inference_cost`; its other `cost_details`
    stay beside ours. `is_plain`: it is known to have no such fields, and to have others; then white space stays, too.
    ValueError if `raw_usage` is not a JSON object.
    """
    if is_plain or _is_plain(raw_usage):
        return raw_usage[:-1] + _costs(cost, None, prompt_cost, completion_cost)
    told = msgspec.json.decode(raw_usage, type=dict[str, msgspec.Raw])
    details = _raw_object(told.get("cost_details"))
    own_cost = told.get("cost", _NULL)
    if bytes(own_cost) != b"null":
        details["upstream_inference_cost"] = own_cost
    details.setdefault("upstream_inference_cost", _NULL)
    details["prompt_cost"] = _dollars(prompt_cost)
    details["completion_cost"] = _dollars(completion_cost)
    told["cost"] = _dollars(cost)
    told["cost_details"] = msgspec.Raw(msgspec.json.encode(details))
    return msgspec.json.encode(told)


def _is_plain(raw_usage: bytes) -> bool:
    """Nearly every usage: no cost of its own, no key that may be one in escapes, no white space. There is nothing to
    move and nothing to tidy, so the object only grows at its end."""
    return (
        raw_usage.startswith(b'{"')
        and raw_usage.endswith(b"}")
        and raw_usage.rfind(b'"cost') < 0  # Backwards is quicker between quotation marks.
        and _BACKSLASH not in raw_usage  # Which is quick for a byte, and slow for several.
        and _SPACE not in raw_usage
        and _LINE_FEED not in raw_usage
        and _CARRIAGE_RETURN not in raw_usage
        and _TAB not in raw_usage
    )


def _costs(
    cost: Picodollars | None,
    upstream_cost: Picodollars | None,
    prompt_cost: Picodollars | None,
    completion_cost: Picodollars | None,
) -> bytes:
    """The end of an object that holds something else before it."""
    # Nearly every answer costs something, and less than a dollar.
    if (
        upstream_cost is None
        and cost
        and prompt_cost
        and completion_cost
        and 0 < cost < PICODOLLARS_PER_DOLLAR
        and 0 < prompt_cost < PICODOLLARS_PER_DOLLAR
        and 0 < completion_cost < PICODOLLARS_PER_DOLLAR
    ):
        return (
            f',"cost":0.{str(cost).zfill(DECIMALS).rstrip("0")},"cost_details":{{"upstream_inference_cost":null,'
            f'"prompt_cost":0.{str(prompt_cost).zfill(DECIMALS).rstrip("0")},'
            f'"completion_cost":0.{str(completion_cost).zfill(DECIMALS).rstrip("0")}}}}}'
        ).encode()
    whole = "null" if cost is None else to_text(cost)
    upstream = "null" if upstream_cost is None else to_text(upstream_cost)
    prompt = "null" if prompt_cost is None else to_text(prompt_cost)
    completion = "null" if completion_cost is None else to_text(completion_cost)
    ending = (
        f',"cost":{whole},"cost_details":{{"upstream_inference_cost":{upstream},'
        f'"prompt_cost":{prompt},"completion_cost":{completion}}}}}'
    )
    return ending.encode()


def _raw_object(raw: msgspec.Raw | None) -> dict[str, msgspec.Raw]:
    """The fields of an upstream's `cost_details`; none where it is absent or no object."""
    if raw is None or not bytes(raw).startswith(b"{"):
        return {}
    return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])


def _prompt_details(usage: Usage) -> dict[str, int | None]:
    return {
        "cached_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_written_tokens,
        "audio_tokens": _sum(usage.input_audio_tokens, usage.cache_read_audio_tokens),
        "image_tokens": usage.input_image_tokens,
        "video_tokens": usage.input_video_tokens,
    }


def _completion_details(usage: Usage) -> dict[str, int | None]:
    return {
        "reasoning_tokens": usage.reasoning_tokens,
        "audio_tokens": usage.output_audio_tokens,
        "image_tokens": usage.output_image_tokens,
    }


def _sum(left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return right if left is None else left
    return left + right


def _dollars(amount: Picodollars | None) -> msgspec.Raw:
    return _NULL if amount is None else msgspec.Raw(to_text(amount).encode())
