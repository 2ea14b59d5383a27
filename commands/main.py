"""The command `mstpn`: one word, a program, and the program's options."""

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from typing import NamedTuple

from mstpn import __version__
from mstpn.synapses.support.command_line import Parser, exit_status

__all__ = ["COMMANDS", "Command", "main"]


class Command(NamedTuple):
    """A program: what it does, and the extra that it needs."""

    what: str
    extra: str = ""


COMMANDS = {
    "pong": Command("play Pong on the Brian2 network and print its energy"),
    "watch": Command("watch a game live, with a hand on the voltage"),
    "report": Command("where the joules of a game go, against GPUs", "analysis"),
    "program": Command("write an agent's W into an array by pulses"),
    "buildable": Command("could the network be built as an array, in numbers", "analysis"),
    "ablation": Command("score without each of the agent's parts"),
    "spike-times": Command("score and energy of Pong in spikes, by the bins of a frame"),
    "robustness": Command("score on devices that are not ideal"),
    "require": Command("what a score needs of the devices"),
    "train": Command("train an agent", "train"),
    "evaluate": Command("greedy games of an agent on the torch twin", "train"),
    "train-table": Command("train agents that differ in some options", "train,analysis"),
    "sweep-decay": Command("figure 4b: trainings over ranges of Lambda", "train"),
    "sweep-device": Command("energies of a game against a device constant", "analysis"),
    "bench": Command("figures 2 and 3 from simulated devices"),
    "fit-device": Command("a device file from your measurements"),
    "retrieval": Command("associative retrieval: train, answer, draw", "train"),
    "spiking-association": Command("spiking neurons tie letters to digits and recall them"),
    "working-memory": Command("a spiking working memory: recall, capacity, lifetime, joules"),
    "gpu-energy": Command("measure the same work on a CUDA GPU", "gpu"),
}
"""By name; `train-table` is the module `mstpn.commands.train_table`, and so on."""


def main(arguments: Sequence[str] | None = None) -> int | None:
    """Run a command; return its exit status."""
    width = max(map(len, COMMANDS)) + 2
    listed = "\n".join(f"  {name:<{width}}{what}" for name, (what, _) in COMMANDS.items())
    parser = Parser(
        prog="mstpn",
        usage="mstpn COMMAND [options]",
        description="Memristive short-term plasticity: networks, games, joules.",
        epilog=f"commands:\n{listed}\n\n`mstpn COMMAND --help` lists the options of one.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mstpn {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of those below")
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = parser.parse_args(words[:1]).command
    module = importlib.import_module(f"mstpn.commands.{command.replace('-', '_')}")
    status: int | None = None

    def run() -> None:
        nonlocal status
        status = module.main(words[1:])

    try:
        return exit_status(f"mstpn {command}", run) or status
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if not missing or importlib.util.find_spec(missing) is not None:  # the fault is ours
            raise
        extra = COMMANDS[command].extra
        needed = f"mstpn[{extra}]" if extra else missing
        print(f"mstpn {command}: needs pip install '{needed}': {error}", file=sys.stderr)
        return 2
