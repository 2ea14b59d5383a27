"""Score and energy of games on devices that are not ideal, against how far they deviate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2.units import Quantity, joule
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mstpn.analysis.energy.energies import marks
from mstpn.analysis.pictures.style import COLOUR, GREY, styled
from mstpn.synapses.memristor import Memristor

__all__ = [
    "ALL",
    "BUT",
    "IDEAL",
    "RobustnessGame",
    "by_level",
    "draw_left_out",
    "draw_robustness",
]

IDEAL = "ideal"
"""Name, in the table, of the games on ideal devices; they are level 0 of every deviation."""
ALL, BUT = "all", "all but "
"""Name of games with several deviations at once, and what stands before the one left out."""

_COLUMNS = 5


@dataclass(frozen=True)
class RobustnessGame:
    """One row of the table: one game on one draw of devices.

    Parameters
    ----------
    nonideality : str
        The one that is not zero: a field of `Nonidealities`, or `IDEAL`. With several at once
        `ALL`, or which of them is left out.
    level : float
        Its value, in SI units.
    seed : int
        Of the game, the devices and the noise of the pulses.
    score : float
    decisions : int
        Network steps.
    pulse_j, bias_j, read_j : float
        Energy of all synapses, joule.
    inputs : str
        Digest of checkpoint and device file, and of what else is on.
    periphery_j : float
        Energy of converters and reference column, joule.
    """

    nonideality: str
    level: float
    seed: int
    score: float
    decisions: int
    pulse_j: float
    bias_j: float
    read_j: float
    inputs: str
    periphery_j: float = 0.0

    @property
    def energy(self) -> Quantity:
        """Of all terms; a long game costs more."""
        return (self.pulse_j + self.bias_j + self.read_j + self.periphery_j) * joule


def by_level(
    games: Sequence[RobustnessGame], nonideality: str
) -> dict[float, list[RobustnessGame]]:
    """Games of one deviation by its level in rising order, those on ideal devices at 0."""
    mine = [g for g in games if g.nonideality in (nonideality, IDEAL)]
    levels = sorted({g.level for g in mine})
    return {level: [g for g in mine if g.level == level] for level in levels}


@styled
def draw_robustness(
    games: Sequence[RobustnessGame], labels: Mapping[str, str], device: Memristor, title: str
) -> Figure:
    """Panels of score and energy of a game, each game a point, the mean a line.

    Parameters
    ----------
    games : sequence of RobustnessGame
    labels : mapping of str to str
        Deviations to draw and what to write below them, with unit.
    device : Memristor
        Whose provenance marks the energies carry.
    title : str
    """
    drawn = [name for name in labels if len(by_level(games, name)) > 1]
    if not drawn:
        raise ValueError("no game on devices that deviate to draw")
    n_blocks = -(-len(drawn) // _COLUMNS)
    n_columns = min(len(drawn), _COLUMNS)
    figure = Figure(figsize=(0.6 + 1.9 * n_columns, 0.4 + 3.3 * n_blocks))
    panels = figure.subplots(2 * n_blocks, n_columns, squeeze=False, sharey=False)
    spent = [1e3 * float(g.energy / joule) for g in games]
    for k in range(n_blocks * n_columns):
        block, column = divmod(k, n_columns)
        score, energy = panels[2 * block : 2 * block + 2, column]
        if k >= len(drawn):
            score.remove()
            energy.remove()
            continue
        levels = by_level(games, drawn[k])
        _draw(score, levels, "score", 1.0, "#000000")
        _draw(energy, levels, "energy", 1e3, COLOUR["bias"])
        score.set(ylim=(-23, 23), yticks=(-21, 0, 21))
        score.axhline(0, color=GREY, linewidth=0.5, zorder=0)
        score.tick_params(labelbottom=False)
        energy.set(
            yscale="log",
            ylim=(min(spent) / 1.5, max(spent) * 1.5),
            xlabel=f"{labels[drawn[k]]}\n(assumed)",
        )
        for axes, label in ((score, "score"), (energy, "energy\n(mJ per game)")):
            axes.tick_params(labelleft=column == 0)
            axes.set_ylabel(label if column == 0 else "")
    figure.suptitle(f"{title}\nenergy: {marks(device)}", fontsize=9)
    return figure


@styled
def draw_left_out(games: Sequence[RobustnessGame], device: Memristor, title: str) -> Figure:
    """Score and energy of games with several deviations at once, and without one of them in turn.

    Parameters
    ----------
    games : sequence of RobustnessGame
        Of `IDEAL`, `ALL` and `BUT`.
    device : Memristor
        Whose provenance marks the energies carry.
    title : str
    """
    names = list(dict.fromkeys(g.nonideality for g in games))
    figure = Figure(figsize=(7.2, 0.9 + 0.3 * len(names)))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, label, field, scale, colour in (
        (panels[0], "score", "score", 1.0, "#000000"),
        (panels[1], "energy (mJ per game)", "energy", 1e3, COLOUR["bias"]),
    ):
        for k, name in enumerate(names):
            values = [scale * float(getattr(g, field)) for g in games if g.nonideality == name]
            axes.plot(values, [k] * len(values), ".", color=colour, alpha=0.35, markersize=5)
            axes.plot([np.mean(values)], [k], "|", color=colour, markersize=14, markeredgewidth=2)
        axes.set_xlabel(label)
    panels[0].set(yticks=range(len(names)), yticklabels=names, xlim=(-23, 23))
    panels[0].invert_yaxis()
    low, *_, high = sorted(float(g.energy / joule) for g in games)
    if high > 5 * low:
        panels[1].set_xscale("log")
    figure.suptitle(f"{title}\nenergy: {marks(device)}; sizes of deviations: assumed", fontsize=9)
    return figure


def _draw(
    axes: Axes,
    levels: Mapping[float, Sequence[RobustnessGame]],
    field: str,
    scale: float,
    colour: str,
) -> None:
    """Levels side by side at equal distances, since they grow by factors from 0."""
    values: list[Any] = [
        [scale * float(getattr(g, field)) for g in games] for games in levels.values()
    ]
    x = np.arange(len(values))
    axes.fill_between(
        x,
        [min(v) for v in values],
        [max(v) for v in values],
        color=colour,
        alpha=0.15,
        linewidth=0,
    )
    axes.plot(x, [np.mean(v) for v in values], color=colour, linewidth=1.2)
    for position, v in zip(x, values, strict=True):
        axes.plot([position] * len(v), v, ".", color=colour, markersize=4, clip_on=False)
    axes.set_xticks(x, [_short(level) for level in levels])


def _short(level: float) -> str:
    if 0 < level < 1e-3:
        return np.format_float_scientific(level, trim="-", exp_digits=1)
    return f"{level:g}"
