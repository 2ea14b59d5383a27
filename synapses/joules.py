"""Joules of synapses, from sums over them: one set of formulas for every bookkeeper.

With T the step, V the voltage held and F(t) the short-term weight at the start of step t::

    E_pulse = E_0 / dF_0^p sum |dF|^p
    E_bias  = T sum V^2 (G_offset + kappa W) + kappa T sum V^2 s F(t),
              s = (1 - Lambda) / ln(1 / Lambda), the mean of F over a step as a share of F(t)
    E_read  = V_read^2 t_read sum |z| (G_offset + kappa (W + F(t)))

They are those of the synapse in `mstpn.synapses.st_hebb`. Arguments may be quantities, NumPy
arrays or torch tensors; with tensors take `Charges.bare`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from brian2.units import Quantity

from mstpn.synapses import law
from mstpn.synapses.memristor import Memristor

__all__ = ["Charges", "mean_share"]


class Charges(NamedTuple):
    """What of a device and a network the energies depend on.

    Parameters
    ----------
    offset, kappa : Quantity, siemens
        Conductance at W + F = 0, and of one unit of W + F.
    read_voltage : Quantity, volt
    read_duration, step_duration : Quantity, second
    unit_pulse : Quantity, joule
        Energy of a pulse of dF = 1, by the power law.
    exponent : float
        p.
    half_voltage, slope_voltage, voltage_min, voltage_max : Quantity, volt
        Of Lambda as a function of the bias voltage.
    decay_duration : Quantity, second
        That this Lambda refers to.
    """

    offset: Any
    kappa: Any
    read_voltage: Any
    read_duration: Any
    step_duration: Any
    unit_pulse: Any
    exponent: float
    half_voltage: Any
    slope_voltage: Any
    voltage_min: Any
    voltage_max: Any
    decay_duration: Any

    @classmethod
    def of(cls, device: Memristor, step_duration: Quantity) -> "Charges":
        """Those of a device, in physical units."""
        return cls(
            offset=device.offset_conductance,
            kappa=device.weight_conductance,
            read_voltage=device.read_voltage,
            read_duration=device.read_duration,
            step_duration=step_duration,
            unit_pulse=device.pulse_energy_for(1.0),
            exponent=device.energy_exponent,
            half_voltage=device.decay_half_voltage,
            slope_voltage=device.decay_slope_voltage,
            voltage_min=device.bias_voltage_min,
            voltage_max=device.bias_voltage_max,
            decay_duration=device.decay_duration,
        )

    def bare(self) -> "Charges":
        """The same as floats in SI units."""
        return Charges(*(float(value) for value in self))

    def conductance(self, weight: Any) -> Any:
        """At total weight W + F."""
        return law.function(law.CONDUCTANCE, "S, G_offset, kappa")(weight, self.offset, self.kappa)

    def bias_voltage(self, decay: Any, library: str = "numpy") -> Any:
        """Voltage to hold for a Lambda per step, before the device's range ends it."""
        over = law.function(law.OVER, "Lambda, duration, decay_duration", library)
        voltage = law.function(law.BIAS_VOLTAGE, "Lambda, V_half, V_slope", library)
        decay = over(decay, self.decay_duration, self.step_duration)
        return voltage(decay, self.half_voltage, self.slope_voltage)

    def pulse(self, sizes: Any) -> Any:
        """Energy of pulses, from |dF|^p."""
        return self.unit_pulse * sizes

    def standing(self, voltage: Any, weight: Any) -> Any:
        """Bias energy of one step of synapses whose F is 0."""
        return voltage**2 * self.conductance(weight) * self.step_duration

    def held(self, total: Any) -> Any:
        """Bias energy of F, from V^2 s F at the start of steps."""
        return self.kappa * self.step_duration * total

    def read(self, total: Any) -> Any:
        """Energy of reads, from |z| G."""
        return self.read_voltage**2 * self.read_duration * total


def mean_share(decay: Any, log: Callable[[Any], Any] = np.log) -> Any:
    """Mean of F over a step as a share of F at its start, (1 - Lambda) / ln(1 / Lambda)."""
    return (1 - decay) / log(1 / decay)
