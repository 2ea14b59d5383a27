"""Learning to learn, small: tie digits to letters within one sequence, on memristors.

    mstpn retrieval --pairs 8 --seed 0 --out runs/retrieval

trains two networks on `c9k8j3??k` (answer: 8), one with the device's range of Lambda and
one with Lambda = 0, whose short-term weights last one step; answers test sequences with
both on Brian2 networks, compares every answer with the torch twins', and counts the joules
of an answer. Networks that the folder holds already, trained by the same options, are used
as they are: `--out examples/retrieval` runs the trained ones that come with this file.
Ctrl-C ends a training and goes on with the best so far.

Needs `pip install -e '.[analysis]'`. Task: Ba et al. (2016), Rodriguez et al. (2022).
"""

import argparse
import csv
import shlex
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brian2.units import joule, second
from tqdm import tqdm

from mstpn.analysis.pictures.retrieval import draw_accuracies, draw_short_term_weights, recalled
from mstpn.bridge.retrieval import answer_sequences, forgetful, short_term_weights
from mstpn.network.retrieval.task import Associator, RetrievalOptions, unbound_accuracy
from mstpn.network.retrieval.train import RetrievalPoint, accuracy, draw_sequences, train
from mstpn.network.twin.checkpoint import Checkpoint, load_checkpoint
from mstpn.synapses.memristor import DEFAULT_DEVICE, Memristor
from mstpn.synapses.support.brian_target import use_target
from mstpn.synapses.support.command_line import Parser, exit_status, finite, integer, kind
from mstpn.synapses.support.files import atomic_write, replacing, write_json
from mstpn.synapses.support.tidy import csv_text

Curve = list[dict[str, float]]

N_TWIN_TEST = 2000
"""Test sequences of the torch twin; the Brian2 network answers the first of them."""


def parse_arguments(arguments: list[str] | None) -> tuple[argparse.Namespace, RetrievalOptions]:
    """Command line, and the part of it that trains."""
    parser = Parser(
        prog="mstpn retrieval",
        description="Associative retrieval on a Brian2 network of memristors.",
    )
    trains = [f for f in fields(RetrievalOptions) if f.name not in ("decay_min", "decay_max")]
    for f in trains:
        name, text = "--" + f.name.replace("_", "-"), f.metadata["help"]
        if f.type is bool:
            parser.add_argument(name, action="store_true", help=text)
        else:
            parser.add_argument(
                name, type=kind(f.default), default=f.default, help=f"{text} ({f.default})"
            )
    parser.add_argument("--out", type=Path, default=Path("runs/retrieval"), metavar="FOLDER")
    parser.add_argument("--tests", type=integer(1), default=200, help="sequences on Brian2 (200)")
    parser.add_argument("--step-seconds", type=finite, default=1 / 15, help="of one symbol (1/15)")
    parser.add_argument("--device", type=Path, default=DEFAULT_DEVICE, metavar="FILE")
    parser.add_argument("--target", choices=("auto", "cython", "numpy"), default="auto")
    parser.add_argument("--json", type=Path, metavar="PATH")
    options = parser.parse_args(arguments)
    if not 1 <= options.tests <= N_TWIN_TEST:
        parser.error(f"tests must be in [1, {N_TWIN_TEST}], got {options.tests}")
    if not 0 < options.step_seconds < float("inf"):
        parser.error(f"step-seconds must be positive, got {options.step_seconds}")
    try:
        return options, RetrievalOptions(**{f.name: getattr(options, f.name) for f in trains})
    except ValueError as error:
        parser.error(str(error))


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
        found = answer_sequences(
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
        "brian_accuracy": float(np.mean(found.answers == answers[:n].numpy())),
        "equal_answers": int(np.sum(found.answers == found.twin_answers)),
        "max_abs_difference": found.max_abs_difference,
        "synapses": found.n_synapses,
        "share_of_updates_above_largest_pulse": found.share_too_large,
        "share_of_synapses_outside_window": found.share_outside_window,
        "energy_per_answer_j": {k: float(np.mean(v) / joule) for k, v in found.energy.items()},
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
    trace, h = short_term_weights(checkpoint, sequence)
    scores = recalled(trace, h, checkpoint.tensors["head.weight"].astype(float), o.pairs)
    figures = {
        "learning_curves": draw_accuracies(shown, levels),
        "short_term_weights": draw_short_term_weights(o.task.text(sequence), scores),
    }
    for name, figure in figures.items():
        with replacing(folder / f"{name}.png") as partial:
            figure.savefig(partial)


def run(arguments: argparse.Namespace, options: RetrievalOptions, command: str) -> dict[str, Any]:
    """Train what is not trained, answer on Brian2, draw."""
    device = Memristor.from_file(arguments.device)
    use_target(arguments.target)
    symbols, _ = draw_sequences(options, N_TWIN_TEST, "test")
    unbound = unbound_accuracy(options.task, symbols)
    cases = {
        "device": (options, device),
        "no_memory": (replace(options, decay_min=0.0, decay_max=0.0), forgetful(device)),
    }
    found = {
        n: trained(o, arguments.out / f"{n}.safetensors", command) for n, (o, _) in cases.items()
    }
    networks = {n: examine(found[n][0], o, arguments, d) for n, (o, d) in cases.items()}
    del networks["no_memory"]["energy_per_answer_j"]  # no published device has such a voltage
    draw(arguments.out, options, found["device"][0], {n: c for n, (_, c) in found.items()}, unbound)
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


def main(arguments: list[str] | None = None) -> int:
    """Run, print, write; return the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    torch.set_num_threads(1)
    parsed, options = parse_arguments(words)
    command = shlex.join(["python", "examples/associative_retrieval.py", *words])

    def work() -> None:
        summary = run(parsed, options, command)
        print(report(summary))
        if parsed.json is not None:
            write_json(parsed.json, summary)

    return exit_status("mstpn retrieval", work)
