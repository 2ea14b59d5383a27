"""What games of Pong came to, for a person and for a program."""

from typing import Any

import numpy as np
from brian2.units import mjoule, msecond, second, volt

from mstpn.analysis.gpu.baselines import MAIN, baselines, main_ratio
from mstpn.bridge.conversion import line_voltages
from mstpn.bridge.play import GameRecord
from mstpn.network.frames import STEP_DURATION
from mstpn.network.saturation import H_SATURATED
from mstpn.network.twin.checkpoint import Checkpoint
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.spike_times import SpikeCode

__all__ = ["summary", "table"]


def table(
    records: list[GameRecord],
    checkpoint: Checkpoint,
    device: Memristor,
    bias: str,
    spike_code: SpikeCode | None = None,
) -> str:
    """What the games were, for a person."""
    config = checkpoint.config
    n_synapses = checkpoint.tensors["layer.weight"].size
    lines = [
        f"Pong on a Brian2 network: {config.n_hidden} units, {n_synapses:,} memristive synapses",
        "",
        " seed  score  decisions  game (s)  wall (s)  x real time  step (ms)"
        "  pulses (mJ)  bias (mJ)  reads (mJ)  total (mJ)",
    ]
    for r in records:
        terms = [r.energy[t] / mjoule for t in ("pulse", "bias", "read")]
        total = sum(r.energy.values(), 0 * mjoule) / mjoule
        lines.append(
            f"{r.seed:5d}  {r.score:+5.0f}  {r.decisions:9d}  {r.game_time / second:8.1f}"
            f"  {r.wall_time / second:8.1f}  {r.game_time / r.wall_time:11.1f}"
            f"  {1e3 * r.step_time_median / second:9.2f}"
            f"  {terms[0]:11.4f}  {terms[1]:9.3f}  {terms[2]:10.6f}  {total:10.3f}"
        )
    charged = {
        "trained": "each synapse's own voltage",
        "worst-case": "the device's largest voltage on every synapse, which is not held: F decays "
        "as under its own",
    }[bias]
    lines += [
        "",
        f"mean score {np.mean([r.score for r in records]):+.2f} over {len(records)} game(s); "
        f"bias charged at {charged}",
        lines_line(checkpoint, device),
        time_line(records, device),
        *periphery_lines(records),
        *gpu_lines(records, n_synapses, device),
        saturation_line(records),
        *spike_lines(records, spike_code),
    ]
    if all(r.twin_action_agreement is not None for r in records):
        agreement = min(r.twin_action_agreement or 0.0 for r in records)
        difference = max(r.twin_max_abs_difference or 0.0 for r in records)
        lines.append(
            f"torch twin in float64: {100 * agreement:.6g} % of actions equal, "
            f"max |difference of h| {difference:.1e}"
        )
    return "\n".join(lines)


def lines_line(checkpoint: Checkpoint, device: Memristor) -> str:
    """What is held between pulses, on which lines."""
    voltages = line_voltages(checkpoint, device)
    values = np.unique(np.round(voltages / volt, 3))
    shown = ", ".join(f"{v:.3f}" for v in values) if len(values) <= 4 else f"{len(values)} values"
    span = f"{shown} V" if len(values) <= 4 else f"{values[0]:.3f} to {values[-1]:.3f} V"
    return f"bias lines: one per {checkpoint.config.bias_lines}, {voltages.size:,} in all; {span}"


def time_line(records: list[GameRecord], device: Memristor) -> str:
    """How much of a step its writes and reads took."""
    rows, most, mean, largest = (
        max(r.step_time[name] for r in records)
        if name.endswith("max")
        else float(np.mean([r.step_time[name] for r in records]))
        for name in ("rows_mean", "rows_max", "time_mean", "time_max")
    )
    return (
        f"writes and reads, row by row: {rows:.0f} rows a step in the mean, {most:.0f} at most; "
        f"{mean:.1%} of the step's {STEP_DURATION / msecond:.1f} ms, {largest:.1%} at most"
        + ("" if largest <= 1 else ": they do NOT FIT into a step")
    )


def periphery_lines(records: list[GameRecord]) -> list[str]:
    """What converters and a reference column took of the total, where they are there."""
    spent = [r.energy["periphery"] for r in records if "periphery" in r.energy]
    if not spent:
        return []
    mean = sum(spent, 0 * mjoule) / len(spent)
    return [f"converters and reference column: {mean / mjoule:.4f} mJ a game, in the total"]


def saturation_line(records: list[GameRecord]) -> str:
    """How often the limits of devices and of tanh were met, over all games."""
    share = {
        name: 100 * float(np.mean([r.saturation[name] for r in records]))
        for name in records[0].saturation
    }
    return (
        f"at limits: {share['updates_above_largest_pulse']:.2g} % of updates above the largest "
        f"pulse's, {share['totals_outside_window']:.2g} % of W + F outside the conductance "
        f"window, {share['h_saturated']:.2g} % of |h| >= {H_SATURATED}"
    )


def spike_lines(records: list[GameRecord], spike_code: SpikeCode | None) -> list[str]:
    """How values became spikes, where they did."""
    if spike_code is None:
        return []
    bin_duration = STEP_DURATION / spike_code.bins
    first = np.mean([r.saturation["inputs_at_full_scale"] for r in records])
    return [
        f"spikes: {spike_code.bins} bins of {bin_duration / msecond:.3g} ms a frame; {first:.2%} "
        f"of the spikes in the first, of inputs that round to {spike_code.full_scale:g} or more"
    ]


def gpu_lines(records: list[GameRecord], n_synapses: int, device: Memristor) -> list[str]:
    """The main ratio, and what is held fixed in it."""
    synapse_steps = n_synapses * sum(r.decisions for r in records)
    spent = sum((r.energy["pulse"] + r.worst_case_bias for r in records), 0 * mjoule)
    ratio = main_ratio(synapse_steps, spent, STEP_DURATION)
    return [
        f"as the paper counts, pulses and bias, {device.bias_voltage_max / volt:g} V charged on "
        f"every synapse: {spent / mjoule:.3g} mJ",
        f"{baselines()[MAIN].label}: {ratio:.3g} x as much on the same {synapse_steps:,} synapse "
        "updates; more: mstpn report",
    ]


def summary(records: list[GameRecord], checkpoint: Checkpoint, device: Memristor) -> dict[str, Any]:
    """What the games were, for a program; what was asked for is the caller's to add."""
    return {
        "synapses": int(checkpoint.tensors["layer.weight"].size),
        "mean_return": float(np.mean([r.score for r in records])),
        "device": device.name,
        "bias_lines": checkpoint.config.bias_lines,
        "line_volt": np.unique(line_voltages(checkpoint, device) / volt).tolist()
        if checkpoint.config.bias_lines in ("block", "array")
        else None,
        "games": [r.to_json() for r in records],
    }
