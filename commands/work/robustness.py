"""Games on devices that are not ideal: played, kept in a table, summed up and drawn."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from brian2.units import joule, mjoule

from mstpn.analysis.pictures.robustness import (
    ALL,
    BUT,
    IDEAL,
    RobustnessGame,
    by_level,
    draw_left_out,
    draw_robustness,
)
from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.grid import digest_of, games_each, play_missing
from mstpn.bridge.play import play_game
from mstpn.bridge.pong import Pong
from mstpn.bridge.saved import fingerprints
from mstpn.commands.robustness import DEVIATIONS
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Nonidealities
from mstpn.synapses.support.brian_target import use_target
from mstpn.synapses.support.files import replacing, write_json


class Cell(NamedTuple):
    """One game to play."""

    nonideality: str
    level: float
    seed: int

    def spread(self, at_once: Sequence[str] = ()) -> Nonidealities:
        """The devices; of several deviations at once, one may be left out."""
        settings = [f"seed={self.seed}"]
        if self.nonideality == ALL or self.nonideality.startswith(BUT):
            left_out = self.nonideality.removeprefix(BUT)
            settings += [text for text in at_once if text.partition("=")[0] != left_out]
        elif self.nonideality != IDEAL:
            beside = DEVIATIONS[self.nonideality].beside
            settings += [f"{self.nonideality}={self.level}", *beside]
        return Nonidealities.parse(settings)


def grid(options: argparse.Namespace) -> list[Cell]:
    """All games, one of each level before the second of any: what is there is always balanced."""
    if options.nonideal:
        sizes = Nonidealities.parse(options.nonideal).to_json()
        each = [(f"{BUT}{name}", size) for name, size in sizes.items() if name in DEVIATIONS]
        pairs = [(IDEAL, 0.0), (ALL, 0.0), *each]
        return [Cell(*pair, options.seed + k) for k in range(options.games) for pair in pairs]
    wanted = dict(options.levels or ((name, d.levels) for name, d in DEVIATIONS.items()))
    pairs = [(IDEAL, 0.0), *((name, level) for name, levels in wanted.items() for level in levels)]
    return [Cell(*pair, options.seed + k) for k in range(options.games) for pair in pairs]


def digest(options: argparse.Namespace) -> str:
    """What tells apart tables of other agents or other device files."""
    numbers = fingerprints(load_checkpoint(options.checkpoint), Memristor.from_file(options.device))
    content = repr((numbers, options.sticky, options.flicker))
    content += repr(sorted(options.nonideal)) if options.nonideal else ""
    return digest_of(content.encode())


def play(cell: Cell, options: argparse.Namespace) -> RobustnessGame:
    """Play one game."""
    use_target(options.target)
    device = Memristor.from_file(options.device)
    spread = cell.spread(options.nonideal)
    agent = BrianAgent(load_checkpoint(options.checkpoint), device, STEP_DURATION, spread)
    pong = Pong(sticky=options.sticky, flicker=options.flicker)
    record = play_game(pong, agent, cell.seed)
    pong.close()
    spent = {term: float(energy / joule) for term, energy in record.energy.items()}
    return RobustnessGame(
        *cell,
        score=record.score,
        decisions=record.decisions,
        pulse_j=spent["pulse"],
        bias_j=spent["bias"],
        read_j=spent["read"],
        inputs=digest(options),
        periphery_j=spent.get("periphery", 0.0),
    )


def all_games(options: argparse.Namespace) -> list[RobustnessGame]:
    """Those of the grid, of which the table may hold some."""
    inputs = digest(options)
    return play_missing(
        grid(options),
        partial(play, options=options),
        options.out,
        RobustnessGame,
        cell_of=lambda g: Cell(g.nonideality, g.level, g.seed),
        inputs=lambda _cell: inputs,
        describe=lambda g: f"{g.nonideality}={g.level:g}: {g.score:+.0f}",
        processes=options.processes,
        address=options.address,
    )


def summary(games: list[RobustnessGame]) -> list[dict[str, Any]]:
    """Scores and energies by level."""
    rows = []
    for name in dict.fromkeys(g.nonideality for g in games):
        for level, mine in by_level([g for g in games if g.nonideality == name], name).items():
            scores = [g.score for g in mine]
            energies = [float(g.energy / mjoule) for g in mine]
            steps = sum(g.decisions for g in mine)
            rows.append(
                {
                    "nonideality": name,
                    "level": level,
                    "games": len(mine),
                    "mean_score": float(np.mean(scores)),
                    "min_score": min(scores),
                    "max_score": max(scores),
                    "mean_energy_mj": float(np.mean(energies)),
                    "energy_per_step_uj": 1e3 * sum(energies) / steps,
                }
            )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The summary for a person."""
    lines = [
        "nonideality                      level  games   mean score  lowest  highest"
        "  mJ a game  uJ a step"
    ]
    lines += [
        f"{r['nonideality']:<29}{r['level']:>9g}{r['games']:>7d}{r['mean_score']:>+13.2f}"
        f"{r['min_score']:>+8.0f}{r['max_score']:>+9.0f}{r['mean_energy_mj']:>11.2f}"
        f"{r['energy_per_step_uj']:>11.3f}"
        for r in rows
    ]
    return "\n".join(lines)


def write_figure(games: list[RobustnessGame], options: argparse.Namespace) -> Path:
    """Draw what the table has."""
    path = options.figure or options.out.with_suffix(".png")
    span = games_each((g.nonideality, g.level) for g in games)
    device = Memristor.from_file(options.device)
    if options.nonideal:
        title = f"{options.checkpoint.name}, {span} games each, bars: mean"
        figure = draw_left_out(games, device, title)
    else:
        labels = {name: d.label for name, d in DEVIATIONS.items()}
        title = f"{options.checkpoint.name}, {span} games a level, lines: mean, bands: range"
        figure = draw_robustness(games, labels, device, title)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110)
    return path


def run(options: argparse.Namespace) -> None:
    """Play, write, draw, print."""
    use_target(options.target)
    load_checkpoint(options.checkpoint)
    Memristor.from_file(options.device)
    Nonidealities.parse(options.nonideal)
    games = all_games(options)
    figure = write_figure(games, options)
    rows = summary(games)
    print(table(rows))
    print(f"\n{len(games)} games in {options.out}, drawn in {figure}")
    if options.json is not None:
        content = {"levels": rows, "games": [asdict(g) for g in games]}
        write_json(options.json, content)
