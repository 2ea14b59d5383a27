"""Agents over ranges of Lambda and seeds: trained side by side, summed up and drawn."""

import argparse
import json
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from tqdm import tqdm

from mstpn.analysis.pictures.learning_curves import CurvePoint, draw_learning_curves, thinned
from mstpn.bridge.runner import run_all
from mstpn.bridge.training.options import Options
from mstpn.synapses.support.files import atomic_write, replacing, write_json
from mstpn.synapses.support.tidy import csv_text

POINTS_PER_AGENT = 400


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


def train_cell(cell: Cell) -> bool:
    """Train one agent, in a process of its own."""
    from mstpn.bridge.training.train import Trainer

    torch.set_num_threads(1)
    Trainer(cell.options).run()
    return True


def trained(cells: list[Cell], options: argparse.Namespace) -> list[Cell]:
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


def run(options: argparse.Namespace, agents: list[Options]) -> bool:
    """Train, write, print; return whether an agent failed."""
    started = time.monotonic()
    cells = [Cell(agent) for agent in agents]
    if not options.report_only:
        cells = trained(cells, options)
    write_results(cells, options.out, options.json)
    counts = Counter(c.status for c in cells)
    states = ("finished", "stopped", "failed", "missing")
    print(
        ", ".join(f"{counts[status]} {status}" for status in states)
        + f" after {(time.monotonic() - started) / 60:.1f} min; results in {options.out}"
    )
    return counts["failed"] > 0
