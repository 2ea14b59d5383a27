"""What the lines, devices and converters of an array carry while a recorded game is played.

In a read all active rows are at plus or minus the read voltage at once, for |z| read durations
each, and the columns at ground. So with S = W + F, all at the moment a read begins::

    row i        V_read sum_j G_ij                     column j     V_read |sum_i sign(z_i) G_ij|
    u_j          sum_i z_i S_ij

Between the reads every device is at its bias voltage V_ij; the line of row i then carries
sum_j V_ij G_ij, that of column j sum_i V_ij G_ij. Pulses are those that the device's limits leave,
as `mstpn.analysis.energy.integration` has them: at exponent 0 its sum of |dF|^p is their number.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from brian2.units import Quantity, amp, second, siemens, volt, watt
from numpy.typing import NDArray

from mstpn.analysis.energy.energies import bias_energy
from mstpn.analysis.energy.integration import Integration
from mstpn.analysis.energy.policies import trained
from mstpn.analysis.energy.recording import Recording
from mstpn.synapses.memristor import Memristor

__all__ = ["Traffic", "together", "traffic"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Traffic:
    """Of one game or of several.

    Parameters
    ----------
    n_games, n_frames : int
    duration : Quantity, second
    pulses : ndarray of float, (M, N)
        Number of pulses on each device; those of the last frame are never issued.
    pulses_frame : float
        Most pulses of one frame.
    read_row, read_column, read_row_mean, read_column_mean : Quantity, amp
        Current of a line when a read begins, at worst and in the mean of the rows that are read
        and of all columns.
    bias_row, bias_column : Quantity, amp
        Most current of a line between the reads.
    bias_power, bias_power_mean : Quantity, watt
        Of all devices between the reads, at worst, as a frame begins, and in the mean.
    z_least, z_most : float
    u_most : float
        Largest |u|.
    column_update : float
        Largest |sum of dF| over a column in one frame.
    """

    n_games: int
    n_frames: int
    duration: Quantity
    pulses: Array
    pulses_frame: float
    read_row: Quantity
    read_column: Quantity
    read_row_mean: Quantity
    read_column_mean: Quantity
    bias_row: Quantity
    bias_column: Quantity
    bias_power: Quantity
    bias_power_mean: Quantity
    z_least: float
    z_most: float
    u_most: float
    column_update: float

    @property
    def z_reach(self) -> float:
        """Largest |z|."""
        return max(self.z_most, -self.z_least)


def traffic(
    recording: Recording, device: Memristor, progress: Callable[[], Any] = lambda: None
) -> Traffic:
    """Of one game, with the agent's own voltages held.

    Parameters
    ----------
    recording : Recording
    device : Memristor
    progress : callable
        Called after every frame.
    """
    least = recording.limits.smallest_issued
    issued = recording.replace(limits=replace(recording.limits, delta_f_min=least))
    voltage = trained(recording, device).bias_voltage
    integration, most = Integration(issued, 0.0), _Most(device, np.asarray(voltage / volt))
    added = np.zeros(recording.weight.shape[1])
    for t in range(recording.n_frames):
        sums = integration.advance(t + 1)
        z = recording.dense(recording.event_z, t, t + 1)[:, 0]
        now = sums.added.sum(0)
        most.observe(z, recording.weight + sums.short_term, now - added)
        added = now
        progress()
    sums = integration.sums()
    _, _, pulses = integration.frame_sums()
    spent = np.sum(bias_energy(sums, recording, device, voltage))
    v_read = device.read_voltage
    return Traffic(
        n_games=1,
        n_frames=recording.n_frames,
        duration=recording.duration,
        pulses=sums.pulses.copy(),
        pulses_frame=float(pulses.max()),
        read_row=most.row * siemens * v_read,
        read_column=most.column * siemens * v_read,
        read_row_mean=most.row_sum / max(most.n_rows, 1) * siemens * v_read,
        read_column_mean=most.column_sum / recording.h.size * siemens * v_read,
        bias_row=most.bias_row * amp,
        bias_column=most.bias_column * amp,
        bias_power=most.power * watt,
        bias_power_mean=spent / recording.duration,
        z_least=most.z_least,
        z_most=most.z_most,
        u_most=most.u,
        column_update=most.update,
    )


class _Most:
    """The largest of what the frames of a game bring, and what means are made of."""

    def __init__(self, device: Memristor, voltage: Array) -> None:
        self._offset = float(device.offset_conductance / siemens)
        self._kappa = float(device.weight_conductance / siemens)
        self._voltage = voltage
        self.row = self.column = self.row_sum = self.column_sum = 0.0
        self.bias_row = self.bias_column = self.power = self.u = self.update = 0.0
        self.z_least = self.z_most = 0.0
        self.n_rows = 0

    def observe(self, z: Array, total: Array, update: Array) -> None:
        """Take a frame: z, (M,), W + F, (M, N), and the sum of dF over each column, (N,)."""
        conductance = self._offset + self._kappa * total
        active = np.flatnonzero(z)
        rows = conductance[active].sum(1)
        columns = np.abs(np.sign(z[active]) @ conductance[active])
        self.n_rows += len(active)
        self.row_sum, self.column_sum = self.row_sum + rows.sum(), self.column_sum + columns.sum()
        held = self._voltage * conductance
        self.row, self.column = max(self.row, rows.max(initial=0)), max(self.column, columns.max())
        self.bias_row = max(self.bias_row, held.sum(1).max())
        self.bias_column = max(self.bias_column, held.sum(0).max())
        self.power = max(self.power, float(np.vdot(held, self._voltage)))
        self.z_least, self.z_most = min(self.z_least, z.min()), max(self.z_most, z.max())
        self.u = max(self.u, np.abs(z[active] @ total[active]).max())
        self.update = max(self.update, np.abs(update).max())


_LARGEST = (
    *("pulses_frame", "read_row", "read_column", "bias_row", "bias_column", "bias_power"),
    *("z_most", "u_most", "column_update"),
)
_SUMMED = ("n_games", "n_frames", "duration", "pulses")
_MEANS = ("read_row_mean", "read_column_mean", "bias_power_mean")


def together(games: Sequence[Traffic]) -> Traffic:
    """Of several games of one array: the worst of them, means by time, and sums."""
    found = {name: max(getattr(g, name) for g in games) for name in _LARGEST}
    for name in _SUMMED:
        total = getattr(games[0], name)
        for game in games[1:]:
            total = total + getattr(game, name)
        found[name] = total
    for name in _MEANS:
        parts = [getattr(g, name) * float(g.duration / second) for g in games]
        found[name] = sum(parts[1:], parts[0]) / float(found["duration"] / second)
    return Traffic(**found, z_least=min(g.z_least for g in games))
