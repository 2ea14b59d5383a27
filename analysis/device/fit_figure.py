"""Measurements of a device beside the laws fitted to them, with residuals."""

import textwrap
from typing import Any

import matplotlib
import numpy as np
from brian2.units import Quantity, allunits
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from mstpn.analysis.device.fit import DeviceFit
from mstpn.analysis.device.fit_report import quality
from mstpn.analysis.device.least_squares import Fit
from mstpn.analysis.device.measurements import shown
from mstpn.analysis.device.verdict import Verdict
from mstpn.analysis.pictures.style import COLOUR, GREY, styled

__all__ = ["fit_figure"]

LABELS = {
    "dG": "$\\Delta G$",
    "dF": "$\\Delta F$",
    "energy": "energy of the pulse",
    "voltage": "pulse voltage",
    "width": "width",
    "conductance": "conductance",
    "time": "time after the pulse",
    "pulses": "number of pulses",
    "bias voltage": "bias voltage",
    "power": "power under bias",
    "weight S": "total weight S = W + F",
}
_MOST_LABELS = 7
_MARKER = 4
_TITLE_WIDTH, _TITLE_LINES = 58, 4

Array = NDArray[np.float64]


class _Scale:
    """A column's best unit and its label."""

    def __init__(self, fit: Fit, name: str, values: Array) -> None:
        column = fit.data.columns[name]
        self.label = LABELS[name]
        self.unit, self.symbol = 1.0, ""
        if isinstance(column, Quantity) and not column.is_dimensionless:
            typical = np.median(np.abs(values[values != 0]))
            unit = Quantity(typical, dim=column.dim).get_best_unit()
            self.unit, self.symbol = float(unit), str(unit)
            self.label += f" ({unit})"

    def __call__(self, values: Any) -> Array:
        return np.asarray(values) / self.unit


@styled
def fit_figure(fit: DeviceFit) -> Figure:
    """Every fit as points and lines with its residuals below; Lambda of each trace by itself.

    Parameters
    ----------
    fit : DeviceFit
    """
    n = len(fit.fits) + bool(fit.decays)
    n_columns = 2 if n == 4 else min(n, 3)
    n_rows = -(-n // n_columns)
    figure = Figure(figsize=(3.9 * n_columns, 4.2 * n_rows))
    cells = iter(np.ravel(figure.subfigures(n_rows, n_columns, squeeze=False)))
    for one, verdict in zip(fit.fits, fit.verdicts, strict=True):
        _draw_fit(next(cells), one, verdict)
        if one.is_decay:
            _draw_sigmoid(next(cells), fit)
    return figure


def _pair(cell: SubFigure) -> tuple[Axes, Axes]:
    upper, lower = cell.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    lower.axhline(0, color=GREY, linewidth=0.8)
    return upper, lower


def _draw_fit(cell: SubFigure, fit: Fit, verdict: Verdict) -> None:
    upper, lower = _pair(cell)
    x, y = fit.variables[0], fit.measured
    across = _Scale(fit, fit.names[0], x)
    up = _Scale(fit, fit.quantity, y)
    group = _Scale(fit, fit.names[1], fit.variables[1])
    values = np.unique(fit.variables[1])
    colours = matplotlib.colormaps["cividis"](np.linspace(0.9, 0.0, len(values)))
    labelled = np.linspace(0, len(values) - 1, min(len(values), _MOST_LABELS)).round()
    for k, (value, colour) in enumerate(zip(values, colours, strict=True)):
        rows = fit.variables[1] == value
        label = f"{group(value):.4g} {group.symbol}" if k in labelled else None
        for axes, height, drawn in ((upper, y, rows), (lower, fit.residuals, rows & fit.used)):
            axes.plot(
                across(x[drawn]), up(height[drawn]), ".", color=colour, ms=_MARKER, label=label
            )
        for curve in np.unique(fit.variables[1:, rows], axis=1).T:
            over, law = _curve(fit, curve, x[rows])
            upper.plot(across(over), up(law), color=colour, linewidth=0.9)
    if fit.names[0] == "time":
        lower.set_xscale("symlog", linthresh=across(x[x > 0]).min())  # t = 0 has a place
    elif fit.names[0] == "voltage" and (x > 0).all() and (y > 0).all():
        upper.set_yscale("log")
    upper.set(ylabel=up.label)
    lower.set(xlabel=across.label, ylabel=f"residual ({up.symbol})" if up.symbol else "residual")
    _mark_left_out(fit, upper, across(x), up(y))
    _entitle(upper, fit, verdict)
    upper.legend(
        title=LABELS[fit.names[1]],
        fontsize=8,
        markerscale=2,
        loc="upper left",
        bbox_to_anchor=(1, 1),
    )


def _mark_left_out(fit: Fit, axes: Axes, x: Array, y: Array) -> None:
    if not fit.used.all():
        out = ~fit.used
        axes.plot(x[out], y[out], "x", color=COLOUR["pulse"], ms=_MARKER, label="left out")


def _entitle(axes: Axes, fit: Fit, verdict: Verdict) -> None:
    """File and quality, and below whether to trust it."""
    words = textwrap.wrap(str(verdict), _TITLE_WIDTH, break_on_hyphens=False)
    if len(words) > _TITLE_LINES:
        words = [*words[: _TITLE_LINES - 1], f"{words[_TITLE_LINES - 1]} ..."]
    title = "\n".join([f"{fit.data.path.name}: {quality(fit)}", *words])
    colour = "black" if verdict.trusted else COLOUR["pulse"]
    axes.set_title(title, loc="left", fontsize=8, color=colour)


def _curve(fit: Fit, others: Array, x: Array) -> tuple[Array, Array]:
    """The law over the range of `x`, with the other variables held."""
    if fit.names[0] == "time":
        over = np.union1d(x.min(), np.geomspace(x[x > 0].min(), x.max(), 200))
    else:
        over = np.linspace(x.min(), x.max(), 200)
    held = (np.full(len(over), value) for value in others)
    return over, fit.predicted(np.stack([over, *held]))


def _draw_sigmoid(cell: SubFigure, fit: DeviceFit) -> None:
    upper, lower = _pair(cell)
    device = fit.device
    at = np.array([voltage for voltage, _ in fit.decays])
    decay, low, high = np.array([estimate for _, estimate in fit.decays]).T
    law = np.asarray(device.decay(at * allunits.volt))
    bars = np.array([decay - low, high - decay])
    style: Any = {"fmt": ".", "color": COLOUR["pulse"], "ms": 5, "elinewidth": 1, "capsize": 2}
    upper.errorbar(at, decay, bars, **style, label="each trace by itself, 95 %")
    lower.errorbar(at, decay - law, bars, **style)
    over = np.linspace(device.bias_voltage_min, device.bias_voltage_max, 200)
    upper.plot(over, device.decay(over), color=COLOUR["bias"], label="one sigmoid for all")
    upper.set(ylabel="$\\Lambda$", ylim=(0, 1))
    lower.set(xlabel="bias voltage (V)", ylabel="residual")
    upper.set_title(
        f"share of F left after {shown(fit.device.decay_duration)}", loc="left", fontsize=9
    )
    upper.legend(fontsize=8)
