"""Memristors against every GPU baseline: ratios with their uncertainty, and two figures.

A ratio is the GPU's energy over the memristors' for the same updates. As the paper counts,
the memristors spend pulses and bias. With what the paper leaves out, reads, converters and
digital arithmetic come on top, and both sides pay for what a GPU's agent needs as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from brian2.units import Quantity, joule, second
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from numpy.typing import NDArray

from mstpn.analysis.energy.energies import marks
from mstpn.analysis.energy.left_out import Part
from mstpn.analysis.energy.recording import Recording
from mstpn.analysis.energy.uncertainty import Samples
from mstpn.analysis.gpu.baselines import Baseline, reading
from mstpn.analysis.gpu.break_even import Curve
from mstpn.analysis.pictures.style import styled
from mstpn.synapses.memristor import Memristor

__all__ = ["Ratio", "break_even_figure", "interval", "ratio_figure", "ratios"]

COVERAGE = 0.95
"""Share of the Monte Carlo that an interval holds."""


@dataclass(frozen=True)
class Ratio:
    """GPU over memristor energy.

    Parameters
    ----------
    value : float
        For the device as it is.
    low, high : float
        95 % interval over the constants that are assumed; see `interval`.
    """

    value: float
    low: float
    high: float


def interval(drawn: NDArray[np.float64]) -> tuple[float, float]:
    """Interval that holds 95 % of the devices drawn, and the device as it is.

    It leaves out as many draws below as above; where the device lies beyond it, as one that is
    the best case of its ranges does, the interval ends there and leaves out draws at the other
    end alone.

    Parameters
    ----------
    drawn : ndarray, (S + 1,)
        The device as it is in front.
    """
    value, draws = drawn[0], drawn[1:]
    if (draws == value).all():  # none drawn, or nothing assumed; infinite ones, too
        return float(value), float(value)
    outside = 1 - COVERAGE
    low, high = np.quantile(draws, (outside / 2, 1 - outside / 2))
    if value > high:
        beyond = float(np.mean(draws > value))
        low, high = np.quantile(draws, max(outside - beyond, 0.0)), value
    elif value < low:
        beyond = float(np.mean(draws < value))
        low, high = value, np.quantile(draws, min(1 - outside + beyond, 1.0))
    return float(low), float(high)


def ratios(
    recording: Recording,
    samples: Samples,
    baselines: Mapping[str, Baseline],
    step: Quantity,
    parts: Sequence[Part] = (),
) -> dict[tuple[str, str], Ratio]:
    """Ratio for every baseline and bias policy.

    Parameters
    ----------
    recording : Recording
    samples : Samples
    baselines : mapping of str to Baseline
    step : Quantity, second
        Reading of the step, for both sides.
    parts : sequence of Part
        What the paper leaves out; if there are any, reads count too.

    Returns
    -------
    dict of (str, str) to Ratio
        By names of the baseline and the policy.
    """
    updates = recording.n_synapses * recording.n_frames
    every = sum((part.energy(recording) for part in parts), 0 * joule)
    shared = sum((part.energy(recording) for part in parts if part.shared), 0 * joule)
    by_pair = {}
    for name, baseline in baselines.items():
        gpu = baseline.energy(updates, step) + shared
        for policy in samples.bias_power:
            spent = samples.energy(policy, step, read=bool(parts)) + every
            ratio = np.asarray(gpu / spent)
            by_pair[name, policy] = Ratio(float(ratio[0]), *interval(ratio))
    return by_pair


_POLICY_STYLE = {
    "worst case": ("#0072b2", "o"),
    "trained": ("#d55e00", "s"),
    "cheapest": ("#009e73", "^"),
    "all synapses alike": ("#0072b2", "o"),
}


def _with_mark(baseline: Baseline) -> str:
    return f"{baseline.label} ({baseline.provenance})"


@styled
def ratio_figure(
    by_step: Mapping[float, Mapping[tuple[str, str], Ratio]], baselines: Mapping[str, Baseline]
) -> Figure:
    """Ratio to every baseline, one panel a reading of the step.

    Parameters
    ----------
    by_step : mapping of float to mapping
        `ratios` by step, second.
    baselines : mapping of str to Baseline
    """
    marked = [_with_mark(b) for b in baselines.values()]
    width = 4.5 + 0.085 * max(map(len, marked))  # the panels stay as wide beside longer names
    figure = Figure(figsize=(width, 1.6 + 0.32 * len(baselines)))
    panels = figure.subplots(1, len(by_step), sharey=True, sharex=True, squeeze=False)[0]
    names = list(baselines)
    for axes, (step, step_ratios) in zip(panels, by_step.items(), strict=True):
        for shift, (policy, (colour, marker)) in enumerate(list(_POLICY_STYLE.items())[:3]):
            rows = [step_ratios[name, policy] for name in names]
            values = np.array([row.value for row in rows])
            ends = np.array([[row.low for row in rows], [row.high for row in rows]])
            y = np.arange(len(names)) + 0.22 * (shift - 1)
            axes.hlines(y, *ends, color=colour, linewidth=1)
            axes.plot(values, y, marker, color=colour, markersize=4, label=policy)
        axes.axvline(1, color="black", linewidth=0.8)
        axes.set(xscale="log")
        axes.set_title(f"{reading(step * second)} a step (assumed)", fontsize=9)
    panels[0].set_yticks(range(len(names)), marked)
    panels[0].invert_yaxis()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        title="GPU energy / memristor energy, by bias voltages; lines: 95 % over the device "
        "constants that are assumed",
        ncols=3,
        loc="outside lower center",
    )
    return figure


@styled
def break_even_figure(
    curves: Mapping[str, Curve],
    device: Memristor,
    baselines: Sequence[Baseline],
    step: Quantity,
) -> Figure:
    """Energy per synapse and step against four quantities, baselines as black lines."""
    figure = Figure(figsize=(7.2, 6.0))
    for axes, curve in zip(figure.subplots(2, 2).flat, curves.values(), strict=True):
        for policy, energy in curve.energy.items():
            colour, _ = _POLICY_STYLE[policy]
            axes.plot(curve.x, energy, color=colour, label=f"memristor, {policy}")
        for baseline, dashes in zip(baselines, ("-", "--", ":", "-."), strict=False):
            level = float(baseline.energy(1, step) / joule)
            axes.axhline(level, color="black", linestyle=dashes, label=_with_mark(baseline))
        axes.axvline(curve.here, color="#999999", linewidth=0.8)
        axes.set(
            xscale="linear" if curve.x[0] == 0 else "log",
            yscale="log",
            xlabel=curve.label,
            ylabel="energy per synapse and step",
        )
        axes.set_ylim(bottom=1e-13)
        axes.yaxis.set_major_formatter(EngFormatter("J"))
        if curve.unit != "1":
            axes.xaxis.set_major_formatter(EngFormatter(curve.unit))
    shown: dict[str, Artist] = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        shown |= {
            label: handle
            for handle, label in zip(handles, labels, strict=True)
            if "alike" not in label
        }
    figure.legend(list(shown.values()), list(shown), ncols=2, loc="outside lower center")
    figure.suptitle(
        f"grey: this game; {reading(step)} a step (assumed); "
        f"memristor curves: {marks(device, ('pulse', 'bias'))}",
        fontsize=9,
    )
    return figure
