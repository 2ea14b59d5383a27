"""At which voltage a bias is charged.

A policy says what is held between pulses. Lambda rises with the voltage, so the cheapest
voltage for a Lambda is the one at which the device just reaches it.
"""

from typing import NamedTuple

import numpy as np
from brian2.units import Quantity, volt
from numpy.typing import NDArray

from mstpn.analysis.energy.recording import Recording
from mstpn.synapses.memristor import Memristor

__all__ = ["POLICIES", "Held", "cheapest", "trained", "worst_case"]


class Held(NamedTuple):
    """A game under a bias policy.

    Parameters
    ----------
    recording : Recording
        With the Lambda that F decays by.
    bias_voltage : Quantity, volt, (M, N)
        Charged.
    """

    recording: Recording
    bias_voltage: Quantity


def worst_case(recording: Recording, device: Memristor) -> Held:
    """Charge every synapse at `bias_voltage_max`, as the paper does: an upper bound.

    F decays by the Lambda it had in the game.
    """
    return Held(recording, np.full(recording.weight.shape, 1.0) * device.bias_voltage_max)


def trained(recording: Recording, device: Memristor) -> Held:
    """Charge every synapse at the voltage that its trained Lambda needs."""
    return Held(recording, device.bias_voltage(recording.decay, recording.step_duration))


def cheapest(recording: Recording, device: Memristor, decay: float | None = None) -> Held:
    """Charge the lowest voltages that leave the game, or a given Lambda, as they are.

    Parameters
    ----------
    recording : Recording
    device : Memristor
    decay : float, optional
        Lambda that every synapse must keep at least; the inputs and outputs of the game stay
        as recorded. If absent, every synapse keeps its own, and those that no pulse ever
        reached keep nothing: their F is 0 at any voltage, so they get the lowest.

    Raises
    ------
    ValueError
        If the device reaches no such Lambda.
    """
    if decay is None:
        lowest = float(device.bias_voltage_min / volt)
        voltage = np.asarray(device.bias_voltage(recording.decay, recording.step_duration) / volt)
        return Held(recording, np.where(_pulsed(recording), voltage, lowest) * volt)
    step = recording.step_duration
    low, high = device.decay_range(step)
    if not 0 <= decay <= high:
        raise ValueError(f"decay must lie in [0, {high}], got {decay}")
    kept = np.full(recording.weight.shape, max(decay, low))
    return Held(recording.replace(decay=kept), device.bias_voltage(kept, step))


POLICIES = {
    "worst case": worst_case,
    "trained": trained,
    "cheapest": cheapest,
}
"""Policies that need no further choice, by name."""


def _pulsed(recording: Recording) -> NDArray[np.bool_]:
    """Synapses that some pulse reached, (M, N); those of the last frame are never issued."""
    issued = recording.event_count[:-1].sum()
    seen = np.zeros((len(recording.weight), 1), dtype=bool)
    seen[recording.event_unit[:issued]] = True
    return seen & (recording.gamma != 0)
