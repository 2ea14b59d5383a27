"""Voltages applied to devices on a bench, as levels that are held one after another.

As a source-measure unit does it: a pulse is one level, a wait another, a sweep a staircase.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from brian2.units import Quantity, second, volt
from brian2.units.fundamentalunits import fail_for_dimension_mismatch
from numpy.typing import NDArray

from mstpn.synapses.memristor import Memristor

__all__ = ["Waveform", "evenly", "hold", "in_turn", "read", "rest_of", "staircase", "time_scale"]

_REST: Quantity = 1 * second
_LONGEST: Quantity = 0.8 * second
"""Time constant of the device that the protocols' times are made for, under its largest bias."""
_TIME_CONSTANTS = 35  # in `_REST` of that device under its smallest


def time_scale(device: Memristor) -> float:
    """What times of a protocol are multiplied by, 1 for the paper's device; two digits.

    Reads that resolve a decay of 0.8 s see nothing of one of 0.4 ms.
    """
    ratio = float(device.time_constant(device.bias_voltage_max) / _LONGEST)
    return float(f"{ratio:.2g}")


def rest_of(device: Memristor) -> Quantity:
    """A wait at 0 V, or as near to it as the device's bias goes, after which F is gone."""
    held = np.clip(0.0, *(float(device.bias_voltage_min), float(device.bias_voltage_max)))
    return max(_REST, _TIME_CONSTANTS * device.time_constant(held * volt))


@dataclass(frozen=True)
class Waveform:
    """Levels of voltage, L of them, for N devices; one column serves any number of devices.

    Parameters
    ----------
    duration : Quantity, second, (L, N)
    voltage : Quantity, volt, (L, N)
    is_read : ndarray of bool, (L,)
        Levels at whose end the device is read.

    Raises
    ------
    DimensionMismatchError
        If a unit is wrong.
    ValueError
        If a duration is negative or a number not finite.
    """

    duration: Quantity
    voltage: Quantity
    is_read: NDArray[np.bool_]

    def __post_init__(self) -> None:
        for name, unit in (("duration", second), ("voltage", volt)):
            value = getattr(self, name)
            fail_for_dimension_mismatch(value, unit, f"{name} must be in {unit}")
            if not np.isfinite(value).all():
                raise ValueError(f"{name} must be finite")
        if np.min(self.duration) < 0 * second:
            raise ValueError(f"duration must not be negative, got {np.min(self.duration)}")

    @property
    def n_devices(self) -> int:
        """Number of columns."""
        return int(self.voltage.shape[1])

    def __add__(self, following: "Waveform") -> "Waveform":
        """One after the other, a single column being given to all devices."""
        return in_turn([self, following])

    def __mul__(self, n_times: int) -> "Waveform":
        """The same `n_times` in a row."""
        return in_turn([self] * n_times)


def hold(voltage: Quantity, duration: Quantity, *, read: bool = False) -> Waveform:
    """One level, of each device or of all.

    Parameters
    ----------
    voltage, duration : Quantity, volt and second, scalar or (N,)
    read : bool
        The device is read at its end.
    """
    duration, voltage = np.broadcast_arrays(
        np.atleast_1d(duration), np.atleast_1d(voltage), subok=True
    )
    return Waveform(duration[None], voltage[None], np.array([read]))


def read(device: Memristor) -> Waveform:
    """A read of the device's voltage and duration."""
    return hold(device.read_voltage, device.read_duration, read=True)


def evenly(low: Quantity, high: Quantity, n: int) -> Quantity:
    """Voltages with the same distance from each to the next."""
    return np.linspace(float(low / volt), float(high / volt), n) * volt


def staircase(corners: Quantity, step: Quantity, rate: Quantity) -> Waveform:
    """A sweep in steps from corner to corner, read on every step.

    Parameters
    ----------
    corners : Quantity, volt, (C,)
        The steps divide the way between two of them evenly; each corner is one level.
    step : Quantity, volt
        Largest height of a step.
    rate : Quantity, volt per second, (N,)
        Of each device: its steps last ``step / rate``.

    Raises
    ------
    ValueError
        If `step` or a rate is not positive.
    """
    if not (step > 0 * volt and np.all(np.asarray(rate) > 0)):
        raise ValueError(f"step and rate of a sweep must be positive, got {step} and {rate}")
    values = np.asarray(corners / volt)
    height = float(step / volt)
    levels = [values[:1]]
    for start, end in pairwise(values):
        n_steps = max(1, int(np.ceil(abs(end - start) / height - 1e-9)))
        levels.append(np.linspace(start, end, n_steps + 1)[1:])
    voltage = np.concatenate(levels)[:, None] * volt
    duration, voltage = np.broadcast_arrays(np.atleast_1d(step / rate), voltage, subok=True)
    return Waveform(duration, voltage, np.ones(len(voltage), dtype=bool))


def in_turn(parts: Sequence[Waveform]) -> Waveform:
    """Waveforms one after another.

    Parameters
    ----------
    parts : sequence of Waveform
        Of N devices or of a single column each.

    Raises
    ------
    ValueError
        If there are none, or two are for different numbers of devices.
    """
    counts = {part.n_devices for part in parts} - {1}
    if len(counts) > 1 or not parts:
        raise ValueError(f"waveforms must be for one number of devices, got {sorted(counts)}")
    n = max(counts, default=1)

    def joined(name: str, unit: Any) -> Quantity:
        arrays = [np.asarray(getattr(part, name)) for part in parts]
        return np.concatenate([np.broadcast_to(a, (len(a), n)) for a in arrays]) * unit

    return Waveform(
        joined("duration", second),
        joined("voltage", volt),
        np.concatenate([part.is_read for part in parts]),
    )
