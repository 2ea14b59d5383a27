"""Train agents over ranges of Lambda and seeds side by side; draw the paper's figure 4b.

    mstpn sweep-decay --ranges 0:0 0.08:0.92 --seeds 2 --total-steps 2000000

Needs `pip install 'mstpn[train]'`. Every agent is one task of one thread in a folder of its own;
the same command again goes on where the last one stopped, and with `--report-only` it writes
the table and the figure of what is there so far; `--watch` does so again and again while others
train, and shows all agents on the terminal. On a Ray cluster (`--address`, with
`mstpn[sweep]`) the output folder must be on a disk that all machines share. Options that this
program does not know are those of `mstpn train`. With Lambda = 0 a pulse lasts until the next step;
the range `none` is agents without short-term memory, whose Gamma is 0.

Weilenmann et al. (2024) compare five ranges with 16 agents each; of the ranges, 0 and
[0.08, 0.92] are published, the other three of the default are assumed.
"""

import argparse
import os
from pathlib import Path

from mstpn.bridge.runner import add_runner_options
from mstpn.bridge.training.options import Options, parse_options
from mstpn.synapses.support.command_line import Parser, exit_status, integer
from mstpn.synapses.support.numerals import number

__all__ = ["main", "parse_arguments"]

PROGRAM = "mstpn sweep-decay"
DEFAULT_RANGES = ("0:0", "0.08:0.08", "0.08:0.5", "0.5:0.92", "0.08:0.92")


DecayRange = tuple[float, float] | None
"""Both ends; None where there is no short-term memory."""


def decay_range(text: str) -> DecayRange:
    """Argument type: LOW:HIGH, or none."""
    if text == "none":
        return None
    try:
        low, high = (number(part) for part in text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be LOW:HIGH or none, got {text!r}") from None
    return low, high


def range_folder(ends: DecayRange) -> str:
    """Name of the folder of a range's agents."""
    return "decay_{:g}_{:g}".format(*ends) if ends else "no_memory"


def range_options(ends: DecayRange) -> list[str]:
    """What makes an agent one of a range."""
    if ends is None:
        return ["--no-memory"]
    return ["--decay-min", str(ends[0]), "--decay-max", str(ends[1])]


def parse_arguments(arguments: list[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Command line, and what is left of it for the trainer."""
    parser = Parser(
        prog=PROGRAM,
        description="Train agents over ranges of Lambda and seeds side by side.",
    )
    parser.add_argument("--ranges", type=decay_range, nargs="+", metavar="LOW:HIGH|none")
    parser.add_argument("--seeds", type=integer(1), default=16, help="agents per range")
    parser.add_argument(
        "--first-seed", type=integer(0), default=0, help="of each range's first agent"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/sweep"))
    add_runner_options(parser)
    parser.set_defaults(processes=os.cpu_count() or 1)
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--report-only", action="store_true", help="train nothing")
    only.add_argument(
        "--watch", action="store_true", help="train nothing, show how the agents get on"
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="the table of cells")
    options, rest = parser.parse_known_args(arguments)
    options.ranges = options.ranges or [decay_range(text) for text in DEFAULT_RANGES]
    folders = [range_folder(ends) for ends in options.ranges]
    if len(set(folders)) < len(folders):
        parser.error("argument --ranges: two agents would be trained in one folder")
    return options, rest


def agents(options: argparse.Namespace, rest: list[str]) -> list[Options]:
    """Options of every agent, checked."""
    trainings = []
    for ends in options.ranges:
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            folder = (options.out / range_folder(ends) / f"seed_{seed}").resolve()
            mine = ["--out", str(folder), "--seed", str(seed), *range_options(ends)]
            if (folder / "state.safetensors").exists():
                mine.append("--resume")
            trainings.append(parse_options([*rest, *mine])[0])
    return trainings


def main(arguments: list[str] | None = None) -> int:
    """Train, write, print; 1 if an agent failed."""
    options, rest = parse_arguments(arguments)
    failed = False

    def work() -> None:
        nonlocal failed
        wanted = agents(options, rest)
        from mstpn.commands.work.sweep_decay import run

        failed = run(options, wanted)

    return exit_status(PROGRAM, work) or int(failed)
