"""Measurements of a simulated memristor, after Weilenmann et al. (2024), Figs. 2a and 2c to 3e.

Each function draws one of `mstpn.synapses.bench.protocols` into axes and returns what it drew. The
title says which shape and which numbers behind it are assumed.
"""

import textwrap
from collections.abc import Sequence

import matplotlib
import numpy as np
from brian2.units import (
    msecond,
    nsiemens,
    pjoule,
    second,
    siemens,
    usecond,
    volt,
)
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import LogLocator
from numpy.typing import NDArray

from mstpn.analysis.device.bench_extraction import Sigmoid
from mstpn.analysis.device.measurements import shown
from mstpn.analysis.pictures.style import COLOUR, GREY, LIGHT
from mstpn.synapses.bench.protocols import DECAY_PULSE_WIDTHS, Decay, PulseMap, Repeats
from mstpn.synapses.bench.voltage_driven import Trace
from mstpn.synapses.memristor import Memristor

__all__ = [
    "draw_conductance",
    "draw_decay",
    "draw_last_pulses",
    "draw_protocol",
    "draw_pulse_energy",
    "draw_repeats",
    "draw_rounds",
    "draw_set",
    "draw_sigmoid",
    "draw_sweep",
    "draw_update",
    "shades",
]

Array = NDArray[np.float64]

_ORDER = (COLOUR["bias"], COLOUR["pulse"], COLOUR["read"], LIGHT, GREY)
_LONG_TERM_RED = "#b2182b"
_GROWTH = ("pulse_conductance", "pulse_conductance_exponent")
_DECAY = ("decay_half_voltage", "decay_slope_voltage")
_SET = ("set_fraction", "set_slope_voltage")
_RESET = ("reset_voltage", "reset_width", "reset_fraction", "reset_slope_voltage")
_WINDOW = ("conductance_min", "conductance_max")
_HELD = ("pulse_onset_exponent", "saturation_conductance", "depletion_conductance")
_SHORT_TERM = "update a power of V and linear in width, one exponential between pulses"
_TITLE_WIDTH = 84
_N_ZOOMED = 3


def draw_sweep(axes: Axes, swept: Trace, device: Memristor) -> list[Artist]:
    """Fig. 2a: conductance against voltage, an arrow on each of the four ways."""
    voltage = np.asarray(swept.voltage / volt)
    conductance = np.asarray(swept.conductance / nsiemens)
    drawn: list[Artist] = []
    for k, rate in enumerate(_rates(swept)):
        colour = _ORDER[k % len(_ORDER)]
        drawn += axes.plot(
            voltage[:, k], conductance[:, k], color=colour, linewidth=1, label=f"{rate:g} V/s"
        )
        drawn += [_arrow(axes, voltage[:, k], conductance[:, k], leg, colour) for leg in range(4)]
    axes.set(xlabel="voltage (V)", ylabel="conductance (nS)")
    axes.legend(title="sweep", loc="upper left")
    shape = "powers of V for F, which V bounds, and sinh V for W"
    numbers = (*_GROWTH, *_HELD, *_DECAY, *_SET, *_RESET, *_WINDOW)
    return [*drawn, _assumed(axes, device, shape, *numbers, also=("sweep rates",))]


def _rates(swept: Trace) -> Array:
    height = np.abs(np.diff(np.asarray(swept.voltage / volt), axis=0)).max(axis=0)
    time = np.asarray(swept.time / second)
    return np.asarray(height / (time[1] - time[0]))


def _arrow(axes: Axes, x: Array, y: Array, leg: int, colour: str) -> Artist:
    """In the middle of what a quarter of the sweep moves, in the direction in which it goes."""
    n = len(x) // 4
    quarter = y[n * leg : n * (leg + 1) + 1]
    half_way = int(np.abs(quarter - (quarter[0] + quarter[-1]) / 2).argmin())
    k = n * leg + min(max(half_way, 4), n - 5)
    return axes.annotate(
        "",
        (x[k + 4], y[k + 4]),
        (x[k - 4], y[k - 4]),
        arrowprops={"arrowstyle": "-|>", "color": colour, "mutation_scale": 11},
    )


def draw_set(axes: Axes, measured: Trace, device: Memristor) -> list[Artist]:
    """Fig. 2c: conductance after each SET pulse, and the closed form."""
    conductance = np.asarray(measured.read.conductance[:, 0] / nsiemens)
    number = np.arange(len(conductance))
    start = float(measured.read.weight[0, 0])
    law = [float(device.set_weight(start, n)) for n in number.tolist()]
    drawn: list[Artist] = [
        *axes.plot(
            number, conductance, "o", color=COLOUR["pulse"], markersize=3, label="read after each"
        ),
        *axes.plot(
            number,
            device.conductance(np.array(law)) / nsiemens,
            color=GREY,
            linewidth=1,
            label="closed form",
        ),
        axes.axhline(
            float(device.conductance_max / nsiemens), color=GREY, linestyle=":", label="window"
        ),
    ]
    axes.set(
        xlabel=f"SET pulses, {device.set_voltage / volt:g} V, {device.set_width / usecond:g} µs",
        ylabel="conductance (nS)",
    )
    axes.legend(loc="lower right")
    shape = "each pulse moves W by one share of the way that is left"
    return [*drawn, _assumed(axes, device, shape, "set_fraction", "conductance_max")]


def draw_conductance(axes: Axes, measured: Trace, device: Memristor) -> list[Artist]:
    """Fig. 2d: conductance read all along, the long-term level as a red area."""
    drawn = [
        *_over_level(axes, measured, device),
        *_amplitudes(axes, measured),
    ]
    axes.legend(loc="upper left")
    numbers = (*_GROWTH, *_DECAY, *_SET[1:])
    also = ("times of the pulses", "their number")
    return [*drawn, _assumed(axes, device, _SHORT_TERM, *numbers, also=also)]


def draw_last_pulses(axes: Axes, measured: Trace, device: Memristor) -> list[Artist]:
    """Fig. 2e: the last three pulses of Fig. 2d, what is read at the read voltage only."""
    pulses = np.flatnonzero(~measured.is_read)
    start = int(pulses[-min(_N_ZOOMED, len(pulses))])
    # half of the reads before the first of them
    end_of_one = int(pulses[-_N_ZOOMED - 1]) if len(pulses) > _N_ZOOMED else 0
    zoomed = measured[(start + end_of_one) // 2 :]
    reads = zoomed.read
    time, conductance = reads.time[:, 0] / second, reads.conductance[:, 0] / nsiemens
    drawn: list[Artist] = [
        *axes.plot(
            time,
            conductance,
            "o",
            color=COLOUR["bias"],
            markersize=2.5,
            label=f"read at {device.read_voltage / volt:g} V",
        ),
        *axes.plot(time, _level(reads, device), color=_LONG_TERM_RED, label="long-term level"),
        *_amplitudes(axes, zoomed),
    ]
    axes.set(xlabel="time (s)", ylabel="conductance (nS)")
    axes.margins(y=0.2)
    axes.legend(loc="upper left")
    return [*drawn, _assumed(axes, device, _SHORT_TERM, *_GROWTH, *_DECAY)]


def _level(reads: Trace, device: Memristor) -> Array:
    """Conductance of W alone, in nS."""
    return np.asarray(device.conductance(reads.weight[:, 0]) / nsiemens)


def _over_level(axes: Axes, measured: Trace, device: Memristor, start: float = 0.0) -> list[Artist]:
    """Conductance over time on the area of its long-term level."""
    reads = measured.read
    time = reads.time[:, 0] / second - start
    level, conductance = _level(reads, device), np.asarray(reads.conductance[:, 0] / nsiemens)
    low = level.min() - 0.4 * np.ptp(conductance)
    drawn: list[Artist] = [
        axes.fill_between(
            time, low, level, color=_LONG_TERM_RED, alpha=0.25, linewidth=0, label="long-term level"
        ),
        *axes.plot(time, conductance, color=COLOUR["bias"], linewidth=1, label="read all along"),
    ]
    axes.set(xlabel="time (s)", ylabel="conductance (nS)")
    axes.set_ylim(low, level.max() + 1.45 * np.ptp(conductance))
    return drawn


def _amplitudes(axes: Axes, measured: Trace, start: float = 0.0) -> list[Artist]:
    """Amplitude of each pulse, above the first read after it."""
    pulses = np.flatnonzero(~measured.is_read)
    labels: list[Artist] = []
    for level in pulses.tolist():
        x = float(measured.time[level, 0] / second) - start
        text = f"{float(measured.voltage[level, 0] / volt):.3g} V"
        where = (x, float(measured.conductance[level + 1, 0] / nsiemens))
        labels.append(
            axes.annotate(text, where, (0, 4), textcoords="offset points", ha="center", va="bottom")
        )
    return labels


def draw_rounds(
    axes: Sequence[Axes], rounds: Sequence[Trace], n_set: Sequence[int], device: Memristor
) -> list[Artist]:
    """Fig. 2f: the pulses of Fig. 2d at each long-term weight, one above the other.

    Parameters
    ----------
    axes : sequence of Axes
        One for each round, the first at the bottom.
    rounds : sequence of Trace
    n_set : sequence of int
        SET pulses before each.
    device : Memristor
    """
    drawn: list[Artist] = []
    span = max(float(np.ptp(r.read.conductance / nsiemens)) for r in rounds)
    for k, (one, trace, n) in enumerate(zip(axes, rounds, n_set, strict=True)):
        start = float(trace.time[0, 0] / second)
        drawn += [*_over_level(one, trace, device, start), *_amplitudes(one, trace, start)]
        level = float(_level(trace.read, device)[0])
        one.set_ylim(level - 0.4 * span, level + 1.5 * span)
        weight = f"$W_{k + 1}$ = {trace.weight[0, 0]:.2f}, {level:.1f} nS"
        before = f"after {n} SET pulses and 240 s" if n else "the smallest"
        drawn.append(one.text(0.01, 0.97, f"{weight}: {before}", transform=one.transAxes, va="top"))
        one.set_xlabel("time in each round (s)" if k == 0 else "")
    shape = f"{_SHORT_TERM}, the same at every W"
    return [*drawn, _assumed(axes[-1], device, shape, *_GROWTH, *_DECAY, "set_fraction", *_WINDOW)]


def draw_repeats(
    axes: Axes, measured: Repeats, device: Memristor, *, spread: float | None = None
) -> list[Artist]:
    """Fig. 3a: change of conductance against time, mean and standard deviation of the repeats.

    Parameters
    ----------
    axes : Axes
    measured : Repeats
    device : Memristor
    spread : float, optional
        From pulse to pulse, as it was assumed.
    """
    time, change = np.asarray(measured.time / second), np.asarray(measured.change / siemens) * 1e9
    drawn: list[Artist] = []
    colours = shades(len(measured.voltage))
    for k in reversed(range(len(colours))):
        label = f"{float(measured.voltage[k] / volt):.3g} V"
        drawn += _mean_and_spread(axes, time, change[:, k], colours[k], label)
    n = change.shape[2]
    axes.set(xlabel="time since the pulse (s)", ylabel="change of conductance (nS)")
    axes.legend(
        title=f"{device.pulse_width / usecond:g} µs; line and\nband: mean and\ns.d. of {n}",
        loc="upper right",
    )
    also = () if spread is None else (f"spread from pulse to pulse = {spread:.3g}",)
    return [*drawn, _assumed(axes, device, _SHORT_TERM, *_GROWTH, *_DECAY, also=also)]


def shades(n: int) -> Array:
    """Colours of several voltages, dark for the smallest."""
    return np.asarray(matplotlib.colormaps["cividis"](np.linspace(0, 0.85, n)))


def _mean_and_spread(
    axes: Axes, x: Array, curves: Array, colour: Array, label: str
) -> list[Artist]:
    """The mean of repeats, (K, R), as a line and their standard deviation as a band."""
    mean = curves.mean(axis=1)
    spread = curves.std(axis=1, ddof=1) if curves.shape[1] > 1 else np.zeros(len(mean))
    return [
        *axes.plot(x, mean, color=colour, linewidth=1.2, label=label),
        axes.fill_between(x, mean - spread, mean + spread, color=colour, alpha=0.25, linewidth=0),
    ]


def draw_update(axes: Axes, measured: PulseMap, device: Memristor) -> list[Artist]:
    """Fig. 3b: short-term change of conductance over voltage and width."""
    mean = np.asarray(measured.change / siemens).mean(axis=2) * 1e9
    drawn = _map(axes, measured, mean, "short-term $\\Delta G$ (nS)")
    shape = "a power of V, linear in width"
    return [*drawn, _assumed(axes, device, shape, *_GROWTH)]


def draw_pulse_energy(axes: Axes, measured: PulseMap, device: Memristor) -> list[Artist]:
    """Fig. 3c: energy of a pulse over voltage and width."""
    drawn = _map(axes, measured, np.asarray(measured.energy / pjoule), "energy of the pulse (pJ)")
    shape = "a power of V, linear in width"
    return [*drawn, _assumed(axes, device, shape, "pulse_energy", "pulse_energy_exponent")]


def _map(axes: Axes, measured: PulseMap, values: Array, label: str) -> list[Artist]:
    """In colours of a logarithmic scale, and in figures."""
    width, voltage = np.asarray(measured.width / usecond), np.asarray(measured.voltage / volt)
    positive = values[values > 0]
    low, high = (float(positive.min()), float(positive.max())) if len(positive) else (1.0, 1.0)
    norm = LogNorm(low, high)
    mesh = axes.pcolormesh(width, voltage, values, cmap="cividis", norm=norm, shading="nearest")
    drawn: list[Artist] = [mesh]
    for (p, q), value in np.ndenumerate(values):
        dark = value < np.sqrt(low * high)
        drawn.append(
            axes.text(
                float(width[q]),
                float(voltage[p]),
                f"{value:.2g}",
                ha="center",
                va="center",
                fontsize=5.5,
                color="white" if dark else "black",
            )
        )
    axes.spines[:].set_visible(False)
    axes.set(xlabel="pulse width (µs)", ylabel="pulse amplitude (V)", yticks=voltage)
    ticks = LogLocator(subs=(1, 2, 5))
    bar = axes.figure.colorbar(mesh, ax=axes, label=label, ticks=ticks, format="{x:g}")
    bar.minorticks_off()
    return [*drawn, bar.ax]


def draw_protocol(axes: Axes, measured: Decay, device: Memristor) -> list[Artist]:
    """Fig. 3d, top: the voltage on a linear axis of time, with some of the reads."""
    colours = shades(len(measured.bias_voltage))
    read, bias = float(device.read_voltage / volt), np.asarray(measured.bias_voltage / volt)
    last = float(measured.time[-1] / second)
    shown_until, pulse = min(last, 1.0), float(device.pulse_voltage / volt)
    drawn: list[Artist] = []
    for k in reversed(range(len(bias))):
        drawn += axes.plot([0, shown_until], [bias[k]] * 2, color=colours[k], linewidth=1.5)
    times = np.asarray(measured.time / second)
    at = times[times <= shown_until]
    drawn.append(axes.vlines(at, 0, read, color=GREY, linewidth=0.5))
    drawn.append(axes.vlines([-0.02 * shown_until], 0, read, color=GREY, linewidth=0.5))
    drawn.append(axes.vlines([0], 0, pulse, color=COLOUR["pulse"], linewidth=1.5))
    width = f"{DECAY_PULSE_WIDTHS * device.pulse_width / usecond:g} µs"
    drawn.append(axes.text(0.015 * shown_until, pulse, f"pulse, {pulse:g} V, {width}", va="top"))
    text = f"$V_{{bias}}$ held, reads at {read:g} V"
    drawn.append(axes.text(0.5 * shown_until, read + 0.25, text))
    axes.set(xlabel="time since the pulse (s), linear", ylabel="voltage (V)")
    axes.set_ylim(min(0.0, bias.min()), 1.15 * pulse)
    return drawn


def draw_decay(axes: Axes, measured: Decay, device: Memristor) -> list[Artist]:
    """Fig. 3d: conductance on a logarithmic axis, mean and standard deviation of the repeats."""
    time = np.asarray(measured.time / msecond) / 1e3
    conductance = np.asarray(measured.conductance / siemens) * 1e9
    colours = shades(len(measured.bias_voltage))
    drawn: list[Artist] = []
    for k in reversed(range(len(colours))):
        label = f"{float(measured.bias_voltage[k] / volt):.3g} V"
        drawn += _mean_and_spread(axes, time, conductance[:, k], colours[k], label)
    before = float(np.mean(measured.before / siemens)) * 1e9
    drawn.append(axes.axhline(before, color=GREY, linestyle=":", label="before"))
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="time since the pulse (s), logarithmic",
        ylabel="conductance (nS)",
    )
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.legend(title="$V_{bias}$", loc="center left", bbox_to_anchor=(1, 0.5))
    shape = "one exponential, the same at every size"
    return [*drawn, _assumed(axes, device, shape, *_DECAY, *_GROWTH)]


def draw_sigmoid(
    axes: Axes, measured: Decay, decay: Array, fitted: Sigmoid | None, device: Memristor
) -> list[Artist]:
    """Fig. 3e: Lambda from the decays of Fig. 3d, and the sigmoid through them.

    Parameters
    ----------
    axes : Axes
    measured : Decay
    decay : ndarray, (B, R)
        Lambda, from `decay_over`.
    fitted : Sigmoid, optional
    device : Memristor
    """
    x = np.asarray(measured.bias_voltage / volt)
    fine = np.linspace(x[0], x[-1], 100)
    through, label = np.full(len(fine), decay.mean()), "mean: no sigmoid is to be seen"
    if fitted is not None:
        half, slope = float(fitted.half / volt), float(fitted.slope / volt)
        through = fitted(fine * volt)
        label = f"sigmoid, half at {half:.4f} V,\nslope {slope:.4f} V"
    drawn: list[Artist] = [
        *axes.plot(fine, through, color=GREY, label=label),
        axes.errorbar(
            x,
            decay.mean(axis=1),
            decay.std(axis=1, ddof=1),
            fmt="o",
            color=COLOUR["bias"],
            label="from the decays",
        ).lines[0],
    ]
    for end in (device.decay_min, device.decay_max):
        drawn.append(axes.axhline(end, color=LIGHT, linestyle=":"))
    after = f"{float(device.decay_duration / msecond):.3g} ms"
    axes.set(xlabel="bias voltage (V)", ylabel=f"Λ, share of F left after {after}", ylim=(0, 1))
    axes.legend(loc="upper left", bbox_to_anchor=(0, 0.9))
    numbers = (*_DECAY, "decay_duration")
    return [*drawn, _assumed(axes, device, "none, a sigmoid is the paper's", *numbers)]


def _assumed(
    axes: Axes, device: Memristor, shape: str, *names: str, also: Sequence[str] = ()
) -> Artist:
    """Which shape is assumed, and which of the constants, with their values."""
    numbers = [
        f"{name} = {shown(getattr(device, name))}"
        for name in names
        if device.provenance(name) == "assumed"
    ]
    lines = textwrap.wrap(f"shape assumed: {shape}", _TITLE_WIDTH)
    assumptions = ", ".join([*numbers, *also]).replace(" ", "\N{NO-BREAK SPACE}")
    assumptions = assumptions.replace(",\N{NO-BREAK SPACE}", ", ")
    lines += textwrap.wrap(f"numbers assumed: {assumptions or 'none'}", _TITLE_WIDTH)
    return axes.set_title("\n".join(lines), fontsize=6, loc="left")
