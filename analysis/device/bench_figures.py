"""Measurements of a simulated memristor, after Weilenmann et al. (2024), Figs. 2a and 2c to 3e.

Each function draws one of `mstpn.synapses.bench.protocols` into axes and returns what it drew. The
title names the constants behind it that are assumed.
"""

from collections.abc import Sequence

import matplotlib
import numpy as np
from brian2.units import (
    Quantity,
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
from numpy.typing import NDArray

from mstpn.analysis.device.bench_extraction import Sigmoid
from mstpn.analysis.pictures.style import COLOUR, GREY, LIGHT
from mstpn.synapses.bench.protocols import DELTA_F_STD, Decay, PulseMap
from mstpn.synapses.bench.voltage_driven import Trace
from mstpn.synapses.memristor import Memristor

__all__ = [
    "draw_conductance",
    "draw_decay",
    "draw_pulse_energy",
    "draw_repeats",
    "draw_rounds",
    "draw_set",
    "draw_sigmoid",
    "draw_sweep",
    "draw_update",
    "draw_weights",
]

Array = NDArray[np.float64]

_ORDER = (COLOUR["bias"], COLOUR["pulse"], COLOUR["read"], LIGHT, GREY)
_GROWTH = ("pulse_conductance", "pulse_conductance_exponent")
_DECAY = ("decay_half_voltage", "decay_slope_voltage")
_WINDOW = ("conductance_min", "conductance_max")


def draw_sweep(axes: Axes, swept: Trace, device: Memristor) -> list[Artist]:
    """Fig. 2a: conductance against voltage, arrows on the way up and back."""
    voltage = np.asarray(swept.voltage / volt)
    conductance = np.asarray(swept.conductance / nsiemens)
    drawn: list[Artist] = []
    for k, rate in enumerate(_rates(swept)):
        colour = _ORDER[k % len(_ORDER)]
        drawn += axes.plot(voltage[:, k], conductance[:, k], color=colour, label=f"{rate:g} V/s")
        drawn += [_arrow(axes, voltage[:, k], conductance[:, k], leg, colour) for leg in (0, 1)]
    axes.set(xlabel="voltage (V)", ylabel="conductance (nS)")
    axes.legend(title="sweep", loc="center left")
    return [*drawn, _title(axes, device, *_GROWTH, *_DECAY, *_WINDOW, also=("sweep rates",))]


def _rates(swept: Trace) -> Array:
    height = np.abs(np.diff(np.asarray(swept.voltage / volt), axis=0)).max(axis=0)
    time = np.asarray(swept.time / second)
    return np.asarray(height / (time[1] - time[0]))


def _arrow(axes: Axes, x: Array, y: Array, leg: int, colour: str) -> Artist:
    """Where a quarter of the sweep moves most, in the direction in which it goes."""
    n = len(x) // 4
    steepest = int(np.abs(np.diff(y[n * leg : n * (leg + 1) + 1])).argmax())
    k = n * leg + min(max(steepest, 4), n - 5)
    return axes.annotate(
        "",
        (x[k + 4], y[k + 4]),
        (x[k - 4], y[k - 4]),
        arrowprops={"arrowstyle": "-|>", "color": colour, "mutation_scale": 12},
    )


def draw_set(axes: Axes, measured: Trace, device: Memristor) -> list[Artist]:
    """Fig. 2c: conductance after each SET pulse, and the closed form."""
    conductance = np.asarray(measured.read.conductance[:, 0] / nsiemens)
    number = np.arange(len(conductance))
    start = float(measured.read.weight[0, 0])
    law = [float(device.set_weight(start, n)) for n in number.tolist()]
    drawn: list[Artist] = [
        *axes.plot(
            number,
            device.conductance(np.array(law)) / nsiemens,
            color=GREY,
            linewidth=1,
            zorder=3,
            label="closed form",
        ),
        *axes.plot(
            number, conductance, "o", color=COLOUR["pulse"], markersize=3, label="read after each"
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
    return [*drawn, _title(axes, device, "set_fraction", "weight_conductance", "conductance_max")]


def draw_conductance(axes: Axes, measured: Trace, device: Memristor) -> list[Artist]:
    """Fig. 2d: conductance read all along, with the amplitude at each pulse."""
    reads = measured.read
    time, conductance = reads.time[:, 0] / second, reads.conductance[:, 0] / nsiemens
    drawn: list[Artist] = [*axes.plot(time, conductance, color=COLOUR["bias"])]
    resting = float(device.conductance(reads.weight[0, 0]) / nsiemens)
    drawn.append(axes.axhline(resting, color=GREY, linestyle="--", label="W alone"))
    drawn += _amplitudes(axes, measured, np.asarray(conductance))
    axes.set(xlabel="time (s)", ylabel="conductance (nS)")
    axes.margins(y=0.15)
    axes.legend(loc="upper left")
    return [*drawn, _title(axes, device, *_GROWTH, *_DECAY)]


def _amplitudes(axes: Axes, measured: Trace, values: Array) -> list[Artist]:
    """Amplitude of each pulse, above the first read after it."""
    pulses = np.flatnonzero(~measured.is_read)
    found: list[Artist] = []
    for k, level in enumerate(pulses.tolist()):
        x = float(measured.time[level, 0] / second)
        text = f"{float(measured.voltage[level, 0] / volt):g} V"
        where = (x, float(values[level - k]))
        found.append(
            axes.annotate(text, where, (0, 4), textcoords="offset points", ha="center", va="bottom")
        )
    return found


def draw_weights(axes: Axes, measured: Trace, device: Memristor) -> list[Artist]:
    """Fig. 2e: the same as weights: W stays, F decays on it."""
    reads = measured.read
    time, weight, trace = reads.time[:, 0] / second, reads.weight[:, 0], reads.trace[:, 0]
    drawn: list[Artist] = [
        axes.fill_between(time, weight, weight + trace, color=LIGHT, alpha=0.4, label="F"),
        *axes.plot(time, weight + trace, color=COLOUR["bias"], label="W + F"),
        *axes.plot(time, weight, color=GREY, linestyle="--", label="W"),
        *_amplitudes(axes, measured, np.asarray(weight + trace)),
    ]
    axes.set(xlabel="time (s)", ylabel="weight")
    axes.margins(y=0.15)
    axes.legend(loc="upper left")
    return [*drawn, _title(axes, device, *_GROWTH, *_DECAY, "weight_conductance")]


def draw_rounds(axes: Axes, rounds: Sequence[Trace], device: Memristor) -> list[Artist]:
    """Fig. 2f: change of conductance in each round of pulses, one above the other."""
    drawn: list[Artist] = []
    peak = max(float(np.max(r.trace)) for r in rounds) * float(device.weight_conductance / nsiemens)
    shift = float(f"{1.2 * peak:.1g}")
    for k, reads in enumerate(rounds):
        weight = float(reads.weight[0, 0])
        time = (reads.time[:, 0] - reads.time[0, 0]) / second
        change = (reads.conductance[:, 0] - device.conductance(weight)) / nsiemens
        colour = _ORDER[k % len(_ORDER)]
        label = f"W = {weight:.2f}, {device.conductance(weight) / nsiemens:.1f} nS"
        drawn += axes.plot(time, change + k * shift, color=colour, label=label)
        drawn.append(axes.axhline(k * shift, color=colour, linestyle=":", linewidth=0.8))
    axes.set(
        xlabel="time in each round (s)",
        ylabel=f"change of conductance (nS),\nrounds {shift:g} nS apart",
    )
    axes.margins(y=0.1)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles[::-1],
        labels[::-1],
        title="W of the round",
        loc="center left",
        bbox_to_anchor=(1, 0.5),
    )
    return [*drawn, _title(axes, device, *_GROWTH, *_DECAY, "set_fraction")]


def draw_repeats(
    axes: Axes,
    amplitude: Quantity,
    delta_f: Array,
    device: Memristor,
    delta_f_std: float = DELTA_F_STD,
) -> list[Artist]:
    """Fig. 3a: each update, mean and standard deviation at each amplitude, and the law."""
    x = np.asarray(amplitude / volt)
    fine = np.linspace(x[0], x[-1], 100)
    law = device.pulse_delta(fine * volt, device.pulse_width)
    mean, spread = delta_f.mean(axis=1), delta_f.std(axis=1, ddof=1)
    n = delta_f.shape[1]
    bars = axes.errorbar(
        x, mean, spread, fmt="o", color=COLOUR["pulse"], capsize=4, label=f"mean and s.d. of {n}"
    )
    drawn: list[Artist] = [
        *axes.plot(fine, law, color=GREY, label="law without spread"),
        *axes.plot(
            np.repeat(x, n) - 0.03 * np.ptp(x),
            delta_f.ravel(),
            ".",
            color=COLOUR["bias"],
            alpha=0.6,
            label="each pulse, beside",
        ),
        *bars.get_children(),
    ]
    axes.set(
        xlabel=f"pulse amplitude (V), {device.pulse_width / usecond:g} µs",
        ylabel="update $\\Delta F$",
    )
    axes.legend(loc="upper left")
    spread_is = f"delta_f_std = {delta_f_std:g}"
    return [*drawn, _title(axes, device, *_GROWTH, also=(spread_is,))]


def draw_update(axes: Axes, measured: PulseMap, device: Memristor) -> list[Artist]:
    """Fig. 3b: update over voltage and width."""
    drawn = _map(axes, measured, measured.delta_f, "update $\\Delta F$")
    return [*drawn, _title(axes, device, *_GROWTH)]


def draw_pulse_energy(axes: Axes, measured: PulseMap, device: Memristor) -> list[Artist]:
    """Fig. 3c: energy of a pulse over voltage and width."""
    drawn = _map(axes, measured, np.asarray(measured.energy / pjoule), "energy of the pulse (pJ)")
    return [*drawn, _title(axes, device, "pulse_energy", "pulse_energy_exponent")]


def _map(axes: Axes, measured: PulseMap, values: Array, label: str) -> list[Artist]:
    width, voltage = measured.width / usecond, measured.voltage / volt
    mesh = axes.pcolormesh(width, voltage, values, cmap="cividis", shading="nearest")
    axes.spines[:].set_visible(False)
    axes.set(xlabel="pulse width (µs)", ylabel="pulse amplitude (V)")
    bar = axes.figure.colorbar(mesh, ax=axes, label=label)
    return [mesh, bar.ax]


def draw_decay(axes: Axes, measured: Decay, device: Memristor) -> list[Artist]:
    """Fig. 3d: conductance above that before the pulse; mean of the repeats, all as a band."""
    time = np.asarray(measured.time / msecond) / 1e3
    change = np.asarray(measured.change / siemens) * 1e9
    shades = matplotlib.colormaps["cividis"](np.linspace(0, 0.9, len(measured.bias_voltage)))
    drawn: list[Artist] = []
    for k in reversed(range(len(shades))):
        label = f"{float(measured.bias_voltage[k] / volt):.1f} V"
        curves = change[:, k]
        drawn += axes.plot(
            time, curves.mean(axis=1), ".-", color=shades[k], markersize=3, label=label
        )
        drawn.append(
            axes.fill_between(
                time,
                curves.min(axis=1),
                curves.max(axis=1),
                color=shades[k],
                alpha=0.2,
                linewidth=0,
            )
        )
    axes.set(xscale="log", xlabel="time since the pulse (s)", ylabel="change of conductance (nS)")
    axes.legend(title="$V_{bias}$", loc="center left", bbox_to_anchor=(1, 0.5))
    return [*drawn, _title(axes, device, *_DECAY, *_GROWTH, also=("delta_f_std",))]


def draw_sigmoid(
    axes: Axes, measured: Decay, decay: Array, fitted: Sigmoid, device: Memristor
) -> list[Artist]:
    """Fig. 3e: Lambda from the decays of Fig. 3d, and the sigmoid through them.

    Parameters
    ----------
    axes : Axes
    measured : Decay
    decay : ndarray, (B, R)
        Lambda, from `decay_per_step`.
    fitted : Sigmoid
    device : Memristor
    """
    x = np.asarray(measured.bias_voltage / volt)
    fine = np.linspace(x[0], x[-1], 100)
    half, slope = float(fitted.half / volt), float(fitted.slope / volt)
    drawn: list[Artist] = [
        *axes.plot(
            fine,
            fitted(fine * volt),
            color=GREY,
            label=f"sigmoid, half at {half:.4f} V,\nslope {slope:.4f} V",
        ),
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
    return [*drawn, _title(axes, device, *_DECAY)]


def _title(axes: Axes, device: Memristor, *names: str, also: Sequence[str] = ()) -> Artist:
    """Which of the constants are assumed, and what else is."""
    assumed = [*(name for name in names if device.provenance(name) == "assumed"), *also]
    lines = [", ".join(assumed[k : k + 3]) for k in range(0, len(assumed), 3)]
    text = "assumed: " + ",\n".join(lines) if assumed else ""
    return axes.set_title(text, fontsize=7, loc="left")
