"""A game beside one synapse at work, as an animated GIF."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.figure import Figure
from numpy.typing import NDArray

__all__ = ["SynapseFilm"]

_LONG_TERM, _TOTAL, _ENERGY = "#555555", "#0072b2", "#d55e00"


@dataclass
class SynapseFilm:
    """Pictures of a game and what some candidate synapses did meanwhile.

    The synapse shown is the candidate whose F moved most.

    Parameters
    ----------
    weight : ndarray, (K,)
        Long-term weights W of the candidates.
    labels : list of str, length K
    """

    weight: NDArray[np.float64]
    labels: list[str]
    times: list[float] = field(default_factory=list)
    screens: list[NDArray[np.uint8]] = field(default_factory=list)
    traces: list[NDArray[np.float64]] = field(default_factory=list)
    energies: list[float] = field(default_factory=list)

    def add(
        self,
        time_s: float,
        screen: NDArray[np.uint8],
        trace: NDArray[np.float64],
        energy_j: float,
    ) -> None:
        """Append one picture: seconds, (210, 160, 3), F of the candidates, joules so far."""
        self.times.append(time_s)
        self.screens.append(screen)
        self.traces.append(trace)
        self.energies.append(energy_j)

    def save(self, path: Path, progress: Callable[[int, int], Any] | None = None) -> None:
        """Draw and write the GIF, beside `path` first.

        Parameters
        ----------
        path : Path
        progress : callable, optional
            Called with the picture's number and how many there are.
        """
        times = np.array(self.times)
        traces = np.array(self.traces)
        shown = int(np.abs(np.diff(traces, axis=0)).sum(axis=0).argmax())
        total = self.weight[shown] + traces[:, shown]
        energy_mj = 1e3 * np.array(self.energies)

        with matplotlib.rc_context(
            {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
        ):
            figure = Figure(figsize=(6.4, 3.4), dpi=90, layout="constrained")
            axes = figure.subplot_mosaic("ga;gb", width_ratios=[1, 1.6])
            picture = axes["g"].imshow(self.screens[0])
            axes["g"].set_axis_off()
            axes["g"].set_title("Pong, played by the network")
            axes["a"].axhline(self.weight[shown], color=_LONG_TERM, linestyle="--", label="W")
            (line,) = axes["a"].plot([], [], color=_TOTAL, label="W + F")
            axes["a"].set(xlim=times[[0, -1]], ylabel="weight")
            axes["a"].set_title(self.labels[shown], loc="left")
            low, high = min(total.min(), self.weight[shown]), max(total.max(), self.weight[shown])
            margin = 0.1 * (high - low) + 1e-9
            axes["a"].set_ylim(low - margin, high + margin)
            axes["a"].legend(loc="lower right", bbox_to_anchor=(1, 0.97), ncols=2, frameon=False)
            (used,) = axes["b"].plot([], [], color=_ENERGY)
            axes["b"].set(
                xlim=times[[0, -1]],
                ylim=(0, 1.05 * energy_mj[-1]),
                xlabel="game time (s)",
                ylabel="energy (mJ)",
                title="all synapses: pulses + bias + reads",
            )

            def draw(k: int) -> list[Any]:
                picture.set_data(self.screens[k])
                line.set_data(times[: k + 1], total[: k + 1])
                used.set_data(times[: k + 1], energy_mj[: k + 1])
                return [picture, line, used]

            animation = FuncAnimation(figure, draw, frames=len(times), blit=False)
            partial = path.with_name(f".{path.name}.partial.gif")
            try:
                animation.save(partial, writer=PillowWriter(fps=12), progress_callback=progress)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
