"""The picture of the report's first screen: joules of one update of a synapse, side by side."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mstpn.analysis.report.markup import Html, cell, marked
from mstpn.analysis.report.wording import energy

__all__ = ["Bar", "picture"]


@dataclass(frozen=True)
class Bar:
    """One line of the picture.

    Parameters
    ----------
    group, label : str
        Bars of a group stand together in one colour.
    provenances : sequence of str
    values : sequence of float, joule
        Under every reading of the step; one if it does not matter.
    band : (float, float), joule, or None
        95 % over the constants that are assumed, under all readings.
    said : str
        The values in words, in three digits if absent.
    """

    group: str
    label: str
    provenances: Sequence[str]
    values: Sequence[float]
    band: tuple[float, float] | None = None
    said: str = ""

    @property
    def ends(self) -> tuple[float, float]:
        """Least and largest energy that is drawn."""
        drawn = [*self.values, *(self.band or ())]
        return min(drawn), max(drawn)


def picture(bars: Sequence[Bar], caption: str) -> Html:
    """Bars over one logarithmic axis, as HTML that fits any width."""
    drawn = [end for bar in bars for end in bar.ends if end > 0]
    low, high = math.floor(math.log10(min(drawn))), math.ceil(math.log10(max(drawn)))

    def place(value: float) -> float:
        """Share of the width; what is not above 0 lies at the left end."""
        return 100 * (math.log10(value) - low) / (high - low) if value > 0 else 0.0

    decades = [f'<i style="left:{place(10.0**k):.2f}%"></i>' for k in range(low, high + 1)]
    lines = []
    for k, bar in enumerate(bars):
        if not k or bar.group != bars[k - 1].group:
            lines.append(f'<p class="group">{cell(bar.group)}</p>')
        lines.append(_line(bar, place, "".join(decades), bars[0].group))
    named = "".join(
        f'<span style="left:{place(10.0**k):.2f}%">{_decade(k)}</span>'
        for k in range(low, high + 1)
        if (high - k) % 2 == 0
    )
    axis = f'<div class="line axis"><span class="track">{named}</span></div>'
    body = "\n".join([*lines, axis])
    return Html(
        f'<figure class="bars">\n{body}\n<figcaption>{cell(caption)}</figcaption></figure>\n'
    )


def _line(bar: Bar, place: Callable[[float], float], decades: str, ours: str) -> str:
    def part(kind: str, ends: tuple[float, float]) -> str:
        left, right = map(place, ends)
        return f'<b class="{kind}" style="left:{left:.2f}%;width:{right - left:.2f}%"></b>'

    values = min(bar.values), max(bar.values)
    drawn = part("band", bar.band) if bar.band else ""
    drawn += part("bar", values)
    drawn += "".join(f'<b class="dot" style="left:{place(v):.2f}%"></b>' for v in bar.values)
    words = bar.said or _in_words(values)
    kind = "line ours" if bar.group == ours else "line"
    return (
        f'<div class="{kind}"><span class="name">{marked(bar.label, bar.provenances)}</span>'
        f'<span class="track">{decades}{drawn}</span><span class="value">{cell(words)}</span></div>'
    )


def _in_words(values: tuple[float, float]) -> str:
    low, high = map(energy, values)
    if low == high:
        return low
    same_unit = low.split()[1] == high.split()[1]
    return f"{low.split()[0] if same_unit else low} to {high}"


def _decade(k: int) -> str:
    amount, unit = energy(10.0**k).split()
    return f"{float(amount):g} {unit}"
