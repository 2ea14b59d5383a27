r"""A memristor on the bench: the measurements of Figs. 2 and 3, simulated in Brian2.

    mstpn bench --out bench

Draws Figs. 2a and 2c to 3e of Weilenmann et al., Nature Communications 15 (2024), from a
simulated device under the protocol of each, and writes them with one page and what was measured
as CSV in its folder `traces`. A device file of yours replaces the paper's with --device FILE, and
--nonideal makes it one that deviates.

Measurements of yours are laid over the panels with --measured, files or a folder. The name of a
file begins with that of its panel, and a line names the columns with their units:

    2a*.csv         voltage (V), conductance (nS), and sweep where there are several
    2c*.csv         pulses, conductance (nS)
    2d*.csv 2e*.csv time (s), conductance (nS)
    2f*.csv         round, time (s), conductance (nS)
    3a*.csv         time (s), voltage (V), dG (nS), and repeat
    3b*.csv 3c*.csv voltage (V), width (us), and dG (nS) or energy (pJ)
    3d*.csv         bias voltage (V), time (s), conductance (nS), and repeat
    3e*.csv         bias voltage (V), decay

The constants that these traces determine come back with

    mstpn fit-device --pulses bench/traces/pulses.csv --decay bench/traces/3d_decay.csv \
        --power bench/traces/power.csv --long-term bench/traces/long_term.csv --out again.toml
"""

import argparse
from pathlib import Path

from mstpn.synapses.bench.assumed import DELTA_F_STD, READ_NOISE_PICOSIEMENS
from mstpn.synapses.device_file import DEFAULT_DEVICE
from mstpn.synapses.support.command_line import Parser, exit_status, finite, integer

__all__ = ["main", "parse_arguments"]

PROGRAM = "mstpn bench"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(
        prog=PROGRAM,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--device", type=Path, default=DEFAULT_DEVICE, metavar="FILE")
    parser.add_argument(
        "--nonideal",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a deviation of the device, repeatable; names: mstpn.synapses.nonidealities "
        f"(default: delta_f_std={DELTA_F_STD:g})",
    )
    parser.add_argument(
        "--read-noise",
        type=finite,
        default=READ_NOISE_PICOSIEMENS,
        metavar="PS",
        help="standard deviation of a read in pS (default: %(default)g)",
    )
    parser.add_argument(
        "--measured",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="traces of yours to lay over the panels: CSV files, or a folder of them",
    )
    parser.add_argument("--seed", type=integer(0), default=0, help="of pulses and reads")
    parser.add_argument("--json", type=Path, metavar="PATH", help="the numbers for a program")
    options = parser.parse_args(arguments)
    if options.read_noise < 0:
        parser.error(f"argument --read-noise: must be at least 0, got {options.read_noise:g}")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Measure, draw, write; return the exit status."""
    options = parse_arguments(arguments)
    return exit_status(PROGRAM, lambda: _work(options))


def _work(options: argparse.Namespace) -> None:
    from mstpn.commands.work.bench import run

    run(options)
