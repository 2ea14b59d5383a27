"""Figures of one game's energy, after Weilenmann et al. (2024), Fig. 4c-4i.

Each function takes a ledger (see `mstpn.analysis.energy.ledger`) and returns a `Figure`.
"""

import matplotlib
import numpy as np
import xarray as xr
from brian2.units import Quantity, joule, nsiemens, watt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from mstpn.analysis.energy.energies import marks
from mstpn.analysis.energy.ledger import frame_times
from mstpn.analysis.gpu.baselines import Baseline, reading
from mstpn.analysis.pictures.style import COLOUR, GREY, LIGHT, styled
from mstpn.synapses.memristor import Memristor

__all__ = [
    "energy_over_time",
    "histograms",
    "per_synapse",
    "power_against_weight",
    "pulse_energies",
    "trace_over_game",
    "trace_zoom",
]

_ZOOM_SECONDS = 4.0


def _axes(width: float = 6.4, height: float = 3.2) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots()


def _name(ledger: xr.Dataset) -> str:
    i, j = int(ledger.trace_presynaptic[0]), int(ledger.trace_postsynaptic[0])
    return f"synapse {i} \N{RIGHTWARDS ARROW} {j}, largest updates $\\Delta F$"


@styled
def trace_over_game(ledger: xr.Dataset, _device: Memristor) -> Figure:
    """Fig. 4c: total weight S(t) of the synapse with the largest updates."""
    figure, axes = _axes()
    total = ledger.trace_W[0] + ledger.trace_F[0]
    axes.plot(ledger.time, total, color=COLOUR["bias"], linewidth=0.7, label="S = W + F")
    axes.axhline(float(ledger.trace_W[0, 0]), color=GREY, linestyle="--", label="W")
    axes.set(xlabel="game time (s)", ylabel="weight")
    axes.set_title(_name(ledger), loc="left")
    axes.legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    return figure


@styled
def trace_zoom(ledger: xr.Dataset, _device: Memristor) -> Figure:
    """Fig. 4d: some seconds of it, F decaying within frames, updates as bars, W marked."""
    figure = Figure(figsize=(6.4, 3.8))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    updates = ledger.trace_dF[0].values
    step, decay = ledger.attrs["step_duration_s"], _decay_of_trace(ledger)
    length = min(len(updates), max(2, round(_ZOOM_SECONDS / step)))
    sizes = np.convolve(np.abs(updates), np.ones(length), "valid")
    shown = slice(int(sizes.argmax()), int(sizes.argmax()) + length)
    start, weight = ledger.time.values[shown], float(ledger.trace_W[0, 0])
    within = np.linspace(0, 1, 20)
    fine = ledger.trace_F[0].values[shown, None] * decay**within
    times = start[:, None] + step * within
    upper.plot(times.ravel(), weight + fine.ravel(), color=COLOUR["bias"], label="S = W + F")
    upper.axhline(weight, color=GREY, linestyle="--", label="W")
    upper.set_ylabel("weight")
    upper.set_title(_name(ledger), loc="left")
    upper.legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    lower.bar(start, updates[shown], width=0.5 * step, align="edge", color=COLOUR["pulse"])
    lower.axhline(0, color=GREY, linewidth=0.5)
    lower.set(xlabel="game time (s)", ylabel="$\\Delta F$ per pulse")
    return figure


def _decay_of_trace(ledger: xr.Dataset) -> float:
    i, j = int(ledger.trace_presynaptic[0]), int(ledger.trace_postsynaptic[0])
    return float(ledger.decay[i, j])


@styled
def pulse_energies(ledger: xr.Dataset, device: Memristor) -> Figure:
    """Fig. 4e: energy of a pulse against its update, the recorded ones and the power law."""
    figure, axes = _axes(5.0, 3.6)
    updates = np.abs(ledger.trace_dF[0].values)
    energies = ledger.trace_energy[0].sel(term="pulse").values
    seen = updates > 0
    top = max(updates.max(), device.delta_f_max)
    x = np.geomspace(1e-4 * top, 2 * top, 100)
    law = np.asarray(device.pulse_energy_for(x) / joule)
    axes.loglog(
        x,
        1e12 * law,
        color=GREY,
        label=f"$E \\propto |\\Delta F|^{{{device.energy_exponent:.3g}}}$ "
        f"({marks(device, ['pulse'])})",
    )
    axes.loglog(
        updates[seen],
        1e12 * energies[seen],
        ".",
        color=COLOUR["pulse"],
        markersize=4,
        alpha=0.5,
        label="pulses of the traced synapse",
    )
    axes.axvline(device.delta_f_max, color=LIGHT, linestyle=":", label="one reference pulse")
    axes.set(xlabel="$|\\Delta F|$", ylabel="energy of the pulse (pJ)")
    axes.legend(loc="upper left")
    return figure


@styled
def power_against_weight(ledger: xr.Dataset, device: Memristor) -> Figure:
    """Fig. 4f: power under bias against total weight, one line per voltage."""
    figure, axes = _axes(5.0, 3.6)
    low, high = device.weight_min, device.weight_max
    total = np.linspace(low, min(high, 2.0), 50)
    top = device.bias_voltage_max
    shades = matplotlib.colormaps["cividis"](np.linspace(0.9, 0.0, 6))
    for colour, share in zip(shades, np.linspace(1 / 6, 1, 6), strict=True):
        power = np.asarray(device.bias_energy_power(share * top, total) / watt)
        axes.plot(total, 1e9 * power, color=colour, label=f"{float(share * top):.1f} V")
    axes.plot(0, 1e9 * float(device.bias_power / watt), "o", color=COLOUR["pulse"])
    axes.annotate(
        f"{device.bias_power} ({device.provenance('bias_power')})",
        (0, 1e9 * float(device.bias_power / watt)),
        xytext=(-8, 8),
        textcoords="offset points",
        ha="right",
    )
    weights = ledger.weight.values
    axes.axvspan(*np.quantile(weights, [0.005, 0.995]), color=LIGHT, alpha=0.2, linewidth=0)
    axes.set(
        xlabel="total weight S = W + F (shaded: 99 % of this network's W)",
        ylabel="power under bias (nW)",
    )
    axes.set_title(
        f"slope: {float(device.weight_conductance / nsiemens):g} nS per unit of S "
        f"({device.provenance('weight_conductance')})",
        loc="left",
    )
    axes.legend(title="$V_{bias}$", loc="upper left")
    return figure


@styled
def energy_over_time(
    ledger: xr.Dataset,
    device: Memristor,
    baselines: list[Baseline],
    worst_case: Quantity,
    step: Quantity,
) -> Figure:
    """Fig. 4g: energy spent so far, the memristors by term against GPUs.

    Parameters
    ----------
    ledger : xarray.Dataset
    device : Memristor
    baselines : list of Baseline
    worst_case : Quantity, joule
        Bias energy of the game with every synapse at the largest voltage.
    step : Quantity, second
        Reading of the paper's step.
    """
    figure, axes = _axes(6.4, 4.8)
    ends = frame_times(ledger)
    for term in ledger.term.values:
        spent = 1e3 * ledger.frame_energy.sel(term=term).cumsum("frame")
        label = f"memristors: {term} ({marks(device, [str(term)])})"
        axes.plot(ends, spent, color=COLOUR[str(term)], label=label)
    bound = 1e3 * float(worst_case / joule) * ends / ends[-1]
    label = f"memristors: bias, worst case ({marks(device, ['worst-case bias'])})"
    axes.plot(ends, bound, color=COLOUR["bias"], linestyle="--", label=label)
    n_synapses = ledger.sizes["presynaptic"] * ledger.sizes["postsynaptic"]
    frames = np.arange(1, len(ends) + 1)
    for baseline, dashes in zip(baselines, ("-", "--", ":", "-."), strict=False):
        spent = np.asarray(baseline.energy(n_synapses * frames, step) / joule)
        label = f"{baseline.label} ({baseline.provenance})"
        axes.plot(ends, 1e3 * spent, color="black", linestyle=dashes, label=label)
    axes.set(xlabel="game time (s)", ylabel="energy so far (mJ)", yscale="log")
    axes.set_ylim(bottom=1e-6)
    axes.set_title(f"{reading(step)} a step (assumed)", loc="left")
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    return figure


@styled
def histograms(ledger: xr.Dataset, device: Memristor) -> Figure:
    """Fig. 4h: energy per synapse over the game, one histogram per term."""
    figure = Figure(figsize=(7.2, 2.8))
    for axes, term in zip(figure.subplots(1, 3, sharey=True), ledger.term.values, strict=True):
        spent = ledger.synapse_energy.sel(term=term).values.ravel()
        unit, scale = ("nJ", 1e9) if term == "bias" else ("pJ", 1e12)
        used = scale * spent[spent > 0]
        if len(used):
            bins = np.geomspace(max(used.min(), 1e-6 * used.max()), used.max() * 1.001, 50)
            axes.hist(used, bins=bins.tolist(), color=COLOUR[str(term)])
        axes.set(xscale="log", yscale="log", xlabel=f"{term} energy ({unit})")
        origin = marks(device, [str(term)])
        axes.set_title(f"{100 * np.mean(spent <= 0):.0f} % spend none\n{origin}", fontsize=8)
    figure.axes[0].set_ylabel("synapses")
    return figure


@styled
def per_synapse(ledger: xr.Dataset, _device: Memristor) -> Figure:
    """Fig. 4i: energy of each synapse over the game, all terms."""
    figure, axes = _axes(7.2, 3.0)
    spent = 1e9 * ledger.synapse_energy.sum("term").values.T
    most = spent.max()
    least = max(spent[spent > 0].min(initial=most), 1e-4 * most)
    norm = LogNorm(least, most) if least < most else None
    image = axes.imshow(spent, aspect="auto", cmap="cividis", norm=norm)
    axes.set(xlabel="presynaptic unit", ylabel="postsynaptic unit")
    axes.spines[:].set_visible(False)
    figure.colorbar(image, label="energy of the game,\npulses + bias + reads (nJ)")
    return figure
