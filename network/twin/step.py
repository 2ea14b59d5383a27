"""One step of the m-STPN recursion in eager torch, and what it carries on to the next."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from mstpn.network.normalisation import NORM_FLOOR
from mstpn.network.twin.config import TwinConfig
from mstpn.network.twin.crossbar import Crossbar, pulse_of, windowed
from mstpn.synapses.nonidealities import Deviations
from mstpn.synapses.write_limits import WriteLimits

__all__ = ["UNLIMITED", "State", "compiled_step", "presynaptic", "slow_step", "step_of"]

UNLIMITED = WriteLimits()
"""Limits of a device that issues every update."""


class State(NamedTuple):
    """What the layer carries from one step to the next.

    Parameters
    ----------
    h : Tensor, (B, N)
        Output of the last step.
    short_term : Tensor, (B, N, M)
        Short-term weights F; (B, 2, N, M), fast and slow part, on devices whose F decays with
        two exponentials.
    """

    h: Tensor
    short_term: Tensor

    def of(self, which: Tensor | slice) -> "State":
        """That of some of the games; F stays as it lies in memory."""
        short_term = self.short_term.transpose(-2, -1)[which].transpose(-2, -1)
        return State(self.h[which], short_term)

    @property
    def in_all(self) -> Tensor:
        """F, both parts together, (B, N, M)."""
        return self.short_term if self.short_term.ndim == 3 else self.short_term.sum(1)


def presynaptic(
    x: Tensor, h: Tensor, config: TwinConfig, crossbar: Crossbar | None = None
) -> Tensor:
    """Z = [x; h], or x alone, normalised if the layer does so, as the rows get it."""
    z = torch.cat([x, h], dim=1) if config.feedback else x
    if config.normalisation == "l2":
        z = z / z.norm(dim=-1, keepdim=True).clamp_min(NORM_FLOOR)
    return z if crossbar is None else crossbar.presynaptic(z)


def step_of(
    x: Tensor,
    keep: Tensor,
    state: State,
    weight: Tensor,
    decay: Tensor,
    gamma: Tensor,
    bias: Tensor,
    config: TwinConfig,
    gain: Tensor | None,
    relative: Tensor | None,
    crossbar: Crossbar | None = None,
) -> State:
    """One step of the recursion, eager."""
    h = state.h * keep[:, None]
    short_term = state.short_term * keep[:, None, None]
    z = presynaptic(x, h, config, crossbar)
    total = weight + short_term
    current = _read(total, z, crossbar)
    if config.normalisation == "stpn":
        norm = total.norm(dim=-1).clamp_min(NORM_FLOOR)
        current, short_term = current / norm, short_term / norm[..., None]
    h = torch.tanh(current + bias)
    limits = config.limits or UNLIMITED
    update = _wanted(h, z, gamma, config.limits)
    ideal = decay * short_term + (update if gain is None else gain * update)
    disturbed = crossbar is not None and crossbar.periphery.disturb > 0
    if config.limits is None and relative is None and not disturbed:
        return State(h, ideal)
    with torch.no_grad():
        pulse = pulse_of(update, gain, relative, limits)
        limited = windowed(decay * short_term, pulse, limits.total_min, limits.total_max, weight)
        if crossbar is not None and gain is not None and disturbed:
            limited = crossbar.disturbed(limited, update, gain, limits, weight)
    return State(h, limited + (ideal - ideal.detach()))


def _read(total: Tensor, z: Tensor, crossbar: Crossbar | None) -> Tensor:
    if crossbar is not None:
        return crossbar.read(total, z)
    return torch.einsum("bij,bj->bi", total, z)


def _wanted(h: Tensor, z: Tensor, gamma: Tensor, limits: WriteLimits | None) -> Tensor:
    """Gamma h z^T, whose gradient reaches h and z only where the limits let the update vary.

    Where they do not, F does not follow h and z, and an adjoint that did would grow without
    bound while the recursion is stable. Gamma gets its gradient everywhere, so that it can grow
    until its pulses are issued.
    """
    outer = torch.einsum("bi,bj->bij", h, z)
    if limits is None:
        return gamma * outer
    size = (gamma * outer).abs()
    varies = (size >= limits.delta_f_min) & (size <= limits.delta_f_max)
    return gamma * torch.where(varies, outer, outer.detach())


def slow_step(
    deviations: Deviations,
    x: Tensor,
    keep: Tensor,
    state: State,
    weight: Tensor,
    decay: Tensor,
    gamma: Tensor,
    bias: Tensor,
    config: TwinConfig,
    gain: Tensor,
    relative: Tensor | None,
    crossbar: Crossbar | None = None,
) -> State:
    """One step of the recursion where F decays with two exponentials; see `WRITE_SLOW`."""
    z = presynaptic(x, state.h * keep[:, None], config, crossbar)
    fast, slow = (state.short_term * keep[:, None, None, None]).unbind(1)
    h = torch.tanh(_read(weight + fast + slow, z, crossbar) + bias)
    update = _wanted(h, z, gamma, config.limits)
    share, slow_decay = deviations.slow_fraction, deviations.slow_decay(decay)
    moved = gain * update
    ideal = torch.stack(
        [decay * fast + (1 - share) * moved, slow_decay * slow + share * moved], dim=1
    )
    limits = config.limits or UNLIMITED
    with torch.no_grad():
        pulse = pulse_of(update, gain, relative, limits)
        window = limits.total_min, limits.total_max
        slow = windowed(slow_decay * slow, share * pulse, *window, weight)
        fast = windowed(decay * fast, (1 - share) * pulse, *window, weight + slow)
    return State(h, torch.stack([fast, slow], dim=1) + (ideal - ideal.detach()))


compiled_step: Any = torch.compile(step_of)
"""Compiled when first used."""
