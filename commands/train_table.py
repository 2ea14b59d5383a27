"""Agents trained alike but for some options: what each of them scores, and what it spends.

    mstpn train-table --vary energy-price=0,1,4,16,64,256 --chain \
        --out runs/prices -- --initial AGENT.safetensors --total-steps 200000
    mstpn train-table --vary bias-lines=synapse,neuron,input,block,array \
        --out runs/lines -- --initial AGENT.safetensors --total-steps 200000
    mstpn train-table --agent "F=--no-feedback" --agent "F and feedback" \
        --agent "feedback=--no-memory" --agent "neither=--no-feedback --no-memory" \
        --out runs/memory -- --flicker 0.5 --teacher AGENT.safetensors

Needs `pip install 'mstpn[train,analysis]'`. What follows `--` are options of
`mstpn train`, the same for all agents. Each agent is trained in a folder
of its own and then plays on the Brian2 network, under the conditions of its training and, where
these have sticky actions, without them too. The same command again trains and plays only what
is missing.
"""

import argparse
import hashlib
import shlex
import sys
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
from mstpn.bridge.grid import play_missing
from mstpn.bridge.play import Game, play_game
from mstpn.bridge.pong import Pong
from mstpn.bridge.runner import add_runner_options
from mstpn.bridge.training.options import Options, parse_options
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.brian_target import Target, use_target
from mstpn.synapses.support.command_line import Parser, exit_status, integer, need_extra
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


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line; the trainer's options are in `rest`."""
    words = sys.argv[1:] if arguments is None else arguments
    split = words.index("--") if "--" in words else len(words)
    parser = Parser(
        prog="mstpn train-table",
        description="Score and energy of agents that differ in some options.",
    )
    differ = parser.add_mutually_exclusive_group(required=True)
    differ.add_argument("--vary", type=varied, metavar="OPTION=V,V,...", help="one agent per value")
    differ.add_argument(
        "--agent", type=named, action="append", metavar="NAME=OPTIONS", help="one agent of them"
    )
    parser.add_argument(
        "--chain", action="store_true", help="every agent starts from the one before"
    )
    parser.add_argument("--games", type=integer(1), default=10, metavar="N", help="per agent")
    parser.add_argument("--seed", type=integer(0), default=2000, help="of the first game")
    add_runner_options(parser)
    parser.add_argument("--target", choices=("auto", "cython", "numpy"), default="auto")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="PATH")
    options = parser.parse_args(words[:split])
    names = [name for name, _ in options.agent or ()]
    for name in names:
        if names.count(name) > 1:
            parser.error(f"argument --agent: {name!r} names more than one agent")
    options.rest = words[split + 1 :]
    return options


def varied(text: str) -> tuple[str, list[str]]:
    """Argument type: an option of the trainer and its values."""
    name, _, values = text.partition("=")
    if name.replace("-", "_") not in Options.__dataclass_fields__ or not values:
        raise argparse.ArgumentTypeError(
            f"must be an option of the training and its values, got {text!r}"
        )
    return name, values.split(",")


def named(text: str) -> tuple[str, list[str]]:
    """Argument type: a name, which becomes a folder's, and options of the training."""
    name, _, words = text.partition("=")
    name = name.strip()
    if not name or name.startswith(".") or set(name) & set("/\\,"):
        raise argparse.ArgumentTypeError(
            f"must have a name without / \\ and comma, and no dot before it, got {text!r}"
        )
    return name, shlex.split(words)


def training_options(options: argparse.Namespace) -> dict[str, Options]:
    """Of every agent, checked before anything is trained."""
    if options.vary:
        name, values = options.vary
        agents = {value: (f"{name}_{value}", [f"--{name}={value}"]) for value in values}
    else:
        agents = {name: (name, words) for name, words in options.agent}
    found: dict[str, Options] = {}
    for agent, (folder_name, differing) in agents.items():
        folder = options.out / folder_name
        words = [*options.rest, *differing, "--out", str(folder)]
        if options.chain and found:
            words += [
                "--initial",
                str(Path(next(reversed(found.values())).out, "last.safetensors")),
            ]
        if (folder / "state.safetensors").exists():
            words.append("--resume")
        found[agent], _ = parse_options(words)
    return found


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
    """2.5 % and 97.5 % of a game's energy over its own, over the assumed constants' ranges."""
    from mstpn.analysis.energy.uncertainty import monte_carlo

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
    low, high = np.quantile(energy[1:], (0.025, 0.975)) / energy[0]
    return float(low), float(high)


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
    return hashlib.sha256(Path(options.out, "last.safetensors").read_bytes()).hexdigest()[:12]


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


def main(arguments: list[str] | None = None) -> int:
    """Train, play, write, draw, print; return the exit status."""
    options = parse_arguments(arguments)

    def work() -> None:
        need_extra("train,analysis", "numba", "tensorboard", "xarray")
        use_target(options.target)
        name = options.vary[0] if options.vary else "agent"
        agents = training_options(options)
        for value in agents:
            train(training_options(options)[value])  # a chain's next finds its start only now
        agents = training_options(options)
        inputs = {value: digest(options) for value, options in agents.items()}
        games = play_missing(
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
        rows = [summary(v, o, games, o.memristor) for v, o in agents.items()]
        text = csv_text([vars(r) for r in rows])
        atomic_write(options.out / "agents.csv", text.encode())
        figure = draw_trained(rows, name, next(iter(agents.values())).memristor)
        with replacing(options.out / "agents.png") as partial_file:
            figure.savefig(partial_file, dpi=130, format="png")
        print(table(name, rows))
        print(f"\nagents, games and figure in {options.out}")
        if options.json is not None:
            words = ["python", "examples/train_table.py", *(arguments or sys.argv[1:])]
            content = {"command": shlex.join(words), "agents": [vars(r) for r in rows]}
            write_json(options.json, content)

    return exit_status("mstpn train-table", work, f"stopped, what is done is in {options.out}")
