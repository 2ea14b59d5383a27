"""A device that is known, tables of its measurements as text, and the fit of what is read back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from brian2.units import second
from numpy.typing import NDArray

from mstpn.analysis.device.fit import DeviceFit, fit_device
from mstpn.analysis.device.reading import read_measurements
from mstpn.analysis.device.tables import BIAS_POWER, DECAY, PULSES
from mstpn.synapses.memristor import DEFAULT_DEVICE

__all__ = ["STEP", "TABLES", "TRUE", "Columns", "csv_of", "fitted", "grid", "written"]

STEP = 0.05  # s
TRUE = {  # SI units
    "bias_power": 0.5**2 * 15e-9,
    "weight_conductance": 8e-9,
    "decay_half_voltage": 0.27,
    "decay_slope_voltage": 0.1,
    "decay_min": 1 / (1 + np.exp(1.7)),  # at 0.1 V
    "decay_max": 1 / (1 + np.exp(-2.3)),  # at 0.5 V
    "pulse_conductance": 1.4e-9,
    "pulse_conductance_exponent": 3.3,
    "pulse_energy": 25e-12,
    "pulse_energy_exponent": 2.2,
}
TABLES = {"pulses": PULSES, "decay": DECAY, "power": BIAS_POWER}

Columns = Mapping[str, NDArray[np.float64]]


def grid(*axes: Any) -> list[NDArray[np.float64]]:
    """Every combination."""
    return [a.ravel().astype(float) for a in np.meshgrid(*axes, indexing="ij")]


def csv_of(columns: Columns) -> str:
    """Every digit of every number."""
    rows = zip(*(c.tolist() for c in columns.values()), strict=True)
    return "\n".join([",".join(columns), *(",".join(map(repr, row)) for row in rows)]) + "\n"


def written(folder: Path, tables: Mapping[str, Columns]) -> dict[str, Path]:
    """A file for each table."""
    for name, columns in tables.items():
        (folder / f"{name}.csv").write_text(csv_of(columns), encoding="utf-8")
    return {name: folder / f"{name}.csv" for name in tables}


def fitted(
    folder: Path, tables: Mapping[str, Columns], base: Path = DEFAULT_DEVICE, **options: Any
) -> DeviceFit:
    """The fit of tables that were written and read back."""
    read = {n: read_measurements(p, TABLES[n]) for n, p in written(folder, tables).items()}
    duration = STEP * second if "decay" in tables else None
    measured: dict[str, Any] = {**read, **options}
    return fit_device(base, decay_duration=duration, **measured)
