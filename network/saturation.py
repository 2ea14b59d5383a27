"""How often a network runs into the limits of its devices or of tanh.

Where the layer has no limits these are pulses and conductances that the device file says
no device has; where it has, they are the updates that were cut and the devices at the ends
of their window.
"""

import numpy as np
from numpy.typing import NDArray

from mstpn.network.brian import MSTPNNetwork
from mstpn.network.spikes import SpikingMSTPNNetwork
from mstpn.network.step_time import counting
from mstpn.synapses.support.brian_target import compiles

__all__ = ["H_SATURATED", "Saturation"]

Array = NDArray[np.float64]
Rows = NDArray[np.uint8]
Counts = NDArray[np.int64]

H_SATURATED = 0.999
"""|h| from which a unit counts as saturated."""
_NAMES = ("h_saturated", "updates_above_largest_pulse", "totals_outside_window")
_OF_SPIKES = ("inputs_at_full_scale",)


class Saturation:
    """Counts from step to step; |h| in every one, synapses in some.

    W + F is taken as of the last event of each synapse, from which F only decays, so that no
    extreme is missed for being read late. Rows that were not visited since the last sample are
    as they were then, unless something was assigned to the synapses or pulses disturb all rows.

    Parameters
    ----------
    network : MSTPNNetwork
    every : int
        Steps per sample of the synapses.

    Attributes
    ----------
    counts : ndarray of int64, (3 or 4, 2)
        Saturated and looked at, of each of the `shares`.
    """

    def __init__(self, network: MSTPNNetwork, every: int = 16) -> None:
        self._network, self._every = network, every
        device, limits = network.device, network.parameters.limits
        self._largest = limits.delta_f_max if limits else device.delta_f_max
        self._window = (device.weight_min, device.weight_max)
        if limits:
            self._window = (limits.total_min, limits.total_max)
        self._names: tuple[str, ...] = _NAMES
        self._highest = np.inf
        if isinstance(network, SpikingMSTPNNetwork):
            spike_code = network.spike_code
            self._names += _OF_SPIKES
            self._highest = spike_code.full_scale - spike_code.bin_size / 2
        self.counts = np.zeros((len(self._names), 2), dtype=np.int64)
        n_pre = network.presynaptic.N
        self._outside = np.zeros(n_pre, np.int64)  # synapses of each row, as of its last sample
        self._visited = np.ones(n_pre, np.uint8)  # rows since that sample
        self._seen = network.synapses.n_assignments
        self._kernel = counting() if compiles() else _Uncompiled

    def observe(self, z: NDArray[np.float64], h: NDArray[np.float64]) -> None:
        """Look at the network after a step from z, (M,), to h, (N,)."""
        due = self.counts[0, 1] // h.size % self._every == 0
        self._kernel.look(z, h, self._visited, H_SATURATED, self.counts)
        if due:
            self._sample(z, h)
            self._visited[:] = z != 0  # their pulses are still to come
        if len(self.counts) > len(_NAMES):
            first_bin = np.count_nonzero(np.abs(z) > self._highest)
            self.counts[3] += first_bin, np.count_nonzero(z)

    def _sample(self, z: NDArray[np.float64], h: NDArray[np.float64]) -> None:
        network, synapses = self._network, self._network.synapses
        view = network.view_of_synapses
        self.counts[1] += self._kernel.above(z, h, view("Gamma"), self._largest)
        disturbed = "every" in network.presynaptic.events
        if disturbed or self._seen != synapses.n_assignments:
            self._seen = synapses.n_assignments
            self._visited[:] = True
        parts = view("W"), view("F")
        if "F_slow" in synapses.variables:
            parts = view("W") + view("F"), view("F_slow")
        limited = network.parameters.limits is not None
        self._kernel.outside(*(*parts, self._visited, self._outside, *self._window, limited))
        self.counts[2] += self._outside.sum(), network.parameters.weight.size

    def shares(self) -> dict[str, float]:
        """Shares so far.

        Returns
        -------
        dict of str to float
            `h_saturated`, of the outputs; `updates_above_largest_pulse`, of the updates by
            active inputs; `totals_outside_window`, of the synapses whose W + F is outside the
            conductance window or, where that is a limit, at its end. Of a network of spikes
            `inputs_at_full_scale`, of the spikes, too: those of the first bin.
        """
        return {
            name: float(hits / max(of, 1))
            for name, (hits, of) in zip(self._names, self.counts, strict=True)
        }


class _Uncompiled:
    """The kernel without a compiler."""

    @staticmethod
    def look(z: Array, h: Array, visited: Rows, saturated: float, counts: Counts) -> None:
        visited |= z != 0
        counts[0] += np.count_nonzero(np.abs(h) >= saturated), h.size

    @staticmethod
    def above(z: Array, h: Array, gamma: Array, largest: float) -> tuple[int, int]:
        active = np.flatnonzero(z)
        size = np.abs(gamma[active] * np.outer(z[active], h))
        return int((size > largest).sum()), size.size

    @staticmethod
    def outside(
        weight: Array,
        short_term: Array,
        visited: Rows,
        counted: Counts,
        low: float,
        high: float,
        ends: bool,
    ) -> None:
        rows = np.flatnonzero(visited)
        total = weight[rows] + short_term[rows]
        below, above = (np.less_equal, np.greater_equal) if ends else (np.less, np.greater)
        counted[rows] = (below(total, low) | above(total, high)).sum(axis=1)
