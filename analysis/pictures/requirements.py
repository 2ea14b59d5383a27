"""Score against each constant of the devices, and which values reach what is asked."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mstpn.analysis.pictures.style import COLOUR, GREY, LIGHT, styled
from mstpn.analysis.requirements import Level, Need

__all__ = ["Panel", "draw_requirements"]


class Panel(NamedTuple):
    """One constant: what to write below it, what was played, and what is needed."""

    label: str
    levels: Sequence[Level]
    need: Need


@styled
def draw_requirements(
    panels: Sequence[Panel], score: float, without: Level, title: str
) -> Figure:
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
