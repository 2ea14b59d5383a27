"""Measurements of a memristor, after Weilenmann et al. (2024), Figs. 2 and 3.

Each applies a waveform to simulated devices and returns what the bench would see. What a
protocol takes from the paper is in the device file; durations that the paper does not give
(waits, times between pulses, the sweep) are arguments with a default.
"""

from dataclasses import dataclass

import numpy as np
from brian2.units import Quantity, joule, ms, mvolt, second, siemens, usecond, volt
from numpy.typing import NDArray

from mstpn.synapses.bench.voltage_driven import Trace, simulate
from mstpn.synapses.bench.waveforms import Waveform, hold, in_turn, staircase
from mstpn.synapses.memristor import Memristor

__all__ = [
    "DELTA_F_STD",
    "Decay",
    "PulseMap",
    "dc_sweep",
    "decay_under_bias",
    "pulse_map",
    "repeated_pulses",
    "set_pulses",
    "short_term_at_weights",
    "short_term_pulses",
]

DELTA_F_STD = 0.05
"""Assumed spread of an update from cycle to cycle, relative; the paper's is not known."""

N_REPEATS = 5
"""Of every pulse, in Figs. 3a and 3d."""

SWEEP_RATES: Quantity = np.array([1.0, 10.0, 100.0]) * volt / second
PULSE_WIDTHS: Quantity = np.arange(50, 501, 50) * usecond
"""Of the heat maps."""

Array = NDArray[np.float64]


def dc_sweep(
    device: Memristor,
    *,
    peak: Quantity | None = None,
    rate: Quantity = SWEEP_RATES,
    step: Quantity = 20 * mvolt,
) -> Trace:
    """Fig. 2a: from 0 V to `peak`, to minus `peak` and back, one device for each rate.

    Parameters
    ----------
    device : Memristor
    peak : Quantity, volt, optional
        `pulse_voltage` of the device if absent.
    rate : Quantity, volt per second, (N,)
    step : Quantity, volt
        Of the staircase.
    """
    top = float((device.pulse_voltage if peak is None else peak) / volt)
    return simulate(staircase([0, top, 0, -top, 0] * volt, step, rate), device)


def set_pulses(
    device: Memristor,
    *,
    n_pulses: int = 100,
    wait: Quantity = 1 * second,
    weight: float | None = None,
) -> Trace:
    """Fig. 2c: SET pulses, each followed by a wait at 0 V, in which F decays, and a read.

    Returns
    -------
    Trace
        Its reads are those before the first pulse and after each.
    """
    cycle = _set_pulse(device) + hold(0 * volt, wait) + _read(device)
    return simulate(_read(device) + cycle * n_pulses, device, weight=weight)


def short_term_pulses(
    device: Memristor,
    *,
    amplitude: Quantity | None = None,
    spacing: Quantity = 3 * second,
    weight: float | None = None,
) -> Trace:
    """Figs. 2d, 2e: pulses of `pulse_width`, the device being read continuously in between.

    Parameters
    ----------
    device : Memristor
    amplitude : Quantity, volt, (P,), optional
        2, 2.5 and 3 V for the paper's device: all but the largest of `_amplitudes`.
    spacing : Quantity, second
        Between pulses; half of it passes before the first.
    weight : float, optional
        As in `simulate`.
    """
    train = _pulse_train(device, amplitude, spacing)
    return simulate(train, device, weight=weight)


def short_term_at_weights(
    device: Memristor,
    *,
    n_set: tuple[int, ...] = (0, 10, 40),
    wait: Quantity = 240 * second,
    spacing: Quantity = 3 * second,
    weight: float | None = None,
) -> list[Trace]:
    """Fig. 2f: the pulses of Fig. 2d after SET pulses and a wait, again and again on one device.

    Parameters
    ----------
    device : Memristor
    n_set : tuple of int
        SET pulses before each round.
    wait : Quantity, second
        At 0 V before each round.
    spacing : Quantity, second
        Of the short-term pulses.
    weight : float, optional
        At the start, as in `simulate`.

    Returns
    -------
    list of Trace
        The reads of each round.
    """
    train = _pulse_train(device, None, spacing)
    apart = hold(0 * volt, 100 * ms)
    parts = []
    for n in n_set:
        parts += [*([_set_pulse(device), apart] * n), hold(0 * volt, wait), train]
    reads = simulate(in_turn(parts), device, weight=weight).read
    n_reads = int(train.is_read.sum())
    return [reads[k * n_reads : (k + 1) * n_reads] for k in range(len(n_set))]


def repeated_pulses(
    device: Memristor,
    *,
    n_repeats: int = N_REPEATS,
    delta_f_std: float = DELTA_F_STD,
    seed: int = 0,
) -> tuple[Quantity, Array]:
    """Fig. 3a: updates by repeated pulses, from reads before and after.

    Returns
    -------
    amplitude : Quantity, volt, (P,)
    delta_f : ndarray, (P, R)
    """
    amplitude = _amplitudes(device)
    pulse = hold(np.repeat(amplitude / volt, n_repeats) * volt, device.pulse_width)
    waveform = _read(device) + pulse + _read(device)
    reads = simulate(waveform, device, delta_f_std=delta_f_std, seed=seed).read
    change = (reads.conductance[1] - reads.conductance[0]) / device.weight_conductance
    return amplitude, np.asarray(change).reshape(len(amplitude), n_repeats)


@dataclass(frozen=True)
class PulseMap:
    """Pulses over voltage and width.

    Parameters
    ----------
    voltage : Quantity, volt, (P,)
    width : Quantity, second, (Q,)
    delta_f : ndarray, (P, Q)
    energy : Quantity, joule, (P, Q)
        `pulse_energy_at` of the device.
    dissipated : Quantity, joule, (P, Q)
        The integral of V I over the pulse.
    """

    voltage: Quantity
    width: Quantity
    delta_f: Array
    energy: Quantity
    dissipated: Quantity


def pulse_map(
    device: Memristor,
    *,
    n_voltages: int = 16,
    width: Quantity = PULSE_WIDTHS,
) -> PulseMap:
    """Figs. 3b, 3c: update and energy of a pulse on a device at W = F = 0.

    The energy is the Memristor's, which every account of the package charges and where a
    user's measurements go. The simulated current is V times the conductance at the read
    voltage, which a real device need not follow at some volts, so its integral is given beside.
    """
    voltage = _amplitudes(device, n_voltages)
    v, w = (np.ravel(x) for x in np.meshgrid(voltage / volt, width / second, indexing="ij"))
    trace = simulate(hold(v * volt, w * second), device)
    shape = (n_voltages, len(width))
    return PulseMap(
        voltage,
        width,
        trace.trace.reshape(shape),
        device.pulse_energy_at(v * volt, w * second).reshape(shape),
        np.asarray(trace.energy).reshape(shape) * joule,
    )


@dataclass(frozen=True)
class Decay:
    """Conductance after a pulse while a bias is held.

    Parameters
    ----------
    bias_voltage : Quantity, volt, (B,)
    time : Quantity, second, (K,)
        Of the reads, since the pulse.
    change : Quantity, siemens, (K, B, R)
        Against the read before the pulse, for R repeats.
    """

    bias_voltage: Quantity
    time: Quantity
    change: Quantity


def decay_under_bias(
    device: Memristor,
    *,
    n_voltages: int = 7,
    n_repeats: int = N_REPEATS,
    n_reads: int = 33,
    first: Quantity = 1 * ms,
    last: Quantity = 10 * second,
    delta_f_std: float = DELTA_F_STD,
    seed: int = 0,
) -> Decay:
    """Fig. 3d: a pulse of `pulse_voltage` and 500 us, then a bias between sparse reads.

    Parameters
    ----------
    device : Memristor
    n_voltages : int
        From `bias_voltage_min` to `bias_voltage_max`.
    n_repeats, n_reads : int
    first, last : Quantity, second
        Of the reads, which are evenly spaced on a logarithmic axis.
    delta_f_std : float
    seed : int
    """
    bias = _evenly(device.bias_voltage_min, device.bias_voltage_max, n_voltages)
    held = np.repeat(bias / volt, n_repeats) * volt
    time = np.geomspace(float(first / second), float(last / second), n_reads) * second
    wait = np.diff(time / second, prepend=0) * second - device.read_duration
    pulse = hold(device.pulse_voltage, 500 * usecond)
    parts = [_read(device), pulse]
    for duration in wait:
        parts += [hold(held, duration), _read(device)]
    reads = simulate(in_turn(parts), device, delta_f_std=delta_f_std, seed=seed).read.conductance
    change = np.asarray((reads[1:] - reads[0]) / siemens)
    return Decay(bias, time, change.reshape(n_reads, n_voltages, n_repeats) * siemens)


def _amplitudes(device: Memristor, n: int = 4) -> Quantity:
    """From the smallest to the largest short-term pulse: 2, 2.5, 3 and 3.5 V in the paper."""
    return _evenly(device.pulse_voltage_min, device.pulse_voltage, n)


def _evenly(low: Quantity, high: Quantity, n: int) -> Quantity:
    return np.linspace(float(low / volt), float(high / volt), n) * volt


def _read(device: Memristor) -> Waveform:
    return hold(device.read_voltage, device.read_duration, read=True)


def _set_pulse(device: Memristor) -> Waveform:
    return hold(device.set_voltage, device.set_width)


def _pulse_train(device: Memristor, amplitude: Quantity | None, spacing: Quantity) -> Waveform:
    """Pulses between stretches that are read all along."""
    amplitude = _amplitudes(device)[:-1] if amplitude is None else amplitude
    n_reads = 60
    stretch = hold(device.read_voltage, spacing / n_reads, read=True)
    parts = [stretch * (n_reads // 2)]
    for volts in amplitude:
        parts += [hold(volts, device.pulse_width, read=False), stretch * n_reads]
    return in_turn(parts)
