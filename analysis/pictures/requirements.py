"""What games on a design of devices say that a score needs of them, and its figure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mstpn.analysis.pictures.style import COLOUR, GREY, LIGHT, styled

__all__ = [
    "AS_IT_IS",
    "WITHOUT",
    "Level",
    "Need",
    "Panel",
    "RequireGame",
    "draw_requirements",
    "endurance",
    "levels",
    "need",
]

AS_IT_IS, WITHOUT = "as it is", "Gamma = 0"
"""Names, in the table, of the games on the device of the file, with F and without."""


@dataclass(frozen=True)
class RequireGame:
    """One row of the table: one game on devices that differ in one constant.

    Parameters
    ----------
    constant : str
        Or `AS_IT_IS`, or `WITHOUT`.
    value : float
        In SI units; 0 where no constant is varied.
    seed : int
        Of the game, the devices and the noise of the pulses.
    score : float
    decisions : int
        Network steps.
    pulses_max : int
        Of the device that was written most.
    inputs : str
        Digest of checkpoint, device file and game.
    """

    constant: str
    value: float
    seed: int
    score: float
    decisions: int
    pulses_max: int
    inputs: str


@dataclass(frozen=True)
class Level:
    """Scores at one value: mean, its standard error (infinite of one game), number of games."""

    value: float
    mean: float
    error: float
    games: int

    @classmethod
    def of(cls, value: float, scores: Sequence[float]) -> "Level":
        """From the scores."""
        n = len(scores)
        error = float(np.std(scores, ddof=1)) / math.sqrt(n) if n > 1 else math.inf
        return cls(value, float(np.mean(scores)), error, n)


@dataclass(frozen=True)
class Need:
    """The values of one constant that reach a score.

    Parameters
    ----------
    constant : str
    lower, upper : (float, float) or None
        Neighbours in the design between which the range ends: the last that fails and the first
        that passes, or the other way round. None if nothing that was tried fails on that side.
    least, most : float or None
        Smallest and largest value of the range that was tried; None if there is no range.
    sure : bool
        No mean beside an end is within its standard error of the score.
    void : bool
        The score is reached without F, so that nothing is needed of it.
    gaps : tuple of float
        Values outside the range that pass, too.
    """

    constant: str
    lower: tuple[float, float] | None
    upper: tuple[float, float] | None
    least: float | None
    most: float | None
    sure: bool
    void: bool
    gaps: tuple[float, ...] = ()


def levels(games: Sequence[RequireGame], constant: str, start: float | None) -> list[Level]:
    """Scores of a constant by value, rising; the device of the file is at `start`, if it is one."""
    found: dict[float, list[float]] = {}
    for game in games:
        if game.constant == constant:
            found.setdefault(game.value, []).append(game.score)
        elif game.constant == AS_IT_IS and start is not None:
            found.setdefault(start, []).append(game.score)
    return [Level.of(value, found[value]) for value in sorted(found)]


def need(
    constant: str,
    tried: Sequence[Level],
    score: float,
    *,
    start: float | None = None,
    without: Level | None = None,
) -> Need:
    """The range about `start`, or about the best value if there is none, whose means reach a score.

    Parameters
    ----------
    constant : str
    tried : sequence of Level
        In rising order of their values.
    score : float
    start : float, optional
        Value of the device of the file.
    without : Level, optional
        Games without F.
    """
    void = without is not None and without.mean >= score
    passes = [level.mean >= score for level in tried]
    best = max(range(len(tried)), key=lambda k: tried[k].mean)
    at = best if start is None else [level.value for level in tried].index(start)
    if not passes[at]:
        sure = all(abs(level.mean - score) > level.error for level in tried)
        others = tuple(level.value for level, good in zip(tried, passes, strict=True) if good)
        return Need(constant, None, None, None, None, sure, void, others)
    low = high = at
    while low > 0 and passes[low - 1]:
        low -= 1
    while high < len(tried) - 1 and passes[high + 1]:
        high += 1
    lower = (tried[low - 1].value, tried[low].value) if low else None
    upper = (tried[high].value, tried[high + 1].value) if high < len(tried) - 1 else None
    beside = [
        *(tried[low - 1 : low + 1] if lower else ()),
        *(tried[high : high + 2] if upper else ()),
    ]
    return Need(
        constant,
        lower,
        upper,
        tried[low].value,
        tried[high].value,
        all(abs(level.mean - score) > level.error for level in beside),
        void,
        tuple(t.value for k, t in enumerate(tried) if passes[k] and not low <= k <= high),
    )


def endurance(games: Sequence[RequireGame], score: float) -> Mapping[str, float] | None:
    """Pulses of the most-written device in the games with F that reach the score; None of none.

    Returns
    -------
    mapping of str to float
        `games`, and the `mean` and `most` pulses of a game.
    """
    pulses = [g.pulses_max for g in games if g.score >= score and g.constant != WITHOUT]
    if not pulses:
        return None
    return {"games": len(pulses), "mean": float(np.mean(pulses)), "most": max(pulses)}


class Panel(NamedTuple):
    """One constant: what to write below it, what was played, and what is needed."""

    label: str
    levels: Sequence[Level]
    need: Need


@styled
def draw_requirements(panels: Sequence[Panel], score: float, without: Level, title: str) -> Figure:
    """A panel for each constant: means with standard errors, the score asked for, the range.

    Parameters
    ----------
    panels : sequence of Panel
    score : float
        Asked for.
    without : Level
        Games without F.
    title : str
    """
    figure = Figure(figsize=(0.7 + 2.1 * len(panels), 3.3))
    row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, panel in zip(row, panels, strict=True):
        _draw(axes, panel, score, without)
    row[0].set(ylabel="score", ylim=(-23, 23), yticks=(-21, 0, 21))
    handles, labels = row[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    figure.suptitle(title, fontsize=9)
    return figure


def _draw(axes: Axes, panel: Panel, score: float, without: Level) -> None:
    """Values side by side at equal distances, since they grow by factors, some from 0."""
    values = [level.value for level in panel.levels]
    need = panel.need
    if need.least is not None and need.most is not None:
        first, last = values.index(need.least), values.index(need.most)
        axes.axvspan(
            *(first - 0.3, last + 0.3), color=LIGHT, alpha=0.3, linewidth=0, label="reaches it"
        )
    axes.axhline(score, color=COLOUR["pulse"], linewidth=1, label=f"score asked for, {score:+g}")
    axes.axhline(
        without.mean, color=GREY, linestyle=":", linewidth=1, label="without F ($\\Gamma = 0$)"
    )
    axes.errorbar(
        range(len(values)),
        [level.mean for level in panel.levels],
        [level.error for level in panel.levels],
        fmt="o-",
        color=COLOUR["bias"],
        markersize=4,
        linewidth=1,
        capsize=2,
        label="mean and standard error",
    )
    axes.set_xticks(range(len(values)), [f"{value:.2g}" for value in values], fontsize=7)
    void = "\n(void: reached without F)" if need.void else ""
    axes.set_xlabel(f"{panel.label}{void}", fontsize=8)
