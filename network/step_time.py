"""How much of a network step its writes and reads take.

A row, the synapses of one presynaptic unit, is written at once: one pulse width for all of its
columns. Rows follow one another, and then all inputs are read at once, |z| read durations
each::

    t = rows t_pulse + max |z| t_read

A row without a pulse to any of its synapses takes no time.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from brian2.units import Quantity, second
from numpy.typing import NDArray

from mstpn.network.brian import MSTPNNetwork
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.brian_target import compiles, extension
from mstpn.synapses.write_limits import WriteLimits

__all__ = ["StepTime", "counting"]

Array = NDArray[np.float64]


def counting() -> Any:
    """The compiled module of what is counted; compiled or loaded at the first call."""
    return extension(Path(__file__).with_name("counting.pyx").read_text())


class StepTime:
    """Counts rows and time from step to step.

    Parameters
    ----------
    gamma : callable
        Gives Gamma of all synapses, (M, N).
    limits : WriteLimits or None
        Of the updates; None if every one is issued.
    device : Memristor
    step_duration : Quantity, second

    Attributes
    ----------
    totals : ndarray, (5,)
        Steps, sum and largest number of rows, sum and largest time in second.
    """

    def __init__(
        self,
        gamma: Callable[[], Array],
        limits: WriteLimits | None,
        device: Memristor,
        step_duration: Quantity,
    ) -> None:
        self._gamma, self.step_duration = gamma, step_duration
        self._smallest = (limits or WriteLimits()).smallest_issued
        self._pulse_second = float(device.pulse_width / second)
        self._read_second = float(device.read_duration / second)
        self._count = counting().step_time if compiles() else _count
        self.totals = np.zeros(5)

    @classmethod
    def of(cls, network: MSTPNNetwork) -> "StepTime":
        """Of a network that is stepped."""
        return cls(
            lambda: network.view_of_synapses("Gamma"),
            network.parameters.limits,
            network.device,
            network.clock.dt,
        )

    def observe(self, z: Array, h: Array) -> None:
        """Count the step from z, (M,), to h, (N,): its reads and the pulses it asks for."""
        self._count(
            *(z, h, self._gamma(), self._smallest),
            *(self._pulse_second, self._read_second, self.totals),
        )

    def summary(self) -> dict[str, float]:
        """So far.

        Returns
        -------
        dict of str to float
            `rows_mean`, `rows_max`; `time_mean`, `time_max`, as shares of the step.
        """
        steps, row_sum, row_most, time_sum, most = self.totals.tolist()
        step = max(steps, 1) * float(self.step_duration / second)
        return {
            "rows_mean": row_sum / max(steps, 1),
            "rows_max": row_most,
            "time_mean": time_sum / step,
            "time_max": most / float(self.step_duration / second),
        }


def _count(
    z: Array,
    h: Array,
    gamma: Array,
    smallest: float,
    pulse_second: float,
    read_second: float,
    totals: Array,
) -> None:
    """Count a step without a compiler."""
    active = np.flatnonzero(z)
    sizes = np.abs(gamma[active] * h * z[active, None])
    rows = int(np.count_nonzero((sizes >= smallest).any(axis=1)))
    time = rows * pulse_second + float(np.abs(z).max()) * read_second
    steps, row_sum, row_most, time_sum, most = totals.tolist()
    row_most, most = max(row_most, rows), max(most, time)
    totals[:] = steps + 1, row_sum + rows, row_most, time_sum + time, most
