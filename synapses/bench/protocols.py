"""Measurements of a memristor, after Weilenmann et al. (2024), Figs. 2 and 3.

Each applies a waveform to simulated devices and returns what the bench would see. What a
protocol takes from the paper is in the device file; durations that the paper does not give
(waits, times between pulses, the sweep) are arguments with a default. All of them can measure a
device that is not ideal, see `mstpn.synapses.bench.specimen`; what else a fit of the device needs
is in `mstpn.synapses.bench.characterisation`.
"""

from dataclasses import dataclass

import numpy as np
from brian2.units import (
    Quantity,
    joule,
    ms,
    mvolt,
    second,
    siemens,
    volt,
)
from numpy.typing import NDArray

from mstpn.synapses.bench.specimen import IDEAL, Specimen
from mstpn.synapses.bench.voltage_driven import Trace
from mstpn.synapses.bench.waveforms import (
    Waveform,
    evenly,
    hold,
    in_turn,
    read,
    rest_of,
    staircase,
    time_scale,
)
from mstpn.synapses.memristor import Memristor

__all__ = [
    "Decay",
    "PulseMap",
    "Repeats",
    "dc_sweep",
    "decay_under_bias",
    "pulse_map",
    "repeated_pulses",
    "set_pulses",
    "short_term_at_weights",
    "short_term_pulses",
]

N_REPEATS = 5
"""Of every pulse, in Figs. 3a and 3d."""
DECAY_PULSE_WIDTHS = 5
"""Width of the pulse of Fig. 3d over `pulse_width`: 500 us of the paper's device."""

SWEEP_RATES: Quantity = np.array([1.0, 10.0, 100.0]) * volt / second
PULSE_WIDTHS = np.arange(1, 11) / 2
"""Of the heat maps, over `pulse_width`: 50 to 500 us of the paper's device."""
Array = NDArray[np.float64]


def dc_sweep(
    device: Memristor,
    *,
    peak: Quantity | None = None,
    rate: Quantity = SWEEP_RATES,
    step: Quantity = 20 * mvolt,
    specimen: Specimen = IDEAL,
) -> Trace:
    """Fig. 2a: from 0 V to `peak`, to minus `peak` and back, the same device at each rate.

    Parameters
    ----------
    device : Memristor
    peak : Quantity, volt, optional
        `pulse_voltage` of the device if absent.
    rate : Quantity, volt per second, (N,)
    step : Quantity, volt
        Of the staircase.
    specimen : Specimen
    """
    top = float((device.pulse_voltage if peak is None else peak) / volt)
    return specimen.measured(staircase([0, top, 0, -top, 0] * volt, step, rate), device)


def set_pulses(
    device: Memristor,
    *,
    n_pulses: int = 100,
    wait: Quantity | None = None,
    weight: float | None = None,
    specimen: Specimen = IDEAL,
) -> Trace:
    """Fig. 2c: SET pulses, each followed by a wait at 0 V, in which F decays, and a read.

    Returns
    -------
    Trace
        Its reads are those before the first pulse and after each.
    """
    rest = rest_of(device) if wait is None else wait
    cycle = _set_pulse(device) + hold(0 * volt, rest) + read(device)
    return specimen.measured(read(device) + cycle * n_pulses, device, weight)


def short_term_pulses(
    device: Memristor,
    *,
    amplitude: Quantity | None = None,
    spacing: Quantity | None = None,
    weight: float | None = None,
    specimen: Specimen = IDEAL,
) -> Trace:
    """Figs. 2d, 2e: pulses of `pulse_width`, the device being read continuously in between.

    Parameters
    ----------
    device : Memristor
    amplitude : Quantity, volt, (P,), optional
        2, 2.5 and 3 V twice for the paper's device: all but the largest of `_amplitudes`.
    spacing : Quantity, second, optional
        Between pulses; half of it passes before the first. As `time_scale` has it if absent: 3 s
        for the paper's device.
    weight : float, optional
        As in `simulate`.
    specimen : Specimen
    """
    return specimen.measured(_pulse_train(device, amplitude, spacing), device, weight)


def short_term_at_weights(
    device: Memristor,
    *,
    n_set: tuple[int, ...] = (0, 100),
    wait: Quantity = 240 * second,
    spacing: Quantity | None = None,
    weight: float | None = None,
    specimen: Specimen = IDEAL,
) -> list[Trace]:
    """Fig. 2f: the pulses of Fig. 2d at the smallest W, then after SET pulses and a wait.

    Parameters
    ----------
    device : Memristor
    n_set : tuple of int
        SET pulses before each round.
    wait : Quantity, second
        At 0 V before each round.
    spacing : Quantity, second, optional
        Of the short-term pulses, as for `short_term_pulses`.
    weight : float, optional
        At the start; the device's smallest if absent.
    specimen : Specimen

    Returns
    -------
    list of Trace
        The levels of each round's pulses.
    """
    train = _pulse_train(device, None, spacing)
    apart = hold(0 * volt, 100 * time_scale(device) * ms)
    parts, ends = [], []
    for n in n_set:
        parts += [*([_set_pulse(device), apart] * n), hold(0 * volt, wait), train]
        ends.append(sum(len(part.is_read) for part in parts))
    start = device.weight_min if weight is None else weight
    trace = specimen.measured(in_turn(parts), device, start)
    return [trace[end - len(train.is_read) : end] for end in ends]


@dataclass(frozen=True)
class Repeats:
    """Conductance about repeated pulses.

    Parameters
    ----------
    voltage : Quantity, volt, (P,)
    time : Quantity, second, (K,)
        Of the reads, since the pulse.
    change : Quantity, siemens, (K, P, R)
        Against the last read before the pulse, for R repeats.
    """

    voltage: Quantity
    time: Quantity
    change: Quantity

    @property
    def first(self) -> Quantity:
        """Change at the first read after the pulse, (P, R)."""
        return self.change[int(np.flatnonzero(np.asarray(self.time) > 0)[0])]


def repeated_pulses(
    device: Memristor,
    *,
    n_repeats: int = N_REPEATS,
    apart: Quantity | None = None,
    n_before: int = 10,
    n_after: int = 60,
    specimen: Specimen = IDEAL,
) -> Repeats:
    """Fig. 3a: repeated pulses of each of four voltages, with reads before and after.

    Parameters
    ----------
    device : Memristor
    n_repeats : int
    apart : Quantity, second, optional
        From read to read, at the read voltage throughout. As `time_scale` has it if absent: 50 ms
        for the paper's device.
    n_before, n_after : int
        Reads.
    specimen : Specimen
    """
    amplitude = _amplitudes(device)
    pulse = hold(np.repeat(amplitude / volt, n_repeats) * volt, device.pulse_width)
    apart = 50 * time_scale(device) * ms if apart is None else apart
    stretch = hold(device.read_voltage, apart, read=True)
    waveform = in_turn([stretch * n_before, pulse, read(device), stretch * n_after])
    reads = specimen.measured(waveform, device).read
    time = reads.time[:, 0] - reads.time[n_before - 1, 0] - device.pulse_width
    time[:n_before] += device.pulse_width
    change = np.asarray((reads.conductance - reads.conductance[n_before - 1]) / siemens)
    return Repeats(amplitude, time, change.reshape(len(time), len(amplitude), n_repeats) * siemens)


@dataclass(frozen=True)
class PulseMap:
    """Pulses over voltage and width.

    Parameters
    ----------
    voltage : Quantity, volt, (P,)
    width : Quantity, second, (Q,)
    change : Quantity, siemens, (P, Q, R)
        What decays again of the conductance that R pulses added.
    energy : Quantity, joule, (P, Q)
        `pulse_energy_at` of the device.
    dissipated : Quantity, joule, (P, Q)
        The integral of V I over the pulse, mean of the repeats.
    """

    voltage: Quantity
    width: Quantity
    change: Quantity
    energy: Quantity
    dissipated: Quantity


def pulse_map(
    device: Memristor,
    *,
    n_voltages: int = 4,
    width: Quantity | None = None,
    n_repeats: int = N_REPEATS,
    specimen: Specimen = IDEAL,
) -> PulseMap:
    """Figs. 3b, 3c: update and energy of a pulse on a device at W = F = 0.

    The energy is the Memristor's, which every account of the package charges and where a
    user's measurements go. The simulated current is V times the conductance at the read
    voltage, which a real device need not follow at some volts, so its integral is given beside.
    """
    voltage = _amplitudes(device, n_voltages)
    width = PULSE_WIDTHS * device.pulse_width if width is None else width
    shape = (n_voltages, len(width), n_repeats)
    v, w = (
        np.repeat(x, n_repeats) for x in np.meshgrid(voltage / volt, width / second, indexing="ij")
    )
    rest = hold(0 * volt, rest_of(device))
    waveform = in_turn([hold(v * volt, w * second), read(device), rest, read(device)])
    trace = specimen.measured(waveform, device)
    after, rested = np.asarray(trace.read.conductance / siemens)
    v, w = v.reshape(shape)[..., 0], w.reshape(shape)[..., 0]
    return PulseMap(
        voltage,
        width,
        (after - rested).reshape(shape) * siemens,
        device.pulse_energy_at(v * volt, w * second),
        np.asarray(trace.energy[0] / joule).reshape(shape).mean(axis=-1) * joule,
    )


@dataclass(frozen=True)
class Decay:
    """Conductance after a pulse while a bias is held.

    Parameters
    ----------
    bias_voltage : Quantity, volt, (B,)
    time : Quantity, second, (K,)
        Of the reads, since the pulse.
    conductance : Quantity, siemens, (K, B, R)
        For R repeats.
    before : Quantity, siemens, (B, R)
        At the read before the pulse.
    """

    bias_voltage: Quantity
    time: Quantity
    conductance: Quantity
    before: Quantity


def decay_under_bias(
    device: Memristor,
    *,
    n_voltages: int = 7,
    n_repeats: int = N_REPEATS,
    n_reads: int = 33,
    first: Quantity | None = None,
    last: Quantity | None = None,
    specimen: Specimen = IDEAL,
) -> Decay:
    """Fig. 3d: a pulse of `pulse_voltage` and five widths, then a bias between sparse reads.

    Parameters
    ----------
    device : Memristor
    n_voltages : int
        From `bias_voltage_min` to `bias_voltage_max`.
    n_repeats, n_reads : int
    first, last : Quantity, second, optional
        Of the reads, which are evenly spaced on a logarithmic axis as far as a read takes less.
        As `time_scale` has them if absent: 1 ms and 10 s for the paper's device.
    specimen : Specimen
    """
    bias = evenly(device.bias_voltage_min, device.bias_voltage_max, n_voltages)
    held = np.repeat(bias / volt, n_repeats) * volt
    scale = time_scale(device)
    first = 1 * scale * ms if first is None else first
    last = 10 * scale * second if last is None else last
    time = _apart(np.geomspace(first / second, last / second, n_reads), device) * second
    wait = np.diff(time / second, prepend=0) - float(device.read_duration / second)
    parts = [read(device), hold(device.pulse_voltage, DECAY_PULSE_WIDTHS * device.pulse_width)]
    for seconds in wait.clip(0):  # rounding may leave less
        parts += [hold(held, seconds * second), read(device)]
    reads = np.asarray(specimen.measured(in_turn(parts), device).read.conductance / siemens)
    reads = reads.reshape(n_reads + 1, n_voltages, n_repeats) * siemens
    return Decay(bias, time, reads[1:], reads[0])


def _apart(time: Array, device: Memristor) -> Array:
    """Times of reads, moved on where a read would begin before the last has ended."""
    step = float(device.read_duration / second) * np.arange(1, len(time) + 1)
    return np.asarray(np.maximum.accumulate(time - step).clip(0) + step)


def _amplitudes(device: Memristor, n: int = 4) -> Quantity:
    """From the smallest to the largest short-term pulse: 2, 2.5, 3 and 3.5 V in the paper."""
    return evenly(device.pulse_voltage_min, device.pulse_voltage, n)


def _set_pulse(device: Memristor) -> Waveform:
    return hold(device.set_voltage, device.set_width)


def _pulse_train(
    device: Memristor, amplitude: Quantity | None, spacing: Quantity | None
) -> Waveform:
    """Pulses between stretches that are read all along."""
    spacing = 3 * time_scale(device) * second if spacing is None else spacing
    amplitude = np.tile(_amplitudes(device)[:-1], 2) if amplitude is None else amplitude
    n_reads = 60
    stretch = hold(device.read_voltage, spacing / n_reads, read=True)
    parts = [stretch * (n_reads // 2)]
    for volts in amplitude:
        parts += [hold(volts, device.pulse_width, read=False), stretch * n_reads]
    return in_turn(parts)
