"""A memristor on the bench: the measurements of Figs. 2 and 3, simulated in Brian2.

    mstpn bench --out bench

Draws Figs. 2a and 2c to 3e of Weilenmann et al., Nature Communications 15 (2024), from
simulated devices under the protocol of each, and writes them with one page. A device file of
yours replaces the paper's with --device FILE.
"""

import argparse
from pathlib import Path

from mstpn.synapses.device_file import DEFAULT_DEVICE
from mstpn.synapses.support.command_line import Parser, exit_status, integer

__all__ = ["main", "parse_arguments"]

PROGRAM = "mstpn bench"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(
        prog=PROGRAM, description="The measurements of Figs. 2 and 3 on simulated devices."
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--device", type=Path, default=DEFAULT_DEVICE, metavar="FILE")
    parser.add_argument("--seed", type=integer(0), default=0, help="of the pulses' spread")
    parser.add_argument("--json", type=Path, metavar="PATH", help="the numbers for a program")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure, draw, write; return the exit status."""
    options = parse_arguments(arguments)
    return exit_status(PROGRAM, lambda: _work(options))


def _work(options: argparse.Namespace) -> None:
    from mstpn.commands.work.bench import run

    run(options)
