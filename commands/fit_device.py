r"""A device file from your measurements, with confidence intervals and a verdict.

    mstpn fit-device --pulses pulses.csv --decay decay.csv --power power.csv \
        --long-term trains.csv --out my_device.toml --figure my_device.png
    mstpn pong --device my_device.toml

Needs `pip install 'mstpn[analysis]'`. Any of the four tables will do; what they do not
determine is kept from the base device. A line names the columns with their units, of any prefix:

    pulses  voltage (V), width (us), and ΔG (nS) or ΔF, energy (pJ), or both
    decay   bias voltage (V), time (s), conductance (nS), and repeat where traces were repeated
    power   bias voltage (V), weight S or conductance (nS), power (nW)
    long-term  voltage (V), positive for SET and negative for RESET, width (us), pulses (how many
            of them), conductance (nS) at rest

A current or a resistance may stand for the conductance, and a column device tells devices apart.
Standard errors may stand beside what was measured, as in `ΔG error (nS)`. The summary says what
was understood of each file, and whether to trust the fit. If not, the reason is on stderr and in
the device file too, and the exit status is 0 all the same: the file is written.
"""

import argparse
from pathlib import Path

from mstpn.synapses.device_file import DEFAULT_DEVICE
from mstpn.synapses.support.command_line import Parser, exit_status, positive

__all__ = ["main", "parse_arguments"]

PROGRAM = "mstpn fit-device"
TABLES = ("pulses", "decay", "power", "long_term")


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(
        prog=PROGRAM,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in TABLES:
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, metavar="CSV")
    parser.add_argument(
        "--base", type=Path, default=DEFAULT_DEVICE, metavar="FILE", help="device of the rest"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="device file")
    parser.add_argument("--figure", type=Path, metavar="PNG", help="data, fits and residuals")
    parser.add_argument(
        "--decay-duration",
        type=positive,
        metavar="S",
        help="time that Lambda shall refer to (default: the base device's)",
    )
    parser.add_argument(
        "--column",
        type=renaming,
        action="append",
        default=[],
        metavar="'HEADER=NAME (UNIT)'",
        help="what a column of a file is to be read as, such as 'V1=bias voltage (V)'; repeatable",
    )
    parser.add_argument(
        "--decimal", choices=("point", "comma"), help="decimal mark, where a file leaves it open"
    )
    wider = parser.add_argument_group("where the data ask for it")
    wider.add_argument(
        "--two-exponentials",
        action="store_true",
        help="a decay that goes on slower than it began; the device gets its fast part",
    )
    wider.add_argument(
        "--width-exponent", action="store_true", help="pulses go with a power of their width"
    )
    wider.add_argument(
        "--per-polarity",
        action="store_true",
        help="constants of their own for negative pulses; the device gets the positive ones'",
    )
    wider.add_argument(
        "--robust", action="store_true", help="leave out rows that stand out of all others"
    )
    wider.add_argument(
        "--rescale",
        action="store_true",
        help="take the base's conductances in proportion to the pulses that were measured",
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="the numbers for a program")
    options = parser.parse_args(arguments)
    if all(getattr(options, name) is None for name in TABLES):
        parser.error("at least one of --pulses, --decay, --power and --long-term is needed")
    if options.out.resolve() == options.base.resolve():
        parser.error("--out must not be the base device's file")
    return options


def renaming(text: str) -> tuple[str, str]:
    """Argument type: a cell of a header, and what it shall be read as."""
    header, equals, name = text.rpartition("=")
    if not (equals and header.strip() and name.strip()):
        raise argparse.ArgumentTypeError(f"must be 'HEADER=NAME (UNIT)', got {text!r}")
    return header.strip(), name.strip()


def main(arguments: list[str] | None = None) -> int:
    """Read, fit, write; return the exit status."""
    options = parse_arguments(arguments)
    return exit_status(PROGRAM, lambda: _work(options))


def _work(options: argparse.Namespace) -> None:
    from mstpn.commands.work.fit_device import run

    run(options)
