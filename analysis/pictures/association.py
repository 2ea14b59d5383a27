"""What spiking neurons recall, and for how long, at each bias voltage."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mstpn.analysis.pictures.style import GREY, styled

__all__ = ["RecallRow", "draw_association"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RecallRow:
    """One bias voltage and delay.

    Parameters
    ----------
    volt, tau_s, delay_s : float
    age_s : float
        From pair to cue, mean of the sequences.
    recalled : float
        Share of right answers.
    expected : float
        The theory's.
    sequences : int
    """

    volt: float
    tau_s: float
    delay_s: float
    age_s: float
    recalled: float
    expected: float
    sequences: int


@styled
def draw_association(
    rows: Sequence[RecallRow], times: Array, traces: Array, chance: float
) -> Figure:
    """F of one sequence's synapses in time; recall against delay, and the theory's.

    Parameters
    ----------
    rows : sequence of RecallRow
    times : ndarray, (K,), second
    traces : ndarray, (V, P, K)
        F of each pair's synapse, at the voltages of the rows in their order.
    chance : float
        Of a right answer without memory.
    """
    figure = Figure(figsize=(8.0, 3.4))
    left, right = figure.subplots(1, 2)
    voltages = list(dict.fromkeys(r.volt for r in rows))
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.85, len(voltages)))
    for volt, colour, of_pairs in zip(voltages, colours, traces, strict=True):
        left.plot(times, of_pairs.T, color=colour, linewidth=0.7)
        mine = [r for r in rows if r.volt == volt]
        delay = [r.delay_s for r in mine]
        share = np.array([r.recalled for r in mine])
        error = np.sqrt(share * (1 - share) / mine[0].sequences)
        right.errorbar(delay, share, error, fmt="o", markersize=3.5, color=colour, elinewidth=0.7)
        label = f"{volt:.2g} V, {1e3 * mine[0].tau_s:.3g} ms"
        right.plot(delay, [r.expected for r in mine], color=colour, label=label)
    right.axhline(chance, color=GREY, linewidth=0.5, linestyle=":")
    left.set(xlabel="time (s)", xlim=(0, 1.5), ylim=(0, None))
    left.set_ylabel("F of the eight pairs' synapses")
    right.set(xlabel="delay from the last pair (s)", xscale="log", ylim=(0, 1.03))
    right.set_ylabel("recalled")
    right.legend(title="bias voltage, \u03c4; lines: theory", fontsize=7, title_fontsize=7)
    return figure
