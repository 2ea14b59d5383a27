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

Array = NDArray[np.float64]
_AT_ONCE = 16


class StepTime:
    """Counts rows and time from step to step, some steps at once.

    Parameters
    ----------
    network : MSTPNNetwork
    """

    def __init__(self, network: MSTPNNetwork) -> None:
        self._network = network
        limits, device = network.parameters.limits, network.device
        above_zero = float(np.nextafter(0.0, 1.0))
        self._smallest = max(limits.delta_f_min if limits is not None else 0.0, above_zero)
        self._take_gamma()
        self._pulse_second = float(device.pulse_width / second)
        self._read_second = float(device.read_duration / second)
        self._totals = np.zeros(5)
        self._waiting: list[tuple[Array, Array]] = []

    @property
    def totals(self) -> Array:
        """Steps, sum and largest number of rows, sum and largest time in second; (5,)."""
        self._count()
        return self._totals

    def observe(self, z: Array, h: Array) -> None:
        """Count the step from z, (M,), to h, (N,): its reads and the pulses it asks for."""
        if self._seen != self._network.synapses.n_assignments:
            self._count()
            self._take_gamma()
        self._waiting.append((z.copy(), h.copy()))
        if len(self._waiting) == _AT_ONCE:
            self._count()

    def _take_gamma(self) -> None:
        """As it is until something is assigned to the synapses."""
        self._seen = self._network.synapses.n_assignments
        self._gamma = np.abs(self._network.of_synapses("Gamma"))
        self._strongest = self._gamma.argmax(axis=1)
        self._most = self._gamma.max(axis=1)

    def _count(self) -> None:
        """Count the steps that wait."""
        if not self._waiting:
            return
        z, h = (np.abs(values) for values in zip(*self._waiting, strict=True))
        self._waiting.clear()
        for rows, largest in zip(self._rows(z, h).tolist(), z.max(axis=1).tolist(), strict=True):
            time = rows * self._pulse_second + largest * self._read_second
            steps, row_sum, row_most, time_sum, most = self._totals.tolist()
            row_most, most = max(row_most, rows), max(most, time)
            self._totals[:] = steps + 1, row_sum + rows, row_most, time_sum + time, most

    def _rows(self, z: Array, h: Array) -> NDArray[np.intp]:
        """Rows in which some update is issued, of each step; z and h are absolute values.

        Whether that of the largest Gamma is, or would be if its h were the largest, settles most.
        """
        step, row = np.nonzero(z)
        size, most = z[step, row], self._most[row]
        written = most * h[step, self._strongest[row]] * size >= self._smallest
        open_ = np.flatnonzero(~written & (most * h.max(axis=1)[step] * size >= self._smallest))
        updates = self._gamma[row[open_]] * h[step[open_]]
        written[open_] = updates.max(axis=1, initial=0.0) * size[open_] >= self._smallest
        return np.bincount(step[written], minlength=len(z))

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

    @property
    def step_duration(self) -> Quantity:
        """Of the network."""
        return self._network.clock.dt
