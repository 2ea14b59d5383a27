"""Writing weights into an array: by pulses that are verified, or in the dark.

Every method knows the long-term law of the ideal device and neither the rates of the devices at
hand nor their W::

    verify     sweep over the array, wait until F has faded, read, pulse again what is off
    subtract   read twice, tau apart: W = (G_2 - Lambda G_1)/(1 - Lambda), whatever F was
    at-once    read right after the pulse, F and all
    open-loop  as many pulses as the law says, never read

The pulse of a device is the one that the law says would take it to its target, at most that of
`set_voltage` or `reset_voltage`. A device that still reads off its target when the patience is
spent is given up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2.units import Quantity, second, volt
from numpy.typing import NDArray

from mstpn.synapses.memristor import Memristor
from mstpn.synapses.programming import METHODS
from mstpn.synapses.programming.array import PulsedArray

__all__ = ["Method", "Written", "write"]

_UNNOTICED = 0.1
"""Share of the tolerance that is left of the largest F when it has been waited for."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Method:
    """How weights are written.

    Parameters
    ----------
    name : str
        One of `METHODS`.
    tolerance : float
        Distance from the target that a device may read at, in units of W.
    patience : int
        Most sweeps over the array, and so most pulses of one device.

    Raises
    ------
    ValueError
        If there is no such method, the tolerance is not positive or the patience below 1.
    """

    name: str = "verify"
    tolerance: float = 0.02
    patience: int = 60

    def __post_init__(self) -> None:
        if self.name not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, got {self.name!r}")
        if not 0 < self.tolerance < np.inf:
            raise ValueError(f"tolerance must be positive and finite, got {self.tolerance}")
        if self.patience < 1:
            raise ValueError(f"patience must be at least 1, got {self.patience}")

    def wait(self, device: Memristor) -> Quantity:
        """After every sweep, before it is read: for F to fade, or between two reads."""
        tau = device.time_constant(device.bias_voltage_min)
        if self.name == "subtract":
            return tau
        if self.name != "verify":
            return 0 * second
        largest = float(device.saturation_conductance / device.weight_conductance)
        largest *= float(max(device.set_voltage, device.pulse_voltage) / device.pulse_voltage)
        return tau * max(np.log(largest / (_UNNOTICED * self.tolerance)), 0.0)


@dataclass(frozen=True)
class Written:
    """What became of the targets.

    Parameters
    ----------
    target : ndarray, (M, N)
    given_up : ndarray of bool, (M, N)
        Devices that read off their target at the end; none if nothing was read.
    rounds : int
        Sweeps over the array.
    row_rounds, device_rounds : int
        Rows, and devices, that were pulsed in them, all rounds together.
    """

    target: Array
    given_up: NDArray[np.bool_]
    rounds: int
    row_rounds: int
    device_rounds: int


def write(
    array: PulsedArray,
    target: Array,
    method: Method,
    progress: Callable[[float], Any] | None = None,
) -> Written:
    """Bring the array's weights to their targets.

    Parameters
    ----------
    array : PulsedArray
        What is pulsed; it keeps count of pulses, joules and seconds.
    target : ndarray, (M, N)
    method : Method
    progress : callable, optional
        Called after every sweep with the share of devices that are done.

    Raises
    ------
    ValueError
        If a target lies outside the device's window or has another shape than the array.
    """
    device = array.device
    if target.shape != array.weight.shape:
        raise ValueError(f"target must have shape {array.weight.shape}, got {target.shape}")
    low, high = device.weight_min, device.weight_max
    if not (low <= target.min() and target.max() <= high):
        raise ValueError(
            f"target must lie in [{low:.4g}, {high:.4g}], got {target.min():.4g} to "
            f"{target.max():.4g}"
        )
    edge = min(method.tolerance, 0.01 * (high - low)) / 2  # no pulse reaches an end of the window
    aim = np.clip(target, low + edge, high - edge)
    sweeps = _Sweeps(array, progress or (lambda _share: None))
    if method.name == "open-loop":
        _in_the_dark(sweeps, aim, method)
        off = np.zeros(target.shape, dtype=bool)
    else:
        off = _verified(sweeps, aim, method)
    return Written(target, off, *sweeps.counts)


class _Sweeps:
    """Pulses of an array, counted by what would have to wait for itself."""

    def __init__(self, array: PulsedArray, progress: Callable[[float], Any]) -> None:
        self.array, self.progress = array, progress
        self.counts = [0, 0, 0]

    def pulse(self, voltage: Quantity, todo: NDArray[np.bool_]) -> None:
        self.array.pulse(np.where(todo, voltage / volt, 0) * volt)
        pulsed = (1, int(np.count_nonzero(todo.any(1))), int(np.count_nonzero(todo)))
        self.counts = [a + b for a, b in zip(self.counts, pulsed, strict=True)]
        self.progress(1 - float(todo.mean()))


def _verified(sweeps: _Sweeps, aim: Array, method: Method) -> NDArray[np.bool_]:
    array, wait = sweeps.array, method.wait(sweeps.array.device)
    estimate = array.read()
    for _ in range(method.patience):
        off = np.abs(estimate - aim) > method.tolerance
        if not off.any():
            break
        sweeps.pulse(_pulse(array.device, estimate, aim), off)
        estimate = _read(array, method, wait)
    return np.abs(estimate - aim) > method.tolerance


def _read(array: PulsedArray, method: Method, wait: Quantity) -> Array:
    if method.name == "subtract":
        first = array.read()
        array.wait(wait)
        device = array.device
        decay = device.decay(device.bias_voltage_min, wait)
        return (array.read() - decay * first) / (1 - decay)
    if method.name == "verify":
        array.wait(wait)
    return array.read()


def _in_the_dark(sweeps: _Sweeps, aim: Array, method: Method) -> None:
    """Equal pulses, no more than are needed, as the ideal device wants them."""
    array = sweeps.array
    start, one = array.start, _pulse(array.device, array.start, aim)
    n = _needed(array.device, start, aim)
    n_pulses = np.minimum(n, method.patience)
    end = np.where(aim > start, array.device.weight_max, array.device.weight_min)
    first = end - (end - start) * ((end - aim) / (end - start)) ** (1 / np.maximum(n, 1))
    voltage = np.where(n > 1, _pulse(array.device, start, first) / volt, one / volt) * volt
    for k in range(int(n_pulses.max())):
        sweeps.pulse(voltage, n_pulses > k)


def _pulse(device: Memristor, weight: Array, target: Array) -> Quantity:
    """Of the law, at most the device's own SET and RESET pulse."""
    inside = np.clip(weight, device.weight_min, device.weight_max)
    widths = [device.set_width, device.reset_width]
    up, down = (device.programming_voltage(inside, target, w) for w in widths)
    wanted = np.where(target > inside, up / volt, down / volt)
    return np.clip(wanted, -float(device.reset_voltage), float(device.set_voltage)) * volt


def _needed(device: Memristor, weight: Array, target: Array) -> NDArray[np.int64]:
    """Pulses of `set_voltage` or `reset_voltage` that cover the way; the last one in part."""
    up = target > weight
    end = np.where(up, device.weight_max, device.weight_min)
    share = np.where(up, device.set_fraction, device.reset_fraction)
    moved = target != weight
    way = np.where(moved, end - target, 1.0) / np.where(moved, end - weight, 1.0)
    return np.ceil(np.round(np.log(way) / np.log1p(-share), 9)).astype(np.int64)
