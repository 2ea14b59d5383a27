"""Where the joules of a game go, and how they compare with GPUs: figures and one page.

    mstpn report --out report
    mstpn report --paper-check --json check.json

Needs `pip install 'mstpn[analysis]'`. The first plays a game of Pong on the Brian2 network
(or loads a ledger that `pong_brian.py --ledger` wrote) and draws Figs. 4c-4i of Weilenmann et
al., Nature Communications 15 (2024), with the ratio against every GPU baseline. The second
repeats the paper's own arithmetic. All constants are in data files; a device file of yours
replaces the paper's with --device FILE.
"""

import argparse
from pathlib import Path

from mstpn.analysis.gpu import MEASURED
from mstpn.bridge.checkpoints import add_checkpoint_option
from mstpn.synapses.device_file import DEFAULT_DEVICE
from mstpn.synapses.support.command_line import Parser, exit_status, finite, integer, positive

__all__ = ["main", "parse_arguments"]

PROGRAM = "mstpn report"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(prog=PROGRAM, description="The energy of one game, traced and compared.")
    parser.add_argument(
        "--paper-check", action="store_true", help="repeat the paper's arithmetic and end"
    )
    parser.add_argument("--load", type=Path, metavar="LEDGER", help="instead of playing a game")
    parser.add_argument("--seed", type=integer(0), default=1000, help="of the game")
    add_checkpoint_option(parser)
    parser.add_argument("--device", type=Path, default=DEFAULT_DEVICE, metavar="FILE")
    parser.add_argument("--out", type=Path, default=Path("energy_report"), metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="PATH", help="the figures for a program")
    parser.add_argument("--samples", type=integer(1), default=300, metavar="N")
    parser.add_argument("--sample-seed", type=integer(0), default=0, metavar="S")
    parser.add_argument(
        "--synapse", type=pair, action="append", default=[], metavar="PRE,POST", help="to trace"
    )
    parser.add_argument(
        "--keep-decay", type=finite, metavar="LAMBDA", help="also at the cheapest voltage for it"
    )
    parser.add_argument(
        "--seconds-per-decision", type=positive, metavar="S", help="a time base of your own"
    )
    parser.add_argument(
        "--measured-gpu",
        type=lambda text: MEASURED.get(text, Path(text)),
        metavar="FILE",
        help=f"result of mstpn gpu-energy, or one that comes along: {', '.join(MEASURED)}",
    )
    parser.add_argument(
        "--include-what-paper-leaves-out",
        action="store_true",
        help="reads, ADC and DAC, digital arithmetic and front-end: the ratio of systems",
    )
    return parser.parse_args(arguments)


def pair(text: str) -> tuple[int, int]:
    """Argument type: two unit numbers."""
    parts = text.split(",")
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        raise argparse.ArgumentTypeError(f"must be PRE,POST, two unit numbers, got {text!r}")
    return int(parts[0]), int(parts[1])


def main(arguments: list[str] | None = None) -> int:
    """Check the paper or report on a game; return the exit status."""
    options = parse_arguments(arguments)
    return exit_status(PROGRAM, lambda: _work(options))


def _work(options: argparse.Namespace) -> None:
    from mstpn.commands.work.report import run

    run(options)
