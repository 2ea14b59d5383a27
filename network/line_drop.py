"""What the resistance of an array's lines takes from reads and from held voltages.

Both are those of `mstpn.network.crossbar`, so of the sparse solution of the whole network of
resistors at the programmed W, with a reference column beside.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from brian2.units import Quantity, ohm, volt

from mstpn.network.brian import LayerParameters
from mstpn.network.crossbar import devices_of
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Nonidealities

__all__ = ["LineDrop", "line_drop", "resistance_at"]

_NEAR = 0.02
"""How far a sag that is solved for may lie from a bound, relative, to interpolate from."""
_MOST = 8
_FLATTEST, _FARTHEST = 0.1, 5.0
"""Of the logarithm of the sag against that of the resistance: its slope, and a step along it."""
_LEAST_HELD = 0.01
"""A voltage below this share of the device's largest bias counts as that share: volts move Lambda,
not shares of a few nanovolts."""


class LineDrop(NamedTuple):
    """Shares that lines with a resistance take.

    Parameters
    ----------
    read, read_mean : float
        Of the current of a device in a read, at worst and in the mean of the devices.
    bias : float or None
        Of the bias voltage held at a device, at worst, or of a hundredth of the device's largest
        if that is more; 0 if all lines are at ground, None if every synapse has its own voltage.
    """

    read: float
    read_mean: float
    bias: float | None


def line_drop(
    parameters: LayerParameters, device: Memristor, step_duration: Quantity, resistance: Quantity
) -> LineDrop:
    """Solve an array once.

    Parameters
    ----------
    parameters : LayerParameters
    device : Memristor
    step_duration : Quantity, second
    resistance : Quantity, ohm
        Of a line from one cell to the next.
    """
    p = parameters
    held = p.bias_lines != "synapse"
    decay = p.decay if held else np.full_like(p.decay, device.decay_range(step_duration)[0])
    spread = Nonidealities(ir_drop_rs=resistance)
    found = devices_of(spread, p.weight, decay, device, step_duration)
    line = np.asarray(device.bias_voltage(decay.T, step_duration) / volt)
    least = _LEAST_HELD * float(device.bias_voltage_max / volt)
    lost = 1 - found.read_gain
    bias = float((found.sag / np.maximum(line, least)).max()) if held else None
    return LineDrop(float(lost.max()), float(lost.mean()), bias)


def resistance_at(
    bound: float, sag: Callable[[float], float], known: Mapping[float, float]
) -> Quantity | None:
    """Resistance of a cell's line at which a sag reaches a bound, to some 0.1 %.

    Parameters
    ----------
    bound : float
        In (0, 1).
    sag : callable
        Of a resistance in ohm, rising with it.
    known : mapping of float to float
        Sags that are known already, at least one.

    Returns
    -------
    Quantity or None
        None if it is not reached after some tries.
    """
    found = dict(known)
    for _ in range(_MOST):
        near = sorted(found, key=lambda r: abs(math.log(found[r] / bound)))
        best, slope = near[0], 1.0
        if len(near) > 1:
            rise = math.log(found[near[1]] / found[best])
            slope = max(rise / math.log(near[1] / best), _FLATTEST)
        away = math.log(bound / found[best]) / slope
        wanted = best * math.exp(min(max(away, -_FARTHEST), _FARTHEST))
        if wanted in found or (abs(found[best] / bound - 1) < _NEAR and len(near) > 1):
            return wanted * ohm
        found[wanted] = sag(wanted)
    return None
