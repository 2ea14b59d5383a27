"""An agent with one of its parts taken away, shuffled, or put back to its start.

Each ablation makes another checkpoint of one, which plays like any: a claim about a part is
worth what the agent loses without it. Their names are options of programs, so this module loads
nothing heavy before one is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mstpn.network.wiring import line_values, per_synapse

if TYPE_CHECKING:
    from brian2.units import Quantity

    from mstpn.network.twin.checkpoint import Checkpoint
    from mstpn.synapses.memristor import Memristor

__all__ = ["ABLATIONS", "ablated", "held_at"]

Array = NDArray[np.float32]


def held_at(checkpoint: Checkpoint, device: Memristor, bias_voltage: Quantity) -> Checkpoint:
    """The agent with one voltage on all synapses: F decays as it does under that voltage.

    Raises
    ------
    ValueError
        If the device has no such voltage.
    """
    from mstpn.network.frames import STEP_DURATION

    return _one_decay(checkpoint, device, float(device.decay(bias_voltage, STEP_DURATION)))


def _as_it_is(checkpoint: Checkpoint, _device: Memristor, _seed: int) -> Checkpoint:
    return checkpoint


def _no_short_term_memory(checkpoint: Checkpoint, _device: Memristor, _seed: int) -> Checkpoint:
    return _with(checkpoint, gamma=np.zeros_like(checkpoint.tensors["layer.gamma"]))


def _shortest_memory(checkpoint: Checkpoint, device: Memristor, _seed: int) -> Checkpoint:
    return _one_decay(checkpoint, device, _decay_range(device)[0])


def _longest_memory(checkpoint: Checkpoint, device: Memristor, _seed: int) -> Checkpoint:
    return _one_decay(checkpoint, device, _decay_range(device)[1])


def _shuffled(checkpoint: Checkpoint, _device: Memristor, seed: int) -> Checkpoint:
    """The same values of Lambda on other lines, or exchanged where there are two."""
    config, decay = checkpoint.config, checkpoint.tensors["layer.decay"]
    lines = line_values(config.bias_lines, decay, checkpoint.n_features)
    if lines.size == 1:
        raise ValueError("shuffled: one bias line has no other to exchange its Lambda with")
    order = np.random.default_rng(seed).permutation(lines.size)
    if lines.size == 2:
        order = np.array([1, 0])
    return _with_lines(checkpoint, lines.ravel()[order].reshape(lines.shape))


def _initial(checkpoint: Checkpoint, _device: Memristor, _seed: int) -> Checkpoint:
    """Lambda as it was when the training began."""
    training = checkpoint.metadata.get("training", {})
    start = training.get("initial_lines")
    if start is None:
        while training.get("initial"):
            training = training["initial"]
        if "options" not in training:
            raise ValueError("initial: the checkpoint does not say what its training began with")
        import torch

        from mstpn.network.twin.agent import MSTPN

        torch.manual_seed(training["options"]["seed"])
        start = MSTPN(checkpoint.config).layer.decay_lines.detach().numpy()
    return _with_lines(checkpoint, np.asarray(start, np.float32))


def _no_feedback(checkpoint: Checkpoint, _device: Memristor, _seed: int) -> Checkpoint:
    if not checkpoint.config.feedback:
        raise ValueError("no feedback: h is not fed back as it is")
    from mstpn.network.twin.checkpoint import without_feedback

    return without_feedback(checkpoint)


def _ideal_updates(checkpoint: Checkpoint, _device: Memristor, _seed: int) -> Checkpoint:
    return replace(checkpoint, config=replace(checkpoint.config, limits=None))


def _device_limits(checkpoint: Checkpoint, device: Memristor, _seed: int) -> Checkpoint:
    return replace(checkpoint, config=replace(checkpoint.config, limits=device.write_limits()))


ABLATIONS: dict[str, Callable[[Checkpoint, Memristor, int], Checkpoint]] = {
    "as it is": _as_it_is,
    "Gamma = 0": _no_short_term_memory,
    "smallest Lambda": _shortest_memory,
    "largest Lambda": _longest_memory,
    "shuffled Lambda": _shuffled,
    "initial Lambda": _initial,
    "no feedback of h": _no_feedback,
    "ideal updates": _ideal_updates,
    "device limits": _device_limits,
}
"""By name, from checkpoint, device and seed to another checkpoint; ValueError where one has
nothing to take away."""


def ablated(name: str, checkpoint: Checkpoint, device: Memristor, seed: int) -> Checkpoint:
    """The agent with one part less.

    Parameters
    ----------
    name : str
        One of `ABLATIONS`.
    checkpoint : Checkpoint
    device : Memristor
    seed : int
        Of what is shuffled.

    Raises
    ------
    ValueError
        If there is no such ablation, or nothing to take away.
    """
    if name not in ABLATIONS:
        raise ValueError(f"ablation must be one of {', '.join(ABLATIONS)}, got {name!r}")
    return ABLATIONS[name](checkpoint, device, seed)


def _decay_range(device: Memristor) -> tuple[float, float]:
    from mstpn.network.frames import STEP_DURATION

    return device.decay_range(STEP_DURATION)


def _with(checkpoint: Checkpoint, **layer: Array) -> Checkpoint:
    tensors = {f"layer.{name}": value.astype(np.float32) for name, value in layer.items()}
    return replace(checkpoint, tensors=checkpoint.tensors | tensors)


def _one_decay(checkpoint: Checkpoint, device: Memristor, decay: float) -> Checkpoint:
    config = replace(checkpoint.config, bias_lines="array")
    nearest = np.float32(decay)
    low, high = _decay_range(device)
    if not low <= nearest <= high:  # rounded out of what the device reaches
        nearest = np.nextafter(nearest, np.float32((low + high) / 2))
    everywhere = np.full_like(checkpoint.tensors["layer.decay"], nearest)
    return replace(_with(checkpoint, decay=everywhere), config=config)


def _with_lines(checkpoint: Checkpoint, lines: Array) -> Checkpoint:
    shape = checkpoint.tensors["layer.decay"].shape
    values = np.asarray(lines, np.float32)
    decay = per_synapse(checkpoint.config.bias_lines, values, shape, checkpoint.n_features)
    return _with(checkpoint, decay=decay.copy())
