"""The torch twin of the m-STPN network: conv front-end, m-STPN layer, two heads.

With ``z(t) = normalise([x(t); h(t-1)])`` and all of W, Lambda, Gamma per synapse::

    h(t)   = tanh((W + F(t)) z(t) + b)
    F(t+1) = Lambda * F(t) + Gamma * h(t) z(t)^T

Sizes and initial values of the layer follow the STPN agent of Rodriguez, Guo and Moraitis
(ICML 2022); the range of Lambda and the missing weight normalisation follow Weilenmann et
al. (Nature Communications 15, 2024). The normalisation `stpn` is the published layer of the
former instead: with n the Euclidean norm of each row of W + F, the sum and F are divided
by it, ``h = tanh((W + F) z / n + b)`` and ``F(t+1) = Lambda * F / n + Gamma * h z^T``.
"""

from dataclasses import astuple, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mstpn.network.normalisation import NORM_FLOOR, NORMALISATIONS, check_normalisation
from mstpn.synapses.write_limits import WriteLimits

__all__ = ["MSTPN", "FrontEnd", "STHebbLayer", "State", "TwinConfig"]


@dataclass(frozen=True)
class TwinConfig:
    """Sizes and limits of a network.

    Parameters
    ----------
    n_hidden : int
        Units of the m-STPN layer.
    n_actions : int
        Size of the action head.
    normalisation : {"none", "l2", "stpn"}
        What is done, digitally, to the presynaptic vector z: nothing, or division by its
        Euclidean norm. Or, in no crossbar, STPN's division by the norm of W + F.
    decay_min, decay_max : float
        Range of Lambda per network step, within [0, 1).
    limits : WriteLimits, optional
        None for ideal updates. Gradients pass limits straight through: they are those of the
        update that was wanted.
    """

    n_hidden: int
    n_actions: int
    normalisation: str
    decay_min: float
    decay_max: float
    limits: WriteLimits | None = None

    def __post_init__(self) -> None:
        check_normalisation(self.normalisation, (*NORMALISATIONS, "stpn"))
        if not 0 <= self.decay_min <= self.decay_max < 1:
            raise ValueError(
                "decay_min and decay_max must satisfy 0 <= decay_min <= decay_max < 1, "
                f"got {self.decay_min} and {self.decay_max}"
            )


class State(NamedTuple):
    """What the layer carries from one step to the next.

    Parameters
    ----------
    h : Tensor, (B, N)
        Output of the last step.
    trace : Tensor, (B, N, M)
        Short-term weights F.
    """

    h: Tensor
    trace: Tensor


class FrontEnd(nn.Module):
    """Two convolutions with ReLU on one 84 x 84 grey frame, flattened to 2592 features.

    The first convolution (8 x 8, stride 4) runs as a 2 x 2 one of stride 1 on 4 x 4
    blocks moved into channels: the same sums, and a backward pass 1.4 times as fast.
    """

    n_features = 2592

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 8, stride=4)
        self.conv2 = nn.Conv2d(16, 32, 4, stride=2)
        for conv in (self.conv1, self.conv2):
            nn.init.orthogonal_(conv.weight, 2**0.5)
            conv.bias.data.zero_()  # type: ignore[union-attr]

    def forward(self, frames: Tensor) -> Tensor:
        """Features in [0, inf).

        Parameters
        ----------
        frames : Tensor of uint8, (B, 84, 84)

        Returns
        -------
        Tensor, (B, 2592)
        """
        x = functional.pixel_unshuffle(frames.unsqueeze(1), 4).to(
            self.conv1.weight.dtype, memory_format=torch.channels_last
        )
        weight = functional.pixel_unshuffle(self.conv1.weight, 4)
        x = functional.relu(functional.conv2d(x / 255, weight, self.conv1.bias))
        return functional.relu(self.conv2(x)).flatten(1)


class STHebbLayer(nn.Module):
    """m-STPN layer; Lambda is bounded by a sigmoid so that every value is a device's.

    Parameters
    ----------
    n_in : int
        Features per step; the layer's own output is appended to them.
    config : TwinConfig
    """

    def __init__(self, n_in: int, config: TwinConfig) -> None:
        super().__init__()
        n_out = config.n_hidden
        n_pre = n_in + n_out
        self.config = config
        self.weight = nn.Parameter(nn.init.orthogonal_(torch.empty(n_out, n_pre)))
        self.decay_logit = nn.Parameter(torch.logit(torch.rand(n_out, n_pre), eps=1e-3))
        self.gamma = nn.Parameter(torch.empty(n_out, n_pre).uniform_(-0.001, 0.001))
        self.bias = nn.Parameter(torch.empty(n_out).uniform_(-1, 1) / n_out**0.5)

    @property
    def decay(self) -> Tensor:
        """Lambda per synapse and network step, (N, M)."""
        low, high = self.config.decay_min, self.config.decay_max
        return low + (high - low) * torch.sigmoid(self.decay_logit)

    def initial_state(self, n_batch: int) -> State:
        """Zero h and F."""
        n_out, n_pre = self.weight.shape
        return State(
            self.bias.new_zeros(n_batch, n_out), self.bias.new_zeros(n_batch, n_out, n_pre)
        )

    def forward(
        self, x: Tensor, state: State, keep: Tensor, *, fused: bool = False
    ) -> tuple[Tensor, State]:
        """Run a batch of sequences.

        Parameters
        ----------
        x : Tensor, (T, B, n_in)
        state : State
            h and F before the first step.
        keep : Tensor, (T, B)
            0 where a new game starts at that step (h and F are zeroed first), else 1.
        fused : bool
            Run fused: on the CPU as one kernel, which needs Numba; on a GPU each step
            compiled by torch. Else eager torch.

        Returns
        -------
        h : Tensor, (T, B, N)
        state : State
            After the last step.
        """
        if fused and not x.is_cuda:
            return self._run_kernel(x, state, keep)
        step = _compiled_step if fused else _step
        decay = self.decay
        outputs = []
        for x_t, keep_t in zip(x, keep, strict=True):
            state = step(x_t, keep_t, state, self.weight, decay, self.gamma, self.bias, self.config)
            outputs.append(state.h)
        return torch.stack(outputs), state

    @torch.no_grad()
    def limited_fractions(self, x: Tensor, state: State, keep: Tensor) -> dict[str, float]:
        """How often the limits bite in a batch of sequences.

        Parameters
        ----------
        x, state, keep
            As for `forward`.

        Returns
        -------
        dict of str to float
            `not_issued`, share of the updates other than 0 that are too small; `clipped`, share
            of the issued ones that are too large; `at_window`, share of the synapses whose
            W + F is at an end of its window after the last step. Empty without limits.
        """
        limits = self.config.limits
        if limits is None:
            return {}
        parameters = (self.weight, self.decay, self.gamma, self.bias, self.config)
        wanted = issued = clipped = 0
        for x_t, keep_t in zip(x, keep, strict=True):
            z = _presynaptic(x_t, state.h * keep_t[:, None], self.config)
            state = _step(x_t, keep_t, state, *parameters)
            size = (self.gamma * torch.einsum("bi,bj->bij", state.h, z)).abs()
            wanted += int((size > 0).sum())
            issued += int(((size > 0) & (size >= limits.delta_f_min)).sum())
            clipped += int((size > limits.delta_f_max).sum())
        total = self.weight + state.trace
        at_window = (total <= limits.total_min) | (total >= limits.total_max)
        return {
            "not_issued": 1 - issued / max(wanted, 1),
            "clipped": clipped / max(issued, 1),
            "at_window": float(at_window.float().mean()),
        }

    def _run_kernel(self, x: Tensor, state: State, keep: Tensor) -> tuple[Tensor, State]:
        from mstpn.network.fused import FusedRecursion
        from mstpn.network.kernel import MODES

        config = self.config
        h, trace = FusedRecursion.apply(
            x,
            *state,
            keep,
            self.weight,
            self.decay,
            self.gamma,
            self.bias,
            MODES[config.normalisation],
            astuple(config.limits) if config.limits else None,
        )
        return h, State(h[-1], trace)


def _presynaptic(x: Tensor, h: Tensor, config: TwinConfig) -> Tensor:
    z = torch.cat([x, h], dim=1)
    if config.normalisation == "l2":
        z = z / z.norm(dim=-1, keepdim=True).clamp_min(NORM_FLOOR)
    return z


def _step(
    x: Tensor,
    keep: Tensor,
    state: State,
    weight: Tensor,
    decay: Tensor,
    gamma: Tensor,
    bias: Tensor,
    config: TwinConfig,
) -> State:
    """One step of the recursion, eager."""
    h = state.h * keep[:, None]
    trace = state.trace * keep[:, None, None]
    z = _presynaptic(x, h, config)
    total = weight + trace
    current = torch.einsum("bij,bj->bi", total, z)
    if config.normalisation == "stpn":
        norm = total.norm(dim=-1).clamp_min(NORM_FLOOR)
        current, trace = current / norm, trace / norm[..., None]
    h = torch.tanh(current + bias)
    update = gamma * torch.einsum("bi,bj->bij", h, z)
    ideal = decay * trace + update
    if config.limits is None:
        return State(h, ideal)
    limits = config.limits
    with torch.no_grad():
        issued = torch.where(update.abs() < limits.delta_f_min, 0, update)
        issued = issued.clamp(-limits.delta_f_max, limits.delta_f_max)
        limited = (decay * trace + issued).clamp(
            limits.total_min - weight, limits.total_max - weight
        )
    return State(h, limited + (ideal - ideal.detach()))


_compiled_step: Any = torch.compile(_step)
"""Compiled when first used."""


class MSTPN(nn.Module):
    """Front-end, m-STPN layer, action head and value head.

    Parameters
    ----------
    config : TwinConfig
    """

    def __init__(self, config: TwinConfig) -> None:
        super().__init__()
        self.config = config
        self.front_end = FrontEnd()
        self.layer = STHebbLayer(FrontEnd.n_features, config)
        self.action_head = nn.Linear(config.n_hidden, config.n_actions)
        self.value_head = nn.Linear(config.n_hidden, 1)
        nn.init.orthogonal_(self.action_head.weight, 0.01)
        nn.init.zeros_(self.action_head.bias)

    def heads(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Action logits (..., A) and values (...)."""
        return self.action_head(h), self.value_head(h).squeeze(-1)
