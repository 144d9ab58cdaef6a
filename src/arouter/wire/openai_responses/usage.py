"""The `usage` object of an answer: OpenAI's counts by their names in this dialect, with what the request cost.

`cost` is US dollars as a JSON number with exactly the digits needed, and null where no price is known. The five fields
that clients read are always there, and null where nothing is known of them: the SDKs fail on a field that is missing,
some clients on a count that is null, and a zero would be a lie.
"""

from arouter.domain.charge import Charge
from arouter.domain.chat import Json
from arouter.domain.usage import NOTHING_REPORTED
from arouter.wire.numbers import dollars


def usage_object(charge: Charge) -> Json | None:
    """The usage of a translated answer. None where neither a count nor a cost is known."""
    usage = charge.usage
    if usage == NOTHING_REPORTED and charge.cost is None:
        return None
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": _known(
            cached_tokens=usage.cached_tokens,
            cache_write_tokens=usage.cache_written_tokens,
        ),
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": _known(reasoning_tokens=usage.reasoning_tokens),
        "total_tokens": usage.total_tokens,
        "cost": dollars(charge.cost),
        "cost_details": {
            "upstream_inference_cost": None,
            "prompt_cost": dollars(charge.prompt_cost),
            "completion_cost": dollars(charge.completion_cost),
        },
    }


def _known(**counts: int | None) -> Json | None:
    return {name: count for name, count in counts.items() if count is not None} or None
