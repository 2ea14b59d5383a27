"""Write an agent's long-term weights into an array of memristors by pulses.

    mstpn program --tolerance 0.02 --out array.safetensors
    mstpn pong --array array.safetensors --check-twin
    mstpn program --tolerances 0.01,0.02,0.05,0.1,0.2 --games 10 --sticky 0.25

The first writes a file of what the devices were brought to, on which the second plays. The third
programs an array and plays a game on it for every method, tolerance and seed; each is a row of the
table at once, and the same command again plays only what is missing. How much devices differ is
assumed, see `synapses/programming/spread.toml`.
"""

import argparse
from pathlib import Path

from mstpn.bridge.checkpoints import add_checkpoint_option
from mstpn.bridge.runner import add_runner_options
from mstpn.synapses.programming import ACCESS, METHODS
from mstpn.synapses.support.command_line import (
    Parser,
    exit_status,
    finite,
    integer,
    positive,
    probability,
    writable,
)

__all__ = ["main", "parse_arguments"]

PROGRAM = "mstpn program"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(prog=PROGRAM, description="Write an agent's W into an array by pulses.")
    add_checkpoint_option(parser)
    parser.add_argument(
        "--device", type=Path, metavar="FILE", help="device file, the package's own if absent"
    )
    parser.add_argument(
        "--method",
        choices=METHODS,
        default="verify",
        help="verify waits for F to fade before it reads, subtract reads twice and takes F off, "
        "at-once reads F and all, open-loop never reads (verify)",
    )
    parser.add_argument(
        "--tolerance",
        type=positive,
        default=0.02,
        metavar="W",
        help="distance from a target (0.02)",
    )
    parser.add_argument(
        "--patience",
        type=integer(1),
        default=60,
        metavar="N",
        help="sweeps over the array, then what is still off is given up (60)",
    )
    parser.add_argument(
        "--access",
        choices=ACCESS,
        default="rows",
        help="all devices of a row at once, or one device after the other (rows)",
    )
    parser.add_argument(
        "--start",
        type=finite,
        metavar="W",
        help="of all devices before the first pulse; the window's lower end if absent",
    )
    for name, what in (
        ("rate-dtod", "spread of the rates of SET and RESET from device to device, of ln"),
        ("rate-std", "the same from pulse to pulse"),
        ("read-std", "noise of a read, in units of W"),
    ):
        parser.add_argument(
            f"--{name}", type=finite, metavar="X", help=f"{what}; assumed if absent"
        )
    parser.add_argument(
        "--nonideal",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="as for mstpn pong: stuck devices, spread of F, and drift since, which is told of",
    )
    parser.add_argument("--seed", type=integer(0), default=1000, help="of devices and noise (1000)")
    parser.add_argument(
        "--out",
        type=writable,
        metavar="PATH",
        help="the array (array.safetensors), or with --tolerances the table (programming.csv)",
    )
    parser.add_argument("--json", type=writable, metavar="PATH")
    _add_study(parser)
    options = parser.parse_args(arguments)
    if options.tolerances is None:
        for name in ("games", "methods", "sticky", "flicker", "figure"):
            if getattr(options, name) != parser.get_default(name):
                parser.error(f"--{name} needs --tolerances")
    return options


def _add_study(parser: Parser) -> None:
    """Options of many arrays, each with a game on it."""
    study = parser.add_argument_group("score, joules and seconds against tolerance")
    study.add_argument(
        "--tolerances", type=tolerances, metavar="W,W,...", help="program and play at each of these"
    )
    study.add_argument("--games", type=integer(1), default=3, metavar="N", help="of each (3)")
    study.add_argument(
        "--methods",
        type=methods,
        default=METHODS,
        metavar="NAME,NAME,...",
        help=f"these alone, of {', '.join(METHODS)}",
    )
    study.add_argument("--sticky", type=probability, default=0.0, metavar="P")
    study.add_argument("--flicker", type=probability, default=0.0, metavar="P")
    study.add_argument("--figure", type=writable, metavar="PNG", help="beside the table if absent")
    study.add_argument("--target", choices=("auto", "cython", "numpy"), default="auto")
    add_runner_options(parser)


def tolerances(text: str) -> tuple[float, ...]:
    """Argument type: tolerances."""
    return tuple(dict.fromkeys(positive(part) for part in text.split(",")))


def methods(text: str) -> tuple[str, ...]:
    """Argument type: methods."""
    for name in text.split(","):
        if name not in METHODS:
            raise argparse.ArgumentTypeError(f"must be of {', '.join(METHODS)}, got {name!r}")
    return tuple(dict.fromkeys(text.split(",")))


def main(arguments: list[str] | None = None) -> int:
    """Program, write, play if asked, print; return the exit status."""
    options = parse_arguments(arguments)
    stopped = "stopped"
    if options.tolerances is not None:
        stopped = f"stopped, what is finished is in {table_of(options)}"
    return exit_status(PROGRAM, lambda: _work(options), stopped)


def table_of(options: argparse.Namespace) -> Path:
    """Where the table of many arrays goes."""
    return options.out or Path("programming.csv")


def _work(options: argparse.Namespace) -> None:
    from mstpn.commands.work.program import run

    run(options, table_of(options))
