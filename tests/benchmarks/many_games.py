"""Many games at once: processes, and several networks in one Brian2 network.

    python tests/benchmarks/many_games.py --json many_games.json

First whole games by the command that users have, `pong_brian.py --processes N`: games a minute
and time of the whole command, start included; and what the machine allows, loops over arrays of
some megabytes in one process and in as many as games are played in. Then K networks of the size of
Pong's in this process, on the same random features, in three ways: `in turn`, K `MSTPNNetwork`
stepped one after the other; `one network`, the objects of all K in one Brian2 `Network`; `one
group`, a single `Synapses` of K blocks, which is not all to all and so goes through Brian2's queue.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import Clock, Network, NeuronGroup, second
from brian_step import random_features
from growth import GAME, parameters
from tqdm import tqdm

from mstpn.network.brian import NEURON, TANH, MSTPNNetwork
from mstpn.network.frames import STEP_DURATION
from mstpn.synapses import st_hebb
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.brian_target import use_target

EXAMPLE = Path(__file__).parents[2] / "examples/pong_brian.py"
ACTIVE = 0.3
BLOCK = 20
"""Steps of one way before it is another's turn."""


def play(games: int, processes: int) -> dict[str, Any]:
    """Games of the shipped agent in so many processes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "games.json")
        command = [sys.executable, str(EXAMPLE), "--games", str(games), "--json", str(path)]
        load, started = os.getloadavg()[0], time.perf_counter()
        subprocess.run([*command, "--processes", str(processes)], check=True, capture_output=True)
        seconds = time.perf_counter() - started
        played = json.loads(path.read_text())["games"]
    return {
        "processes": processes,
        "games": games,
        "load_average_before": load,
        "seconds": seconds,
        "games_per_minute": 60 * games / seconds,
        "mean_game_seconds": float(np.mean([game["wall_time_s"] for game in played])),
    }


_LOOP = """
import time
import numpy as np
a = np.ones({n})
a *= 1.0
started = time.perf_counter()
for _ in range({times}):
    a *= 1.0
print(time.perf_counter() - started)
"""


def streams(megabytes: float, processes: int) -> float:
    """How many times the work of one process so many do in the same time, each in its array."""
    n = int(megabytes * 1e6 / 8)
    command = [sys.executable, "-c", _LOOP.format(n=n, times=int(2e9 / n))]

    def seconds(k: int) -> float:
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(k)]
        return max(float(p.communicate()[0]) for p in running)

    one, several = (min(seconds(k) for _ in range(3)) for k in (1, processes))
    return processes * one / several


Step = Callable[[np.ndarray], None]


def in_turn(k: int) -> Step:
    """K networks, one after the other."""
    device = Memristor.from_file()
    networks = [MSTPNNetwork(parameters(GAME), device, STEP_DURATION) for _ in range(k)]

    def step(x: np.ndarray) -> None:
        for network in networks:
            network.step(x)

    return step


def one_network(k: int) -> Step:
    """The objects of K networks in one."""
    device = Memristor.from_file()
    networks = [MSTPNNetwork(parameters(GAME), device, STEP_DURATION) for _ in range(k)]
    net = Network(*(obj for network in networks for obj in network.net.objects))
    return stepped(net, [(network.presynaptic, network.neurons) for network in networks])


def one_group(k: int) -> Step:
    """One group of K blocks of synapses."""
    device, p, clock = Memristor.from_file(), parameters(GAME), Clock(STEP_DURATION)
    n_post, n_pre = p.weight.shape
    namespace = st_hebb.constants(device)
    inputs = st_hebb.get_presynaptic(k * n_pre, device, STEP_DURATION, clock=clock)
    units = NeuronGroup(k * n_post, NEURON, method="exact", clock=clock, namespace=namespace)
    units.run_regularly(TANH, when="after_synapses", clock=clock)
    pre, post = np.divmod(np.arange(k * p.weight.size), n_post)
    synapses = st_hebb.get_synapses(
        inputs,
        units,
        device,
        connect={"i": pre, "j": pre // n_pre * n_post + post},
    )
    st_hebb.apply_bias(
        synapses,
        device,
        bias_voltage=device.bias_voltage(np.tile(p.decay.T.ravel(), k)),
        weight=np.tile(p.weight.T.ravel(), k),
        gamma=np.tile(p.gamma.T.ravel(), k),
    )
    return stepped(Network(inputs, units, synapses), [(inputs, units)], k)


def stepped(net: Network, groups: list[tuple[NeuronGroup, NeuronGroup]], blocks: int = 1) -> Step:
    """A step of a network: what `MSTPNNetwork.step` does, for inputs and units of several."""
    net.run(0 * second, namespace={})
    objects = [obj for obj in net.sorted_objects if obj.active]
    clocks = [clock.variables for clock in {obj.clock for obj in objects}]
    arrays = [
        [
            group.variables[name].get_value().reshape(blocks, -1)
            for group, name in ((z, "z"), (z, "z_last"), (h, "h"), (h, "z_total"))
        ]
        for z, h in groups
    ]

    def step(x: np.ndarray) -> None:
        for z, z_last, h, z_total in arrays:
            z_last[:] = z
            z[:, : len(x)] = x
            z[:, len(x) :] = h
            z_total[:] = z.sum(axis=1, keepdims=True)
        for obj in objects:
            obj.run()
        for variables in clocks:
            timestep, t = variables["timestep"].get_value(), variables["t"].get_value()
            timestep[0] += 1
            t[0] = timestep[0] * float(STEP_DURATION)

    return step


WAYS = {"in turn": in_turn, "one network": one_network, "one group": one_group}


def measure(networks: int, n_steps: int) -> dict[str, float]:
    """Median milliseconds of a step of one network, by way; the ways take turns in blocks."""
    steps = {name: make(networks) for name, make in WAYS.items()}
    features = random_features(ACTIVE, n_steps, parameters(GAME).n_features)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for block in np.array_split(features, max(n_steps // BLOCK, 1)):
        for name, step in steps.items():
            for x in block:
                started = time.perf_counter()
                step(x)
                seconds[name].append(time.perf_counter() - started)
    return {name: 1e3 * float(np.median(times)) / networks for name, times in seconds.items()}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Many games at once.")
    parser.add_argument("--games", type=int, default=16)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--networks", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--json", type=Path, metavar="PATH")
    options = parser.parse_args()
    use_target("cython")
    played = [play(options.games, n) for n in tqdm(options.processes, disable=None)]
    for r in played:
        print(
            f"{r['processes']} processes: {r['games']} games in {r['seconds']:.1f} s, "
            f"{r['games_per_minute']:.1f} a minute, {r['mean_game_seconds']:.1f} s each"
            f" (load before: {r['load_average_before']:.1f})"
        )
    most = max(options.processes)
    machine = {f"{size:g} MB": streams(size, most) for size in (1, 4, 16)}
    print(
        f"loops over arrays, {most} processes : one, of each the array: "
        + ", ".join(f"{size} {ratio:.2f}" for size, ratio in machine.items())
    )
    print("ms per step and network of 169,984 synapses: " + ", ".join(WAYS))
    populations = []
    for k in options.networks:
        found = measure(k, options.steps)
        populations.append({"networks": k, "step_ms": found})
        print(f"{k:3d} networks: " + ", ".join(f"{value:.3f}" for value in found.values()))
    if options.json is not None:
        content = {"active_fraction": ACTIVE, "processes": played}
        content |= {"machine": machine, "populations": populations}
        options.json.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
