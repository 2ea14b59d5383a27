"""Time of one network step at full size, in every form, on the same frames in one run.

    python tests/benchmarks/brian_step.py --json step.json

Every form has its own copy of the shipped agent's layer and sees the same features, those of
a game that the agent plays. They take turns in blocks of frames, so that ratios travel from
machine to machine while milliseconds do not. The memory floor is the time to copy as many
bytes as the event code reads and writes.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brian2 import BrianLogger, Network
from brian2.units import second
from torch import Tensor
from tqdm import tqdm

from mstpn.analysis.energy.recording import Recorder
from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.checkpoints import DEFAULT_CHECKPOINT
from mstpn.bridge.conversion import held_parameters, layer_parameters
from mstpn.bridge.pong import Pong
from mstpn.network.brian import LayerParameters, MSTPNNetwork
from mstpn.network.frames import STEP_DURATION
from mstpn.network.normalisation import NORM_FLOOR
from mstpn.network.twin.checkpoint import Checkpoint, load_checkpoint
from mstpn.synapses import st_hebb
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.brian_target import Target, use_target
from mstpn.synapses.write_limits import WriteLimits

BLOCK = 20
"""Frames of one form before the next has its turn."""
DOUBLES_READ, DOUBLES_WRITTEN = 9, 5
"""Of each visited synapse: F, lastupdate, tau, W, Gamma, F_in, E_unit, E_pulse, E_read, of which
F, lastupdate, F_in, E_pulse and E_read are written."""
DOUBLES_KEPT = 13
"""Arrays of a synapse in all, which decide what stays in the caches."""

Step = Callable[[np.ndarray], Any]


def numpy_recursion(p: LayerParameters) -> Step:
    """`h = tanh((W + F) z + b); F = Lambda F + Gamma h z^T`, no energies, buffers reused."""
    trace, total, h = np.zeros_like(p.weight), np.empty_like(p.weight), np.zeros(p.n_hidden)

    def step(x: np.ndarray) -> np.ndarray:
        z = np.concatenate([x, h])
        np.add(p.weight, trace, out=total)
        h[:] = np.tanh(total @ z + p.bias)
        np.multiply(trace, p.decay, out=trace)
        np.multiply(h[:, None], z, out=total)
        np.multiply(total, p.gamma, out=total)
        np.add(trace, total, out=trace)
        return h

    return step


def torch_eager(p: LayerParameters) -> Step:
    """STPN's layer as published, batch 1, float32: with the norm of W + F, without energies."""
    weight, decay, gamma, bias = (
        torch.tensor(a, dtype=torch.float32) for a in (p.weight, p.decay, p.gamma, p.bias)
    )
    state = {"h": torch.zeros(1, p.n_hidden), "trace": torch.zeros(1, *weight.shape)}

    @torch.inference_mode()
    def step(x: np.ndarray) -> Tensor:
        z = torch.cat([torch.tensor(x, dtype=torch.float32)[None], state["h"]], dim=1)
        total = weight + state["trace"]
        norm = total.norm(dim=2).clamp_min(NORM_FLOOR)
        h = torch.tanh(torch.einsum("bij,bj->bi", total, z) / norm + bias)
        update = gamma * torch.einsum("bi,bj->bij", h, z)
        state["trace"] = decay * (state["trace"] / norm[..., None]) + update
        state["h"] = h
        return h

    return step


def naive(network: MSTPNNetwork) -> Step:
    """`Network.run` of one time step per frame."""
    group, n = network.presynaptic, network.parameters.n_features

    def step(x: np.ndarray) -> np.ndarray:
        group.z_last = group.z[:]
        group.z = np.concatenate([x, network.neurons.h[:]])
        network.neurons.z_total = np.sum(group.z[:])
        network.net.run(network.clock.dt, namespace={})
        return network.neurons.h[:]

    network.step(np.zeros(n))
    return step


def dense(p: LayerParameters, device: Memristor) -> Step:
    """Every synapse integrated at every step: the clock-driven form."""
    network = MSTPNNetwork(p, device, STEP_DURATION)
    event_driven = network.synapses
    network.synapses = st_hebb.get_synapses(
        network.presynaptic,
        network.neurons,
        device,
        form="clock-driven",
        method="exponential_euler",
    )
    for name in ("W", "Gamma", "V_bias", "E_unit"):
        setattr(network.synapses, name, getattr(event_driven, name)[:])
    network.net = Network(network.presynaptic, network.neurons, network.synapses)
    return network.step


def recording(network: MSTPNNetwork, recorder: Recorder) -> Step:
    """A step whose frame is recorded for the ledger."""

    def step(x: np.ndarray) -> np.ndarray:
        h = network.step(x)
        recorder.record(network.z, h)
        return h

    return step


def memory_floor(visited: int, n_synapses: int) -> Callable[[], Any]:
    """Copy as many bytes as the event code moves for `visited` synapses."""
    n = visited * (DOUBLES_READ + DOUBLES_WRITTEN) // 2
    buffer = np.ones(max(DOUBLES_KEPT * n_synapses, 2 * n))
    offset = [0]

    def copy() -> None:
        start = offset[0] = (offset[0] + 2 * n) % (len(buffer) - 2 * n + 1)
        np.copyto(buffer[start : start + n], buffer[start + n : start + 2 * n])

    return copy


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


def visited(p: LayerParameters, features: np.ndarray) -> int:
    """Synapses that the event code visits per step: of inputs active now or in the last step."""
    active = features > 0
    n_features = (active[1:] | active[:-1]).sum(axis=1).mean()
    return int(n_features + p.n_hidden) * p.n_hidden


def forms(
    p: LayerParameters, device: Memristor, features: np.ndarray, recorder: Callable[..., Recorder]
) -> dict[str, Step]:
    """Every form, by name; those of Brian2 compiled for the target in their name."""

    def network(target: Target, limits: WriteLimits | None = p.limits) -> MSTPNNetwork:
        use_target(target)
        made = MSTPNNetwork(replace(p, limits=limits), device, STEP_DURATION)
        made.step(np.zeros(p.n_features))
        made.reset()
        return made

    recorded = network("cython")
    found: dict[str, Step] = {
        "Brian2": network("cython").step,
        "Brian2, ideal updates": network("cython", None).step,
        "Brian2, recorded": recording(recorded, recorder(**held_parameters(recorded))),
        "Brian2, NumPy target": network("numpy").step,
    }
    use_target("cython")
    copy = memory_floor(visited(p, features), p.weight.size)
    return found | {
        "Brian2, dense": dense(p, device),
        "Brian2, Network.run": naive(network("cython")),
        "NumPy recursion": numpy_recursion(p),
        "torch eager": torch_eager(p),
        "memory floor": lambda _x: copy(),
    }


def measure(steps: dict[str, Step], features: np.ndarray, n_naive: int) -> dict[str, np.ndarray]:
    """Seconds of every step of every form, (frames,) each, the first block left out."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for start in tqdm(range(0, len(features), BLOCK), disable=None):
        for name, step in steps.items():
            if name == "Brian2, Network.run" and start >= n_naive:
                continue
            for x in features[start : start + BLOCK]:
                started = time.perf_counter()
                step(x)
                seconds[name].append(time.perf_counter() - started)
    return {name: np.array(times[BLOCK:]) for name, times in seconds.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="One network step in every form.")
    parser.add_argument("--steps", type=int, default=400, help="frames, at least 60")
    parser.add_argument("--naive-steps", type=int, default=40, help="of Network.run per frame")
    parser.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    BrianLogger.suppress_name("unused_brian_object")  # synapses of the dense form's model
    use_target("cython")
    torch.set_num_threads(1)
    device, checkpoint = Memristor.from_file(), load_checkpoint(options.checkpoint)
    p = layer_parameters(checkpoint, device)
    features = game_features(checkpoint, device, options.steps)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))

        def recorder(**held: Any) -> Recorder:
            made = Recorder(folder / "game.nc", step_duration=STEP_DURATION, attributes={}, **held)
            return stack.enter_context(made)

        times = measure(forms(p, device, features, recorder), features, options.naive_steps)
    results: dict[str, Any] = {
        name: {
            "ms": 1e3 * float(np.median(seconds)),
            "ms_quartiles": [1e3 * float(q) for q in np.quantile(seconds, (0.25, 0.75))],
        }
        for name, seconds in times.items()
    }
    active = float((features > 0).mean())
    print(
        f"{p.weight.size:,} synapses, {active:.1%} of the features active, step "
        f"{STEP_DURATION / second:.4f} s; median ms, and Brian2's as a multiple of it"
    )
    for name, r in results.items():
        print(f"{name:>22}  {r['ms']:9.3f}  {results['Brian2']['ms'] / r['ms']:7.2f}")
    if options.json is not None:
        content = {"synapses": p.weight.size, "active_fraction": active, "forms": results}
        options.json.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
