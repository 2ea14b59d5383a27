"""Agents that differ in some options: trained, played, kept in tables, summed up and drawn."""

import argparse
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from brian2.units import joule, volt

from mstpn.analysis.energy.recording import Recorder
from mstpn.analysis.pictures.trained import TrainedAgent, draw_trained
from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.conversion import held_parameters, line_voltages
from mstpn.bridge.grid import digest_of, play_missing
from mstpn.bridge.play import Game, play_game
from mstpn.bridge.pong import Pong
from mstpn.bridge.training.options import Options
from mstpn.commands.train_table import training_options
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.brian_target import Target, use_target
from mstpn.synapses.support.command_line import need_extra
from mstpn.synapses.support.files import atomic_write, replacing, write_json
from mstpn.synapses.support.tidy import csv_text

N_SAMPLES = 200
"""Devices per interval of an energy."""


class Cell(NamedTuple):
    """One game to play."""

    value: str
    sticky: float
    seed: int


@dataclass(frozen=True)
class PlayedGame:
    """One row of the table of games."""

    value: str
    sticky: float
    seed: int
    score: float
    decisions: int
    energy_j: float
    time_max: float
    inputs: str


def train(options: Options) -> None:
    """Train an agent, or what is left of its training."""
    from mstpn.bridge.training.train import Trainer

    trainer = Trainer(options)
    if trainer.step < options.total_steps:
        trainer.run()
    if trainer.step < options.total_steps:
        raise KeyboardInterrupt


def play(
    cell: Cell, agents: dict[str, Options], target: Target, inputs: dict[str, str]
) -> PlayedGame:
    """Play one game."""
    use_target(target)
    options = agents[cell.value]
    checkpoint = load_checkpoint(Path(options.out, "last.safetensors"))
    agent = BrianAgent(checkpoint, options.memristor, STEP_DURATION)
    pong = Pong(sticky=cell.sticky, flicker=options.flicker)
    record = play_game(pong, agent, cell.seed)
    pong.close()
    energy = float(sum(float(e / joule) for e in record.energy.values()))
    return PlayedGame(
        *(*cell, record.score, record.decisions, energy, record.step_time["time_max"]),
        inputs=inputs[cell.value],
    )


def interval(options: Options, seed: int) -> tuple[float, float]:
    """Ends of 95 % of a game's energy over its own, over the assumed constants' ranges."""
    from mstpn.analysis.energy.uncertainty import monte_carlo
    from mstpn.analysis.gpu.ratios import interval as of_draws

    device = options.memristor
    checkpoint = load_checkpoint(Path(options.out, "last.safetensors"))
    agent = BrianAgent(checkpoint, device, STEP_DURATION)
    pong = Pong(sticky=options.sticky, flicker=options.flicker)
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(
            Path(folder, "game"),
            **held_parameters(agent.network),
            step_duration=STEP_DURATION,
            attributes={},
        )
        with recorder:
            for frame in Game(pong, agent, seed).frames():
                recorder.record(frame.z, frame.h)
            recording = recorder.recording()
    pong.close()
    samples = monte_carlo(recording, device, N_SAMPLES, 0)
    energy = np.asarray(samples.energy("trained", STEP_DURATION, read=True) / joule)
    low, high = of_draws(energy)
    return low / float(energy[0]), high / float(energy[0])


def summary(
    value: str, options: Options, games: list[PlayedGame], device: Memristor
) -> TrainedAgent:
    """One agent in a row."""
    mine = [g for g in games if g.value == value]
    with_sticky = [g.score for g in mine if g.sticky == options.sticky]
    without = [g.score for g in mine if g.sticky == 0]
    checkpoint = load_checkpoint(Path(options.out, "last.safetensors"))
    volts = np.asarray(line_voltages(checkpoint, device) / volt)
    energy = 1e3 * float(np.mean([g.energy_j for g in mine]))
    low, high = interval(options, mine[0].seed)
    return TrainedAgent(
        value=value,
        steps=options.total_steps,
        sticky=options.sticky,
        score=float(np.mean(with_sticky)),
        score_min=min(with_sticky),
        score_without=float(np.mean(without)) if without else float("nan"),
        score_without_min=min(without) if without else float("nan"),
        games=len(with_sticky),
        energy_mj=energy,
        energy_low_mj=low * energy,
        energy_high_mj=high * energy,
        lines=volts.size,
        volt_min=float(volts.min()),
        volt_max=float(volts.max()),
        time_max=max(g.time_max for g in mine),
    )


def digest(options: Options) -> str:
    """What tells an agent from another of its name."""
    return digest_of(Path(options.out, "last.safetensors").read_bytes())


def table(name: str, rows: list[TrainedAgent]) -> str:
    """The summary for a person."""
    width = max(16, *(len(r.value) + 2 for r in rows))
    lines = [
        f"{name:<{width}} score (lowest)   without sticky   mJ a game [95 %]          lines  volt"
        "           step used"
    ]
    lines += [
        f"{r.value:<{width}}{r.score:+7.2f} ({r.score_min:+.0f})   {r.score_without:+9.2f} "
        f"({r.score_without_min:+.0f})   {r.energy_mj:7.3f} [{r.energy_low_mj:.3f}, "
        f"{r.energy_high_mj:.3f}]{r.lines:>8,}  {r.volt_min:.3f}-{r.volt_max:.3f}{r.time_max:>9.1%}"
        for r in rows
    ]
    return "\n".join(lines)


def run(options: argparse.Namespace) -> None:
    """Train, play, write, draw, print."""
    need_extra("train,analysis", "numba", "tensorboard", "xarray")
    use_target(options.target)
    name = options.vary[0] if options.vary else "agent"
    agents = training_options(options)
    for value in agents:
        train(training_options(options)[value])  # a chain's next finds its start only now
    agents = training_options(options)
    games = all_games(options, agents)
    rows = [summary(v, o, games, o.memristor) for v, o in agents.items()]
    text = csv_text([vars(r) for r in rows])
    atomic_write(options.out / "agents.csv", text.encode())
    figure = draw_trained(rows, name, next(iter(agents.values())).memristor)
    with replacing(options.out / "agents.png") as partial_file:
        figure.savefig(partial_file, dpi=130, format="png")
    print(table(name, rows))
    print(f"\nagents, games and figure in {options.out}")
    if options.json is not None:
        content = {"command": options.command, "agents": [vars(r) for r in rows]}
        write_json(options.json, content)


def all_games(options: argparse.Namespace, agents: dict[str, Options]) -> list[PlayedGame]:
    """Those of all agents, some of which the table may hold already."""
    inputs = {value: digest(o) for value, o in agents.items()}
    return play_missing(
        [
            Cell(value, sticky, options.seed + k)
            for k in range(options.games)
            for value, o in agents.items()
            for sticky in sorted({o.sticky, 0.0}, reverse=True)
        ],
        partial(play, agents=agents, target=options.target, inputs=inputs),
        options.out / "games.csv",
        PlayedGame,
        cell_of=lambda g: Cell(g.value, g.sticky, g.seed),
        inputs=lambda cell: inputs.get(cell.value),
        describe=lambda g: f"{g.value}: {g.score:+.0f}",
        processes=options.processes,
        address=options.address,
    )
