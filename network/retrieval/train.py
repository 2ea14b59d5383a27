"""Train an associator on sequences that are never shown twice.

Adam with a learning rate that falls linearly to 0, on the cross-entropy of the answers. W
is kept inside the device's conductance window by clamping after every update, Lambda by
the layer's parametrisation. The best network by the loss on sequences kept apart for that
is on disk at any time.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from mstpn.network.retrieval.associator import Associator
from mstpn.network.retrieval.task import RetrievalOptions
from mstpn.network.twin.checkpoint import save_checkpoint
from mstpn.network.twin.memory import keep_freed_memory
from mstpn.network.twin.optimiser import adam

__all__ = ["CHECK_EVERY", "RetrievalPoint", "accuracy", "draw_sequences", "train"]

CHECK_EVERY = 50
"""Updates between looks at the sequences kept apart."""

_PURPOSES = ("training", "validation", "test")
_N_VALIDATION = 500
_WEIGHT_BOUND = 1.0
"""Largest |W|: well inside the device's conductance window, as in the training on Pong."""


@dataclass(frozen=True)
class RetrievalPoint:
    """One row of the learning curve.

    Parameters
    ----------
    decay_min, decay_max : float
    step : int
        Updates.
    cpu_seconds : float
        CPU time of the training so far.
    loss, accuracy : float
        On the validation sequences.
    """

    decay_min: float
    decay_max: float
    step: int
    cpu_seconds: float
    loss: float
    accuracy: float


def sequence_generator(seed: int, purpose: str) -> torch.Generator:
    """Of the sequences for `training`, `validation` or `test`."""
    return torch.Generator().manual_seed(len(_PURPOSES) * seed + _PURPOSES.index(purpose))


def draw_sequences(options: RetrievalOptions, n: int, purpose: str) -> tuple[Tensor, Tensor]:
    """The first `n` sequences of a purpose; see `Task.sequences`."""
    return options.task.sequences(n, sequence_generator(options.seed, purpose))


@torch.no_grad()
def accuracy(net: Associator, symbols: Tensor, answers: Tensor) -> tuple[float, float]:
    """Cross-entropy and share of right answers."""
    logits, _ = net(symbols, fused=True)
    right = (logits.argmax(1) == answers).double().mean()
    return float(functional.cross_entropy(logits, answers)), float(right)


def train(
    options: RetrievalOptions,
    path: Path,
    command: str,
    on_update: Callable[[RetrievalPoint | None], None] = lambda _point: None,
) -> list[RetrievalPoint]:
    """Train from random parameters; an interrupt (Ctrl-C) ends it early with the best kept.

    Parameters
    ----------
    options : RetrievalOptions
    path : Path
        The checkpoint of the best so far.
    command : str
        For the checkpoint: what made it.
    on_update : callable
        Called after every update, with a new point of the curve if there is one.

    Returns
    -------
    list of RetrievalPoint
        The learning curve.
    """
    keep_freed_memory()
    torch.manual_seed(options.seed)
    net = Associator(options)
    optimiser = adam(net, options.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda k: 1 - k / options.steps)
    generator = sequence_generator(options.seed, "training")
    kept_apart = draw_sequences(options, _N_VALIDATION, "validation")
    start = net.layer.learned()
    curve: list[RetrievalPoint] = []
    started = time.process_time()
    try:
        for step in range(1, options.steps + 1):
            symbols, answers = options.task.sequences(options.batch, generator)
            loss = functional.cross_entropy(net(symbols, fused=True)[0], answers)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), options.gradient_clip)
            optimiser.step()
            schedule.step()
            with torch.no_grad():
                net.layer.weight.clamp_(-_WEIGHT_BOUND, _WEIGHT_BOUND)
            if step % CHECK_EVERY and step < options.steps:
                on_update(None)
                continue
            seconds = round(time.process_time() - started, 1)
            validation = (round(value, 5) for value in accuracy(net, *kept_apart))
            point = RetrievalPoint(options.decay_min, options.decay_max, step, seconds, *validation)
            if all(point.loss < earlier.loss for earlier in curve):
                training = {"command": command, "options": asdict(options)} | asdict(point)
                training |= net.layer.moved(start)
                save_checkpoint(net, path, training)
            curve.append(point)
            on_update(point)
    except KeyboardInterrupt:
        if not curve:
            raise
    return curve
