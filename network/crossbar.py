"""The crossbar of a layer that is not ideal: its devices, its lines and what its outputs become.

Resistance of the lines acts by two gains per synapse. They follow from the sparse solution of the
crossbar's network, `mstpn.synapses.wires`, at the programmed W and stay while F changes:

- a read: with F = 0 the gain is that of the full solution for any inputs, since the network is
  linear in them. F moves the conductances, and with them what the lines take; that is left out. On
  four frames of a game of Pong with the shipped agent the output is off by 1.4e-3 of a weight
  times an input at 1 ohm a cell, where the lines change it by up to 0.26, and by 8.6e-3 of 1.9 at
  10 ohm (`tests/benchmarks/wires.py`);
- the bias voltage held: that at each device with F = 0, of rows or columns that are driven with
  the lines' voltages; off by 0.9 uV at 1 ohm. What the drivers deliver is charged.

Pulses are not attenuated: a row of devices of 12 nS draws so little that a pulse of 3.5 V loses
some 0.2 mV at 1 ohm a cell. Unselected devices that see half of it draw more, up to 74 mV at the
far end of a column of 2656, which is left out. The reference column takes part in
reads alone and floats otherwise.
"""

from typing import Any

import numpy as np
from brian2 import Equations
from brian2.units import Quantity, joule, siemens, volt
from numpy.typing import NDArray

from mstpn.synapses import law
from mstpn.synapses.equations import NOISY, SELECTED
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import CYCLE_NOISE, Deviations, Nonidealities, cycle_noise
from mstpn.synapses.periphery import Periphery, conversion_energy
from mstpn.synapses.wires import Wires

__all__ = ["Reference", "devices_of", "held_voltage", "output_code", "output_equations"]

Array = NDArray[np.float64]

SIGNAL = "(I - V_read*G_offset*z_total)/(V_read*kappa)"
"""Read current less that of the offset conductance, in units of a weight times an input."""
NOISE = "I += w_noise*sqrt(I_square)*cycle_noise(read_key, t_in_timesteps, N_synapses + i)"
"""Of the reads, as `mstpn.synapses.periphery` has it; its place is behind those of the pulses."""
CONVERTED = law.put(law.CONVERTED, x="u", step="out_step", bound="out_bound")


def output_equations(periphery: Periphery) -> Equations:
    """What neurons need beside `mstpn.network.brian.NEURON`."""
    equations = Equations("""
        E_periphery : joule (shared)                        # converters and reference column
        read_key : integer (shared)                         # seed of the noise of this game
    """)
    if periphery.w_noise:
        equations += NOISY
    return equations + SELECTED if periphery.disturb else equations


def output_code(periphery: Periphery) -> str:
    """What becomes of the read currents, in place of `mstpn.network.brian.TANH`."""
    lines = [NOISE] if periphery.w_noise else []
    lines += [f"u = {SIGNAL}"]
    lines += [f"h = tanh({CONVERTED if periphery.out_step else 'u'} + b)", "I = 0*amp"]
    if periphery.w_noise:
        lines += ["I_square = 0*amp**2"]
    if periphery.disturb:
        lines += ["dF_column = 0", "E_column = 0*joule"]
    return "\n".join(lines)


def output_constants(periphery: Periphery, n_synapses: int) -> dict[str, Any]:
    """Namespace of `output_code`."""
    names = ("w_noise", "out_step", "out_bound")
    of_periphery = {name: getattr(periphery, name) for name in names}
    return of_periphery | {"N_synapses": n_synapses, "cycle_noise": CYCLE_NOISE}


class Reference:
    """Reads the reference column, and counts what the periphery spends.

    Parameters
    ----------
    spread : Nonidealities
    deviations : Deviations
        Of the devices.
    device : Memristor
    n_pre, n_out : int
    """

    def __init__(
        self,
        spread: Nonidealities,
        deviations: Deviations,
        device: Memristor,
        n_pre: int,
        n_out: int,
    ) -> None:
        periphery = spread.periphery(device)
        gain = deviations.reference_gain
        self._gain: Array | None = gain
        self._noise, self._place = periphery.w_noise, n_pre * n_out + n_out
        dac, adc = (
            float(conversion_energy(name, size) / joule) if size else 0.0
            for name, size in (("dac", spread.inp_res), ("adc", spread.out_res))
        )
        read = device.read_voltage**2 * device.offset_conductance * device.read_duration
        self._per_input, self._per_step = dac, adc * n_out
        self._per_read = float(read / joule) if periphery.reference else 0.0

    @property
    def is_there(self) -> bool:
        """Whether converters or a reference column are, which spend."""
        return self._per_input + self._per_step + self._per_read > 0

    def z_total(self, z: Array, key: int, step: int) -> float:
        """Sum of the inputs as the reference column has it."""
        seen = z if self._gain is None else self._gain * z
        total = float(seen.sum())
        if self._noise:
            noise = cycle_noise(key, step, self._place)
            total += self._noise * float(np.sqrt(seen @ seen)) * noise
        return total

    def spent(self, z: Array) -> float:
        """Joules of a step."""
        read = np.abs(z).sum() if self._gain is None else self._gain @ np.abs(z)
        events = np.count_nonzero(z)
        return float(self._per_input * events + self._per_step + self._per_read * read)


def devices_of(
    spread: Nonidealities,
    weight: Array,
    decay: Array,
    device: Memristor,
    step_duration: Quantity,
) -> Deviations:
    """Devices of a layer, and what the resistance of its lines makes of them.

    Parameters
    ----------
    spread : Nonidealities
    weight, decay : ndarray, (N, M)
        As programmed.
    device : Memristor
    step_duration : Quantity, second

    Returns
    -------
    Deviations
        Arrays of (M, N).

    Raises
    ------
    ValueError
        If lines have a resistance and synapses of no line share their voltages.
    """
    drawn = spread.draw(weight.T.shape, device, step_duration)
    if not spread.ir_drop_rs:
        return drawn
    cells = device.conductance(drawn.weight(weight.T))
    reference = np.full((len(cells), 1), float(device.offset_conductance / siemens))
    with_reference = np.hstack([np.asarray(cells / siemens), reference]) * siemens
    gain = Wires(with_reference, spread.ir_drop_rs).read_gain()
    line = device.bias_voltage(decay.T, step_duration)
    sag = np.asarray((line - held_voltage(line, cells, device, spread.ir_drop_rs)) / volt)
    return drawn._replace(
        sag=sag,
        reduced_shift=drawn.reduced_shift + sag / float(device.decay_slope_voltage / volt),
        read_gain=gain[:, :-1].copy(),
        reference_gain=gain[:, -1].copy(),
    )


def held_voltage(
    line_voltage: Quantity, conductance: Quantity, device: Memristor, resistance: Quantity
) -> Quantity:
    """Bias voltage at every device of lines with a resistance, (M, N).

    Parameters
    ----------
    line_voltage : Quantity, volt, (M, N)
        At the end of each synapse's line: the same along each row, which is driven then, or along
        each column.
    conductance : Quantity, siemens, (M, N)
    device : Memristor
    resistance : Quantity, ohm

    Raises
    ------
    ValueError
        If neither is the case.
    """
    line = np.asarray(line_voltage / volt)
    rows, columns = np.zeros(line.shape[0]), np.zeros(line.shape[1])
    if (line == line[:, :1]).all():
        rows = line[:, 0]
    elif (line == line[:1]).all():
        columns = -line[0]
    else:
        raise ValueError(
            "ir_drop_rs needs bias voltages of rows or of columns, not one per synapse: a crossbar "
            "has no other lines"
        )
    held = Wires(conductance, resistance).across(rows * volt, columns * volt)
    return np.clip(held, device.bias_voltage_min, device.bias_voltage_max)
