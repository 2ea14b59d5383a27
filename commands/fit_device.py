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
import sys
from dataclasses import fields
from pathlib import Path

from brian2.units import second

from mstpn.analysis.device.fit import DeviceFit, fit_device
from mstpn.analysis.device.fit_figure import fit_figure
from mstpn.analysis.device.fit_report import device_toml, numbers, summary, verdict
from mstpn.analysis.device.forms import Forms
from mstpn.analysis.device.measurements import Measurements
from mstpn.analysis.device.reading import read_measurements
from mstpn.analysis.device.tables import BIAS_POWER, DECAY, LONG_TERM, PULSES
from mstpn.synapses.memristor import DEFAULT_DEVICE
from mstpn.synapses.support.command_line import Parser, exit_status, positive
from mstpn.synapses.support.files import replacing, write_json
from mstpn.synapses.support.sourced import DataError

TABLES = {"pulses": PULSES, "decay": DECAY, "power": BIAS_POWER, "long_term": LONG_TERM}


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(
        prog="mstpn fit-device",
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


def read(options: argparse.Namespace) -> dict[str, Measurements]:
    """Read the tables that there are."""
    renamed = dict(options.column)
    decimal = {"point": ".", "comma": ",", None: None}[options.decimal]
    found = {
        name: read_measurements(path, table, renamed=renamed, decimal=decimal)
        for name, table in TABLES.items()
        if (path := getattr(options, name)) is not None
    }
    headers = {cell for data in found.values() for cell in data.cells}
    for header in renamed.keys() - headers:
        raise DataError(f"--column: no file has a column {header!r}")
    return found


def write(fit: DeviceFit, options: argparse.Namespace) -> None:
    """Write what was asked for, each file whole or not at all."""
    if options.figure is not None:
        with replacing(options.figure) as partial:
            fit_figure(fit).savefig(partial)
    if options.json is not None:
        write_json(options.json, numbers(fit))
    with replacing(options.out) as partial:
        partial.write_text(device_toml(fit, options.out.stem), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Read, fit, write; return the exit status."""
    options = parse_arguments(arguments)

    def work() -> None:
        fit = fit_device(
            options.base,
            **read(options),
            decay_duration=None
            if options.decay_duration is None
            else options.decay_duration * second,
            forms=Forms(*(getattr(options, field.name) for field in fields(Forms))),
            rescale=options.rescale,
        )
        write(fit, options)
        print(summary(fit))
        print(f"\n{options.out}: {verdict(fit)}")
        print(f"pass it on with --device {options.out}")
        if fit.doubts:
            print(f"mstpn fit-device: {options.out}: {verdict(fit)}", file=sys.stderr)

    return exit_status("mstpn fit-device", work)
