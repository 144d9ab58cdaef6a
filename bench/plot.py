"""Plots as SVG, small enough to be written by hand. They follow the reader's light or dark colours."""

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

WIDTH = 760
_LEFT, _RIGHT, _TOP, _ROW, _BAR = 170, 90, 56, 26, 16
_CURVE_HEIGHT = 260

_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 15px }
.note, .axis { fill: #6e7781; font-size: 11px }
.grid { stroke: #d0d7de; stroke-width: 1 }
.bar { fill: #8c959f } .ours { fill: #0969da }
.curve { fill: none; stroke: #0969da; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .note, .axis { fill: #8d96a0 } .grid { stroke: #30363d }
  .bar { fill: #6e7681 } .ours { fill: #4493f8 } .curve { stroke: #4493f8 }
}
"""


def bars(title: str, note: str, unit: str, rows: Sequence[tuple[str, float, bool]]) -> str:
    """One bar for each row (name, value, whether it is ours) on a logarithmic axis."""
    values = [value for _, value, _ in rows]
    lowest = 10 ** math.floor(math.log10(min(values)))
    highest = 10 ** math.ceil(math.log10(max(values)))
    span = WIDTH - _LEFT - _RIGHT
    height = _TOP + _ROW * len(rows) + 30

    def x(value: float) -> float:
        return _LEFT + span * math.log10(value / lowest) / max(math.log10(highest / lowest), 1)

    parts = []
    for exponent in range(round(math.log10(lowest)), round(math.log10(highest)) + 1):
        at = x(10**exponent)
        parts.append(f'<line class="grid" x1="{at:.1f}" y1="{_TOP - 6}" x2="{at:.1f}" y2="{height - 24}"/>')
        parts.append(f'<text class="axis" x="{at:.1f}" y="{height - 10}" text-anchor="middle">{10**exponent:,}</text>')
    for number, (name, value, ours) in enumerate(rows):
        y = _TOP + _ROW * number
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
        shape = f'x="{_LEFT}" y="{y}" width="{max(x(value) - _LEFT, 1):.1f}" height="{_BAR}" rx="2"'
        parts.append(f'<rect class="{"bar ours" if ours else "bar"}" {shape}/>')
        parts.append(f'<text x="{x(value) + 6:.1f}" y="{y + 13}">{_number(value)} {escape(unit)}</text>')
    return _picture(title, note, height, parts)


def curve(title: str, note: str, unit: str, points: Sequence[tuple[float, float]]) -> str:
    """A line through points, both axes from zero."""
    right, top = max(x for x, _ in points), _round_up(max(y for _, y in points) / 4) * 4
    left, bottom = 60, _CURVE_HEIGHT - 34
    parts = []
    for part in (0, 0.25, 0.5, 0.75, 1):
        y = bottom - (bottom - _TOP) * part
        x = left + (WIDTH - left - 30) * part
        parts.append(f'<line class="grid" x1="{left}" y1="{y:.1f}" x2="{WIDTH - 30}" y2="{y:.1f}"/>')
        label = f"{top * part:.0f} {escape(unit)}"
        parts.append(f'<text class="axis" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
        parts.append(
            f'<text class="axis" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{right * part:,.0f}</text>'
        )
    path = " ".join(
        f"{left + (WIDTH - left - 30) * x / right:.1f},{bottom - (bottom - _TOP) * y / top:.1f}" for x, y in points
    )
    parts.append(f'<polyline class="curve" points="{path}"/>')
    return _picture(title, note, _CURVE_HEIGHT, parts)


def _round_up(value: float) -> float:
    """To the next 1, 2 or 5 with noughts."""
    unit = 10 ** math.floor(math.log10(value))
    return float(next(step * unit for step in (1, 2, 5, 10) if step * unit >= value))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _picture(title: str, note: str, height: int, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    texts = [
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        f'<text class="title" x="12" y="22">{escape(title)}</text>',
        f'<text class="note" x="12" y="40">{escape(note)}</text>',
    ]
    return "\n".join([head, *texts, *parts, "</svg>"]) + "\n"
