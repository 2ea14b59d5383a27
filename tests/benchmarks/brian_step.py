"""Time of one Brian2 step at full size, all energies on, beside the plain NumPy recursion.

    python tests/benchmarks/brian_step.py --json step.json

Both run in this one process on the same inputs, in turns, so their ratio travels from
machine to machine while the milliseconds do not. The recursion is
`h = tanh((W + F) z + b); F = Lambda F + Gamma h z^T` with its buffers reused, and counts no
energy. Random features are active at the rates given; `game` replays a game of the shipped
checkpoint.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brian2.units import second

from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.checkpoints import DEFAULT_CHECKPOINT
from mstpn.bridge.conversion import layer_parameters
from mstpn.bridge.play import STEP_DURATION
from mstpn.bridge.pong import Pong
from mstpn.network.brian import LayerParameters, MSTPNNetwork
from mstpn.network.checkpoint import Checkpoint, load_checkpoint
from mstpn.network.codegen import use_target
from mstpn.synapses.memristor import Memristor


class NumpyRecursion:
    """The plain recursion, every product into a buffer that is kept."""

    def __init__(self, p: LayerParameters) -> None:
        self.p = p
        self.trace = np.zeros_like(p.weight)
        self.total = np.empty_like(p.weight)
        self.h = np.zeros(p.n_hidden)

    def step(self, x: np.ndarray) -> None:
        """One network step."""
        z = np.concatenate([x, self.h])
        np.add(self.p.weight, self.trace, out=self.total)
        self.h = np.tanh(self.total @ z + self.p.bias)
        np.multiply(self.trace, self.p.decay, out=self.trace)
        np.multiply(self.h[:, None], z, out=self.total)
        np.multiply(self.total, self.p.gamma, out=self.total)
        np.add(self.trace, self.total, out=self.trace)


def game_features(checkpoint: Checkpoint, device: Memristor, n: int) -> np.ndarray:
    """Features of a game that the agent plays."""
    agent, pong = BrianAgent(checkpoint, device, STEP_DURATION), Pong()
    front_end = checkpoint.twin(torch.float64).front_end
    observation, features = pong.reset(1000), []
    for _ in range(n):
        with torch.inference_mode():
            features.append(front_end(torch.from_numpy(observation)[None])[0].numpy())
        observation, _, done = pong.step(agent.step(observation))
        if done:
            observation = pong.reset(1001)
    return np.array(features)


def random_features(active: float, n: int, n_features: int) -> np.ndarray:
    """Independent positive features, a share of them active."""
    rng = np.random.default_rng(0)
    shape = (n, n_features)
    return 0.05 * rng.exponential(size=shape) * (rng.random(shape) < active)


def measure(p: LayerParameters, device: Memristor, features: np.ndarray) -> dict[str, float]:
    """Median milliseconds of both and the ratio of the medians."""
    network, recursion = MSTPNNetwork(p, device, STEP_DURATION), NumpyRecursion(p)
    seconds = np.empty((len(features), 2))
    for k, x in enumerate(features):
        started = time.perf_counter()
        network.step(x)
        between = time.perf_counter()
        recursion.step(x)
        seconds[k] = between - started, time.perf_counter() - between
    assert float(np.abs(network.neurons.h[:] - recursion.h).max()) < 1e-9
    brian, plain = 1e3 * np.median(seconds[20:], axis=0)
    return {
        "active_fraction": float((features > 0).mean()),
        "brian2_ms": float(brian),
        "numpy_ms": float(plain),
        "ratio": float(brian / plain),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Brian2 step against the NumPy recursion.")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--active", type=float, nargs="*", default=[0.0, 0.05, 0.15, 0.3])
    parser.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    target = use_target("auto")
    torch.set_num_threads(1)
    device, checkpoint = Memristor.from_file(), load_checkpoint(options.checkpoint)
    p = layer_parameters(checkpoint, device)
    inputs = {"game": game_features(checkpoint, device, options.steps)}
    for active in options.active:
        inputs[f"random {active:g}"] = random_features(active, options.steps, p.n_features)
    print(
        f"{p.weight.size:,} synapses, Brian2 target {target}, step {STEP_DURATION / second:.4f} s"
    )
    print(f"{'input':>12}  {'active':>6}  {'Brian2 (ms)':>11}  {'NumPy (ms)':>10}  {'ratio':>5}")
    results: dict[str, Any] = {}
    for name, features in inputs.items():
        r = results[name] = measure(p, device, features)
        print(
            f"{name:>12}  {r['active_fraction']:6.3f}  {r['brian2_ms']:11.3f}"
            f"  {r['numpy_ms']:10.3f}  {r['ratio']:5.2f}"
        )
    if options.json is not None:
        options.json.write_text(json.dumps({"target": target, "inputs": results}, indent=1))


if __name__ == "__main__":
    main()
