"""A recorded game replayed on devices that differ in one constant."""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from brian2.units import mjoule
from numpy.typing import NDArray
from tqdm import tqdm

from mstpn.bridge.agents import actions
from mstpn.bridge.conversion import layer_parameters
from mstpn.network.brian import LayerParameters
from mstpn.network.frames import STEP_DURATION
from mstpn.network.replay import Replay, Replayed
from mstpn.network.twin.checkpoint import Checkpoint, load_checkpoint
from mstpn.synapses.device_file import read_device_file
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.brian_target import use_target
from mstpn.synapses.support.files import atomic_write, write_json
from mstpn.synapses.support.sourced import UNIT_SYMBOLS
from mstpn.synapses.support.tidy import csv_text

Array = NDArray[np.float64]


def load_game(path: Path, parameters: LayerParameters) -> tuple[Array, Array | None]:
    """Features and, of a ledger, h as recorded."""
    if path.suffix == ".npy":
        return np.load(path, allow_pickle=False), None
    try:
        from mstpn.analysis.energy.ledger import load_recording
    except ImportError as error:
        raise ValueError(f"a ledger needs pip install -e '.[analysis]': {error}") from error
    recording = load_recording(path)
    if not np.array_equal(recording.weight, parameters.weight.T):
        raise ValueError(f"{path} is of another agent, give its --checkpoint")
    if parameters.normalisation != "none":
        raise ValueError(f"{path} holds normalised inputs, give the features as .npy")
    z = recording.dense(recording.event_z, 0, recording.n_frames)
    return z[: parameters.n_features].T, recording.h


def devices(options: argparse.Namespace, device: Memristor) -> tuple[str, dict[float, Memristor]]:
    """Unit of the constant in the device file, and the device of every value, its own first."""
    entry = read_device_file(options.device)[options.constant]
    unit = UNIT_SYMBOLS.get(entry["unit"], 1.0)
    varied = {float(entry["value"]): device}
    for value in options.values:
        varied.setdefault(value, device.varied(**{options.constant: value * unit}))
    return entry["unit"], varied


def row(value: float, run: Replayed, base: Replayed, checkpoint: Checkpoint) -> dict[str, float]:
    """One value: energies, and its h against that of the device file."""
    terms = {term: float(run.energy[term] / mjoule) for term in ("pulse", "bias", "read")}
    total, reference = sum(terms.values()), sum(float(e / mjoule) for e in base.energy.values())
    equal = actions(run.h, checkpoint) == actions(base.h, checkpoint)
    return {
        "value": value,
        **{f"{term}_mj": energy for term, energy in terms.items()},
        "total_mj": total,
        "total_ratio": total / reference,
        "worst_case_bias_mj": float(run.worst_case_bias / mjoule),
        "h_max_abs_difference": float(np.abs(run.h - base.h).max()),
        "actions_equal": float(equal.mean()),
    }


def sweep(options: argparse.Namespace) -> dict[str, Any]:
    """Compile, run every value, and gather the rows."""
    device, checkpoint = Memristor.from_file(options.device), load_checkpoint(options.checkpoint)
    parameters = layer_parameters(checkpoint, device)
    features, recorded = load_game(options.load, parameters)
    unit, wanted = devices(options, device)
    with tempfile.TemporaryDirectory() as folder:
        replay = Replay(parameters, device, STEP_DURATION, features, Path(folder))
        for each in wanted.values():
            replay.check(each)
        with tqdm(desc="compiling", total=len(wanted), unit="value", disable=None) as bar, replay:
            bar.set_description(options.constant)
            base = replay.run()
            rows = []
            for value, each in wanted.items():
                rows.append(row(value, replay.run(each), base, checkpoint))
                bar.update()
    difference = None if recorded is None else float(np.abs(base.h - recorded).max())
    return {
        "constant": options.constant,
        "unit": unit,
        "device": device.name,
        "frames": len(features),
        "recorded_h_max_abs_difference": difference,
        "rows": rows,
    }


def table(result: dict[str, Any]) -> str:
    """The rows for a person."""
    title = f"{result['constant']} ({result['unit']})"
    lines = [
        f"{result['device']}: {result['frames']:,} frames; W, Gamma and bias voltages held",
        f"{title:>26}  pulses (mJ)  bias (mJ)  reads (mJ)  total (mJ)  x first"
        "  max |dh|  actions equal (%)",
    ]
    lines += [
        f"{r['value']:26.6g}  {r['pulse_mj']:11.4f}  {r['bias_mj']:9.3f}  {r['read_mj']:10.6f}"
        f"  {r['total_mj']:10.3f}  {r['total_ratio']:7.3f}  {r['h_max_abs_difference']:8.1e}"
        f"  {100 * r['actions_equal']:17.2f}"
        for r in result["rows"]
    ]
    if (difference := result["recorded_h_max_abs_difference"]) is not None:
        lines.append(f"first row against h as recorded: max |difference| {difference:.1e}")
    return "\n".join(lines)


def run(options: argparse.Namespace) -> None:
    """Sweep, print, write."""
    use_target("cython")  # what it needs, a C++ replay needs too
    result = sweep(options)
    print(table(result))
    if options.csv is not None:
        atomic_write(options.csv, csv_text(result["rows"]).encode())
    if options.json is not None:
        write_json(options.json, result)
