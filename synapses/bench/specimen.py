"""The device that is on the bench, and how well it is read."""

from dataclasses import dataclass, field, replace

import numpy as np
from brian2.units import Quantity, psiemens, siemens
from numpy.typing import NDArray

from mstpn.synapses.bench.assumed import READ_NOISE_PICOSIEMENS
from mstpn.synapses.bench.voltage_driven import Trace, simulate
from mstpn.synapses.bench.waveforms import Waveform
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Deviations, Nonidealities

__all__ = ["IDEAL", "READ_NOISE", "Specimen"]

READ_NOISE: Quantity = READ_NOISE_PICOSIEMENS * psiemens

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Specimen:
    """What the device on the bench has that an ideal one has not, and what its reads have.

    Parameters
    ----------
    deviations : Deviations, optional
        Of the one device, (1,); it is ideal if absent.
    delta_f_std : float
        Spread of an update from cycle to cycle, relative.
    read_noise : Quantity, siemens
        Standard deviation of a read.
    seed : int
        Of both.
    """

    deviations: Deviations | None = None
    delta_f_std: float = 0.0
    read_noise: Quantity = field(default_factory=lambda: 0 * siemens)
    seed: int = 0

    @classmethod
    def of(
        cls,
        nonidealities: Nonidealities,
        device: Memristor,
        *,
        read_noise: Quantity = READ_NOISE,
        seed: int = 0,
    ) -> "Specimen":
        """A device that deviates, drawn by the seed of the nonidealities."""
        drawn = nonidealities.draw((1,), device) if nonidealities else None
        return cls(drawn, nonidealities.delta_f_std, read_noise, seed)

    def measured(
        self, waveform: Waveform, device: Memristor, weight: float | Array | None = None
    ) -> Trace:
        """What the bench sees of a waveform."""
        key, reads = np.random.SeedSequence(self.seed).spawn(2)
        trace = simulate(
            waveform,
            device,
            weight=weight,
            deviations=self.deviations,
            delta_f_std=self.delta_f_std,
            seed=int(key.generate_state(1)[0] >> 1),
        )
        noise = np.random.default_rng(reads).standard_normal(trace.conductance.shape)
        return replace(trace, conductance=trace.conductance + noise * self.read_noise)


IDEAL = Specimen()
"""Without spread, without noise."""
