"""How often a network runs into the limits of its devices or of tanh.

Where the layer has no limits these are pulses and conductances that the device file says
no device has; where it has, they are the updates that were cut and the devices at the ends
of their window.
"""

import numpy as np
from numpy.typing import NDArray

from mstpn.network.brian import MSTPNNetwork

__all__ = ["H_SATURATED", "Saturation"]

H_SATURATED = 0.999
"""|h| from which a unit counts as saturated."""
_NAMES = ("h_saturated", "updates_above_largest_pulse", "totals_outside_window")


class Saturation:
    """Counts from step to step; |h| in every one, synapses in some.

    W + F is taken as of the last event of each synapse, from which F only decays, so that no
    extreme is missed for being read late.

    Parameters
    ----------
    network : MSTPNNetwork
    every : int
        Steps per sample of the synapses.

    Attributes
    ----------
    counts : ndarray of int64, (3, 2)
        Saturated and looked at, of each of the `shares`.
    """

    def __init__(self, network: MSTPNNetwork, every: int = 16) -> None:
        self._network, self._every = network, every
        device, limits = network.device, network.parameters.limits
        self._largest = limits.delta_f_max if limits else device.delta_f_max
        self._window = (device.weight_min, device.weight_max)
        if limits:
            self._window = (limits.total_min, limits.total_max)
        self._total = np.empty(network.parameters.weight.size)
        self.counts = np.zeros((3, 2), dtype=np.int64)

    def observe(self, z: NDArray[np.float64], h: NDArray[np.float64]) -> None:
        """Look at the network after a step from z, (M,), to h, (N,)."""
        if self.counts[0, 1] // h.size % self._every == 0:
            self._sample(z, h)
        self.counts[0] += np.count_nonzero(np.abs(h) >= H_SATURATED), h.size

    def _sample(self, z: NDArray[np.float64], h: NDArray[np.float64]) -> None:
        active = np.flatnonzero(z)
        size = np.abs(self._network.view_of_synapses("Gamma")[active] * np.outer(z[active], h))
        self.counts[1] += (size > self._largest).sum(), size.size
        low, high = self._window
        variables = self._network.synapses.variables
        total = np.add(variables["W"].get_value(), variables["F"].get_value(), out=self._total)
        if "F_slow" in variables:
            total += variables["F_slow"].get_value()
        limited = self._network.parameters.limits is not None
        below, above = (np.less_equal, np.greater_equal) if limited else (np.less, np.greater)
        outside = np.count_nonzero(below(total, low)) + np.count_nonzero(above(total, high))
        self.counts[2] += outside, total.size

    def shares(self) -> dict[str, float]:
        """Shares so far.

        Returns
        -------
        dict of str to float
            `h_saturated`, of the outputs; `updates_above_largest_pulse`, of the updates by
            active inputs; `totals_outside_window`, of the synapses whose W + F is outside the
            conductance window or, where that is a limit, at its end.
        """
        return {
            name: float(hits / max(of, 1))
            for name, (hits, of) in zip(_NAMES, self.counts, strict=True)
        }
