"""Associative retrieval on the Brian2 network, answer by answer, beside its torch twin."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from brian2.units import Quantity, joule
from numpy.typing import NDArray
from torch import Tensor

from mstpn.bridge.conversion import layer_parameters
from mstpn.network.brian import MSTPNNetwork
from mstpn.network.checkpoint import Checkpoint
from mstpn.network.retrieval import Associator
from mstpn.synapses.memristor import Memristor

__all__ = ["Retrieval", "answer_sequences", "forgetful", "short_term_weights"]


@dataclass(frozen=True)
class Retrieval:
    """What the Brian2 network answered, and its twin.

    Parameters
    ----------
    answers, twin_answers : ndarray of int, (n,)
    max_abs_difference : float
        Of h, over all units, steps and sequences.
    energy : dict of str to Quantity, joule
        `pulse`, `bias`, `read`, each (n,): energy of every answer.
    n_synapses : int
    share_too_large : float
        Of the updates other than 0, those above the device's largest pulse's. They are issued
        all the same unless the network has limits, their energy by the same power law.
    share_outside_window : float
        Of the synapses after the answer, those whose W + F no conductance in the device's
        window stands for; none if the network has limits.
    """

    answers: NDArray[np.int64]
    twin_answers: NDArray[np.int64]
    max_abs_difference: float
    energy: dict[str, Quantity]
    n_synapses: int
    share_too_large: float
    share_outside_window: float


def forgetful(device: Memristor) -> Memristor:
    """A device with a voltage at which F is gone after one step (Lambda < 2e-22).

    No voltage in the published range does that: it is for comparing networks with
    Lambda = 0, and its bias energies mean nothing.
    """
    voltage = device.decay_half_voltage - 50 * device.decay_slope_voltage
    return replace(device, decay_min=0.0, bias_voltage_min=voltage)


@torch.no_grad()
def answer_sequences(
    checkpoint: Checkpoint,
    device: Memristor,
    symbols: Tensor,
    step_duration: Quantity,
    on_answer: Callable[[], object] = lambda: None,
) -> Retrieval:
    """Answer every sequence on memristors, from F = 0 and h = 0, in float64.

    The pulses of the last step, which no answer needs, are not issued.

    Parameters
    ----------
    checkpoint : Checkpoint
        Of an `Associator`.
    device : Memristor
    symbols : Tensor of int64, (T, n)
    step_duration : Quantity, second
        Simulated time of one symbol.
    on_answer : callable
        Called after every answer.
    """
    net = _twin(checkpoint)
    logits, twin_h = net(symbols)
    network = MSTPNNetwork(layer_parameters(checkpoint, device), device, step_duration)
    gamma = network.parameters.gamma
    answers, spent, outside, difference, sizes = [], [], [], 0.0, [0, 0]
    for k in range(symbols.shape[1]):
        network.reset()
        h, z = _read(network, net.embedding(symbols[:, k]).numpy())
        answers.append(int(net.head(torch.from_numpy(h[-1])).argmax()))
        difference = max(difference, float(np.abs(h - twin_h[:, k].numpy()).max()))
        spent.append(network.energy())
        updates = np.abs(gamma * h[:-1, :, None] * z[:-1, None, :])
        sizes[0] += int((updates > device.delta_f_max).sum())
        sizes[1] += int((updates > 0).sum())
        total = network.synapses.W[:] + network.synapses.F_now[:]
        outside.append(np.mean((total < device.weight_min) | (total > device.weight_max)))
        on_answer()
    return Retrieval(
        np.array(answers),
        logits.argmax(1).numpy(),
        difference,
        {term: np.array([float(e[term] / joule) for e in spent]) * joule for term in spent[0]},
        len(network.synapses),
        sizes[0] / max(sizes[1], 1),
        float(np.mean(outside)),
    )


def _read(
    network: MSTPNNetwork, features: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Step through a sequence: h (T, N) and z (T, M)."""
    steps = [(network.step(x), network.z.copy()) for x in features]
    h, z = (np.array(column) for column in zip(*steps, strict=True))
    return h, z


@torch.no_grad()
def short_term_weights(
    checkpoint: Checkpoint, sequence: Tensor
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """F that each step of one sequence is read with, (T, N, M), and h, (T, N); of the twin.

    Parameters
    ----------
    checkpoint : Checkpoint
    sequence : Tensor of int64, (T,)
    """
    net = _twin(checkpoint)
    state = net.layer.initial_state(1)
    traces, h = [], []
    for x in net.embedding(sequence):
        traces.append(state.trace[0].numpy())
        _, state = net.layer(x[None, None], state, x.new_ones(1, 1))
        h.append(state.h[0].numpy())
    return np.array(traces), np.array(h)


def _twin(checkpoint: Checkpoint) -> Associator:
    return checkpoint.fill(Associator.described_by(checkpoint.metadata), torch.float64)
