"""Pong on devices that are not ideal: score and energy against each deviation.

    mstpn robustness --games 4 --out robustness.csv
    mstpn robustness --levels delta_f_std=0.1,1 --levels slow_fraction=0.5
    mstpn robustness --nonideal w_noise=0.01 --nonideal out_res=254 --nonideal weight_dtod=0.01

Needs `pip install 'mstpn[analysis]'`. Every game is played on the Brian2 network, on devices
drawn from the game's seed, with one deviation at a time; or, with --nonideal, with several at once,
and without each of them in turn. Each finished game is a row of
the table at once; the same command again plays only what is missing. None of the levels is
in Weilenmann et al. (2024): all are assumed, chosen from harmless to ruinous.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from mstpn.commands.options import add_game_options, add_table_options
from mstpn.synapses.support.command_line import Parser, exit_status, integer
from mstpn.synapses.support.numerals import number

__all__ = ["DEVIATIONS", "main", "parse_arguments"]

PROGRAM = "mstpn robustness"


@dataclass(frozen=True)
class Deviation:
    """One deviation from the ideal device: label, levels in SI units, what else is set."""

    label: str
    levels: tuple[float, ...]
    beside: tuple[str, ...] = ()


ONE_DAY = ("t_inference=86400",)

DEVIATIONS = {
    "delta_f_std": Deviation("spread of $\\Delta F$,\npulse to pulse", (0.1, 0.3, 1, 3)),
    "delta_f_dtod": Deviation("spread of $\\Delta F$,\ndevice to device", (0.1, 0.3, 1, 3)),
    "weight_dtod": Deviation("spread of W, device\nto device", (0.003, 0.01, 0.03, 0.1)),
    "half_voltage_dtod": Deviation(
        "spread of $V_{half}$,\ndevice to device (V)", (0.01, 0.03, 0.1, 0.3)
    ),
    "corrupt_devices_prob": Deviation("share of stuck\ndevices", (0.0001, 0.001, 0.01, 0.1)),
    "drift_nu": Deviation("exponent of W's drift,\nafter 1 day", (0.003, 0.01, 0.03, 0.1), ONE_DAY),
    "drift_nu_dtod": Deviation(
        "spread of that exponent,\ndevice to device", (0.003, 0.01, 0.03, 0.1), ONE_DAY
    ),
    "slow_fraction": Deviation(
        "share of $\\Delta F$ that decays\n10 times as slowly", (0.03, 0.1, 0.3, 1)
    ),
    "w_noise": Deviation("noise of conductances,\nread to read", (0.003, 0.01, 0.03, 0.1)),
    "inp_res": Deviation("step of inputs over\ntheir range", (0.004, 0.016, 0.07, 0.17)),
    "out_res": Deviation("step of outputs over\ntheir range", (0.001, 0.004, 0.016, 0.07)),
    "ir_drop_rs": Deviation("resistance of lines\nper cell ($\\Omega$)", (0.1, 1, 10, 100)),
    "half_select": Deviation("share of pulses' voltage\nat other rows", (0.1, 0.2, 0.33, 0.5)),
}


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(
        prog=PROGRAM,
        description="Score and energy of Pong against each deviation of the devices.",
    )
    parser.add_argument("--games", type=integer(1), default=3, metavar="N", help="per level")
    parser.add_argument("--seed", type=integer(0), default=1000, help="of the first; one more each")
    parser.add_argument(
        "--levels",
        type=levels,
        action="append",
        metavar="NAME=V,V,...",
        help=f"only these deviations at these levels, SI units; of {', '.join(DEVIATIONS)}",
    )
    parser.add_argument(
        "--nonideal",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="all of these at once, and all but each of them, instead of one at a time",
    )
    add_game_options(parser)
    add_table_options(parser, "robustness.csv", Path)
    options = parser.parse_args(arguments)
    if options.levels and options.nonideal:
        parser.error("--levels is for one deviation at a time, --nonideal for all at once")
    return options


def levels(text: str) -> tuple[str, tuple[float, ...]]:
    """Argument type: a deviation and its levels."""
    name, _, numbers = text.partition("=")
    if name not in DEVIATIONS:
        raise argparse.ArgumentTypeError(f"must name one of {', '.join(DEVIATIONS)}, got {text!r}")
    try:
        values = tuple(number(value) for value in numbers.split(","))
        _check_range(name, values)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not all(values):
        raise argparse.ArgumentTypeError(f"level 0 is always played, got {text!r}")
    return name, values


def _check_range(name: str, values: tuple[float, ...]) -> None:
    from mstpn.synapses.nonidealities import Nonidealities

    for value in values:
        Nonidealities.parse([f"{name}={value}"])


def main(arguments: list[str] | None = None) -> int:
    """Play, write, draw, print; return the exit status."""
    options = parse_arguments(arguments)
    return exit_status(
        PROGRAM, lambda: _work(options), f"stopped, finished games are in {options.out}"
    )


def _work(options: argparse.Namespace) -> None:
    from mstpn.commands.work.robustness import run

    run(options)
