r"""A device file from your measurements, with confidence intervals.

    mstpn fit-device --pulses pulses.csv --decay decay.csv --power power.csv \
        --out my_device.toml --figure my_device.png
    mstpn pong --device my_device.toml

Needs `pip install 'mstpn[analysis]'`. Any of the three tables will do; what they do not
determine is kept from the base device. The first line names the columns with their units, of
any prefix:

    pulses  voltage (V), width (us), and ΔG (nS) or ΔF, energy (pJ), or both
    decay   bias voltage (V), time (s), conductance (nS), and repeat where traces were repeated
    power   bias voltage (V), weight S or conductance (nS), power (nW)

Standard errors may stand beside what was measured, as in `ΔG error (nS)`.
"""

import argparse
from pathlib import Path

from brian2.units import second

from mstpn.analysis.device.fit import DeviceFit, fit_device
from mstpn.analysis.device.fit_figure import fit_figure
from mstpn.analysis.device.fit_report import device_toml, numbers, summary
from mstpn.analysis.device.measurements import Measurements
from mstpn.analysis.device.reading import read_measurements
from mstpn.analysis.device.tables import BIAS_POWER, DECAY, PULSES, Table
from mstpn.network.frames import STEP_DURATION
from mstpn.synapses.memristor import DEFAULT_DEVICE
from mstpn.synapses.support.command_line import Parser, exit_status
from mstpn.synapses.support.files import replacing, write_json


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(
        prog="mstpn fit-device",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in ("pulses", "decay", "power"):
        parser.add_argument(f"--{name}", type=Path, metavar="CSV")
    parser.add_argument(
        "--base", type=Path, default=DEFAULT_DEVICE, metavar="FILE", help="device of the rest"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="device file")
    parser.add_argument("--figure", type=Path, metavar="PNG", help="data, fits and residuals")
    parser.add_argument(
        "--step-duration",
        type=float,
        default=float(STEP_DURATION / second),
        metavar="S",
        help="network step that Lambda refers to (default: one decision in Pong, %(default).4g)",
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="the numbers for a program")
    options = parser.parse_args(arguments)
    if options.pulses is options.decay is options.power is None:
        parser.error("at least one of --pulses, --decay and --power is needed")
    if options.out.resolve() == options.base.resolve():
        parser.error("--out must not be the base device's file")
    return options


def read(path: Path | None, table: Table) -> Measurements | None:
    """Read a table if there is one."""
    return None if path is None else read_measurements(path, table)


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
            pulses=read(options.pulses, PULSES),
            decay=read(options.decay, DECAY),
            power=read(options.power, BIAS_POWER),
            step_duration=options.step_duration * second,
        )
        write(fit, options)
        print(summary(fit))
        print(f"\n{options.out}: pass it on with --device {options.out}")

    return exit_status("mstpn fit-device", work)
