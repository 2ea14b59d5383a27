"""A device fitted to measured tables, and written."""

import argparse
import sys
from dataclasses import fields

from brian2.units import second

from mstpn.analysis.device.fit import DeviceFit, fit_device
from mstpn.analysis.device.fit_figure import fit_figure
from mstpn.analysis.device.fit_report import device_toml, numbers, summary, verdict
from mstpn.analysis.device.forms import Forms
from mstpn.analysis.device.measurements import Measurements
from mstpn.analysis.device.reading import read_measurements
from mstpn.analysis.device.tables import BIAS_POWER, DECAY, LONG_TERM, PULSES
from mstpn.synapses.support.files import replacing, write_json
from mstpn.synapses.support.sourced import DataError

TABLES = {"pulses": PULSES, "decay": DECAY, "power": BIAS_POWER, "long_term": LONG_TERM}


def read(options: argparse.Namespace) -> dict[str, Measurements]:
    """Read the tables that there are."""
    renamed = dict(options.column)
    decimal = {"point": ".", "comma": ",", None: None}[options.decimal]
    measured = {
        name: read_measurements(path, table, renamed=renamed, decimal=decimal)
        for name, table in TABLES.items()
        if (path := getattr(options, name)) is not None
    }
    headers = {cell for data in measured.values() for cell in data.cells}
    for header in renamed.keys() - headers:
        raise DataError(f"--column: no file has a column {header!r}")
    return measured


def write(fit: DeviceFit, options: argparse.Namespace) -> None:
    """Write what was asked for, each file whole or not at all."""
    if options.figure is not None:
        with replacing(options.figure) as partial:
            fit_figure(fit).savefig(partial)
    if options.json is not None:
        write_json(options.json, numbers(fit))
    with replacing(options.out) as partial:
        partial.write_text(device_toml(fit, options.out.stem), encoding="utf-8")


def run(options: argparse.Namespace) -> None:
    """Read, fit, write."""
    duration = None if options.decay_duration is None else options.decay_duration * second
    fit = fit_device(
        options.base,
        **read(options),
        decay_duration=duration,
        forms=Forms(*(getattr(options, field.name) for field in fields(Forms))),
        rescale=options.rescale,
    )
    write(fit, options)
    print(summary(fit))
    print(f"\n{options.out}: {verdict(fit)}")
    print(f"pass it on with --device {options.out}")
    if fit.doubts:
        print(f"mstpn fit-device: {options.out}: {verdict(fit)}", file=sys.stderr)
