"""Associative retrieval: trained, answered on Brian2, summed up and drawn."""

import argparse
import csv
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brian2.units import joule, second
from tqdm import tqdm

from mstpn.analysis.pictures.retrieval import draw_accuracies, draw_short_term_weights, recalled
from mstpn.bridge.retrieval import answer_sequences, forgetful, short_term_weights
from mstpn.commands.retrieval import N_TWIN_TEST
from mstpn.network.retrieval.associator import Associator
from mstpn.network.retrieval.task import RetrievalOptions, unbound_accuracy
from mstpn.network.retrieval.train import RetrievalPoint, accuracy, draw_sequences, train
from mstpn.network.twin.checkpoint import Checkpoint, load_checkpoint
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.brian_target import use_target
from mstpn.synapses.support.files import atomic_write, replacing, write_json
from mstpn.synapses.support.tidy import csv_text

Curve = list[dict[str, float]]


def trained(options: RetrievalOptions, path: Path, command: str) -> tuple[Checkpoint, Curve]:
    """The network of these options and its learning curve: the folder's, or trained now."""
    table = path.with_name(path.stem + "_curve.csv")
    if table.exists() and path.exists():
        checkpoint, curve = load_checkpoint(path, Associator.described_by), read_curve(table)
        if checkpoint.metadata["training"]["options"] != asdict(options):
            raise ValueError(f"{path} was trained by other options: say another --out")
        if curve[-1]["step"] == options.steps:
            return checkpoint, curve
    with tqdm(total=options.steps, unit="update", disable=None) as bar:
        bar.set_description(f"training {path.stem}")

        def on_update(point: RetrievalPoint | None) -> None:
            bar.update()
            if point is not None:
                bar.set_postfix(right=f"{100 * point.accuracy:.1f} %", refresh=False)

        points = train(options, path, command, on_update)
    atomic_write(table, csv_text([asdict(point) for point in points]).encode())
    return load_checkpoint(path, Associator.described_by), read_curve(table)


def read_curve(table: Path) -> Curve:
    """Rows of a learning curve's table."""
    with table.open(newline="") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def examine(
    checkpoint: Checkpoint, o: RetrievalOptions, arguments: argparse.Namespace, device: Memristor
) -> dict[str, Any]:
    """Accuracy of the torch twin, and of the Brian2 network on the first of its sequences."""
    symbols, answers = draw_sequences(o, N_TWIN_TEST, "test")
    net = checkpoint.fill(Associator(o))
    n = arguments.tests
    with tqdm(total=n, unit="answer", disable=None, desc="Brian2") as bar:
        answered = answer_sequences(
            checkpoint, device, symbols[:, :n], arguments.step_seconds * second, bar.update
        )
    return {
        "decay_min": o.decay_min,
        "decay_max": o.decay_max,
        "best_step": checkpoint.metadata["training"]["step"],
        "training_cpu_s": checkpoint.metadata["training"]["cpu_seconds"],
        "twin_tests": N_TWIN_TEST,
        "twin_accuracy": accuracy(net, symbols, answers)[1],
        "brian_tests": n,
        "brian_accuracy": float(np.mean(answered.answers == answers[:n].numpy())),
        "equal_answers": int(np.sum(answered.answers == answered.twin_answers)),
        "max_abs_difference": answered.max_abs_difference,
        "synapses": answered.n_synapses,
        "share_of_updates_above_largest_pulse": answered.share_too_large,
        "share_of_synapses_outside_window": answered.share_outside_window,
        "energy_per_answer_j": {k: float(np.mean(v) / joule) for k, v in answered.energy.items()},
    }


def report(summary: dict[str, Any]) -> str:
    """The summary for a person."""
    lines = [
        f"{summary['options']['pairs']} pairs, {summary['steps_per_sequence']} steps; chance "
        f"{summary['chance']:.1%}, best guess without knowing which letter {summary['unbound']:.1%}"
    ]
    for name, r in summary["networks"].items():
        lines.append(
            f"{name:>9}: torch {r['twin_accuracy']:.2%} of {r['twin_tests']}, Brian2 "
            f"{r['brian_accuracy']:.2%} of {r['brian_tests']}; {r['equal_answers']} answers equal "
            f"the twin's, max |\N{GREEK CAPITAL LETTER DELTA}h| {r['max_abs_difference']:.1e}"
        )
    r = summary["networks"]["device"]
    terms = ", ".join(f"{k} {v * 1e6:.3g} uJ" for k, v in r["energy_per_answer_j"].items())
    lines.append(f"energy per answer, {r['synapses']:,} memristors: {terms}")
    lines.append(
        f"updates above the largest pulse's {r['share_of_updates_above_largest_pulse']:.1%}, "
        f"synapses outside the conductance window {r['share_of_synapses_outside_window']:.1%}"
    )
    return "\n".join(lines)


def draw(
    folder: Path,
    o: RetrievalOptions,
    checkpoint: Checkpoint,
    curves: dict[str, Curve],
    unbound: float,
) -> None:
    """`learning_curves.png`, and `short_term_weights.png` of the first test sequence."""
    labels = {
        "device": f"\N{GREEK CAPITAL LETTER LAMDA} in [{o.decay_min:g}, {o.decay_max:g}]",
        "no_memory": "\N{GREEK CAPITAL LETTER LAMDA} = 0",
    }
    shown = {labels[k]: [(int(r["step"]), r["accuracy"]) for r in c] for k, c in curves.items()}
    levels = {"digits known, but not whose": unbound, "chance": 1 / o.values}
    sequence = draw_sequences(o, 1, "test")[0][:, 0]
    short_term, h = short_term_weights(checkpoint, sequence)
    scores = recalled(short_term, h, checkpoint.tensors["head.weight"].astype(float), o.pairs)
    figures = {
        "learning_curves": draw_accuracies(shown, levels),
        "short_term_weights": draw_short_term_weights(o.task.text(sequence), scores),
    }
    for name, figure in figures.items():
        with replacing(folder / f"{name}.png") as partial:
            figure.savefig(partial)


def results(
    arguments: argparse.Namespace, options: RetrievalOptions, command: str
) -> dict[str, Any]:
    """Train what is not trained, answer on Brian2, draw."""
    device = Memristor.from_file(arguments.device)
    use_target(arguments.target)
    symbols, _ = draw_sequences(options, N_TWIN_TEST, "test")
    unbound = unbound_accuracy(options.task, symbols)
    cases = {
        "device": (options, device),
        "no_memory": (replace(options, decay_min=0.0, decay_max=0.0), forgetful(device)),
    }
    made = {
        n: trained(o, arguments.out / f"{n}.safetensors", command) for n, (o, _) in cases.items()
    }
    networks = {n: examine(made[n][0], o, arguments, d) for n, (o, d) in cases.items()}
    del networks["no_memory"]["energy_per_answer_j"]  # no published device has such a voltage
    draw(arguments.out, options, made["device"][0], {n: c for n, (_, c) in made.items()}, unbound)
    return {
        "command": command,
        "options": asdict(options),
        "device": device.name,
        "step_s": arguments.step_seconds,
        "steps_per_sequence": options.task.n_steps,
        "chance": 1 / options.values,
        "unbound": unbound,
        "networks": networks,
    }


def run(arguments: argparse.Namespace, options: RetrievalOptions, command: str) -> None:
    """Train, answer, draw, print, write."""
    torch.set_num_threads(1)
    summary = results(arguments, options, command)
    print(report(summary))
    if arguments.json is not None:
        write_json(arguments.json, summary)
