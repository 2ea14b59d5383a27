"""Games of Pong in spikes: played, kept in a table, summed up and drawn."""

import argparse
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from brian2.units import joule, ujoule

from mstpn.analysis.pictures.spike_times import GRADED, SpikeTimesGame, by_bins, draw_spike_times
from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.grid import digest_of, games_each, play_missing
from mstpn.bridge.play import Game
from mstpn.bridge.pong import Pong
from mstpn.bridge.saved import fingerprints
from mstpn.commands.spike_times import CODINGS
from mstpn.network.frames import STEP_DURATION
from mstpn.network.spikes import full_scale_of
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.spike_times import TIMES, SpikeCode
from mstpn.synapses.support.brian_target import use_target
from mstpn.synapses.support.files import replacing, write_json

_TIMES = dict(zip(CODINGS[1:], TIMES, strict=True))
"""By coding."""


class Cell(NamedTuple):
    """One game to play; a graded one has 0 bins."""

    coding: str
    bins: int
    seed: int

    def spike_code(self, full_scale: float) -> SpikeCode | None:
        """How values become spikes, if they do."""
        if self.coding == GRADED:
            return None
        return SpikeCode(self.bins, full_scale, _TIMES[self.coding])


def grid(options: argparse.Namespace) -> list[Cell]:
    """All games, one of each kind before the second of any: what is there is always balanced."""
    codings = [name for name in CODINGS if name in (options.only or CODINGS)]
    kinds = [(name, b) for name in codings for b in ((0,) if name == GRADED else options.bins)]
    return [Cell(*kind, options.seed + k) for k in range(options.games) for kind in kinds]


def full_scale(options: argparse.Namespace) -> float:
    """As asked for, or the agent's."""
    config = load_checkpoint(options.checkpoint).config
    return float(options.full_scale or full_scale_of(config.normalisation))


def digest(options: argparse.Namespace) -> str:
    """What tells apart tables of other agents, device files or games."""
    numbers = fingerprints(load_checkpoint(options.checkpoint), Memristor.from_file(options.device))
    content = repr((numbers, options.sticky, options.flicker, full_scale(options)))
    return digest_of(content.encode())


def play(cell: Cell, options: argparse.Namespace) -> SpikeTimesGame:
    """Play one game."""
    use_target(options.target)
    device, checkpoint = Memristor.from_file(options.device), load_checkpoint(options.checkpoint)
    spike_code = cell.spike_code(full_scale(options))
    agent = BrianAgent(checkpoint, device, STEP_DURATION, spike_code=spike_code)
    pong = Pong(sticky=options.sticky, flicker=options.flicker)
    game = Game(pong, agent, cell.seed)
    events = sum(int(np.count_nonzero(frame.z)) for frame in game.frames())
    record = game.record()
    pong.close()
    pulse, bias, read = (float(record.energy[t] / joule) for t in ("pulse", "bias", "read"))
    return SpikeTimesGame(
        *cell,
        score=record.score,
        decisions=record.decisions,
        events=events,
        pulse_j=pulse,
        bias_j=bias,
        read_j=read,
        inputs=digest(options),
    )


def all_games(options: argparse.Namespace) -> list[SpikeTimesGame]:
    """Those of the grid, of which the table may hold some."""
    inputs = digest(options)
    return play_missing(
        grid(options),
        partial(play, options=options),
        options.out,
        SpikeTimesGame,
        cell_of=lambda g: Cell(g.coding, g.bins, g.seed),
        inputs=lambda _cell: inputs,
        describe=lambda g: f"{g.coding}, {g.bins} bins: {g.score:+.0f}",
        processes=options.processes,
        address=options.address,
    )


def summary(games: list[SpikeTimesGame]) -> list[dict[str, Any]]:
    """Scores and energies by coding and bins."""
    rows = []
    for coding in (name for name in CODINGS if any(g.coding == name for g in games)):
        for bins, mine in by_bins(games, coding).items():
            scores, steps = [g.score for g in mine], sum(g.decisions for g in mine)
            rows.append(
                {
                    "coding": coding,
                    "bins": bins,
                    "games": len(mine),
                    "mean_score": float(np.mean(scores)),
                    "std_score": float(np.std(scores)),
                    "min_score": min(scores),
                    "max_score": max(scores),
                    "events_per_step": sum(g.events for g in mine) / steps,
                }
                | {
                    f"{term}_per_step_uj": float(
                        sum(getattr(g, f"{term}_j") for g in mine) * joule / steps / ujoule
                    )
                    for term in ("pulse", "bias", "read")
                }
            )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The summary for a person."""
    lines = [
        "coding          bins  games  mean score    std  lowest  highest  events a step"
        "   uJ a step: pulse    bias      read"
    ]
    lines += [
        f"{r['coding']:<15}{r['bins'] or '-':>5}{r['games']:>7d}{r['mean_score']:>+12.2f}"
        f"{r['std_score']:>7.2f}{r['min_score']:>+8.0f}{r['max_score']:>+9.0f}"
        f"{r['events_per_step']:>15.1f}{r['pulse_per_step_uj']:>19.4f}"
        f"{r['bias_per_step_uj']:>8.4f}{r['read_per_step_uj']:>10.6f}"
        for r in rows
    ]
    return "\n".join(lines)


def write_figure(games: list[SpikeTimesGame], options: argparse.Namespace) -> Path:
    """Draw what the table has."""
    path: Path = options.figure or options.out.with_suffix(".png")
    span = games_each((g.coding, g.bins) for g in games)
    title = (
        f"{options.checkpoint.name}, {span} games a point, sticky {options.sticky:g}, "
        f"flicker {options.flicker:g}; bars: standard error"
    )
    with replacing(path) as partial_file:
        draw_spike_times(games, title).savefig(partial_file, dpi=110, format="png")
    return path


def run(options: argparse.Namespace) -> None:
    """Play, write, draw, print."""
    use_target(options.target)
    Memristor.from_file(options.device)
    for cell in grid(options):
        cell.spike_code(full_scale(options))  # refused before any game
    games = all_games(options)
    figure = write_figure(games, options)
    rows = summary(games)
    print(table(rows))
    print(f"\n{len(games)} games in {options.out}, drawn in {figure}")
    if options.json is not None:
        write_json(options.json, {"kinds": rows, "games": [asdict(g) for g in games]})
