"""The named game of the paper's energy estimate, as a recording."""

import numpy as np
from brian2.units import Quantity

from mstpn.analysis.energy.policies import Held
from mstpn.analysis.energy.recording import Recording
from mstpn.analysis.gpu.baselines import PaperGame
from mstpn.synapses.memristor import Memristor

__all__ = ["paper_protocol"]


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
