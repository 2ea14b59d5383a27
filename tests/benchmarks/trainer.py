"""The whole trainer with the fused layer against the eager one, and where its time goes.

python tests/benchmarks/trainer.py --updates 3

Options that it does not know are those of the training.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from mstpn.bridge.training.options import parse_options
from mstpn.bridge.training.train import Trainer
from mstpn.network.twin.agent import FrontEnd
from mstpn.network.twin.fused import FusedStepper
from mstpn.network.twin.layer import STHebbLayer

PARTS = {
    "environment": ("environment",),
    "front-end": ("front-end", "autograd::engine::evaluate_function: ConvolutionBackward0"),
    "layer": ("layer", "autograd::engine::evaluate_function: FusedRecursionBackward"),
    "optimiser": ("Optimizer.step#Adam.step",),
}
"""Ranges of the profile that make up each part, forward and backward."""


def one_update(trainer: Trainer) -> None:
    """One rollout and its update."""
    trainer._update(trainer._collect())


def agent_steps_per_second(trainer: Trainer, updates: int) -> float:
    """Rate after one update to warm up."""
    one_update(trainer)
    started = time.perf_counter()
    for _ in range(updates):
        one_update(trainer)
    steps = trainer.options.n_envs * trainer.options.rollout_length
    return updates * steps / (time.perf_counter() - started)


def labelled(name: str, function: Any) -> Any:
    """`function`, shown under a name in the profile."""

    def call(*arguments: Any, **keywords: Any) -> Any:
        with record_function(name):
            return function(*arguments, **keywords)

    return call


def shares(trainer: Trainer) -> dict[str, float]:
    """Share of the time of one update in each part, by torch's profiler."""
    with (
        mock.patch.object(trainer, "_act", labelled("environment", trainer._act)),
        mock.patch.object(FrontEnd, "forward", labelled("front-end", FrontEnd.forward)),
        mock.patch.object(STHebbLayer, "spend", labelled("layer", STHebbLayer.spend)),
        mock.patch.object(FusedStepper, "step", labelled("layer", FusedStepper.step)),
        profile(activities=[ProfilerActivity.CPU]) as profiled,
    ):
        started = time.perf_counter()
        one_update(trainer)
        total = 1e6 * (time.perf_counter() - started)
    spent = {event.key: event.cpu_time_total for event in profiled.key_averages()}
    found = {
        part: sum(spent.get(name, 0.0) for name in names) / total for part, names in PARTS.items()
    }
    return found | {"rest": 1 - sum(found.values())}


def eager(self: STHebbLayer, *arguments: Any, **keywords: Any) -> Any:
    """The layer without its kernel."""
    return ORIGINAL(self, *arguments, **keywords | {"fused": False})


ORIGINAL = STHebbLayer.forward


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Trainer with fused against eager layer.")
    parser.add_argument("--updates", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="PATH")
    arguments, rest = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(parse_options([*rest, "--out", folder])[0])
        rates = {"fused": agent_steps_per_second(trainer, arguments.updates)}
        parts = shares(trainer)
        trainer.charges = None  # the kernel alone counts joules
        with (
            mock.patch.object(STHebbLayer, "forward", eager),
            mock.patch.object(STHebbLayer, "_has_kernel", False),
        ):
            rates["eager"] = agent_steps_per_second(trainer, 1)
    for name, rate in rates.items():
        print(f"{name}: {rate:6.1f} agent steps/s")
    print(f"fused / eager: {rates['fused'] / rates['eager']:.1f}")
    print(", ".join(f"{part} {100 * share:.0f} %" for part, share in parts.items()))
    print(f"{torch.get_num_threads()} threads")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"rates": rates, "shares": parts}, indent=1))


if __name__ == "__main__":
    main()
