"""Score, joules and seconds of programming an array, against the tolerance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mstpn.analysis.pictures.style import GREY, styled

__all__ = ["DECREED", "ProgrammedGame", "by_arm", "draw_programming"]

DECREED = "decreed"
"""Name, in the table, of games whose W was set without a pulse."""

_LOOK = {
    "verify": ("write and verify, F waited for", "#0072b2", "o"),
    "subtract": ("write and verify, F subtracted", "#009e73", "s"),
    "at-once": ("write and verify at once, with F", "#d55e00", "^"),
    "open-loop": ("open loop", "#cc79a7", "D"),
    DECREED: ("W set by decree", "#000000", "*"),
}


@dataclass(frozen=True)
class ProgrammedGame:
    """One row of the table: an array that was programmed, and one game on it.

    Parameters
    ----------
    method : str
        One of `mstpn.synapses.programming.METHODS`, or `DECREED`.
    tolerance : float
        In units of W; 0 of methods that have none.
    seed : int
        Of the game and of the devices.
    score : float
    error_rms : float
        Of W against its target.
    given_up : int
        Devices.
    pulses : int
        On selected devices.
    pulse_j, half_selected_j : float
        On selected and on half-selected devices, joule.
    time_s : float
        Of programming.
    game_j : float
        Energy of the game, joule.
    inputs : str
        Digest of checkpoint, device file and what else was asked for.
    """

    method: str
    tolerance: float
    seed: int
    score: float
    error_rms: float
    given_up: int
    pulses: int
    pulse_j: float
    half_selected_j: float
    time_s: float
    game_j: float
    inputs: str


Arms = Mapping[tuple[str, float], Sequence[ProgrammedGame]]


def by_arm(games: Sequence[ProgrammedGame]) -> dict[tuple[str, float], list[ProgrammedGame]]:
    """Games by method, and tolerance in rising order."""
    order = list(_LOOK)
    keys = {(g.method, g.tolerance) for g in games}
    return {
        key: [g for g in games if (g.method, g.tolerance) == key]
        for key in sorted(keys, key=lambda k: (order.index(k[0]), k[1]))
    }


@styled
def draw_programming(games: Sequence[ProgrammedGame], title: str) -> Figure:
    """Panels of score, error of W, joules and seconds, each game a point, the mean a line.

    Parameters
    ----------
    games : sequence of ProgrammedGame
    title : str

    Raises
    ------
    ValueError
        If no game has a tolerance.
    """
    arms = by_arm(games)
    ticks = sorted({tolerance for _, tolerance in arms if tolerance})
    if not ticks:
        raise ValueError("no game on an array with a tolerance to draw")
    figure = Figure(figsize=(7.6, 6.2))
    score, error, energy, seconds = figure.subplots(2, 2, sharex=True).ravel()
    _draw(score, arms, ticks, "score")
    _draw(error, arms, ticks, "error_rms")
    _draw(energy, arms, ticks, "half_selected_j", 1e3)
    _draw(energy, arms, ticks, "pulse_j", 1e3, line=":", marks=False)
    _draw(seconds, arms, ticks, "time_s")
    score.set(ylim=(-22, 22), yticks=(-21, -10, 0, 10, 21), ylabel="score")
    error.set(ylabel="rms error of W", yscale="log")
    energy.set(ylabel="energy of programming (mJ)\nsolid: half-selected, dotted: selected")
    energy.set(yscale="log")
    seconds.set(ylabel="time of programming (s)", ylim=(0, None))
    for axes in (energy, seconds):
        axes.set(xlabel="tolerance (units of W)", xticks=range(len(ticks)))
        axes.set_xticklabels([f"{t:g}" for t in ticks])
    figure.suptitle(title, fontsize=9)
    handles, labels = score.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8)
    return figure


def _draw(
    axes: Axes,
    arms: Arms,
    ticks: Sequence[float],
    field: str,
    scale: float = 1.0,
    *,
    line: str = "-",
    marks: bool = True,
) -> None:
    """Methods with a tolerance over it, those without as a line across."""
    axes.axhline(0, color=GREY, linewidth=0.5, zorder=0) if field == "score" else None
    for method, (label, colour, marker) in _LOOK.items():
        mine = {
            t: [scale * float(getattr(g, field)) for g in v]
            for (m, t), v in arms.items()
            if m == method
        }
        if not mine or not any(map(any, mine.values())):
            continue
        look: Any = {"color": colour, "linewidth": 1.2, "label": label}
        if 0 in mine:
            axes.axhline(float(np.mean(mine[0])), linestyle="--" if marks else line, **look)
            continue
        x = [ticks.index(t) for t in mine]
        axes.plot(
            x,
            [np.mean(v) for v in mine.values()],
            linestyle=line,
            **look,
            marker=marker if marks else "",
            markersize=5,
        )
        if marks:
            for k, v in zip(x, mine.values(), strict=True):
                axes.plot([k] * len(v), v, ".", color=colour, markersize=3, alpha=0.5)
