"""How much of a network step its writes and reads take.

A row, the synapses of one presynaptic unit, is written at once: one pulse width for all of its
columns. Rows follow one another, and then all inputs are read at once, |z| read durations
each::

    t = rows t_pulse + max |z| t_read

A row without a pulse to any of its synapses takes no time.
"""

import numpy as np
from brian2.units import Quantity, second
from numpy.typing import NDArray

from mstpn.network.brian import MSTPNNetwork

__all__ = ["StepTime"]


class StepTime:
    """Counts rows and time from step to step.

    Parameters
    ----------
    network : MSTPNNetwork

    Attributes
    ----------
    totals : ndarray, (5,)
        Steps, sum and largest number of rows, sum and largest time in second.
    """

    def __init__(self, network: MSTPNNetwork) -> None:
        self._network = network
        limits, device = network.parameters.limits, network.device
        self._smallest = limits.delta_f_min if limits is not None else 0.0
        self._gamma = np.abs(network.of_synapses("Gamma"))
        self._pulse_second = float(device.pulse_width / second)
        self._read_second = float(device.read_duration / second)
        self.totals = np.zeros(5)

    def observe(self, z: NDArray[np.float64], h: NDArray[np.float64]) -> None:
        """Count the step from z, (M,), to h, (N,): its reads and the pulses it asks for."""
        z = np.abs(z)
        active = np.flatnonzero(z)
        largest = (self._gamma[active] * np.abs(h)).max(axis=1, initial=0.0) * z[active]
        rows = np.count_nonzero((largest >= self._smallest) & (largest > 0))
        time = rows * self._pulse_second + z.max() * self._read_second
        steps, row_sum, row_most, time_sum, most = self.totals
        self.totals[:] = steps + 1, row_sum + rows, max(row_most, rows), time_sum + time, 0
        self.totals[4] = max(most, time)

    def summary(self) -> dict[str, float]:
        """So far.

        Returns
        -------
        dict of str to float
            `rows_mean`, `rows_max`; `time_mean`, `time_max`, as shares of the step.
        """
        steps, row_sum, row_most, time_sum, most = self.totals
        step = max(steps, 1) * float(self.step_duration / second)
        return {
            "rows_mean": row_sum / max(steps, 1),
            "rows_max": row_most,
            "time_mean": time_sum / step,
            "time_max": most / float(self.step_duration / second),
        }

    @property
    def step_duration(self) -> Quantity:
        """Of the network."""
        return self._network.clock.dt
