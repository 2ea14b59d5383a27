"""What stands around a crossbar and is not ideal: converters, noisy reads, unselected rows.

With z the presynaptic vector, u the read current over V_read kappa less the offset's part, xi
standard normal and s the share of a pulse's voltage that other rows see::

    z      -> a multiple of inp_step within +-inp_bound              DAC, or duration of the read
    u_j    -> u_j + w_noise xi_j sqrt(sum_i (G_ij z_i / kappa)^2)    noise of the read
    u      -> a multiple of out_step within +-out_bound              ADC
    F_kj   -> F_kj + s^m sum of dF_ij over i other than k            at s^n of those pulses' energy

The noise of a read is that of every device: its conductance fluctuates by itself and slowly beside
a read, relative to its value. A sum of independent normal numbers is one of the summed variance, so
one draw per output and step has the very distribution of one per device.

Where reads are noisy or are converted, or lines have a resistance, what takes the offset's current
away is a reference column: one more column of the crossbar, of cells that are held at the offset
conductance, with the same noise and the same wires.

A row is written while its own line and the columns share the pulse's voltage; every other row sees
the share s of it, a half in the scheme V/2. What that does to F and costs is the device's pulse law
at s V. The pulses of one step disturb together, after all of them are written; their spread from
pulse to pulse averages out in the sum and is left out of it.
"""

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from brian2.units import Quantity

from mstpn.synapses import law
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.sourced import read_table, sourced

__all__ = ["CONVERTERS", "Periphery", "conversion_energy", "resolution"]

CONVERTERS = Path(__file__).with_name("converters.toml")


class Periphery(NamedTuple):
    """Sizes as the networks take them; 0 is off.

    Parameters
    ----------
    inp_step, inp_bound : float
        Of z.
    out_step, out_bound : float
        Of the current over V_read kappa.
    w_noise : float
        Standard deviation of a device's conductance from read to read, relative.
    disturb, disturb_energy : float
        Shares of dF and of the energy of a pulse that each unselected device of its column gets.
    offset : float
        Conductance at W + F = 0, in units of W.
    reference : bool
        Whether a reference column takes the offset's current away, and not arithmetic.
    """

    inp_step: float
    inp_bound: float
    out_step: float
    out_bound: float
    w_noise: float
    disturb: float
    disturb_energy: float
    offset: float
    reference: bool

    def presynaptic(self, z: Any) -> Any:
        """What the rows get for z, NumPy or torch."""
        return _converted(z, self.inp_step, self.inp_bound)

    def output(self, u: Any) -> Any:
        """What is read for a current, over V_read kappa, NumPy or torch."""
        return _converted(u, self.out_step, self.out_bound)


def _converted(x: Any, step: float, bound: float) -> Any:
    if not step:
        return x
    return _law_of("numpy" if isinstance(x, np.ndarray) else "torch")(x, step, bound)


@cache
def _law_of(library: str) -> Any:
    return law.function(law.CONVERTED, "x, step, bound", library)


def resolution(size: float) -> float:
    """Step of a converter over its range; sizes above 1 are numbers of steps, as in aihwkit."""
    return 1 / size if size > 1 else size


def conversion_energy(name: str, size: float) -> Quantity:
    """Of one conversion with a resolution, in proportion to the number of levels.

    Parameters
    ----------
    name : {"dac", "adc"}
    size : float
        As for `resolution`, not 0; 2^b - 2 steps are b bits.
    """
    entry = read_table(CONVERTERS)[name]
    return sourced(name, entry).value * ((1 / resolution(size) + 2) / 2 ** entry["bits"])


def periphery_of(spread: Any, device: Memristor) -> Periphery:
    """From `mstpn.synapses.nonidealities.Nonidealities`."""
    seen = spread.half_select * device.pulse_voltage
    update, width = device.pulse_delta(seen, device.pulse_width), device.pulse_width
    return Periphery(
        inp_step=2 * spread.inp_bound * resolution(spread.inp_res),
        inp_bound=spread.inp_bound,
        out_step=2 * spread.out_bound * resolution(spread.out_res),
        out_bound=spread.out_bound,
        w_noise=spread.w_noise,
        disturb=float(update / device.delta_f_max),
        disturb_energy=float(device.pulse_energy_at(seen, width) / device.pulse_energy),
        offset=float(device.offset_conductance / device.weight_conductance),
        reference=bool(spread.w_noise or spread.out_res or float(spread.ir_drop_rs)),
    )
