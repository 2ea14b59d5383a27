"""Agents over ranges of Lambda and seeds: trained side by side, summed up and drawn."""

import argparse
import json
import sys
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
REDRAW_SECONDS = 60.0
LOOK_SECONDS = 5.0
QUIET_SECONDS = 120.0
"""After which a training that writes nothing is taken for stopped."""
LONGEST_LINES = 1 << 16
"""Bytes that hold more than the longest line of a log."""
BAR, RECENT = 20, 30
"""Characters of a bar; lines of a log that say how fast a training is."""


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
    def log(self) -> Path:
        """What its training writes."""
        return self.folder / "log.jsonl"

    @property
    def records(self) -> list[dict[str, float]]:
        """Its log so far; a line being written at this moment is left out."""
        if not self.log.exists():
            return []
        lines = self.log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    @property
    def steps(self) -> int:
        """Agent steps so far, by the last line of its log."""
        if not self.log.exists():
            return 0
        with self.log.open("rb") as file:
            file.seek(max(self.log.stat().st_size - LONGEST_LINES, 0))
            *whole, _unfinished = file.read().split(b"\n")
        return int(json.loads(whole[-1])["step"]) if whole else 0

    @property
    def is_training(self) -> bool:
        """Whether its log was written to a moment ago."""
        return self.log.exists() and time.time() - self.log.stat().st_mtime < QUIET_SECONDS

    def line(self) -> str:
        """How it gets on, for a person."""
        o, records, steps = self.options, self.records, self.steps
        total = o.total_steps
        returns = [r["mean_return"] for r in records if "mean_return" in r]
        done = min(steps / total, 1.0)
        bar = ("#" * round(BAR * done)).ljust(BAR, ".")
        ends = "none" if o.no_memory else f"{o.decay_min:>6g} to {o.decay_max:<5g}"
        words = f"{ends:>15} seed {o.seed:<3} {bar} {steps / 1e6:6.2f} of {total / 1e6:.2f} M"
        words += f" {returns[-1]:+7.1f}" if returns else " " * 8
        if self.status == "stopped" and self.is_training:
            recent = [r for r in records[-RECENT:] if "seconds" in r]
            took = recent[-1]["seconds"] - recent[0]["seconds"] if recent else 0.0
            rate = (recent[-1]["step"] - recent[0]["step"]) / took if took > 0 else 0.0
            left = f", {(total - steps) / rate / 60:.0f} min left" if rate else ""
            return f"{words}  training, {rate:.0f} steps/s{left}"
        return f"{words}  {self.status}"


def train_cell(cell: Cell) -> bool:
    """Train one agent, in a process of its own."""
    from mstpn.bridge.training.train import Trainer

    torch.set_num_threads(1)
    Trainer(cell.options).run()
    return True


class Redrawing:
    """Tables and figure anew, at most once in a while and only if an agent has advanced."""

    def __init__(self, cells: list[Cell], folder: Path) -> None:
        self.cells, self.folder = cells, folder
        self.next, self.steps = 0.0, -1

    def look(self) -> int:
        """Steps of all agents so far."""
        steps = sum(min(c.steps, c.options.total_steps) for c in self.cells)
        if steps > self.steps and time.monotonic() >= self.next:
            write_files(self.cells, self.folder)
            self.next, self.steps = time.monotonic() + REDRAW_SECONDS, steps
        return steps


def watched(cells: list[Cell], folder: Path) -> None:
    """Show all agents until Ctrl-C or until none is left to train; once where nobody looks."""
    drawing = sys.stdout.isatty()
    redrawing = Redrawing(cells, folder)
    while True:
        redrawing.look()
        lines = [f"{'Lambda':>15}{'agent steps':>37}{'return':>17}", *(c.line() for c in cells)]
        if drawing:
            print("\033[H\033[2J", end="")
        print("\n".join(lines), flush=True)
        if not drawing or all(c.status == "finished" for c in cells):
            return
        time.sleep(LOOK_SECONDS)


def trained(cells: list[Cell], options: argparse.Namespace) -> list[Cell]:
    """Train what is not finished; one failed agent does not stop the rest."""
    todo = {k: c for k, c in enumerate(cells) if c.steps < c.options.total_steps}
    done, redrawing = list(cells), Redrawing(cells, options.out)
    with tqdm(total=sum(c.options.total_steps for c in cells), unit="step", disable=None) as bar:

        def progress() -> None:
            bar.n = redrawing.look()
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


def _of(options: Options) -> tuple[int, float, float]:
    """Whether an agent has a short-term memory, and its range of Lambda."""
    return int(not options.no_memory), options.decay_min, options.decay_max


def greedy_return(records: list[dict[str, float]]) -> float | str:
    """That of the last evaluation, if there was one."""
    scores = [r["evaluation"] for r in records if "evaluation" in r]
    return scores[-1] if scores else ""


def curve(options: Options, records: list[dict[str, float]]) -> list[CurvePoint]:
    """An agent's part of the tidy table."""
    points = [
        CurvePoint(*_of(options), options.seed, int(r["step"]), r["mean_return"])
        for r in records
        if "mean_return" in r
    ]
    return thinned(points, POINTS_PER_AGENT)


def write_files(cells: list[Cell], folder: Path) -> list[dict[str, object]]:
    """`curves.csv`, `cells.csv` and `figure_4b.png`; the rows of `cells.csv`."""
    logs = [cell.records for cell in cells]
    curves = [curve(c.options, log) for c, log in zip(cells, logs, strict=True)]
    points = [point for mine in curves for point in mine]
    atomic_write(folder / "curves.csv", csv_text([asdict(p) for p in points]).encode())
    rows: list[dict[str, object]] = [
        {
            **dict(zip(("short_term", "decay_min", "decay_max"), _of(c.options), strict=True)),
            "seed": c.options.seed,
            "status": c.status,
            "steps": c.steps,
            "mean_return": mine[-1].mean_return if mine else "",
            "greedy_return": greedy_return(log),
            "error": c.error,
        }
        for c, log, mine in zip(cells, logs, curves, strict=True)
    ]
    atomic_write(folder / "cells.csv", csv_text(rows).encode())
    if points:
        figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
        draw_learning_curves(ax, points)
        with replacing(folder / "figure_4b.png") as partial:
            figure.savefig(partial, dpi=150)
        plt.close(figure)
    return rows


def run(options: argparse.Namespace, agents: list[Options]) -> bool:
    """Train, write, print; return whether an agent failed."""
    started = time.monotonic()
    cells = [Cell(agent) for agent in agents]
    if options.watch:
        watched(cells, options.out)
    elif not options.report_only:
        cells = trained(cells, options)
    rows = write_files(cells, options.out)
    if options.json is not None:
        write_json(options.json, rows)
    if not options.watch:
        table: list[list[object]] = [[*rows[0]], *([*row.values()] for row in rows)]
        for values in table:
            print("  ".join(f"{value!s:>13}" for value in values).rstrip())
    counts = Counter(c.status for c in cells)
    states = ("finished", "stopped", "failed", "missing")
    print(
        ", ".join(f"{counts[status]} {status}" for status in states)
        + f" after {(time.monotonic() - started) / 60:.1f} min; results in {options.out}"
    )
    return counts["failed"] > 0
