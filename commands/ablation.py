"""Pong without one of the agent's parts: what each of them brings.

    mstpn ablation --games 10 --processes 2 --out ablation.csv

Every game is played on the Brian2 network with one part taken away, shuffled or put back to
its start. Each finished game is a row of the table at once; the same command again plays only
what is missing.
"""

import argparse

from mstpn.bridge.ablation import ABLATIONS
from mstpn.commands.options import add_game_options, add_table_options
from mstpn.synapses.support.command_line import Parser, exit_status, integer

__all__ = ["main", "parse_arguments"]

PROGRAM = "mstpn ablation"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(prog=PROGRAM, description="Score of Pong without each of the agent's parts.")
    parser.add_argument("--games", type=integer(1), default=10, metavar="N", help="per ablation")
    parser.add_argument("--seed", type=integer(0), default=1000, help="of the first; one more each")
    parser.add_argument(
        "--only",
        action="append",
        choices=tuple(ABLATIONS),
        metavar="NAME",
        help=f"these ablations alone, of: {', '.join(ABLATIONS)}",
    )
    add_game_options(parser, sticky=0.25)
    parser.add_argument(
        "--nonideal",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="devices that are not ideal, drawn anew from the seed of every game",
    )
    add_table_options(parser, "ablation.csv")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Play, write, draw, print; return the exit status."""
    options = parse_arguments(arguments)
    return exit_status(
        PROGRAM, lambda: _work(options), f"stopped, finished games are in {options.out}"
    )


def _work(options: argparse.Namespace) -> None:
    from mstpn.commands.work.ablation import run

    run(options)
