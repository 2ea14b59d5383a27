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

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from mstpn.network.twin.config import INITIAL_GAMMA, TwinConfig
from mstpn.network.twin.crossbar import Crossbar, acts
from mstpn.network.twin.step import (
    UNLIMITED,
    State,
    compiled_step,
    presynaptic,
    slow_step,
    step_of,
)
from mstpn.network.wiring import lines_of, per_row_and_column
from mstpn.synapses.joules import Charges, mean_share
from mstpn.synapses.nonidealities import NOISE_UNIT, SMALLEST_DECAY, Deviations, noise_level
from mstpn.synapses.periphery import Periphery

if TYPE_CHECKING:
    from mstpn.network.twin.kernel import Pulses

__all__ = [
    "CycleNoise",
    "STHebbLayer",
    "Spent",
    "State",
    "Stepper",
    "TwinConfig",
]


class CycleNoise(NamedTuple):
    """Noise of dF from pulse to pulse, and seeds of that of the reads.

    Parameters
    ----------
    std : float
        Relative standard deviation of dF.
    keys : Tensor of int64, (B,)
        Seed of each sequence's noise.
    step : Tensor of int64, ()
        Number of the first step.
    """

    std: float
    keys: Tensor
    step: Tensor

    def relative(self, t: int, n_out: int, n_pre: int) -> Tensor:
        """What dF of step `t` is multiplied by, (B, N, M)."""
        device = self.keys.device
        synapse = torch.arange(n_pre, device=device) * n_out
        synapse = synapse + torch.arange(n_out, device=device)[:, None]
        level = noise_level(self.keys[:, None, None], self.step + t, synapse)
        return (1 + self.std * (level.double() * NOISE_UNIT)).clamp_min(0)

    def of_reads(self, t: int, n_out: int, n_pre: int) -> Tensor:
        """Standard normal noise of the outputs and the reference column at step `t`, (B, N + 1)."""
        place = n_pre * n_out + torch.arange(n_out + 1, device=self.keys.device)
        return noise_level(self.keys[:, None], self.step + t, place).double() * NOISE_UNIT


class Spent(NamedTuple):
    """What the synapses of a layer spent.

    Parameters
    ----------
    joules : dict of str to Tensor, ()
        `pulse`, `bias` and `read`, in the mean of a step.
    rows : Tensor, (T, B)
        Presynaptic units with a pulse to any of their synapses; without gradient.
    """

    joules: dict[str, Tensor]
    rows: Tensor


class STHebbLayer(nn.Module):
    """m-STPN layer; Lambda is bounded by a sigmoid so that every value is a device's.

    Parameters
    ----------
    n_in : int
        Features per step; the layer's own output is appended to them.
    config : TwinConfig

    Attributes
    ----------
    deviations : Deviations or None
        Of the devices, arrays of (N, M); see `put_on`.
    periphery : Periphery or None
        What stands around them.
    """

    deviations: Deviations | None = None
    periphery: Periphery | None = None

    def __init__(self, n_in: int, config: TwinConfig) -> None:
        super().__init__()
        n_out = config.n_hidden
        n_pre = n_in + n_out * config.feedback
        self.config, self.n_in = config, n_in
        self.weight = nn.Parameter(nn.init.orthogonal_(torch.empty(n_out, n_pre)))
        lines = lines_of(config.bias_lines, (n_out, n_pre), n_in)
        self.decay_logit = nn.Parameter(torch.logit(torch.rand(lines), eps=1e-3))
        self.gamma = nn.Parameter(torch.empty(n_out, n_pre).uniform_(-INITIAL_GAMMA, INITIAL_GAMMA))
        self.bias = nn.Parameter(torch.empty(n_out).uniform_(-1, 1) / n_out**0.5)

    @property
    def decay(self) -> Tensor:
        """Lambda per synapse and network step, (N, M)."""
        return self._broadcast_decay.expand(self.weight.shape)

    @property
    def _broadcast_decay(self) -> Tensor:
        shape = self.weight.shape
        return per_row_and_column(self.config.bias_lines, self.decay_lines, shape, self.n_in)

    @property
    def decay_lines(self) -> Tensor:
        """Lambda per bias line, as `mstpn.network.wiring.lines_of` shapes them."""
        low, high = self.config.decay_min, self.config.decay_max
        return low + (high - low) * torch.sigmoid(self.decay_logit)

    @torch.no_grad()
    def learned(self) -> dict[str, Tensor]:
        """W, Lambda (of the lines) and Gamma as they are now, copies."""
        values = {"weight": self.weight, "decay": self.decay_lines, "gamma": self.gamma}
        return {name: value.detach().clone() for name, value in values.items()}

    def moved(self, start: Mapping[str, Tensor]) -> dict[str, float]:
        """Root mean square of how far each is from what `learned` was at the start."""
        return {
            f"{name}_moved": float((value - start[name]).square().mean().sqrt())
            for name, value in self.learned().items()
        }

    def initial_state(self, n_batch: int) -> State:
        """Zero h and F, for the devices that the layer is on."""
        n_out, n_pre = self.weight.shape
        parts = (2,) if self._is_slow else ()
        return State(
            self.bias.new_zeros(n_batch, n_out), self.bias.new_zeros(n_batch, *parts, n_out, n_pre)
        )

    @property
    def _is_slow(self) -> bool:
        return self.deviations is not None and self.deviations.slow_fraction > 0

    def put_on(self, deviations: Deviations | None, periphery: Periphery | None = None) -> None:
        """Run on other devices from now on; the parameters are what is programmed.

        Gradients go through the deviations to the parameters.

        Parameters
        ----------
        deviations : Deviations or None
            Arrays of (M, N), in the order of the Brian2 network's synapses; None for ideal
            devices.
        periphery : Periphery, optional
            What stands around them.

        Raises
        ------
        ValueError
            If F is to decay with two exponentials, or a periphery to be there, in a layer that
            divides F by a norm.
        """
        if periphery is not None and not acts(periphery):
            periphery = None
        if periphery is not None and self.config.normalisation == "stpn":
            raise ValueError("a periphery needs a crossbar, which the normalisation stpn has not")
        if deviations is not None:
            if deviations.slow_fraction > 0 and self.config.normalisation == "stpn":
                raise ValueError("slow_fraction must be 0 with the normalisation stpn")
            like = self.weight
            deviations = Deviations._make(
                torch.as_tensor(v.T.copy(), dtype=like.dtype, device=like.device)
                if isinstance(v, np.ndarray)
                else v
                for v in deviations
            )
        self.deviations, self.periphery = deviations, periphery

    def forward(
        self,
        x: Tensor,
        state: State,
        keep: Tensor,
        *,
        fused: bool = False,
        noise: CycleNoise | None = None,
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
            Run fused: on the CPU as one kernel, which needs Numba; on a GPU, and with the
            normalisation stpn, each step compiled by torch. Else eager torch. The kernel leaves
            the gradient of inputs that are 0 at 0, which is right behind a ReLU.
        noise : CycleNoise, optional
            Of every update, and of the reads; gradients are those without it.

        Returns
        -------
        h : Tensor, (T, B, N)
        state : State
            After the last step.

        Raises
        ------
        ValueError
            If F decays with two exponentials and `fused` is asked for, or the state is of other
            devices.
        """
        if self._is_slow and fused:
            raise ValueError("fused must be False with slow_fraction: the kernel has one F")
        if state.short_term.ndim != 3 + self._is_slow:
            raise ValueError("state must be of the devices that the layer is on")
        if fused and self._has_kernel:
            h, short_term, *_ = self._recursion(x, state, keep, noise)
            return h, State(h[-1], short_term)
        step: Any = compiled_step if fused else step_of
        parameters = (*self._on_devices, self.gamma, self.bias, self.config, self._gain)
        if self.deviations is not None and self._is_slow:
            step = partial(slow_step, self.deviations)
        outputs = []
        for t, (x_t, keep_t) in enumerate(zip(x, keep, strict=True)):
            relative = noise.relative(t, *self.weight.shape) if noise and noise.std else None
            state = step(x_t, keep_t, state, *parameters, relative, self._crossbar(noise, t))
            outputs.append(state.h)
        return torch.stack(outputs), state

    def _crossbar(self, noise: CycleNoise | None, t: int) -> Crossbar | None:
        d, periphery = self.deviations, self.periphery
        if d is None or periphery is None:
            return None
        normal = None
        if periphery.w_noise and noise is not None:
            normal = noise.of_reads(t, *self.weight.shape).to(self.weight.dtype)
        return Crossbar(periphery, d.read_gain, d.reference_gain, normal)

    @property
    def _gain(self) -> Tensor | None:
        return self.deviations.update_gain if self.deviations is not None else None

    @torch.no_grad()
    def limited_fractions(
        self, x: Tensor, state: State, keep: Tensor, noise: CycleNoise | None = None
    ) -> dict[str, float]:
        """How often the limits bite in a batch of sequences.

        Parameters
        ----------
        x, state, keep, noise
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
        wanted = issued = clipped = 0
        for t in range(len(x)):
            now = slice(t, t + 1)
            z = presynaptic(x[t], state.h * keep[t][:, None], self.config, self._crossbar(noise, t))
            at_step = noise._replace(step=noise.step + t) if noise is not None else None
            _, state = self(x[now], state, keep[now], noise=at_step)
            size = (self.gamma * torch.einsum("bi,bj->bij", state.h, z)).abs()
            wanted += int((size > 0).sum())
            issued += int(((size > 0) & (size >= limits.delta_f_min)).sum())
            clipped += int((size > limits.delta_f_max).sum())
        total = self._on_devices[0] + state.in_all
        at_window = (total <= limits.total_min) | (total >= limits.total_max)
        return {
            "not_issued": 1 - issued / max(wanted, 1),
            "clipped": clipped / max(issued, 1),
            "at_window": float(at_window.float().mean()),
        }

    def spend(
        self,
        x: Tensor,
        state: State,
        keep: Tensor,
        charges: Charges,
        noise: CycleNoise | None = None,
    ) -> tuple[Tensor, State, Spent]:
        """Run a batch of sequences, and count the joules of its synapses.

        Parameters
        ----------
        x, state, keep, noise
            As for `forward`, on the CPU.
        charges : Charges
            `Charges.bare`.
        """
        voltage = self._broadcast_voltage(charges)
        weight, decay = self._on_devices
        decay = decay.clamp_min(SMALLEST_DECAY)
        held = voltage**2 * mean_share(decay, torch.log)
        h, short_term, pulse, read, held_sum, rows = self._recursion(
            x, state, keep, noise, charges, held
        )
        n_steps = pulse.numel()
        terms = {
            "pulse": charges.pulse(pulse.mean()),
            "bias": charges.standing(voltage, weight).sum()
            + charges.held(held_sum.sum() / n_steps),
            "read": charges.read(charges.kappa * read.mean()),
        }
        return h, State(h[-1], short_term), Spent(terms, rows)

    def bias_voltage(self, charges: Charges) -> Tensor:
        """Voltage held on every synapse, in volt, (N, M)."""
        return self._broadcast_voltage(charges).expand(self.weight.shape)

    def _broadcast_voltage(self, charges: Charges) -> Tensor:
        voltage = charges.bias_voltage(self._broadcast_decay.clamp_min(SMALLEST_DECAY), "torch")
        return voltage.clamp(charges.voltage_min, charges.voltage_max)

    def stepper(self, state: State, noise: CycleNoise | None = None) -> "Stepper":
        """Play on from a state, step by step and without gradients.

        Parameters
        ----------
        state : State
        noise : CycleNoise, optional
            Of every update.
        """
        if not self._has_kernel:
            return _EagerStepper(self, state, noise)
        from mstpn.network.twin.fused import FusedStepper, layer_arrays

        weight, decay = self._on_devices
        pulses = self._pulses(noise, len(state.h), None)
        layer = layer_arrays(
            *(weight, decay, self.gamma, torch.zeros_like(weight), self.bias, self._kernel_gain),
            exponent=pulses.exponent,
        )
        return FusedStepper(layer, self.config.normalisation == "l2", pulses, *state)

    @property
    def _has_kernel(self) -> bool:
        on_cpu = self.weight.device.type == "cpu"
        d, p, how = self.deviations, self.periphery, self.config.normalisation
        wired = d is not None and d.read_gain is not None
        beyond = p is not None and (p.disturb > 0 or (p.inp_step > 0 and how == "l2"))
        return on_cpu and how != "stpn" and not (self._is_slow or wired or beyond)

    @property
    def _on_devices(self) -> tuple[Tensor, Tensor]:
        """W and Lambda of the devices."""
        d = self.deviations
        if d is None:
            return self.weight, self.decay
        return d.weight(self.weight), d.decay(self._broadcast_decay)

    @property
    def _kernel_gain(self) -> Tensor:
        return self._gain if self._gain is not None else torch.ones_like(self.weight)

    def _pulses(self, noise: CycleNoise | None, n_batch: int, charges: Charges | None) -> "Pulses":
        from mstpn.network.twin.kernel import Pulses

        zero = torch.zeros(n_batch, dtype=torch.int64)
        std, keys, step = noise or CycleNoise(0.0, zero, torch.tensor(0))
        around = {"offset": charges.offset / charges.kappa if charges is not None else 0.0}
        if (p := self.periphery) is not None:
            names = ("offset", "inp_step", "inp_bound", "out_step", "out_bound", "w_noise")
            around = {name: getattr(p, name) for name in names}
            around["w_noise"] *= noise is not None
        return Pulses(
            **asdict(self.config.limits or UNLIMITED),
            exponent=charges.exponent if charges is not None else 1.0,
            std=std,
            keys=keys.numpy(),
            shift=int(step),
            **around,
        )

    def _recursion(
        self,
        x: Tensor,
        state: State,
        keep: Tensor,
        noise: CycleNoise | None,
        charges: Charges | None = None,
        held: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        from mstpn.network.twin.fused import FusedRecursion

        weight, decay = self._on_devices
        charged = held is not None
        return FusedRecursion.apply(
            *(x, *state, keep, weight, decay, self.gamma),
            *(held if charged else torch.zeros_like(weight), self.bias, self._kernel_gain),
            *(self.config.normalisation == "l2", self._pulses(noise, len(state.h), charges)),
            charged,
        )


class Stepper(Protocol):
    """Plays a batch of games step by step."""

    def step(self, x: Tensor, keep: Tensor) -> Tensor:
        """Play one step.

        Parameters
        ----------
        x : Tensor, (B, n_in)
        keep : Tensor, (B,)
            0 where a new game starts, else 1.

        Returns
        -------
        Tensor, (B, N)
            h.
        """

    def state(self) -> tuple[Tensor, Tensor]:
        """H and F now; the stepper is not to be used any more."""


class _EagerStepper:
    def __init__(self, layer: STHebbLayer, state: State, noise: CycleNoise | None) -> None:
        self._layer, self._state, self._noise = layer, state, noise

    @torch.no_grad()
    def step(self, x: Tensor, keep: Tensor) -> Tensor:
        fused = not self._layer._is_slow
        h, self._state = self._layer(
            x[None], self._state, keep[None], fused=fused, noise=self._noise
        )
        if self._noise is not None:
            self._noise = self._noise._replace(step=self._noise.step + 1)
        return h[0]

    def state(self) -> tuple[Tensor, Tensor]:
        return self._state
