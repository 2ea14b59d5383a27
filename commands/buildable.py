"""Could an agent's network be built as an array of memristors? One page, each answer a number.

    mstpn buildable --out buildable
    mstpn buildable --checkpoint pong_memory --flicker 0.5 --endurance 1e10 --retention "10 year"

Needs `pip install 'mstpn[analysis]'`. Plays a game on the Brian2 network (or loads ledgers that
`mstpn pong --ledger` wrote), programs W into an array, solves the array's lines and shows the game
to the network with converters of fewer and fewer bits. What each number is held against is in
`analysis/array/limits.toml`.
"""

import argparse
from pathlib import Path

from mstpn.bridge.checkpoints import add_checkpoint_option
from mstpn.commands.options import add_game_options
from mstpn.synapses.device_file import DEFAULT_DEVICE
from mstpn.synapses.support.command_line import (
    Parser,
    exit_status,
    integer,
    positive,
    writable,
)

__all__ = ["main", "parse_arguments"]

PROGRAM = "mstpn buildable"
_SPANS = {"s": 1.0, "min": 60.0, "h": 3600.0, "day": 86400.0, "year": 31557600.0}


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(prog=PROGRAM, description="Could the network be built as an array?")
    add_checkpoint_option(parser)
    parser.add_argument(
        "--device", type=Path, default=DEFAULT_DEVICE, metavar="FILE", help="device file"
    )
    parser.add_argument(
        "--nearest-decay",
        action="store_true",
        help="where the device does not reach the agent's Lambda, hold the nearest that it does",
    )
    parser.add_argument(
        "--load",
        type=Path,
        action="append",
        default=[],
        metavar="LEDGER",
        help="a recorded game instead of playing; repeat it for several",
    )
    parser.add_argument("--games", type=integer(1), default=1, metavar="N", help="to play (1)")
    parser.add_argument(
        "--seed",
        type=integer(0),
        default=1000,
        help="of the first game, one more for each next, and of the devices programmed (1000)",
    )
    add_game_options(parser)
    parser.add_argument(
        "--ir-drop-rs",
        type=positive,
        metavar="OHM",
        help="of a line from one cell to the next; the same as --limit line_resistance=OHM (1)",
    )
    parser.add_argument(
        "--tolerance",
        type=positive,
        default=0.02,
        metavar="W",
        help="that W is programmed within (0.02)",
    )
    parser.add_argument(
        "--endurance", type=positive, metavar="N", help="pulses that a device bears; not known"
    )
    parser.add_argument(
        "--retention",
        type=duration,
        metavar="TIME",
        help='after which W is to be written again, such as "10 year"; not known',
    )
    parser.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what a number is held against; an unknown name lists them all, with units",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("buildable"), metavar="FOLDER", help="(buildable)"
    )
    parser.add_argument("--json", type=writable, metavar="PATH", help="all of it for a program")
    options = parser.parse_args(arguments)
    if options.load:
        for name in ("games", "sticky", "flicker"):
            if getattr(options, name) != parser.get_default(name):
                parser.error(f"--{name} is of games to play, leave it out with --load")
    return options


def duration(text: str) -> float:
    """Argument type: a time in second from a number and a unit."""
    said, _, unit = text.strip().partition(" ")
    unit = unit.strip()
    unit = unit if unit in _SPANS else unit.removesuffix("s")
    if unit not in _SPANS:
        raise argparse.ArgumentTypeError(
            f"must be a number and one of {', '.join(_SPANS)}, got {text!r}"
        )
    return positive(said) * _SPANS[unit]


def main(arguments: list[str] | None = None) -> int:
    """Find out, print, write; return the exit status."""
    options = parse_arguments(arguments)
    return exit_status(PROGRAM, lambda: _work(options))


def _work(options: argparse.Namespace) -> None:
    from mstpn.commands.work.buildable import run

    run(options)
