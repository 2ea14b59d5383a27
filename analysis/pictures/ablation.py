"""What an agent loses without one of its parts: scores of games, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from brian2.units import Quantity, joule
from matplotlib.figure import Figure

from mstpn.analysis.pictures.style import COLOUR, GREY, styled

__all__ = ["AblationGame", "by_ablation", "draw_ablation"]


@dataclass(frozen=True)
class AblationGame:
    """One row of the table.

    Parameters
    ----------
    ablation : str
        What was taken away.
    seed : int
        Of the game, the devices and the noise of the pulses.
    score : float
    decisions : int
        Network steps.
    pulse_j, bias_j, read_j : float
        Energy of all synapses, joule.
    rows_max : int
        Most rows written in a step.
    time_max : float
        Largest share of a step that writes and reads took.
    inputs : str
        Digest of what was played, and how.
    periphery_j : float
        Energy of converters and reference column, joule.
    """

    ablation: str
    seed: int
    score: float
    decisions: int
    pulse_j: float
    bias_j: float
    read_j: float
    rows_max: int
    time_max: float
    inputs: str
    periphery_j: float = 0.0

    @property
    def energy(self) -> Quantity:
        """Of all terms."""
        return (self.pulse_j + self.bias_j + self.read_j + self.periphery_j) * joule


def by_ablation(games: Sequence[AblationGame]) -> dict[str, list[AblationGame]]:
    """Games of each, in the order of the table."""
    names = dict.fromkeys(g.ablation for g in games)
    return {name: [g for g in games if g.ablation == name] for name in names}


@styled
def draw_ablation(games: Sequence[AblationGame], title: str) -> Figure:
    """Every game a point, mean and standard deviation beside.

    Parameters
    ----------
    games : sequence of AblationGame
    title : str
    """
    groups = by_ablation(games)
    figure = Figure(figsize=(6.4, 0.9 + 0.34 * len(groups)))
    axes = figure.subplots()
    for k, mine in enumerate(groups.values()):
        scores = np.array([g.score for g in mine])
        # games of one score lie on each other: a little apart, the same in every drawing
        apart = np.linspace(-0.22, 0.22, len(scores)) if len(scores) > 1 else np.zeros(1)
        axes.plot(scores, k + apart, ".", color=GREY, markersize=4, alpha=0.7, clip_on=False)
        axes.errorbar(
            scores.mean(), k, xerr=scores.std(), fmt="o", color=COLOUR["bias"], markersize=5
        )
        axes.annotate(
            f"{scores.mean():+.1f}",
            (1.01, k),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
        )
    axes.set(xlim=(-21.5, 21.5), xlabel="score (points won less points lost)")
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_yticks(range(len(groups)), groups)
    axes.axvline(0, color=GREY, linewidth=0.5, zorder=0)
    figure.suptitle(title, fontsize=9)
    return figure
