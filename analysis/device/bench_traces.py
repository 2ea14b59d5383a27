"""What a bench session measured, as tables that `mstpn.analysis.device.reading` reads again."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from brian2.units import nsiemens, nwatt, pjoule, second, siemens, usecond, volt

if TYPE_CHECKING:
    from mstpn.analysis.device.bench_report import BenchReport

__all__ = ["csv_text", "tables"]

Columns = Mapping[str, Any]


def csv_text(columns: Columns) -> str:
    """A table; numbers with as many digits as a float keeps."""
    rows = zip(*(np.asarray(c).tolist() for c in columns.values()), strict=True)
    lines = (",".join(f"{x:.15g}" for x in row) for row in rows)
    return "\n".join([",".join(columns), *lines]) + "\n"


def tables(report: "BenchReport") -> dict[str, Columns]:
    """Columns by header, for every panel, and what else the fit needs."""
    return {
        "2a_sweep": _sweep(report),
        "2c_set": _set(report),
        "2d_pulses": _over_time(report.pulsed.read),
        "2f_rounds": _rounds(report),
        "3a_repeats": _repeats(report),
        "3b_update": _without(_pulses(report), "energy (pJ)"),
        "3c_energy": _without(_pulses(report), "dG (nS)"),
        "3d_decay": _decay(report),
        "3e_sigmoid": _sigmoid(report),
        "pulses": _pulses(report),
        "power": _power(report),
        "long_term": _long_term(report),
    }


def _sweep(report: "BenchReport") -> Columns:
    swept = report.swept
    n_levels, n = swept.voltage.shape
    return {
        "sweep": np.repeat(np.arange(1, n + 1), n_levels),
        "time (s)": np.asarray(swept.time / second).T.ravel(),
        "voltage (V)": np.broadcast_to(np.asarray(swept.voltage / volt), (n_levels, n)).T.ravel(),
        "conductance (nS)": np.asarray(swept.conductance / nsiemens).T.ravel(),
    }


def _set(report: "BenchReport") -> Columns:
    conductance = np.asarray(report.set_up.read.conductance[:, 0] / nsiemens)
    return {"pulses": np.arange(len(conductance)), "conductance (nS)": conductance}


def _over_time(reads: Any) -> Columns:
    return {
        "time (s)": np.asarray(reads.time[:, 0] / second),
        "conductance (nS)": np.asarray(reads.conductance[:, 0] / nsiemens),
    }


def _rounds(report: "BenchReport") -> Columns:
    parts = []
    for k, trace in enumerate(report.rounds, 1):
        over_time = _over_time(trace.read)
        start = float(trace.time[0, 0] / second)
        time = over_time["time (s)"] - start
        parts.append({"round": np.full(len(time), k), **over_time, "time (s)": time})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _repeats(report: "BenchReport") -> Columns:
    measured = report.repeats
    return _long(
        {
            "time (s)": measured.time / second,
            "voltage (V)": measured.voltage / volt,
            "repeat": np.arange(1, measured.change.shape[2] + 1),
        },
        {"dG (nS)": measured.change / nsiemens},
    )


def _decay(report: "BenchReport") -> Columns:
    measured = report.decays
    return _long(
        {
            "time (s)": measured.time / second,
            "bias voltage (V)": measured.bias_voltage / volt,
            "repeat": np.arange(1, measured.conductance.shape[2] + 1),
        },
        {"conductance (nS)": measured.conductance / nsiemens},
    )


def _sigmoid(report: "BenchReport") -> Columns:
    return _long(
        {
            "bias voltage (V)": report.decays.bias_voltage / volt,
            "repeat": np.arange(1, report.decay.shape[1] + 1),
        },
        {"decay": report.decay},
    )


def _pulses(report: "BenchReport") -> Columns:
    measured = report.pulse_map
    shape = measured.change.shape
    return _long(
        {
            "voltage (V)": measured.voltage / volt,
            "width (us)": measured.width / usecond,
            "repeat": np.arange(1, shape[2] + 1),
        },
        {
            "dG (nS)": measured.change / nsiemens,
            "energy (pJ)": np.repeat(np.asarray(measured.energy / pjoule)[..., None], shape[2], 2),
        },
    )


def _without(columns: Columns, name: str) -> Columns:
    return {key: values for key, values in columns.items() if key != name}


def _power(report: "BenchReport") -> Columns:
    measured, noise = report.power, report.specimen.read_noise
    columns = {
        "bias voltage (V)": measured.bias_voltage / volt,
        "weight S": measured.weight,
        "power (nW)": measured.power / nwatt,
    }
    if noise > 0 * siemens:  # it goes with the square of the voltage, not with the power
        columns["power error (nW)"] = measured.bias_voltage**2 * noise / nwatt
    return columns


def _long_term(report: "BenchReport") -> Columns:
    measured = report.long_term
    n_reads, n = measured.conductance.shape
    return {
        "voltage (V)": np.repeat(np.asarray(measured.voltage / volt), n_reads),
        "width (us)": np.repeat(np.asarray(measured.width / usecond), n_reads),
        "pulses": np.tile(measured.n_pulses, n),
        "conductance (nS)": np.asarray(measured.conductance / nsiemens).T.ravel(),
    }


def _long(axes: Columns, measured: Columns) -> Columns:
    """One row for each element of arrays, curve by curve: the first axis runs fastest."""
    names = list(axes)
    grids = np.meshgrid(*(np.asarray(axes[name]) for name in names), indexing="ij")
    order = (*range(1, len(names)), 0)
    rows = {n: np.transpose(g, order).ravel() for n, g in zip(names, grids, strict=True)}
    return rows | {n: np.transpose(np.asarray(v), order).ravel() for n, v in measured.items()}
