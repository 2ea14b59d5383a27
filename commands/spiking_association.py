"""Letters and digits tied by one coincidence of spikes, and recalled: how long is up to the bias.

    mstpn spiking-association --out association

Writes the figure, the table and, with --json, the numbers. The network and its theory are
`mstpn.network.association`.
"""

import argparse
from pathlib import Path

from mstpn.synapses.device_file import DEFAULT_DEVICE
from mstpn.synapses.support.command_line import Parser, exit_status, finite, integer

__all__ = ["main", "parse_arguments"]

PROGRAM = "mstpn spiking-association"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(prog=PROGRAM, description="One-shot association of spiking neurons in F.")
    parser.add_argument(
        "--voltages",
        type=finite,
        nargs="+",
        default=[0.2, 0.3, 0.4, 0.5, 0.6],
        metavar="VOLT",
        help="bias voltages (0.2 0.3 0.4 0.5 0.6)",
    )
    parser.add_argument(
        "--sequences", type=integer(1), default=60, metavar="N", help="at each voltage (60)"
    )
    parser.add_argument(
        "--gamma",
        type=finite,
        metavar="DF",
        help="update by a coincidence; the device's largest if absent, 0 for no memory",
    )
    parser.add_argument("--seed", type=integer(0), default=0, help="of every draw (0)")
    parser.add_argument("--device", type=Path, default=DEFAULT_DEVICE, metavar="FILE")
    parser.add_argument("--target", choices=("auto", "cython", "numpy"), default="auto")
    parser.add_argument("--out", type=Path, default=Path("association"), metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="PATH", help="the numbers for a program")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run, draw, write, print; return the exit status."""
    options = parse_arguments(arguments)
    return exit_status(PROGRAM, lambda: _work(options))


def _work(options: argparse.Namespace) -> None:
    from mstpn.commands.work.spiking_association import run

    run(options)
