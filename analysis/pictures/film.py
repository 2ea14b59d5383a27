"""A game beside one synapse at work, as an animated GIF."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from mstpn.synapses.support.files import replacing

__all__ = ["SynapseFilm"]

_LONG_TERM, _TOTAL, _ENERGY = "#555555", "#0072b2", "#d55e00"
_PICTURE_MS, _WHOLE_MS = 90, 1500
_COLOURS = 64


@dataclass
class SynapseFilm:
    """Pictures of a game and what some candidate synapses did meanwhile.

    The synapse shown is the candidate whose F moved most.

    Parameters
    ----------
    weight : ndarray, (K,)
        Long-term weights W of the candidates.
    labels : list of str, length K
    marks : str
        Provenance of the device's constants, shown with the energy.
    """

    weight: NDArray[np.float64]
    labels: list[str]
    marks: str
    times: list[float] = field(default_factory=list)
    screens: list[NDArray[np.uint8]] = field(default_factory=list)
    short_term: list[NDArray[np.float64]] = field(default_factory=list)
    energies: list[float] = field(default_factory=list)

    def add(
        self,
        time_s: float,
        screen: NDArray[np.uint8],
        short_term: NDArray[np.float64],
        energy_j: float,
    ) -> None:
        """Append one picture: seconds, (210, 160, 3), F of the candidates, joules so far."""
        self.times.append(time_s)
        self.screens.append(screen)
        self.short_term.append(short_term)
        self.energies.append(energy_j)

    def save(self, path: Path, progress: Callable[[], Any] | None = None) -> None:
        """Draw and write the GIF, beside `path` first.

        Its loop begins with the last picture, so that a still of it shows everything.

        Parameters
        ----------
        path : Path
        progress : callable, optional
            Called after every picture.
        """
        pictures = self._pictures(progress or (lambda: None))
        with replacing(path) as partial:
            next(pictures).save(
                partial,
                format="GIF",
                save_all=True,
                append_images=pictures,
                duration=[_WHOLE_MS] + [_PICTURE_MS] * (len(self.times) - 1),
                loop=0,
            )

    def _pictures(self, progress: Callable[[], Any]) -> Iterator[Image.Image]:
        """The pictures in one common palette; axes and labels are drawn only once."""
        with matplotlib.rc_context(
            {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
        ):
            figure = Figure(figsize=(6.4, 3.4), dpi=90, layout="constrained")
            canvas = FigureCanvasAgg(figure)
            moving, show = self._compose(figure)
            for artist in moving:
                artist.set_animated(True)
            canvas.draw()
        empty = canvas.copy_from_bbox(figure.bbox)

        def picture(k: int) -> Image.Image:
            canvas.restore_region(empty)
            show(k)
            for artist in moving:
                figure.draw_artist(artist)
            return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])

        last = len(self.times) - 1
        palette = picture(last).quantize(_COLOURS)
        for k in (last, *range(last)):
            yield picture(k).quantize(palette=palette, dither=Image.Dither.NONE)
            progress()

    def _compose(self, figure: Figure) -> tuple[list[Artist], Callable[[int], None]]:
        """Draw the axes; return what moves, and what moves it to picture k."""
        times = np.array(self.times)
        short_term = np.array(self.short_term)
        shown = int(np.abs(np.diff(short_term, axis=0)).sum(axis=0).argmax())
        total = self.weight[shown] + short_term[:, shown]
        energy_mj = 1e3 * np.array(self.energies)

        axes = figure.subplot_mosaic("ga;gb", width_ratios=[1, 1.6])
        screen = axes["g"].imshow(self.screens[0])
        axes["g"].set_axis_off()
        axes["g"].set_title("Pong, played on Brian2")
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
        )
        axes["b"].set_title("all synapses: pulses + bias + reads", loc="left")
        axes["b"].text(
            0.98,
            0.06,
            f"constants: {self.marks}",
            transform=axes["b"].transAxes,
            ha="right",
            fontsize=7,
            color=_LONG_TERM,
        )

        def show(k: int) -> None:
            screen.set_data(self.screens[k])
            line.set_data(times[: k + 1], total[: k + 1])
            used.set_data(times[: k + 1], energy_mj[: k + 1])

        return [screen, line, used], show
