"""What the ledger costs, as a share of the Brian2 step, both timed in one run.

    python tests/benchmarks/ledger.py --json ledger.json

A game of the shipped checkpoint is replayed into the Brian2 network. Every step is timed,
and so is recording its frame, parts written included. Then what happens once at the end of
a game is timed and divided by its frames: reading the parts back and integrating them, and
writing the ledger.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from brian_step import game_features

from mstpn.analysis.energy.ledger import ledger, save
from mstpn.analysis.energy.policies import trained
from mstpn.analysis.energy.recording import Recorder
from mstpn.bridge.checkpoints import DEFAULT_CHECKPOINT
from mstpn.bridge.conversion import held_parameters, layer_parameters
from mstpn.network.brian import MSTPNNetwork
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.brian_target import use_target


def measure(features: np.ndarray, folder: Path) -> dict[str, float]:
    """Milliseconds per frame of the step and of each part of the ledger."""
    device = Memristor.from_file()
    parameters = layer_parameters(load_checkpoint(DEFAULT_CHECKPOINT), device)
    network = MSTPNNetwork(parameters, device, STEP_DURATION)
    seconds = np.empty((len(features), 2))
    with Recorder(
        folder / "game.nc",
        **held_parameters(network),
        step_duration=STEP_DURATION,
        attributes={},
    ) as recorder:
        for k, x in enumerate(features):
            started = time.perf_counter()
            h = network.step(x)
            between = time.perf_counter()
            recorder.record(network.z, h)
            seconds[k] = between - started, time.perf_counter() - between
        marks = [time.perf_counter()]
        recording = recorder.recording()
        dataset = ledger(recording, device, trained(recording, device).bias_voltage)
        marks.append(time.perf_counter())
        save(dataset, folder / "game.nc")
        marks.append(time.perf_counter())
    step, record = 1e3 * seconds[20:].mean(axis=0)
    integrate, write = 1e3 * np.diff(marks) / len(features)
    return {
        "active_fraction": float((features > 0).mean()),
        "step_ms": float(step),
        "step_ms_median": 1e3 * float(np.median(seconds[20:, 0])),
        "record_ms": float(record),
        "integrate_ms": float(integrate),
        "write_ms": float(write),
        "ratio": float((record + integrate + write) / step),
        "mb": (folder / "game.nc").stat().st_size / 1e6,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Cost of the ledger against the Brian2 step.")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    use_target("auto")
    torch.set_num_threads(1)
    device, checkpoint = Memristor.from_file(), load_checkpoint(DEFAULT_CHECKPOINT)
    features = game_features(checkpoint, device, options.steps)
    results = []
    for _ in range(options.repeats + 1):  # the first compiles
        with tempfile.TemporaryDirectory() as folder:
            results.append(measure(features, Path(folder)))
    print("ms per frame: step (median), recording, integrating, writing; all three / step")
    for r in results[1:]:
        print(
            f"{r['step_ms']:.3f} ({r['step_ms_median']:.3f})  {r['record_ms']:.3f}  "
            f"{r['integrate_ms']:.3f}  {r['write_ms']:.3f}  {r['ratio']:.2f}  ({r['mb']:.1f} MB)"
        )
    if options.json is not None:
        options.json.write_text(json.dumps(results[1:], indent=1))


if __name__ == "__main__":
    main()
