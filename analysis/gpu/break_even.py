"""Where a memristor synapse stops being cheaper: energy per update against one quantity.

Each curve moves one quantity and leaves the game, the other constants and the number of
updates as they are; so a GPU, whose energy grows with the updates, is a level line. The
energy of a game is linear in all but the voltage::

    E = E_pulse a + sum V^2 ((G_offset + kappa W) n T + a kappa integral of F)

with a the activity relative to the game's own: pulses, and with them F, are taken to grow
in proportion to the share of active inputs.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from brian2.units import joule, second, siemens, volt
from numpy.typing import NDArray

from mstpn.analysis.energy.energies import conductance_integral, pulse_energy
from mstpn.analysis.energy.integration import Integration, Sums
from mstpn.analysis.energy.policies import POLICIES
from mstpn.analysis.energy.recording import Recording
from mstpn.synapses.memristor import Memristor

__all__ = ["Curve", "break_even", "curves"]

Array = NDArray[np.float64]
_N_POINTS = 121


@dataclass(frozen=True)
class Curve:
    """Energy per synapse and step against one quantity.

    Parameters
    ----------
    label, unit : str
        Of the quantity.
    x : ndarray, (P,)
    energy : dict of str to ndarray, joule, (P,)
        By bias policy.
    here : float
        The quantity in this game.
    """

    label: str
    unit: str
    x: Array
    energy: dict[str, Array]
    here: float


def curves(recording: Recording, device: Memristor, sums: Sums | None = None) -> dict[str, Curve]:
    """Curves over offset conductance, bias voltage, seconds per decision and activity.

    The offset begins where no synapse's conductance is negative on average over the game.

    Parameters
    ----------
    recording : Recording
    device : Memristor
    sums : Sums, optional
        Of the same game, if they are known.
    """
    sums = sums or Integration(recording, device.energy_exponent).advance()
    updates = recording.n_synapses * recording.n_frames
    pulse = float(np.sum(pulse_energy(sums, device)) / joule) / updates
    integral = np.asarray(conductance_integral(sums, recording, device) / (siemens * second))
    duration = float(recording.duration / second)
    offset = float(device.offset_conductance / siemens)
    weight = np.asarray(device.conductance(recording.weight) / siemens) - offset
    active = float(recording.event_count.mean()) / len(recording.weight)
    step = float(recording.step_duration / second)
    square = {
        policy: np.asarray(hold(recording, device).bias_voltage / volt) ** 2
        for policy, hold in POLICIES.items()
    }

    def by_policy(energy: Callable[[Array, Array], Array], x: Array) -> dict[str, Array]:
        return {policy: energy(v2, x) for policy, v2 in square.items()}

    def over_offset(v2: Array, x: Array) -> Array:
        rest = float((v2 * (integral - offset * duration)).sum()) / updates
        return pulse + rest + float(v2.sum()) * duration * x / updates

    def over_seconds(v2: Array, x: Array) -> Array:
        return pulse + float((v2 * integral).sum()) / updates * (x / step)

    def over_activity(v2: Array, x: Array) -> Array:
        static = float((v2 * (offset + weight)).sum()) * duration / updates
        moving = float((v2 * integral).sum()) / updates - static
        return static + (pulse + moving) * (x / active)

    top = float(device.bias_voltage_max / volt)
    voltage = np.linspace(0, top, _N_POINTS)
    # below it some synapse would conduct less than nothing over the game
    least = float(-(integral / duration - offset).min())
    offsets = np.geomspace(min(max(least, offset / 1e3), offset), offset * 1e2, _N_POINTS)
    seconds = np.geomspace(1e-5, 1e1, _N_POINTS)
    shares = np.geomspace(1e-3, 1, _N_POINTS)
    everywhere = {"all synapses alike": pulse + voltage**2 * float(integral.sum()) / updates}
    return {
        "offset_conductance": Curve(
            "offset conductance", "S", offsets, by_policy(over_offset, offsets), offset
        ),
        "bias_voltage": Curve("bias voltage", "V", voltage, everywhere, top),
        "seconds": Curve("time per decision", "s", seconds, by_policy(over_seconds, seconds), step),
        "activity": Curve(
            "share of active inputs", "1", shares, by_policy(over_activity, shares), active
        ),
    }


def break_even(curve: Curve, policy: str, level: float) -> float | None:
    """Where a curve meets a baseline; None if it does not within its range.

    Parameters
    ----------
    curve : Curve
    policy : str
        One of the curve's.
    level : float, joule
        The baseline's energy per synapse and step.
    """
    gap = np.log(curve.energy[policy] / level)
    crossing = np.flatnonzero(np.diff(np.sign(gap)))
    if not len(crossing):
        return None
    k = int(crossing[0])
    share = gap[k] / (gap[k] - gap[k + 1])
    low, high = curve.x[k : k + 2]
    # exact where the energy is a power of x, which it is in most of its range
    return float(low * (high / low) ** share if low > 0 else share * high)
