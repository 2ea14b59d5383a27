"""What the time of a spike is worth: score and energy of games against the bins of a frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from mstpn.analysis.pictures.style import COLOUR, GREY, LIGHT, styled

__all__ = ["GRADED", "SpikeTimesGame", "by_bins", "draw_spike_times"]

GRADED = "graded"
_LOOK = {
    "spike times": {"color": COLOUR["bias"], "marker": "o"},
    "shuffled times": {"color": COLOUR["pulse"], "marker": "s"},
    "one time": {"color": LIGHT, "marker": "^"},
}
_TERMS = {"pulse": "s", "bias": "o", "read": "^"}


@dataclass(frozen=True)
class SpikeTimesGame:
    """One row of the table.

    Parameters
    ----------
    coding : str
        `GRADED`, or what the times of spikes are.
    bins : int
        Of a frame; 0 if graded.
    seed : int
    score : float
    decisions : int
        Network steps, which are frames.
    events : int
        Active inputs of all frames: spikes, or graded events.
    pulse_j, bias_j, read_j : float
        Energy of all synapses, joule.
    inputs : str
        Digest of what was played, and how.
    """

    coding: str
    bins: int
    seed: int
    score: float
    decisions: int
    events: int
    pulse_j: float
    bias_j: float
    read_j: float
    inputs: str


def by_bins(games: Sequence[SpikeTimesGame], coding: str) -> dict[int, list[SpikeTimesGame]]:
    """Games of one coding, by the number of bins."""
    mine = [g for g in games if g.coding == coding]
    return {b: [g for g in mine if g.bins == b] for b in sorted({g.bins for g in mine})}


@styled
def draw_spike_times(games: Sequence[SpikeTimesGame], title: str) -> Figure:
    """Draw scores on the left, energies of a step on the right; graded values are lines.

    Parameters
    ----------
    games : sequence of SpikeTimesGame
    title : str
    """
    figure = Figure(figsize=(8.6, 3.5))
    scores, energies = figure.subplots(1, 2)
    _draw_scores(scores, games)
    _draw_energies(energies, games)
    bins = sorted({g.bins for g in games} - {0})
    for axes in (scores, energies):
        axes.set_xticks(np.log2(bins), [str(b) for b in bins])
        axes.set(xlabel="bins a frame")
    figure.suptitle(title, fontsize=9)
    return figure


def _draw_scores(axes: Any, games: Sequence[SpikeTimesGame]) -> None:
    for coding, look in _LOOK.items():
        groups = by_bins(games, coding)
        if groups:
            mean, error = np.array([_mean_and_error(mine) for mine in groups.values()]).T
            axes.errorbar(
                np.log2(list(groups)), mean, yerr=error, label=coding, markersize=4, **look
            )
    for mine in by_bins(games, GRADED).values():
        mean, error = _mean_and_error(mine)
        axes.axhline(mean, color=GREY, linestyle="--", label=GRADED)
        axes.axhspan(mean - error, mean + error, color=GREY, alpha=0.15, linewidth=0)
    axes.set(ylim=(-21.5, 21.5), ylabel="score (points won less points lost)")
    axes.axhline(0, color=GREY, linewidth=0.5, zorder=0)
    axes.legend(fontsize=8, loc="best")


def _mean_and_error(games: Sequence[SpikeTimesGame]) -> tuple[float, float]:
    scores = np.array([g.score for g in games])
    error = scores.std(ddof=1) / np.sqrt(len(scores)) if len(scores) > 1 else 0.0
    return float(scores.mean()), float(error)


def _draw_energies(axes: Any, games: Sequence[SpikeTimesGame]) -> None:
    groups, graded = by_bins(games, "spike times"), by_bins(games, GRADED)
    for term, marker in _TERMS.items():
        spent = {b: _nj_a_step(mine, term) for b, mine in {**groups, **graded}.items()}
        if not any(spent.values()):
            continue  # nothing on a logarithmic scale
        if 0 in spent:
            axes.axhline(spent.pop(0), linestyle="--", linewidth=1, color=COLOUR[term])
        x, y = np.log2(list(spent)), list(spent.values())
        axes.plot(x, y, color=COLOUR[term], marker=marker, markersize=4, label=term)
        axes.set_yscale("log")
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set(ylabel="energy of a step (nJ), dashed: graded")
    axes.legend(fontsize=8, loc="best")


def _nj_a_step(games: Sequence[SpikeTimesGame], term: str) -> float:
    return 1e9 * sum(getattr(g, f"{term}_j") for g in games) / sum(g.decisions for g in games)
