"""Measurements that the constants of a device are fitted to, beside Figs. 3b to 3d of the paper.

SET and RESET of several amplitudes and widths, which Fig. 2c shows at one, and the power under
a bias (Fig. 4f). Source: the protocols of Weilenmann et al., Nature Communications 15 (2024);
amplitudes and numbers of pulses are this package's choice.
"""

from dataclasses import dataclass

import numpy as np
from brian2.units import Quantity, second, siemens, volt, watt
from numpy.typing import NDArray

from mstpn.synapses.bench.specimen import IDEAL, Specimen
from mstpn.synapses.bench.waveforms import evenly, hold, in_turn, read, rest_of
from mstpn.synapses.memristor import Memristor

__all__ = ["LongTerm", "Power", "long_term_pulses", "power_under_bias"]

_LONG_TERM_SHARES = (0.9, 0.95, 1.0)
"""Of the SET and RESET voltage, in `long_term_pulses`."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LongTerm:
    """Conductance at rest after trains of alike pulses.

    Parameters
    ----------
    voltage : Quantity, volt, (N,)
        Positive for SET, negative for RESET.
    width : Quantity, second, (N,)
    n_pulses : ndarray of int, (K,)
        Pulses before each read.
    conductance : Quantity, siemens, (K, N)
    """

    voltage: Quantity
    width: Quantity
    n_pulses: NDArray[np.int_]
    conductance: Quantity


def long_term_pulses(
    device: Memristor,
    *,
    n_pulses: int = 100,
    every: int = 5,
    specimen: Specimen = IDEAL,
) -> LongTerm:
    """SET and RESET of three amplitudes and two widths each, read at rest after some pulses.

    Parameters
    ----------
    device : Memristor
        Its `set_voltage` and `reset_voltage` are the largest amplitudes, its widths the smaller
        ones; SET begins at W = 0, RESET a tenth of the window below its upper end.
    n_pulses, every : int
    specimen : Specimen
    """
    shares, factors = (x.ravel() for x in np.meshgrid(_LONG_TERM_SHARES, (1.0, 2.0), indexing="ij"))
    up, down = (float(v / volt) * shares for v in (device.set_voltage, device.reset_voltage))
    voltage = np.concatenate([up, -down])
    widths = [float(w / second) * factors for w in (device.set_width, device.reset_width)]
    width = np.concatenate(widths)
    low, high = device.weight_min, device.weight_max
    start = np.where(voltage > 0, min(max(0.0, low), high), high - 0.1 * (high - low))
    pulse, rest = hold(voltage * volt, width * second), hold(0 * volt, rest_of(device))
    block = in_turn([pulse, rest] * every) + read(device)
    trace = specimen.measured(read(device) + block * (n_pulses // every), device, start)
    conductance = trace.read.conductance
    return LongTerm(
        voltage * volt, width * second, np.arange(len(conductance)) * every, conductance
    )


@dataclass(frozen=True)
class Power:
    """Power under a bias at rest.

    Parameters
    ----------
    bias_voltage : Quantity, volt, (N,)
    weight : ndarray, (N,)
        W, with F = 0.
    power : Quantity, watt, (N,)
    """

    bias_voltage: Quantity
    weight: Array
    power: Quantity


def power_under_bias(
    device: Memristor,
    *,
    n_voltages: int = 6,
    n_weights: int = 9,
    specimen: Specimen = IDEAL,
) -> Power:
    """Fig. 4f: V I of a device that is programmed to several W, at each of several biases."""
    bias = evenly(device.bias_voltage_min, device.bias_voltage_max, n_voltages + 1)[1:]
    weights = np.linspace(device.weight_min, device.weight_max, n_weights + 2)[1:-1]
    v, w = (x.ravel() for x in np.meshgrid(bias / volt, weights, indexing="ij"))
    trace = specimen.measured(hold(v * volt, device.read_duration, read=True), device, w)
    power = v**2 * np.asarray(trace.conductance[0] / siemens)
    return Power(v * volt, w, power * watt)
