"""Time of one network step at full size, in every form, on the same frames in one run.

    python tests/benchmarks/brian_step.py --json step.json

Every form has its own copy of the shipped agent's layer and sees the same features, those of
a game that the agent plays. They take turns in blocks of frames, so that ratios travel from
machine to machine while milliseconds do not; a ratio is the median over frames of two forms at
the same frame. The memory floor is the time to copy as many bytes as the event code reads and
writes at that frame.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brian2 import BrianLogger, Network, NetworkOperation, prefs
from brian2.units import second
from torch_step import as_published, energies_counted, stepped, within_limits
from tqdm import tqdm

from mstpn.analysis.energy.recording import Recorder
from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.checkpoints import DEFAULT_CHECKPOINT
from mstpn.bridge.conversion import held_parameters, layer_parameters
from mstpn.bridge.pong import N_ACTIONS, Pong
from mstpn.network.brian import LayerParameters, MSTPNNetwork
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import Checkpoint, load_checkpoint
from mstpn.synapses import st_hebb
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.brian_target import Target, use_target
from mstpn.synapses.write_limits import WriteLimits

BLOCK = 20
"""Frames of one form before the next has its turn."""
DOUBLES = 13
"""Of each visited synapse: F, decay, W, Gamma, F_in, E_unit, E_pulse and E_read are read, F, F_in,
E_pulse, E_read and lastupdate are written."""
DOUBLES_BEFORE = 14
"""The same where F decays by an exponential: tau for decay, and lastupdate is read too."""
DOUBLES_KEPT = 15
"""Arrays of a synapse in all, which decide what stays in the caches."""

Step = Callable[[np.ndarray], Any]
Block = Callable[[np.ndarray], list[float]]
"""From some frames to the seconds that each took."""


def timed(step: Step) -> Block:
    """Frame by frame."""

    def block(frames: np.ndarray) -> list[float]:
        seconds = []
        for x in frames:
            started = time.perf_counter()
            step(x)
            seconds.append(time.perf_counter() - started)
        return seconds

    return block


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


def one_run(network: MSTPNNetwork) -> Block:
    """Brian2's own closed loop: one `run`, in which an operation presents each frame."""
    z, z_last = (network.presynaptic.variables[name].get_value() for name in ("z", "z_last"))
    h, z_total = (network.neurons.variables[name].get_value() for name in ("h", "z_total"))
    n, frames, started, ended = network.parameters.n_features, iter(()), [], [0.0]

    def present() -> None:
        started.append(time.perf_counter())
        z_last[:] = z
        z[:n] = next(frames)
        z[n:] = h
        z_total[:] = z.sum()

    def end() -> None:
        ended[0] = time.perf_counter()

    network.net.add(
        NetworkOperation(present, clock=network.clock, when="before_start", order=-1),
        NetworkOperation(end, clock=network.clock, when="after_end"),
    )

    def block(features: np.ndarray) -> list[float]:
        nonlocal frames
        frames = iter(features)
        started.clear()
        network.net.run(len(features) * network.clock.dt, namespace={})
        return list(np.diff([*started, ended[0]]))

    return block


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


def memory_floor(p: LayerParameters, doubles: int) -> Block:
    """Copy as many bytes as the event code moves at a frame, in doubles a visited synapse."""
    n_synapses = p.weight.size
    buffer = np.ones(max(DOUBLES_KEPT, doubles + 1) * n_synapses)
    last, start = np.zeros(p.n_features, bool), 0

    def copies(features: np.ndarray) -> Iterable[int]:
        nonlocal last
        for x in features:
            rows, last = np.count_nonzero(last | (x != 0)) + p.n_hidden, x != 0
            yield int(rows) * p.n_hidden * doubles // 2

    def block(features: np.ndarray) -> list[float]:
        nonlocal start
        seconds = []
        for n in copies(features):
            start = (start + 2 * n) % (len(buffer) - 2 * n + 1)
            into, source = buffer[start : start + n], buffer[start + n : start + 2 * n]
            started = time.perf_counter()
            np.copyto(into, source)
            seconds.append(time.perf_counter() - started)
        return seconds

    return block


def emulator() -> Step:
    """One decision of Pong, with nobody who decides."""
    pong, rng = Pong(), np.random.default_rng(0)
    pong.reset(0)

    def step(_x: np.ndarray) -> np.ndarray:
        seen, _, done = pong.step(int(rng.integers(N_ACTIONS)))
        return pong.reset(0) if done else seen

    return step


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


def brian_forms(
    p: LayerParameters, device: Memristor, recorder: Callable[..., Recorder]
) -> dict[str, Block]:
    """Those of Brian2, by name, compiled for the target in their name or Cython."""

    def network(target: Target = "cython", limits: WriteLimits | None = p.limits) -> MSTPNNetwork:
        use_target(target)
        made = MSTPNNetwork(replace(p, limits=limits), device, STEP_DURATION)
        made.prepare()
        return made

    found = {
        "Brian2": timed(network().step),
        "Brian2, ideal updates": timed(network(limits=None).step),
    }
    recorded, slow = network(), network("numpy")
    use_target("cython")
    return found | {
        "Brian2, recorded": timed(recording(recorded, recorder(**held_parameters(recorded)))),
        "Brian2, one run": one_run(network()),
        "Brian2, NumPy target": timed(slow.step),
        "Brian2, dense": timed(dense(p, device)),
        "Brian2, Network.run": timed(naive(network())),
    }


def other_forms(p: LayerParameters, device: Memristor) -> dict[str, Block]:
    """What to compare with, by name."""
    layers = {"as published": as_published(p)}
    if p.limits is not None:
        layers |= {"limits": within_limits(p), "all": energies_counted(p, device)}
    found = {"NumPy recursion": numpy_recursion(p)}
    found |= {f"torch eager, {name}": stepped(*made) for name, made in layers.items()}
    for name, (layer, state) in layers.items():
        step = stepped(torch.compile(layer, dynamic=False), state)
        try:
            for _ in range(3):
                step(np.zeros(p.n_features))
        except Exception as error:  # whatever a compiler or its absence brings
            print(f"torch.compile, {name}: {type(error).__name__}", file=sys.stderr)
            continue
        found[f"torch.compile, {name}"] = step
    return {name: timed(step) for name, step in found.items()} | {
        "emulator": timed(emulator()),
        f"memory floor, {DOUBLES} doubles": memory_floor(p, DOUBLES),
        f"memory floor, {DOUBLES_BEFORE} doubles": memory_floor(p, DOUBLES_BEFORE),
    }


def measure(forms: dict[str, Block], features: np.ndarray, n_naive: int) -> dict[str, np.ndarray]:
    """Seconds of every step of every form, (frames,) each, the first block left out."""
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for start in tqdm(range(0, len(features), BLOCK), disable=None):
        for name, block in forms.items():
            if name == "Brian2, Network.run" and start >= n_naive:
                continue
            seconds[name] += block(features[start : start + BLOCK])
    return {name: np.array(times[BLOCK:]) for name, times in seconds.items()}


def ratio(times: dict[str, np.ndarray], above: str, below: str) -> dict[str, float]:
    """Of two forms: median over frames, and of medians and minima."""
    a, b = times[above], times[below]
    n = min(len(a), len(b))
    return {
        "paired": float(np.median(a[:n] / b[:n])),
        "medians": float(np.median(a) / np.median(b)),
        "minima": float(a.min() / b.min()),
    }


def summary(times: dict[str, np.ndarray]) -> dict[str, Any]:
    """Of every form, and the ratios that matter."""
    forms = {
        name: {
            "ms": 1e3 * float(np.median(seconds)),
            "ms_min": 1e3 * float(seconds.min()),
            "ms_quartiles": [1e3 * float(q) for q in np.quantile(seconds, (0.25, 0.75))],
            "of_brian2": ratio(times, "Brian2", name)["paired"],
        }
        for name, seconds in times.items()
    }
    pairs = [
        ("Brian2", "Brian2, ideal updates"),
        ("Brian2, ideal updates", f"memory floor, {DOUBLES} doubles"),
        ("Brian2, ideal updates", f"memory floor, {DOUBLES_BEFORE} doubles"),
        ("Brian2", "torch eager, limits"),
    ]
    ratios = {f"{a} : {b}": ratio(times, a, b) for a, b in pairs if {a, b} <= times.keys()}
    return {"forms": forms, "ratios": ratios}


def without_avx512(folder: Path) -> None:
    """Compile as for a processor without AVX-512, beside Brian2's cache of compiled code."""
    prefs.codegen.cpp.extra_compile_args_gcc += ["-mno-avx512f"]
    prefs.codegen.runtime.cython.cache_dir = str(folder)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="One network step in every form.")
    parser.add_argument("--steps", type=int, default=400, help="frames, at least 60")
    parser.add_argument("--naive-steps", type=int, default=40, help="of Network.run per frame")
    parser.add_argument("--no-avx512", action="store_true", help="compiled as without it")
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
        if options.no_avx512:
            without_avx512(folder / "cython")

        def recorder(**held: Any) -> Recorder:
            made = Recorder(folder / "game.nc", step_duration=STEP_DURATION, attributes={}, **held)
            return stack.enter_context(made)

        forms = brian_forms(p, device, recorder) | other_forms(p, device)
        times = measure(forms, features, options.naive_steps)
    results, active = summary(times), float((features > 0).mean())
    print(
        f"{p.weight.size:,} synapses, {active:.1%} of the features active, step "
        f"{STEP_DURATION / second:.4f} s; ms, and Brian2's step as a multiple of it"
    )
    print(f"{'':>28}  {'median':>9}  {'least':>9}  {'ratio':>6}")
    for name, r in results["forms"].items():
        print(f"{name:>28}  {r['ms']:9.3f}  {r['ms_min']:9.3f}  {r['of_brian2']:6.2f}")
    for name, r in results["ratios"].items():
        print(f"{name}: " + ", ".join(f"{value:.2f} ({how})" for how, value in r.items()))
    if options.json is not None:
        content = {"synapses": p.weight.size, "active_fraction": active, **results}
        options.json.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
