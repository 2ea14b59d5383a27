"""What a crossbar that is not ideal does to one step of the twin, in torch."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from mstpn.synapses import law
from mstpn.synapses.periphery import Periphery
from mstpn.synapses.write_limits import WriteLimits

__all__ = ["Crossbar", "acts", "pulse_of", "windowed"]


class Crossbar(NamedTuple):
    """What acts on a step beside its devices: see `mstpn.synapses.periphery`.

    Parameters
    ----------
    periphery : Periphery
    read_gain : Tensor, (N, M), optional
    reference_gain : Tensor, (M,), optional
    normal : Tensor, (B, N + 1), optional
        Noise of the reads of this step, as `CycleNoise.of_reads`.
    """

    periphery: Periphery
    read_gain: Tensor | None
    reference_gain: Tensor | None
    normal: Tensor | None

    def presynaptic(self, z: Tensor) -> Tensor:
        """As the rows get it; gradients pass straight through where a row is driven at all."""
        seen = self.periphery.presynaptic(z).detach()
        return seen + (z - z.detach()) * (seen != 0)

    def read(self, total: Tensor, z: Tensor) -> Tensor:
        """Current over V_read kappa of devices of W + F, (B, N)."""
        p = self.periphery
        conductance = p.offset + total
        if self.read_gain is not None:
            conductance = self.read_gain * conductance
        seen = z if self.reference_gain is None else self.reference_gain * z
        current = torch.einsum("bij,bj->bi", conductance, z)
        reference = p.offset * seen.sum(-1, keepdim=True)
        if self.normal is not None:
            with torch.no_grad():
                squares = torch.einsum("bij,bj->bi", conductance.square(), z.square())
                of_columns = squares.sqrt() * self.normal[:, :-1]
                of_reference = p.offset * seen.norm(dim=-1, keepdim=True) * self.normal[:, -1:]
            current = current + p.w_noise * of_columns
            reference = reference + p.w_noise * of_reference
        u = current - reference
        return p.output(u).detach() + (u - u.detach())

    def disturbed(
        self, short_term: Tensor, update: Tensor, gain: Tensor, limits: WriteLimits, weight: Tensor
    ) -> Tensor:
        """F after the pulses of the other rows, of which `update` is what was wanted."""
        selected = pulse_of(update, None, None, limits)
        others = selected.sum(-1, keepdim=True) - selected
        pulse = self.periphery.disturb * gain * others
        return windowed(short_term, pulse, limits.total_min, limits.total_max, weight)


def acts(periphery: Periphery) -> bool:
    """Whether anything of it does."""
    p = periphery
    return bool(p.reference or p.inp_step or p.disturb)


def pulse_of(
    wanted: Tensor, gain: Tensor | None, relative: Tensor | None, limits: WriteLimits
) -> Tensor:
    """What a device makes of a wanted update."""
    of_device: Any = 1.0 if gain is None else gain
    of_pulse: Any = 1.0 if relative is None else relative.to(wanted.dtype)
    return _issued(wanted, limits.delta_f_min, limits.delta_f_max, of_device * of_pulse)


_issued = law.function(law.ISSUE, "wanted, dF_min, dF_max, pulse_gain", "torch")
windowed = law.function(law.WINDOW, "F, pulse, S_min, S_max, W", "torch")
