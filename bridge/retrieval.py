"""Associative retrieval on the Brian2 network, answer by answer, beside its torch twin."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from brian2.units import Quantity, joule
from numpy.typing import NDArray
from torch import Tensor

from mstpn.bridge.conversion import layer_parameters
from mstpn.network.brian import MSTPNNetwork
from mstpn.network.retrieval.associator import Associator
from mstpn.network.twin.checkpoint import Checkpoint
from mstpn.synapses import law
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
    voltage = law.function(law.BIAS_VOLTAGE, "Lambda, V_half, V_slope")(
        1e-22, device.decay_half_voltage, device.decay_slope_voltage
    )
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
    network = MSTPNNetwork(
        layer_parameters(checkpoint, device, step_duration), device, step_duration
    )
    answers = []
    for sequence in symbols.T:
        answers.append(_answer(network, net, sequence))
        on_answer()
    h = np.array([one.h for one in answers])
    return Retrieval(
        np.array([one.answer for one in answers]),
        logits.argmax(1).numpy(),
        float(np.abs(h - twin_h.transpose(0, 1).numpy()).max()),
        {
            term: np.array([float(one.energy[term] / joule) for one in answers]) * joule
            for term in answers[0].energy
        },
        len(network.synapses),
        float(np.mean([one.share_too_large for one in answers])),
        float(np.mean([one.share_outside_window for one in answers])),
    )


class _Answer(NamedTuple):
    """Of one sequence; h is (T, N)."""

    answer: int
    h: NDArray[np.float64]
    energy: dict[str, Quantity]
    share_too_large: float
    share_outside_window: float


def _answer(network: MSTPNNetwork, net: Associator, sequence: Tensor) -> _Answer:
    network.reset()
    features = net.embedding(sequence).numpy()
    h, z = map(np.array, zip(*((network.step(x), network.z.copy()) for x in features), strict=True))
    updates = np.abs(network.parameters.gamma * h[:-1, :, None] * z[:-1, None, :])
    total = network.synapses.W[:] + network.synapses.F_now[:]
    low, high = network.device.weight_min, network.device.weight_max
    return _Answer(
        int(net.head(torch.from_numpy(h[-1])).argmax()),
        h,
        network.energy(),
        float(np.mean(updates[updates > 0] > network.device.delta_f_max)),
        float(np.mean((total < low) | (total > high))),
    )


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
    short_term, h = [], []
    for x in net.embedding(sequence):
        short_term.append(state.short_term[0].numpy())
        _, state = net.layer(x[None, None], state, x.new_ones(1, 1))
        h.append(state.h[0].numpy())
    return np.array(short_term), np.array(h)


def _twin(checkpoint: Checkpoint) -> Associator:
    return checkpoint.fill(Associator.described_by(checkpoint.metadata), torch.float64)
