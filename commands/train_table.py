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
import shlex
import sys
from pathlib import Path

from mstpn.bridge.runner import add_runner_options
from mstpn.bridge.training.options import Options, parse_options
from mstpn.synapses.support.command_line import Parser, exit_status, integer

__all__ = ["main", "parse_arguments", "training_options"]

PROGRAM = "mstpn train-table"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line; the trainer's options are in `rest`."""
    words = sys.argv[1:] if arguments is None else arguments
    split = words.index("--") if "--" in words else len(words)
    parser = Parser(
        prog=PROGRAM,
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
    options.command = shlex.join(["python", "examples/train_table.py", *words])
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
    trainings: dict[str, Options] = {}
    for agent, (folder_name, differing) in agents.items():
        folder = options.out / folder_name
        words = [*options.rest, *differing, "--out", str(folder)]
        if options.chain and trainings:
            words += [
                "--initial",
                str(Path(next(reversed(trainings.values())).out, "last.safetensors")),
            ]
        if (folder / "state.safetensors").exists():
            words.append("--resume")
        trainings[agent], _ = parse_options(words)
    return trainings


def main(arguments: list[str] | None = None) -> int:
    """Train, play, write, draw, print; return the exit status."""
    options = parse_arguments(arguments)
    return exit_status(
        PROGRAM, lambda: _work(options), f"stopped, what is done is in {options.out}"
    )


def _work(options: argparse.Namespace) -> None:
    training_options(options)  # what is wrong with them is said before much is loaded
    from mstpn.commands.work.train_table import run

    run(options)
