"""Sweep one constant of the device over a recorded game: joules, and what becomes of h.

    mstpn pong --ledger game.nc
    mstpn sweep-device --load game.nc --constant bias_power --values 3 4.3 6
    mstpn sweep-device --load game.nc --constant decay_half_voltage --range 0.28:0.32:9

The features of the game are replayed into the Brian2 network, which is compiled once as a C++
program and then runs with every value; the first row is the device file's own. Values are
in the unit of the device file.

What has been programmed is held fixed: W, Gamma and every synapse's bias voltage. So Lambda
moves with constants of the decay, while constants of the energies leave h alone. The replay is
open-loop: actions are compared, not played.
"""

import argparse
from pathlib import Path

import numpy as np

from mstpn.bridge.checkpoints import add_checkpoint_option
from mstpn.synapses.device_file import DEFAULT_DEVICE, read_device_file
from mstpn.synapses.support.command_line import Parser, exit_status, finite, integer
from mstpn.synapses.support.numerals import number

__all__ = ["main", "parse_arguments"]

PROGRAM = "mstpn sweep-device"
CONSTANTS = [name for name in read_device_file() if name != "name"]


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(
        prog=PROGRAM,
        description="Energies of a recorded game against one constant of the device.",
    )
    parser.add_argument(
        "--load",
        type=Path,
        required=True,
        metavar="FILE",
        help="a ledger of pong_brian.py, or features (T, n_features) as .npy",
    )
    parser.add_argument("--constant", required=True, choices=CONSTANTS, metavar="NAME")
    values = parser.add_mutually_exclusive_group(required=True)
    values.add_argument("--values", type=finite, nargs="+", metavar="V", help="in its unit")
    values.add_argument("--range", type=value_range, dest="values", metavar="LOW:HIGH:N")
    add_checkpoint_option(parser)
    parser.add_argument("--device", type=Path, default=DEFAULT_DEVICE, metavar="FILE")
    parser.add_argument("--csv", type=Path, metavar="PATH")
    parser.add_argument("--json", type=Path, metavar="PATH")
    return parser.parse_args(arguments)


def value_range(text: str) -> list[float]:
    """Argument type: LOW:HIGH:N."""
    try:
        low, high, n = text.split(":")
        values = np.linspace(number(low), number(high), integer(1)(n)).tolist()
    except (ValueError, argparse.ArgumentTypeError):
        values = []
    if not values:
        raise argparse.ArgumentTypeError(f"must be LOW:HIGH:N with N > 0, got {text!r}")
    return [float(value) for value in values]


def main(arguments: list[str] | None = None) -> int:
    """Sweep, print, write; return the exit status."""
    options = parse_arguments(arguments)
    return exit_status(PROGRAM, lambda: _work(options))


def _work(options: argparse.Namespace) -> None:
    from mstpn.commands.work.sweep_device import run

    run(options)
