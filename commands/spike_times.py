"""Pong in spikes: score and energy against the bins that a frame has for the time of a spike.

    mstpn spike-times --games 10 --processes 2 --out spike_times.csv

Every game is played on the Brian2 network whose inputs and outputs are one spike each, whose time
says how large they are, beside games on graded values; and, to see what time brings, with the times
of each frame exchanged among its spikes or all the same. Each finished game is a row of the table
at once; the same command again plays only what is missing.
"""

import argparse

from mstpn.commands.options import add_game_options, add_table_options
from mstpn.synapses.support.command_line import (
    Parser,
    exit_status,
    integer,
    positive,
)

__all__ = ["CODINGS", "main", "parse_arguments"]

PROGRAM = "mstpn spike-times"
CODINGS = ("graded", "spike times", "shuffled times", "one time")
BINS = (2, 4, 8, 16, 32, 64, 128, 256)


def bins_of(text: str) -> tuple[int, ...]:
    """Argument type: numbers of bins, separated by commas."""
    return tuple(dict.fromkeys(integer(2)(number) for number in text.split(",")))


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(prog=PROGRAM, description="Score and energy of Pong in spikes, by their times.")
    parser.add_argument("--games", type=integer(1), default=10, metavar="N", help="of each (10)")
    parser.add_argument("--seed", type=integer(0), default=1000, help="of the first; one more each")
    parser.add_argument(
        "--bins", type=bins_of, default=BINS, metavar="B,B,...", help="of a frame (2,4,8,...,256)"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=CODINGS,
        metavar="CODING",
        help=f"these codings alone, of: {', '.join(CODINGS)}",
    )
    parser.add_argument(
        "--full-scale",
        type=positive,
        metavar="Z",
        help="input whose spike is in the first bin (4; 1 if inputs are normalised)",
    )
    add_game_options(parser, sticky=0.25)
    add_table_options(parser, "spike_times.csv")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Play, write, draw, print; return the exit status."""
    options = parse_arguments(arguments)
    return exit_status(
        PROGRAM, lambda: _work(options), f"stopped, finished games are in {options.out}"
    )


def _work(options: argparse.Namespace) -> None:
    from mstpn.commands.work.spike_times import run

    run(options)
