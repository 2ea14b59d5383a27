"""What a task needs of its devices: tau, spread, resolution of the pulses, endurance.

    mstpn require --score 15 --out needs
    mstpn require --score 12 --checkpoint pong_memory --flicker 0.5 --values tau=0.01,0.1,1

Games on devices that differ from the device file in one constant at a time; the values next to
one another between which the mean score falls below --score bracket what is needed. The same
games without short-term memory (Gamma = 0) say whether anything is: an agent that reaches the score
without F needs nothing of it. Each finished game is a row of the table at once; the same command
again plays only what is missing, also for another --score.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from mstpn.bridge.checkpoints import add_checkpoint_option
from mstpn.bridge.runner import add_runner_options
from mstpn.commands.options import add_game_options
from mstpn.synapses.device_file import DEFAULT_DEVICE
from mstpn.synapses.support.command_line import (
    Parser,
    exit_status,
    finite,
    integer,
    writable,
)
from mstpn.synapses.support.numerals import number

__all__ = ["VARIED", "main", "parse_arguments"]

PROGRAM = "mstpn require"


@dataclass(frozen=True)
class Varied:
    """A constant of the design: label and unit, values in SI units, and what they lie below."""

    label: str
    unit: str
    values: tuple[float, ...]
    below: float = float("inf")


VARIED = {
    "tau": Varied("time constant of F", "s", (0.003, 0.01, 0.03, 0.1, 0.3, 1, 3)),
    "delta_f_std": Varied("spread of ΔF, pulse to pulse", "", (0.3, 1, 3, 10)),
    "delta_f_dtod": Varied("spread of ΔF, device to device", "", (0.3, 1, 3, 10)),
    "half_voltage_dtod": Varied("spread of V_half, device to device", "V", (0.03, 0.1, 0.3, 1)),
    "resolution": Varied("smallest ΔF over largest", "", (0.03, 0.3, 0.6, 0.9), 1.0),
}


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(prog=PROGRAM, description="What a score of Pong needs of the devices.")
    parser.add_argument(
        "--score", type=finite, default=15.0, metavar="S", help="to reach in the mean (15)"
    )
    parser.add_argument("--games", type=integer(2), default=3, metavar="N", help="per value (3)")
    parser.add_argument("--seed", type=integer(0), default=1000, help="of the first; one more each")
    parser.add_argument(
        "--values",
        type=values,
        action="append",
        metavar="NAME=V,V,...",
        help=f"only these constants at these values, SI units; of {', '.join(VARIED)}",
    )
    add_game_options(parser, sticky=0.25)
    add_checkpoint_option(parser)
    parser.add_argument("--device", type=Path, default=DEFAULT_DEVICE, metavar="FILE")
    parser.add_argument("--target", choices=("auto", "cython", "numpy"), default="auto")
    add_runner_options(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("require"), metavar="FOLDER", help="(require)"
    )
    parser.add_argument("--json", type=writable, metavar="PATH")
    return parser.parse_args(arguments)


def values(text: str) -> tuple[str, tuple[float, ...]]:
    """Argument type: a constant and its values, in rising order."""
    name, _, numbers = text.partition("=")
    if name not in VARIED:
        raise argparse.ArgumentTypeError(f"must name one of {', '.join(VARIED)}, got {text!r}")
    try:
        found = sorted({number(value) for value in numbers.split(",")})
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not all(0 < value < VARIED[name].below for value in found):
        raise argparse.ArgumentTypeError(
            f"{name} must lie in (0, {VARIED[name].below:g}), got {numbers!r}"
        )
    return name, tuple(found)


def main(arguments: list[str] | None = None) -> int:
    """Play, write, draw, print; return the exit status."""
    options = parse_arguments(arguments)
    return exit_status(
        PROGRAM, lambda: _work(options), f"stopped, finished games are in {options.out}"
    )


def _work(options: argparse.Namespace) -> None:
    from mstpn.commands.work.require import run

    run(options)
