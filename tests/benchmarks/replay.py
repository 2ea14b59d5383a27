"""A sweep of device constants by one C++ program, against networks built and stepped in turn.

    python tests/benchmarks/replay.py --json replay.json

Features of the shipped agent's game at full size. The program's time is that of compiling it,
once, and of each value, process start and reading of the results included; `user` is the
program's own time on the processor, without the system calls by which Brian2 reads the clock
in every step, which some sandboxes make slow. The other way builds an `MSTPNNetwork` for each
value (its Cython code is cached) and steps it.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brian2 import nwatt
from brian_step import game_features

from mstpn.bridge.checkpoints import DEFAULT_CHECKPOINT
from mstpn.bridge.conversion import layer_parameters
from mstpn.network.brian import LayerParameters, MSTPNNetwork
from mstpn.network.frames import STEP_DURATION
from mstpn.network.replay import Replay
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.brian_target import use_target


def stepped(p: LayerParameters, devices: list[Memristor], features: np.ndarray) -> dict[str, Any]:
    """A network for each device."""
    seconds, outputs = [], []
    for device in devices:
        started = time.perf_counter()
        network = MSTPNNetwork(p, device, STEP_DURATION)
        outputs.append(np.array([network.step(x) for x in features]))
        seconds.append(time.perf_counter() - started)
    return {"first_s": seconds[0], "each_s": float(np.median(seconds[1:])), "h": outputs}


def replayed(p: LayerParameters, devices: list[Memristor], features: np.ndarray) -> dict[str, Any]:
    """One program for all devices."""
    seconds, users, outputs = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with Replay(p, devices[0], STEP_DURATION, features, Path(folder)) as replay:
            compiled = time.perf_counter() - started
            for device in devices:
                before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
                started = time.perf_counter()
                outputs.append(replay.run(device).h)
                seconds.append(time.perf_counter() - started)
                users.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before)
    return {
        "compile_s": compiled,
        "each_s": float(np.median(seconds)),
        "each_user_s": float(np.median(users)),
        "h": outputs,
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Sweep by one program or by many networks.")
    parser.add_argument("--steps", type=int, default=1800)
    parser.add_argument("--values", type=int, default=8)
    parser.add_argument("--json", type=Path, metavar="PATH")
    options = parser.parse_args()
    use_target("cython")
    torch.set_num_threads(1)
    device, checkpoint = Memristor.from_file(), load_checkpoint(DEFAULT_CHECKPOINT)
    p = layer_parameters(checkpoint, device)
    features = game_features(checkpoint, device, options.steps)
    powers = np.linspace(4.3, 5.3, options.values) * nwatt
    devices = [device.varied(bias_power=power) for power in powers]
    one, many = replayed(p, devices, features), stepped(p, devices, features)
    pairs = zip(one.pop("h"), many.pop("h"), strict=True)
    difference = max(float(np.abs(a - b).max()) for a, b in pairs)
    print(f"{options.steps} steps, {options.values} values, max |difference of h| {difference:.1e}")
    for name, found in (("one program", one), ("networks in turn", many)):
        print(f"{name}: " + ", ".join(f"{key} {value:.2f}" for key, value in found.items()))
    if options.json is not None:
        content = {"steps": options.steps, "values": options.values, "difference": difference}
        content |= {"program": one, "networks": many}
        options.json.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
