"""Games of agents that lack a part: played, kept in a table, summed up and drawn."""

import argparse
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from brian2.units import joule, mjoule
from tqdm import tqdm

from mstpn.analysis.pictures.ablation import AblationGame, by_ablation, draw_ablation
from mstpn.bridge.ablation import ABLATIONS, ablated
from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.grid import digest_of, games_each, play_missing
from mstpn.bridge.play import play_game
from mstpn.bridge.pong import Pong
from mstpn.bridge.saved import fingerprints
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import Checkpoint, load_checkpoint
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Nonidealities
from mstpn.synapses.support.brian_target import use_target
from mstpn.synapses.support.files import replacing, write_json


class Cell(NamedTuple):
    """One game to play."""

    ablation: str
    seed: int


def possible(options: argparse.Namespace, checkpoint: Checkpoint, device: Memristor) -> list[str]:
    """Ablations to play; those that this agent has nothing for are said and left out."""
    names = []
    for name in dict.fromkeys(options.only or ABLATIONS):
        try:
            other = ablated(name, checkpoint, device, 0)
        except ValueError as error:
            tqdm.write(f"left out: {error}", file=sys.stderr)
            continue
        if name == "as it is" or other.config != checkpoint.config or _differs(other, checkpoint):
            names.append(name)
    return names


def _differs(one: Checkpoint, other: Checkpoint) -> bool:
    return any(not np.array_equal(one.tensors[k], other.tensors[k]) for k in one.tensors)


def digest(options: argparse.Namespace) -> str:
    """What tells apart tables of other agents, device files or games."""
    numbers = fingerprints(load_checkpoint(options.checkpoint), Memristor.from_file(options.device))
    content = repr((numbers, options.sticky, options.flicker, sorted(options.nonideal)))
    return digest_of(content.encode())


def play(cell: Cell, options: argparse.Namespace) -> AblationGame:
    """Play one game."""
    use_target(options.target)
    device = Memristor.from_file(options.device)
    checkpoint = ablated(cell.ablation, load_checkpoint(options.checkpoint), device, cell.seed)
    spread = Nonidealities.parse([*options.nonideal, f"seed={cell.seed}"])
    agent = BrianAgent(checkpoint, device, STEP_DURATION, spread)
    pong = Pong(sticky=options.sticky, flicker=options.flicker)
    record = play_game(pong, agent, cell.seed)
    pong.close()
    pulse, bias, read = (float(record.energy[t] / joule) for t in ("pulse", "bias", "read"))
    return AblationGame(
        ablation=cell.ablation,
        seed=cell.seed,
        score=record.score,
        decisions=record.decisions,
        pulse_j=pulse,
        bias_j=bias,
        read_j=read,
        rows_max=int(record.step_time["rows_max"]),
        time_max=record.step_time["time_max"],
        inputs=digest(options),
        periphery_j=float(record.energy.get("periphery", 0 * joule) / joule),
    )


def summary(games: list[AblationGame]) -> list[dict[str, Any]]:
    """Scores and energies of each ablation."""
    rows = []
    for name, mine in by_ablation(games).items():
        scores = [g.score for g in mine]
        rows.append(
            {
                "ablation": name,
                "games": len(mine),
                "mean_score": float(np.mean(scores)),
                "std_score": float(np.std(scores)),
                "min_score": min(scores),
                "max_score": max(scores),
                "lost": sum(score < 0 for score in scores),
                "mean_energy_mj": float(np.mean([float(g.energy / mjoule) for g in mine])),
                "time_max": max(g.time_max for g in mine),
            }
        )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The summary for a person."""
    lines = [
        "ablation          games  mean score    std  lowest  highest  lost  mJ a game  step used"
    ]
    lines += [
        f"{r['ablation']:<18}{r['games']:>5d}{r['mean_score']:>+12.2f}{r['std_score']:>7.2f}"
        f"{r['min_score']:>+8.0f}{r['max_score']:>+9.0f}{r['lost']:>6d}"
        f"{r['mean_energy_mj']:>11.3f}{r['time_max']:>11.1%}"
        for r in rows
    ]
    return "\n".join(lines)


def run(options: argparse.Namespace) -> None:
    """Play, write, draw, print."""
    use_target(options.target)
    checkpoint, device = load_checkpoint(options.checkpoint), Memristor.from_file(options.device)
    Nonidealities.parse(options.nonideal)
    names = possible(options, checkpoint, device)
    if not names:
        raise ValueError("this agent has nothing of what was to be taken away")
    games = all_games(options, names)
    games.sort(key=lambda g: names.index(g.ablation) if g.ablation in names else len(names))
    figure = write_figure(games, options)
    rows = summary(games)
    print(table(rows))
    print(f"\n{len(games)} games in {options.out}, drawn in {figure}")
    if options.json is not None:
        content = {"ablations": rows, "games": [asdict(g) for g in games]}
        write_json(options.json, content)


def all_games(options: argparse.Namespace, names: list[str]) -> list[AblationGame]:
    """Those of the table, some of which it may hold already."""
    inputs = digest(options)
    return play_missing(
        [Cell(name, options.seed + k) for k in range(options.games) for name in names],
        partial(play, options=options),
        options.out,
        AblationGame,
        cell_of=lambda g: Cell(g.ablation, g.seed),
        inputs=lambda _cell: inputs,
        describe=lambda g: f"{g.ablation}: {g.score:+.0f}",
        processes=options.processes,
        address=options.address,
    )


def write_figure(games: list[AblationGame], options: argparse.Namespace) -> Path:
    """Draw what the table has."""
    path: Path = options.figure or options.out.with_suffix(".png")
    span = games_each(g.ablation for g in games)
    title = (
        f"{options.checkpoint.name}, {span} games each, sticky {options.sticky:g}, "
        f"flicker {options.flicker:g}; bars: standard deviation"
    )
    with replacing(path) as partial_file:
        draw_ablation(games, title).savefig(partial_file, dpi=110, format="png")
    return path
