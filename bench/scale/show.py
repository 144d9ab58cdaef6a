"""The model and the simulation as tables and a plot."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from bench import plot
from bench.document import table
from bench.scale.model import Deployment, Load, Measured, Part, cpu_of_request, parts, room_b, workers_needed
from bench.scale.simulation import Case, Outcome, simulate

BEGIN = "<!-- measured scale: begin -->"
END = "<!-- measured scale: end -->"
PICTURE = "scale-leases.svg"
GATEWAYS = (1, 10, 100)
RATIOS = (100.0, 10.0, 2.0, 1.0, 0.5)
"""The limit over what is asked for in the time of a case."""
RATE_S = 10.0
SECONDS = 10.0
HOLD = 10
"""Units that each request holds, of which it uses 1 to 10."""
_PART = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
_USED = (1 + HOLD) / 2

Simulated = Sequence[tuple[Case, float, Outcome]]
"""Cases with their ratios and what became of them."""


def cases(gateways: Sequence[int] = GATEWAYS, ratios: Sequence[float] = RATIOS) -> Iterator[tuple[Case, float]]:
    for count in gateways:
        for ratio in ratios:
            limit = int(count * RATE_S * SECONDS * _USED * ratio)
            yield Case(gateways=count, rate_s=RATE_S, seconds=SECONDS, limit=limit, hold=HOLD, used=(1, HOLD)), ratio


def simulate_all(wanted: Iterator[tuple[Case, float]]) -> Simulated:
    return [(case, ratio, simulate(case)) for case, ratio in wanted]


def calls_s(case: Case, outcome: Outcome) -> float:
    """Lease calls of one gateway in a second."""
    return outcome.lease_calls / case.seconds / case.gateways


def write(page: Path, simulated: Simulated, measured: Measured, load: Load) -> None:
    """Write the part between the marks of `page` anew, and its plot. ValueError if the page has no such part."""
    text = page.read_text(encoding="utf-8")
    if len(_PART.findall(text)) != 1:
        raise ValueError(f"{page} needs one {BEGIN} and one {END}")
    images = page.parent / "images"
    images.mkdir(exist_ok=True)
    (images / PICTURE).write_text(picture(simulated), encoding="utf-8")
    made = f"{BEGIN}\n\n{document(simulated, measured, load)}\n\n{END}"
    page.write_text(_PART.sub(lambda _: made, text), encoding="utf-8")


def document(simulated: Simulated, measured: Measured, load: Load) -> str:
    """Everything, in Markdown."""
    needed = workers_needed(load, measured)
    lines = [
        f"{load.requests_day:,} requests a day are {load.mean_s:,.0f} a second, {load.peak_s:,.0f} at the peak "
        f"({load.peak:g} times the mean). {load.streamed:.0%} are streams of {load.chunks} chunks and "
        f"{load.stream_s:g} seconds. A mean request costs {cpu_of_request(load, measured) * 1e6:,.0f} µs of a core; "
        f"at {measured.core_share:.0%} of a core for each, and {measured.streams_of_worker:,} streams, that takes "
        f"{needed:,} workers.",
        "### One ledger in PostgreSQL, by gateways of four workers",
        _parts_table(load, measured, _busiest(simulated)),
        "1 is all that there is. Each column bears as much of the load as its workers can take.",
        "### Room",
        table(
            ("records of 90 days", "TB"),
            [(name, f"{room / 1e12:,.0f}") for name, room in room_b(load, measured).items()],
        ),
        "### Leases simulated",
        f"Each gateway has {RATE_S:g} requests a second for {SECONDS:g} s, each of which holds {HOLD} units and uses 1 "
        f"to {HOLD}. The limit is told as a multiple of what all of them use.",
        _leases_table(simulated),
        f"![Lease calls of each gateway](images/{PICTURE})",
    ]
    return "\n\n".join(lines)


def _busiest(simulated: Simulated) -> dict[int, float]:
    """Lease calls a second of each process, of the roomiest limit, by their number."""
    found: dict[int, float] = {}
    for case, ratio, outcome in simulated:
        if ratio == max(RATIOS):
            found[case.gateways] = calls_s(case, outcome)
    return found


def _parts_table(load: Load, measured: Measured, calls: dict[int, float]) -> str:
    columns: dict[int, Sequence[Part]] = {}
    for gateways in GATEWAYS:
        deployment = Deployment(gateways=gateways, lease_calls_s=calls.get(gateways, 0.1))
        share = min(1.0, deployment.processes / workers_needed(load, measured))
        taken = Load(requests_day=int(load.requests_day * share))
        columns[gateways] = parts(taken, deployment, measured)
    rows = []
    for part in columns[GATEWAYS[-1]]:
        cells = [next(each.used for each in columns[gateways] if each.name == part.name) for gateways in GATEWAYS]
        rows.append((part.name, *(f"{used:.2f}" for used in cells), part.then))
    names = [f"{gateways} gateway{'s' if gateways > 1 else ''}" for gateways in GATEWAYS]
    return table(("part", *names, "once it gives out"), rows)


def _leases_table(simulated: Simulated) -> str:
    rows = [
        (
            f"{case.gateways}",
            f"{ratio:g} ×",
            f"{calls_s(case, outcome):.2f}",
            f"{outcome.admitted:,}",
            f"{outcome.refused:,}",
            f"{outcome.used / case.limit:.2%}",
            f"{outcome.most / case.limit:.2%}",
        )
        for case, ratio, outcome in simulated
    ]
    heads = ("gateways", "limit", "calls/s of each", "admitted", "refused", "used of it", "posted and leased, most")
    return table(heads, rows, figures_from=0)


def picture(simulated: Simulated) -> str:
    """Calls of each gateway over the number of gateways, where the limit is twice what is used."""
    points = [(float(case.gateways), calls_s(case, outcome)) for case, ratio, outcome in simulated if ratio == 2.0]
    assert all(one < other for (one, _), (other, _) in pairwise(points))
    title = f"Lease calls of each gateway, of {RATE_S:g} requests a second, by gateways"
    return plot.curve(title, "calls a second; the limit is twice what all use", "/s", points)
