"""The layer of one step in torch, batch 1 and float32, with and without the device's limits.

Eager or compiled, each is a function of the frame that keeps h and F.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from brian2.units import amp, joule, second, siemens, volt
from torch import Tensor

from mstpn.network.brian import LayerParameters
from mstpn.network.frames import STEP_DURATION
from mstpn.network.normalisation import NORM_FLOOR
from mstpn.synapses.memristor import Memristor

__all__ = ["as_published", "energies_counted", "stepped", "within_limits"]

Layer = Callable[..., tuple[Tensor, ...]]
"""From the frame and the state to the next state, of which h is the first."""


def _tensors(*arrays: Any) -> list[Tensor]:
    return [torch.tensor(a, dtype=torch.float32) for a in arrays]


def as_published(p: LayerParameters) -> tuple[Layer, list[Tensor]]:
    """STPN's layer, with the norm of W + F, and its state."""
    weight, decay, gamma, bias = _tensors(p.weight, p.decay, p.gamma, p.bias)

    def layer(x: Tensor, h: Tensor, trace: Tensor) -> tuple[Tensor, ...]:
        z = torch.cat([x[None], h], dim=1)
        total = weight + trace
        norm = total.norm(dim=2).clamp_min(NORM_FLOOR)
        h = torch.tanh(torch.einsum("bij,bj->bi", total, z) / norm + bias)
        update = gamma * torch.einsum("bi,bj->bij", h, z)
        return h, decay * (trace / norm[..., None]) + update

    return layer, [torch.zeros(1, p.n_hidden), torch.zeros(1, *p.weight.shape)]


def within_limits(p: LayerParameters) -> tuple[Layer, list[Tensor]]:
    """The m-STPN layer within the device's limits, without energies, and its state."""
    weight, decay, gamma, bias = _tensors(p.weight, p.decay, p.gamma, p.bias)
    limits = _limits(p)
    low, high = limits.total_min - weight, limits.total_max - weight

    def layer(x: Tensor, h: Tensor, trace: Tensor) -> tuple[Tensor, ...]:
        z = torch.cat([x, h])
        h = torch.tanh((weight + trace) @ z + bias)
        wanted = gamma * torch.outer(h, z)
        issued = wanted.abs() >= limits.delta_f_min
        pulse = issued * wanted.clamp(-limits.delta_f_max, limits.delta_f_max)
        return h, torch.clamp(decay * trace + pulse, low, high)

    return layer, [torch.zeros(p.n_hidden), torch.zeros(p.weight.shape)]


def energies_counted(p: LayerParameters, device: Memristor) -> tuple[Layer, list[Tensor]]:
    """`within_limits` with pulse, bias and read energy of every synapse, in pJ, and its state."""
    weight, decay, gamma, bias = _tensors(p.weight, p.decay, p.gamma, p.bias)
    limits, exponent = _limits(p), device.energy_exponent
    low, high = limits.total_min - weight, limits.total_max - weight
    voltage = device.bias_voltage(p.decay)
    offset, slope = (
        float(g / siemens) for g in (device.offset_conductance, device.weight_conductance)
    )
    read = 1e12 * float(
        device.read_voltage**2 * device.read_duration / (volt * amp * second) * siemens
    )
    of_unit = np.asarray(device.pulse_energy_for(np.abs(p.gamma)) / joule) * 1e12
    most = 1e12 * float(device.pulse_energy_for(limits.delta_f_max) / joule)
    power = 1e12 * np.asarray(voltage / volt) ** 2
    held = power * (offset + slope * p.weight) * float(STEP_DURATION / second)
    span = float(STEP_DURATION / second) * (1 - p.decay) / -np.log(p.decay)
    unit, fixed, of_trace = _tensors(of_unit, held, power * slope * span)
    conductance = offset + slope * weight

    def layer(
        x: Tensor, h: Tensor, trace: Tensor, pulses: Tensor, biases: Tensor, reads: Tensor
    ) -> tuple[Tensor, ...]:
        z = torch.cat([x, h])
        h = torch.tanh((weight + trace) @ z + bias)
        reads = reads + read * (conductance + slope * trace) * z.abs()
        wanted = gamma * torch.outer(h, z)
        issued = wanted.abs() >= limits.delta_f_min
        pulse = issued * wanted.clamp(-limits.delta_f_max, limits.delta_f_max)
        size = torch.outer(h.abs() ** exponent, z.abs() ** exponent)
        pulses = pulses + issued * (unit * size).clamp_max(most)
        biases = biases + fixed + of_trace * trace
        return h, torch.clamp(decay * trace + pulse, low, high), pulses, biases, reads

    return layer, [torch.zeros(p.n_hidden), *(torch.zeros(p.weight.shape) for _ in range(4))]


def stepped(layer: Layer, state: list[Tensor]) -> Callable[[np.ndarray], Tensor]:
    """A function of the frame alone."""
    held = list(state)

    @torch.inference_mode()
    def step(x: np.ndarray) -> Tensor:
        held[:] = layer(torch.tensor(x, dtype=torch.float32), *held)
        return held[0]

    return step


def _limits(p: LayerParameters) -> Any:
    if p.limits is None:
        raise ValueError("the agent has no limits to compare with")
    return p.limits
