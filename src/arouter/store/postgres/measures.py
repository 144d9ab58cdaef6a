"""What SQL counts of a record: see `tally.measures`, which the check compares it with."""

from collections.abc import Mapping, Sequence

from arouter.domain.usage import INPUT_METERS, OUTPUT_METERS


def _sum_of(meters: Sequence[str]) -> str:
    return "(" + " + ".join(f"coalesce({meter}, 0)" for meter in meters) + ")"


RECORD_METERS: Mapping[str, str] = {
    "prompt": _sum_of(INPUT_METERS),
    "completion": _sum_of(OUTPUT_METERS),
    "known": ", ".join(INPUT_METERS + OUTPUT_METERS),
}
