"""Return against agent steps for ranges of Lambda (Weilenmann et al. 2024, Fig. 4b)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

__all__ = ["CurvePoint", "draw_learning_curves", "thinned"]

_RESAMPLES = 2000


@dataclass(frozen=True)
class CurvePoint:
    """One row of the tidy table of a sweep.

    Parameters
    ----------
    short_term : int
        0 if Gamma is 0, so that there is no short-term memory; else 1.
    decay_min, decay_max : float
        Range of Lambda the agent was trained in, per network step.
    seed : int
    step : int
        Agent steps.
    mean_return : float
        Of the sampled policy over its last 100 games.
    """

    short_term: int
    decay_min: float
    decay_max: float
    seed: int
    step: int
    mean_return: float


def thinned(points: Sequence[CurvePoint], n: int) -> list[CurvePoint]:
    """At most `n` of the points of one agent, evenly, the last one among them."""
    if len(points) <= n:
        return list(points)
    return [points[k] for k in np.linspace(0, len(points) - 1, n).round().astype(int)]


def draw_learning_curves(ax: Axes, points: Sequence[CurvePoint]) -> None:
    """Mean over agents as a line, its bootstrapped 95 % interval over agents as a band.

    Curves end where the first agent of their range does; the interval of two agents is from one
    to the other.

    Parameters
    ----------
    ax : Axes
    points : sequence of CurvePoint
    """
    for group in sorted({_group(p) for p in points}):
        agents = _agents([p for p in points if _group(p) == group])
        first = max(steps[0] for steps, _ in agents)
        last = min(steps[-1] for steps, _ in agents)
        grid = np.linspace(first, last, 200)
        curves = np.array([np.interp(grid, steps, returns) for steps, returns in agents])
        plural = "agents" if len(agents) > 1 else "agent"
        (line,) = ax.plot(
            grid / 1e6, curves.mean(0), label=f"{_name(*group)}, {len(agents)} {plural}"
        )
        band = _interval(curves)
        ax.fill_between(grid / 1e6, *band, color=line.get_color(), alpha=0.2, linewidth=0)
    ax.set_xlabel("agent steps (millions)")
    ax.set_ylabel("return, mean of 100 games")
    ax.set_ylim(-22, 22)
    ax.axhline(0, color="0.6", linewidth=0.8, zorder=0)
    ax.legend(frameon=False)


def _group(point: CurvePoint) -> tuple[int, float, float]:
    return point.short_term, point.decay_min, point.decay_max


def _name(short_term: int, low: float, high: float) -> str:
    if not short_term:
        return "\N{GREEK CAPITAL LETTER GAMMA} = 0"
    ends = f"= {low:g}" if low == high else f"\N{ELEMENT OF} [{low:g}, {high:g}]"
    return f"\N{GREEK CAPITAL LETTER LAMDA} {ends}"


def _interval(curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """95 % of the means of resampled agents, (2, n points), of curves of (n agents, n points)."""
    drawn = np.random.default_rng(0).integers(len(curves), size=(_RESAMPLES, len(curves)))
    times = np.stack([(drawn == k).sum(1) for k in range(len(curves))], axis=1)
    interval: NDArray[np.float64] = np.percentile(times @ curves / len(curves), (2.5, 97.5), axis=0)
    return interval


def _agents(points: Sequence[CurvePoint]) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    agents = []
    for seed in sorted({p.seed for p in points}):
        mine = sorted((p.step, p.mean_return) for p in points if p.seed == seed)
        steps, returns = np.array(mine, dtype=float).T
        agents.append((steps, returns))
    return agents
