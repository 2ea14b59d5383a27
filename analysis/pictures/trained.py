"""Score against energy of agents that were trained alike but for one option."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from mstpn.analysis.energy.energies import marks
from mstpn.analysis.pictures.style import COLOUR, GREY, styled
from mstpn.synapses.memristor import Memristor

__all__ = ["TrainedAgent", "draw_trained"]


@dataclass(frozen=True)
class TrainedAgent:
    """One agent.

    Parameters
    ----------
    value : str
        Of the option in which the agents differ.
    steps : int
        Agent steps of its training.
    sticky : float
        Probability of sticky actions, in training and in `score`.
    score, score_min : float
        Mean and lowest of its games.
    score_without, score_without_min : float
        The same without sticky actions.
    games : int
        Of each of both.
    energy_mj, energy_low_mj, energy_high_mj : float
        Of a game in the mean of all, and its 95 % interval over the ranges of the assumed
        constants.
    lines : int
        Bias lines.
    volt_min, volt_max : float
        Their lowest and highest voltage.
    time_max : float
        Largest share of a step that writes and reads took.
    """

    value: str
    steps: int
    sticky: float
    score: float
    score_min: float
    score_without: float
    score_without_min: float
    games: int
    energy_mj: float
    energy_low_mj: float
    energy_high_mj: float
    lines: int
    volt_min: float
    volt_max: float
    time_max: float


@styled
def draw_trained(agents: Sequence[TrainedAgent], option: str, device: Memristor) -> Figure:
    """Points of score against energy of a game, with intervals, each named by its value.

    Parameters
    ----------
    agents : sequence of TrainedAgent
    option : str
        In which they differ.
    device : Memristor
        Whose provenance marks the energies carry.
    """
    figure = Figure(figsize=(6.0, 4.0))
    axes = figure.subplots()
    energy = np.array([a.energy_mj for a in agents])
    low, high = np.array([(a.energy_low_mj, a.energy_high_mj) for a in agents]).T
    conditions = [
        ("score", f"sticky actions {agents[0].sticky:g}", COLOUR["bias"], "o"),
        ("score_without", "without", "#000000", "s"),
    ]
    for field, label, colour, marker in conditions[: 2 if agents[0].sticky else 1]:
        scores = np.array([getattr(a, field) for a in agents])
        axes.hlines(scores, low, high, color=colour, linewidth=0.6)
        axes.plot(
            *(energy, scores, marker),
            color=colour,
            markersize=4,
            label=f"{label}, mean of {agents[0].games}",
        )
    for a in agents:
        axes.annotate(
            a.value, (a.energy_mj, a.score), (4, -10), textcoords="offset points", fontsize=7
        )
    axes.set_xscale("log")
    axes.set(xlabel="energy of a game (mJ)", ylabel="score", ylim=(-22, 22))
    axes.axhline(0, color=GREY, linewidth=0.5, zorder=0)
    axes.legend(frameon=False, loc="lower right")
    figure.suptitle(
        f"each point an agent, named by its {option}\n"
        f"lines: 95 % over the ranges of the assumed constants; energy: {marks(device)}",
        fontsize=8,
    )
    return figure
