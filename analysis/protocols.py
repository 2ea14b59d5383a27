"""At which voltage a bias is charged, and the named game of the paper.

A policy says what is held between pulses. Lambda rises with the voltage, so the cheapest
voltage for a Lambda is the one at which the device just reaches it.
"""

from typing import NamedTuple

import numpy as np
from brian2.units import Quantity, volt
from numpy.typing import NDArray

from mstpn.analysis.gpu import PaperGame
from mstpn.analysis.recording import Recording
from mstpn.synapses.memristor import Memristor

__all__ = ["POLICIES", "Held", "cheapest", "paper_protocol", "trained", "worst_case"]


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
    return Held(recording, device.bias_voltage(recording.decay))


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
        voltage = np.asarray(device.bias_voltage(recording.decay) / volt)
        return Held(recording, np.where(_pulsed(recording), voltage, lowest) * volt)
    if not 0 <= decay <= device.decay_max:
        raise ValueError(f"decay must lie in [0, {device.decay_max}], got {decay}")
    kept = np.full(recording.weight.shape, max(decay, device.decay_min))
    return Held(recording.replace(decay=kept), device.bias_voltage(kept))


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


def paper_protocol(game: PaperGame, device: Memristor, step_duration: Quantity) -> Held:
    """The game of the paper's energy estimate, as a recording.

    Every synapse has W = 0 and is charged at `bias_voltage_max`. The pulse energy of the
    game is spread evenly over synapses and steps by updates of alternating sign, so that the
    mean of W + F is 0 throughout, as the estimate has it.

    Parameters
    ----------
    game : PaperGame
    device : Memristor
    step_duration : Quantity, second
        Reading of the step; the duration is kept, so it is adjusted to whole steps.
    """
    n_steps = round(float(game.n_steps(step_duration)))
    n, m = 64, int(game.synapses.value) // 64
    per_pulse = game.pulse_energy.value / (m * n * (n_steps - 1))
    update = float((per_pulse / device.pulse_energy) ** (1 / device.energy_exponent))
    shape = (m, n)
    return Held(
        Recording(
            weight=np.zeros(shape),
            decay=np.full(shape, device.decay_max),
            gamma=np.full(shape, update * device.delta_f_max),
            step_duration=game.duration.value / n_steps,
            h=np.where(np.arange(n_steps) % 2, 1.0, -1.0)[:, None] * np.ones(n),
            event_count=np.full(n_steps, m),
            event_unit=np.tile(np.arange(m), n_steps),
            event_z=np.ones(m * n_steps),
        ),
        np.full(shape, 1.0) * device.bias_voltage_max,
    )
