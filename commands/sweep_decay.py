"""Train agents over ranges of Lambda and seeds side by side; draw the paper's figure 4b.

    mstpn sweep-decay --ranges 0:0 0.08:0.92 --seeds 2 --total-steps 2000000

Needs `pip install 'mstpn[train]'`. Every agent is one task of one thread in a folder of its own;
the same command again goes on where the last one stopped, and with `--report-only` it writes
the table and the figure of what is there so far. On a Ray cluster (`--address`, with
`mstpn[sweep]`) the output folder must be on a disk that all machines share. Options that this
program does not know are those of `mstpn train`.

Weilenmann et al. (2024) compare five ranges with 16 agents each; of the ranges, 0 and
[0.08, 0.92] are published, the other three of the default are assumed.
"""

import argparse
import json
import os
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from tqdm import tqdm

from mstpn.analysis.pictures.learning_curves import CurvePoint, draw_learning_curves, thinned
from mstpn.bridge.runner import add_runner_options, run_all
from mstpn.bridge.training.options import Options, parse_options
from mstpn.synapses.support.command_line import Parser, integer
from mstpn.synapses.support.files import atomic_write, replacing, write_json
from mstpn.synapses.support.numerals import number
from mstpn.synapses.support.tidy import csv_text

POINTS_PER_AGENT = 400
DEFAULT_RANGES = ("0:0", "0.08:0.08", "0.08:0.5", "0.5:0.92", "0.08:0.92")


@dataclass(frozen=True)
class Cell:
    """One agent of the grid."""

    options: Options
    error: str = ""

    @property
    def status(self) -> str:
        """Whether it is finished, failed, stopped (or still at it), or missing."""
        steps = self.steps
        if steps >= self.options.total_steps:
            return "finished"
        if self.error:
            return "failed"
        return "stopped" if steps else "missing"

    @property
    def folder(self) -> Path:
        """Where it is trained."""
        return Path(self.options.out)

    @property
    def records(self) -> list[dict[str, float]]:
        """Its log so far; a line being written at this moment is left out."""
        path = self.folder / "log.jsonl"
        if not path.exists():
            return []
        lines = path.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    @property
    def steps(self) -> int:
        """Agent steps so far."""
        records = self.records
        return int(records[-1]["step"]) if records else 0


def decay_range(text: str) -> tuple[float, float]:
    """Argument type: LOW:HIGH."""
    try:
        low, high = (number(part) for part in text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be LOW:HIGH, got {text!r}") from None
    return low, high


def range_folder(low: float, high: float) -> str:
    """Name of the folder of a range's agents."""
    return f"decay_{low:g}_{high:g}"


def parse_arguments(arguments: list[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Command line, and what is left of it for the trainer."""
    parser = Parser(
        prog="mstpn sweep-decay",
        description="Train agents over ranges of Lambda and seeds side by side.",
    )
    parser.add_argument("--ranges", type=decay_range, nargs="+", metavar="LOW:HIGH")
    parser.add_argument("--seeds", type=integer(1), default=16, help="agents per range")
    parser.add_argument(
        "--first-seed", type=integer(0), default=0, help="of each range's first agent"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/sweep"))
    add_runner_options(parser)
    parser.set_defaults(processes=os.cpu_count() or 1)
    parser.add_argument("--report-only", action="store_true", help="train nothing")
    parser.add_argument("--json", type=Path, metavar="PATH", help="the table of cells")
    options, rest = parser.parse_known_args(arguments)
    options.ranges = options.ranges or [decay_range(text) for text in DEFAULT_RANGES]
    folders = [range_folder(*ends) for ends in options.ranges]
    if len(set(folders)) < len(folders):
        parser.error("argument --ranges: two agents would be trained in one folder")
    return options, rest


def grid(options: argparse.Namespace, rest: list[str]) -> list[Cell]:
    """All cells, their options checked."""
    cells = []
    for low, high in options.ranges:
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            folder = (options.out / range_folder(low, high) / f"seed_{seed}").resolve()
            mine = ["--out", str(folder), "--seed", str(seed)]
            mine += ["--decay-min", str(low), "--decay-max", str(high)]
            if (folder / "state.safetensors").exists():
                mine.append("--resume")
            cells.append(Cell(parse_options([*rest, *mine])[0]))
    return cells


def train_cell(cell: Cell) -> bool:
    """Train one agent, in a process of its own."""
    from mstpn.bridge.training.train import Trainer

    torch.set_num_threads(1)
    Trainer(cell.options).run()
    return True


def run(cells: list[Cell], options: argparse.Namespace) -> list[Cell]:
    """Train what is not finished; one failed agent does not stop the rest."""
    todo = {k: c for k, c in enumerate(cells) if c.steps < c.options.total_steps}
    done = list(cells)
    with tqdm(total=sum(c.options.total_steps for c in cells), unit="step", disable=None) as bar:

        def progress() -> None:
            bar.n = sum(min(c.steps, c.options.total_steps) for c in cells)
            bar.refresh()

        number = {cell: k for k, cell in todo.items()}
        for ended in run_all(
            list(todo.values()),
            train_cell,
            processes=options.processes,
            address=options.address,
            progress=progress,
        ):
            done[number[ended.task]] = replace(ended.task, error=ended.error)
    return done


def curve(cell: Cell) -> list[CurvePoint]:
    """A cell's part of the tidy table."""
    o = cell.options
    points = [
        CurvePoint(o.decay_min, o.decay_max, o.seed, int(r["step"]), r["mean_return"])
        for r in cell.records
        if "mean_return" in r
    ]
    return thinned(points, POINTS_PER_AGENT)


def write_results(cells: list[Cell], folder: Path, json_path: Path | None) -> None:
    """`curves.csv`, `cells.csv`, `figure_4b.png` and the table on the terminal."""
    curves = [curve(cell) for cell in cells]
    points = [point for mine in curves for point in mine]
    atomic_write(folder / "curves.csv", csv_text([asdict(p) for p in points]).encode())
    rows: list[dict[str, object]] = [
        {
            "decay_min": c.options.decay_min,
            "decay_max": c.options.decay_max,
            "seed": c.options.seed,
            "status": c.status,
            "steps": c.steps,
            "mean_return": mine[-1].mean_return if mine else "",
            "error": c.error,
        }
        for c, mine in zip(cells, curves, strict=True)
    ]
    atomic_write(folder / "cells.csv", csv_text(rows).encode())
    if json_path is not None:
        write_json(json_path, rows)
    for row in rows:
        print("  ".join(f"{value!s:>11}" for value in row.values()))
    if points:
        figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
        draw_learning_curves(ax, points)
        with replacing(folder / "figure_4b.png") as partial:
            figure.savefig(partial, dpi=150)


def main(arguments: list[str] | None = None) -> int:
    """Train, write, print; 1 if an agent failed."""
    started = time.monotonic()
    options, rest = parse_arguments(arguments)
    cells = grid(options, rest)
    if not options.report_only:
        cells = run(cells, options)
    write_results(cells, options.out, options.json)
    counts = Counter(c.status for c in cells)
    states = ("finished", "stopped", "failed", "missing")
    print(
        ", ".join(f"{counts[status]} {status}" for status in states)
        + f" after {(time.monotonic() - started) / 60:.1f} min; results in {options.out}"
    )
    return 1 if counts["failed"] else 0
