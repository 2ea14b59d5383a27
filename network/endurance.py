"""How many pulses each device gets: what its endurance has to bear."""

import numpy as np
from numpy.typing import NDArray

from mstpn.network.brian import MSTPNNetwork
from mstpn.synapses.write_limits import WriteLimits

__all__ = ["PulseCount"]

Array = NDArray[np.float64]


class PulseCount:
    """Counts the pulses that a network asks for, synapse by synapse.

    Parameters
    ----------
    network : MSTPNNetwork

    Attributes
    ----------
    pulses : ndarray of int64, (M, N)
        So far.
    """

    def __init__(self, network: MSTPNNetwork) -> None:
        self._network = network
        self._smallest = (network.parameters.limits or WriteLimits()).smallest_issued
        self.pulses = np.zeros((network.presynaptic.N, network.parameters.n_hidden), np.int64)

    def observe(self, z: Array, h: Array) -> None:
        """Count the step from z, (M,), to h, (N,)."""
        active = np.flatnonzero(z)
        gamma = self._network.view_of_synapses("Gamma")[active]
        self.pulses[active] += np.abs(gamma * h * z[active, None]) >= self._smallest
