"""What a group of memristive synapses has spent, by term, in the course of a run."""

from typing import Any

import numpy as np
from brian2 import Clock, NetworkOperation
from brian2.units import Quantity, joule, second
from numpy.typing import NDArray

from mstpn.synapses.settling import TERMS, SettlingSynapses

__all__ = ["EnergyMonitor"]


class EnergyMonitor(NetworkOperation):  # type: ignore[misc]
    """Records the energies of synapses at the end of every step of a clock.

    Pulses, bias and reads are exact at any time, so the clock may be as coarse as you like. It runs
    in Python: in C++ standalone it cannot.

    Parameters
    ----------
    synapses : SettlingSynapses
    clock : Clock, optional
        That of the synapses if absent.
    name : str
    """

    def __init__(
        self, synapses: SettlingSynapses, clock: Clock | None = None, name: str = "energy*"
    ) -> None:
        self._synapses = synapses
        self._times: list[float] = []
        self._joules: list[list[float]] = []
        super().__init__(self._look, clock=clock or synapses.clock, when="end", name=name)

    def _look(self, t: Any) -> None:
        self._times.append(float(t / second))
        self._joules.append([float(e / joule) for e in self._synapses.energy().values()])

    @property
    def t(self) -> Quantity:
        """Times of the records, (K,)."""
        return np.array(self._times) * second

    @property
    def energy(self) -> dict[str, Quantity]:
        """By term, (K,) each."""
        columns: NDArray[np.float64] = np.array(self._joules).reshape(-1, len(TERMS))
        return {term: columns[:, k] * joule for k, term in enumerate(TERMS)}
