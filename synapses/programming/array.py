"""An array of memristors under pulses on its lines: what they do to all devices, joules, seconds.

A pulse of V on one device puts half of it on every other device of its row and column (scheme
V/2). Row by row, all devices of a row are pulsed at once, SET and RESET one after the other::

    row line V_r/2, V_r the largest of the row    column line V - V_r/2    others of both see that

and device by device V/2 is on both lines. What a voltage does to W is the device's long-term law,
whether it is V or half of it. F grows by the short-term law and, between sweeps, fades at
`bias_voltage_min`; while others are pulsed it is taken as stationary under the mean of what the
lines put on its device::

    push room(F) = F (s/tau(V_bias,max) + (1 - s)/tau(V_bias,min)),   s the share of the time

Two things are not kept: in which order SET and RESET of one sweep disturbed a device, 1e-6 of a
way each, and pulse-to-pulse noise of half-selected devices, of which each sees thousands.

Source: the laws of `mstpn.synapses.law`; scheme V/2 is that of crossbars without selectors.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from brian2.units import Quantity, second, siemens, volt
from numpy.typing import NDArray

from mstpn.synapses import law
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Deviations
from mstpn.synapses.programming import ACCESS
from mstpn.synapses.support.sourced import read_table, sourced

__all__ = ["SPREAD", "PulseSpread", "PulsedArray", "short_term_after"]

_WIDEST = 10.0
SPREAD = Path(__file__).with_name("spread.toml")

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PulseSpread:
    """How devices differ while they are programmed, and how well they are read.

    Parameters
    ----------
    rate_dtod, rate_std : float
        Standard deviation of the logarithm of the rate of SET and RESET, from device to device
        and from pulse to pulse.
    read_std : float
        Of one read, in units of W.

    Raises
    ------
    ValueError
        If one is negative or above 10, what no device is beyond.
    """

    rate_dtod: float
    rate_std: float
    read_std: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value <= _WIDEST:
                raise ValueError(f"{name} must lie in [0, {_WIDEST:g}], got {value}")

    @classmethod
    def from_file(cls, path: Path = SPREAD, **changes: float | None) -> "PulseSpread":
        """The assumed sizes, with some of them changed; None changes nothing."""
        assumed = {name: float(sourced(name, e).value) for name, e in read_table(path).items()}
        return cls(**assumed | {name: v for name, v in changes.items() if v is not None})


class PulsedArray:
    """Devices at the crossings of M rows and N columns: pulse, wait, read.

    Parameters
    ----------
    device : Memristor
    weight : ndarray, (M, N)
        W before the first pulse.
    spread : PulseSpread
    seed : int
        Of every draw.
    deviations : Deviations, optional
        Of the same devices in a network: stuck ones do not move, the others differ in F and in
        how fast it fades. Arrays of (M, N).
    access : {"rows", "serial"}

    Attributes
    ----------
    start : ndarray, (M, N)
        W that the devices were to have before the first pulse.
    weight, short_term : ndarray, (M, N)
        W, and F as it is right after a device's own pulse.
    pulses : ndarray of int, (M, N)
        Pulses that each device was selected for.
    half_selected : int
        Half pulses on devices beside them, all together.
    disturbed : ndarray, (M, N)
        Sum of what half pulses did to W.
    pulse_energy, half_energy, read_energy : float, joule
        Of pulses on selected devices, on half-selected ones, and of reads.
    pulse_times : dict of str to float, second
        Of all pulses under each access; those of the array's own were its time.
    wait_time, read_time : float, second
    """

    def __init__(
        self,
        device: Memristor,
        weight: Array,
        spread: PulseSpread,
        seed: int,
        *,
        deviations: Deviations | None = None,
        access: str = "rows",
    ) -> None:
        if access not in ACCESS:
            raise ValueError(f"access must be one of {', '.join(ACCESS)}, got {access!r}")
        if not (device.weight_min <= np.min(weight) and np.max(weight) <= device.weight_max):
            raise ValueError(
                f"weight must lie in [{device.weight_min:.4g}, {device.weight_max:.4g}], got "
                f"{np.min(weight):.4g} to {np.max(weight):.4g}"
            )
        self.device, self.spread, self.access = device, spread, access
        streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3)]
        devices, self._pulse_noise, self._read_noise = streams
        self.start = np.array(weight, dtype=np.float64)
        self.weight = self.start.copy()
        shape = self.weight.shape
        self._gain = np.exp(spread.rate_dtod * devices.standard_normal(shape))
        self._growth: Any = 1.0
        shift: Any = 0.0
        if deviations is not None:
            stuck = deviations.weight_scale == 0
            self.weight = np.where(stuck, deviations.weight(self.weight), self.weight)
            self._gain = np.where(stuck, 0, self._gain)
            self._growth, shift = deviations.update_gain, deviations.half_voltage_shift
        low, high = (float(v / volt) for v in (device.bias_voltage_min, device.bias_voltage_max))
        self._fade, self._fade_held = self._decay_rate(low, shift), self._decay_rate(high, shift)
        self.short_term = np.zeros(shape)
        self.pulses = np.zeros(shape, dtype=np.int32)
        self.half_selected, self.disturbed = 0, np.zeros(shape)
        self.pulse_energy = self.half_energy = self.read_energy = 0.0
        self.pulse_times = dict.fromkeys(ACCESS, 0.0)
        self.wait_time = self.read_time = 0.0

    @property
    def time(self) -> float:
        """Of pulses, waits and reads, second."""
        return self.pulse_times[self.access] + self.wait_time + self.read_time

    def pulse(self, voltage: Quantity) -> None:
        """Pulse every device once at its own voltage, of `set_width` or `reset_width`.

        Parameters
        ----------
        voltage : Quantity, volt, (M, N)
            SET where positive, RESET where negative, 0 V where a device is left out.
        """
        v = np.asarray(voltage / volt)
        phases = [
            _Phase.of(self.device, v, up, self.access == "rows")
            for up, some in ((True, np.any(v > 0)), (False, np.any(v < 0)))
            if some
        ]
        if not phases:
            return
        durations = {name: sum(p.durations[name] for p in phases) for name in ACCESS}
        duration = durations[self.access]
        resting = self._stationary(phases, duration)
        self.short_term = resting + (self.short_term - resting) * np.exp(-duration * self._fade)
        for phase in phases:
            self._apply(phase, resting)
        self.pulses += (v != 0).astype(np.int32)
        for name, spent in durations.items():
            self.pulse_times[name] += spent

    def wait(self, duration: Quantity) -> None:
        """Let F fade at `bias_voltage_min`."""
        t = float(duration / second)
        self.short_term *= np.exp(-t * self._fade)
        self.wait_time += t

    def read(self) -> Array:
        """W + F of every device, with the noise of a read."""
        volt_squared = float(self.device.read_voltage / volt) ** 2
        t_read = float(self.device.read_duration / second)
        self.read_energy += float(volt_squared * t_read * self._conductance(self.short_term).sum())
        self.read_time += t_read * (len(self.weight) if self.access == "rows" else self.weight.size)
        noise = self._read_noise.standard_normal(self.weight.shape)
        return self.weight + self.short_term + self.spread.read_std * noise

    def _apply(self, phase: "_Phase", resting: Array) -> None:
        """What the pulses of one polarity do to W, to F, and in joules."""
        before, chosen = self.weight, phase.chosen
        noise = np.exp(self.spread.rate_std * self._pulse_noise.standard_normal(before.shape))
        along = self._gain * phase.exposure(phase.along)
        lines = self._gain * phase.beside(phase.exposure(phase.across)) + np.where(chosen, 0, along)
        disturbed = phase.weight_after(before, lines)
        self.weight = phase.weight_after(disturbed, np.where(chosen, along * noise, 0))
        self.disturbed += disturbed - before
        size = phase.sign * phase.along
        grown = short_term_after(self.device, self.short_term, size, phase.width, self._growth)
        mean = self._conductance((self.short_term + grown) / 2, (before + self.weight) / 2)
        spent = phase.along**2 * phase.width * mean
        self.short_term = grown
        self.pulse_energy += float(spent[chosen].sum())
        others = phase.across**2 * phase.width * phase.beside(self._conductance(resting))
        self.half_energy += float(spent[~chosen].sum() + others.sum())
        self.half_selected += phase.n_half_selected

    def _stationary(self, phases: "list[_Phase]", duration: float) -> Array:
        """F of devices while others of their lines are pulsed."""
        push, share, most = np.zeros(self.weight.shape), np.zeros(self.weight.shape), 0.0
        for phase in phases:
            rate = _growth_rate(self.device, phase.across)
            push += phase.sign * phase.width * phase.beside(rate) / duration
            share += phase.width * phase.beside((phase.across > 0).astype(float)) / duration
            most = max(most, float(phase.across.max()))
        leak = share * self._fade_held + (1 - share) * self._fade
        size, up = np.abs(push) * self._growth, push > 0
        end = np.where(up, *(_saturation(self.device, most, up=u) for u in (True, False)))
        free = size / leak
        return np.sign(push) * np.where(
            2 * free <= end, free, 2 * size / (2 * size / np.maximum(end, 1e-30) + leak)
        )

    def _conductance(self, short_term: Any, weight: Array | None = None) -> Array:
        """In siemens."""
        total = (self.weight if weight is None else weight) + short_term
        return np.asarray(self.device.conductance(total) / siemens)

    def _decay_rate(self, v: float, shift: Any) -> Any:
        """Of F at a bias, per second."""
        half, slope = (
            float(x / volt)
            for x in (self.device.decay_half_voltage, self.device.decay_slope_voltage)
        )
        return _rate_of_decay(v, half + shift, slope) / float(self.device.decay_duration)


@dataclass(frozen=True)
class _Phase:
    """The pulses of one polarity in a sweep over an array.

    `along` is the size of V on the device itself, selected (`chosen`) or half selected by its
    row; `across` is what its own pulse puts on the others of its column, and of its row too if
    devices are pulsed one by one.
    """

    device: Memristor
    up: bool
    by_rows: bool
    chosen: NDArray[np.bool_]
    along: Array
    across: Array
    width: float

    @classmethod
    def of(cls, device: Memristor, voltage: Array, up: bool, by_rows: bool) -> "_Phase":
        size = np.maximum(voltage if up else -voltage, 0)
        chosen = size > 0
        width = float((device.set_width if up else device.reset_width) / second)
        if not by_rows:
            return cls(device, up, by_rows, chosen, size, size / 2, width)
        line = size.max(1, keepdims=True)
        along, across = np.where(chosen, size, line / 2), np.where(chosen, size - line / 2, 0)
        return cls(device, up, by_rows, chosen, along, across, width)

    @property
    def durations(self) -> dict[str, float]:
        """Of its pulses under each access, second."""
        n = {"rows": np.count_nonzero(self.chosen.any(1)), "serial": np.count_nonzero(self.chosen)}
        return {name: count * self.width for name, count in n.items()}

    @property
    def sign(self) -> int:
        return 1 if self.up else -1

    @property
    def n_half_selected(self) -> int:
        """Half pulses on other devices."""
        n, (n_rows, n_columns) = np.count_nonzero(self.chosen), self.chosen.shape
        if not self.by_rows:
            return int(n * (n_rows + n_columns - 2))
        return int(n * (n_rows - 1) + np.count_nonzero(self.along) - n)

    def beside(self, value: Array) -> Array:
        """Sum over the devices that see a device's pulse, or whose pulse it sees: both alike."""
        beside = value.sum(0, keepdims=True) - value
        return beside if self.by_rows else beside + value.sum(1, keepdims=True) - value

    def exposure(self, size: Array) -> Array:
        """Rate of the long-term law times the width."""
        rate_constants = self.device.long_term_constants(self.up)
        return np.asarray(_long_term_rate(size, *rate_constants) * self.width)

    def weight_after(self, weight: Array, exposure: Array) -> Array:
        """W after the rate that an exposure is of, for its time."""
        window = self.device.weight_min, self.device.weight_max
        return np.asarray(_weight_after(weight, window[self.up], exposure, 1.0, *window))


def short_term_after(
    device: Memristor, short_term: Any, voltage: Any, width: float, gain: Any = 1.0
) -> Array:
    """F right after a pulse much shorter than tau: the law's growth and room in closed form.

    Parameters
    ----------
    device : Memristor
    short_term : float or ndarray
        F before.
    voltage : float or ndarray, volt
    width : float, second
    gain : float or ndarray
        Of the growth, from device to device.
    """
    sign = np.sign(voltage)
    y, push = sign * np.asarray(short_term), gain * _growth_rate(device, np.abs(voltage))
    ends = [_saturation(device, np.abs(voltage), up=up) for up in (True, False)]
    knee = np.maximum(np.where(sign > 0, *ends), 1e-30) / 2
    free = np.clip((knee - y) / np.maximum(push, 1e-30), 0, width)
    reached = y + push * free
    slowed = 2 * knee - (2 * knee - reached) * np.exp(-push * (width - free) / knee)
    inside = np.where(reached < 2 * knee, slowed, reached)
    return np.where(push > 0, sign * np.where(free < width, inside, reached), short_term)


def _growth_rate(device: Memristor, size: Any) -> Any:
    """Of F that is small under a voltage of that size, per second."""
    lowest, highest = (float(v / volt) for v in (device.pulse_voltage_min, device.pulse_voltage))
    width = float(device.pulse_width / second)
    rate = _update_rate(size, highest, width, device.delta_f_max, device.pulse_conductance_exponent)
    return rate * _onset(size, lowest, device.pulse_onset_exponent)


def _saturation(device: Memristor, size: Any, *, up: bool) -> Any:
    """|F| that a voltage of that size can hold."""
    end = device.saturation_conductance if up else device.depletion_conductance
    return _held(size, float(device.pulse_voltage / volt), float(end / device.weight_conductance))


_long_term_rate = law.function(law.LONG_TERM_RATE, "V, k, V_ref, V_step")
_weight_after = law.function(law.WEIGHT_AFTER, "W, W_end, rate, w, S_min, S_max")
_update_rate = law.function(law.UPDATE_RATE, "V, V_0, w_0, dF_0, m")
_onset = law.function(law.ONSET, "V, V_min, onset")
_held = law.function(law.SATURATION, "V, V_0, F_end")
_rate_of_decay = law.function(law.DECAY_RATE, "V_bias, V_half, V_slope")
