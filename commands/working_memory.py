"""Items that spiking neurons keep in F alone: recall, capacity, lifetimes and joules.

    mstpn working-memory --out working_memory

Writes the figure, three tables and, with --json, the numbers. The network and its theory are
`mstpn.network.working_memory`.
"""

import argparse
from pathlib import Path

from mstpn.network.working_memory.columns import COLUMNS
from mstpn.synapses.device_file import DEFAULT_DEVICE
from mstpn.synapses.support.command_line import Parser, exit_status, finite, integer

__all__ = ["main", "parse_arguments"]

PROGRAM = "mstpn working-memory"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(prog=PROGRAM, description="A spiking working memory that is kept in F alone.")
    parser.add_argument(
        "--voltages",
        type=finite,
        nargs="+",
        default=[0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
        metavar="VOLT",
        help="bias voltages (0 0.1 0.2 0.3 0.4 0.5 0.6); items are counted at the last",
    )
    parser.add_argument(
        "--items",
        type=integer(1),
        nargs="+",
        default=[1, 2, 4, 8, 16, 32, 64],
        metavar="N",
        help="numbers of items that are encoded one after the other (1 2 4 8 16 32 64)",
    )
    parser.add_argument(
        "--cued",
        type=integer(1),
        choices=range(1, COLUMNS.hypercolumns),
        default=3,
        metavar="N",
        help=f"hypercolumns of a cue, 1 to {COLUMNS.hypercolumns - 1} (3)",
    )
    parser.add_argument("--networks", type=integer(1), default=5, metavar="N", help="asked (5)")
    parser.add_argument(
        "--questions", type=integer(2), default=4, metavar="N", help="to each, after each delay (4)"
    )
    parser.add_argument("--seed", type=integer(0), default=0, help="of the first network (0)")
    parser.add_argument("--device", type=Path, default=DEFAULT_DEVICE, metavar="FILE")
    parser.add_argument("--target", choices=("auto", "cython", "numpy"), default="auto")
    parser.add_argument("--out", type=Path, default=Path("working_memory"), metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="PATH", help="the numbers for a program")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run, draw, write, print; return the exit status."""
    options = parse_arguments(arguments)
    return exit_status(PROGRAM, lambda: _work(options))


def _work(options: argparse.Namespace) -> None:
    from mstpn.commands.work.working_memory import run

    run(options)
