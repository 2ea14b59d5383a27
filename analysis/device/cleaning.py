"""From what a file holds to what is fitted: derived columns, rows left out, nominal settings."""

import itertools
import re
from collections.abc import Mapping

import numpy as np
from brian2.units import Quantity, allunits
from numpy.typing import NDArray

from mstpn.analysis.device.measurements import Measurements, counted
from mstpn.analysis.device.tables import Table
from mstpn.synapses.support.numerals import number
from mstpn.synapses.support.sourced import DataError

__all__ = ["cleaned", "nominal"]

_JITTER = 1e-3
"""volt or relative, whichever is more: what a value read back may be off its neighbour."""
_APART = 10
"""Settings are this many times farther apart than what is read back of one spreads."""
_SHORTEST_TRACE = 4
_AT_COMPLIANCE = 0.995
_COMPLIANCE = re.compile(
    r"compliance\W*(?:current|limit)?[^\d+\-]*([+-]?[\d.]+(?:e[+-]?\d+)?)\W*([fpnum]?A\b)?",
    re.IGNORECASE,
)
_SCALES = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3}
_SIGNS: Mapping[str, int] = {
    **dict.fromkeys(("+", "+1", "1", "p", "pos", "positive"), 1),
    **dict.fromkeys(("-", "\N{MINUS SIGN}", "-1", "n", "neg", "negative"), -1),
}
_NOT_TRIPPED = {"", "0", "f", "false", "n", "no", "ok", "off", "-"}

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def cleaned(data: Measurements, table: Table) -> Measurements:
    """Measurements as they can be fitted; `Measurements.understood` says what was done.

    Parameters
    ----------
    data : Measurements
        As the file holds them.
    table : Table
        What the file is.

    Raises
    ------
    DataError
        If no row is left, or a polarity contradicts its voltage or is none.
    """
    data = _without_compliance(data)
    for rule in table.applied(data.columns):
        with np.errstate(all="ignore"):
            values = rule.compute(*map(data.si, rule.of))
        unit = getattr(allunits, table.known[rule.name].unit)
        of = ", ".join(repr(data.headers[name]) for name in rule.of)
        data = data.changed(f"{rule.name} from {of}", {rule.name: values * unit})
        data = data.keeping(data.columns.keys() - set(rule.of) | {"bias voltage"})
    data = _without_gaps(data, table)
    if "polarity" in data:
        data = _signed(data)
    for column in table.columns:
        if column.is_set and column.name in data:
            data = _at_nominal(data, column.name)
    if table.along:
        data = _in_traces(data, table.along)
    if table.along == "time":
        data = _from_the_pulse(data)
    if "device" in data:
        names = data.labels["device"]
        data = data.saying(f"{counted(len(names), 'device')} ({', '.join(names[:8])})")
    return data


def _without_compliance(data: Measurements) -> Measurements:
    """Rows where the current was limited tell the limit."""
    if "compliance" in data:
        tripped = np.array([t.casefold() not in _NOT_TRIPPED for t in data.labels["compliance"]])
        data = data.without(tripped[data.si("compliance").astype(int)], "in compliance")
    stated = next(filter(None, map(_COMPLIANCE.search, data.preamble)), None)
    currents = [name for name in data.columns if name.startswith("current")]
    if stated is None or not currents:
        return data
    try:
        limit = abs(number(stated[1])) * _SCALES.get((stated[2] or "A")[:-1], 1.0)
    except ValueError:
        return data
    largest = np.max(np.abs([data.si(name) for name in currents]), axis=0)
    reached = largest >= _AT_COMPLIANCE * limit
    return data.without(reached, f"current at the compliance of {limit:.3g} A")


def _without_gaps(data: Measurements, table: Table) -> Measurements:
    """Rows without a reading; one of several quantities may lack it."""
    measured = [c.name for c in table.columns if c.measured and c.name in data]
    for name in measured:
        if (error := f"{name} error") in data:
            unknown = np.isnan(data.si(error))
            values = Quantity(np.where(unknown, np.nan, data.si(name)), dim=_dim(data, name))
            data = data.changed("", {name: values})
    empty = np.all([np.isnan(data.si(name)) for name in measured], axis=0)
    for name in data.columns:
        if name not in measured and not name.endswith(" error"):
            empty |= ~np.isfinite(data.si(name))
    if empty.all():
        raise DataError(f"{data.path}: no row has a reading in every column")
    return data.without(empty, "blank or no finite reading")


def _signed(data: Measurements) -> Measurements:
    """Voltages with the signs that a column of polarities gives them."""
    signs = []
    for text in data.labels["polarity"]:
        if text.casefold() not in _SIGNS:
            raise DataError(f"{data.at('polarity')}: must be + or -, got {text!r}")
        signs.append(_SIGNS[text.casefold()])
    sign, voltage = np.array(signs)[data.si("polarity").astype(int)], data.si("voltage")
    if (wrong := (voltage < 0) & (sign > 0)).any():
        raise DataError(
            f"{data.path}, line {data.lines[wrong][0]}: a negative voltage of positive polarity"
        )
    signed = np.abs(voltage) * sign * allunits.volt
    return data.changed(f"voltages signed by {data.headers['polarity']!r}", {"voltage": signed})


def nominal(values: Array) -> Array:
    """Settings that values read back belong to; as they are where that is not plain.

    Parameters
    ----------
    values : array, (n,)
        They are one setting where neighbours differ by at most 1 mV or 0.1 % of the largest,
        and settings are far apart against what is read back of each.
    """
    different = np.unique(values)
    near = max(_JITTER, _JITTER * float(np.abs(different).max()))
    groups = np.split(different, np.flatnonzero(np.diff(different) > near) + 1)
    widest = max(float(np.ptp(group)) for group in groups)
    gaps = [float(b[0] - a[-1]) for a, b in itertools.pairwise(groups)]
    if widest == 0 or min(gaps, default=np.inf) < _APART * widest:
        return values
    settings = np.array([_roundest(group) for group in groups])
    starts = np.array([group[0] for group in groups])
    return settings[np.searchsorted(starts, values, side="right") - 1]


def _roundest(group: Array) -> float:
    """The number of fewest digits that values read back of it may stand for."""
    slack = np.ptp(group) / 2
    if group[0] - slack <= 0 <= group[-1] + slack:
        return 0.0
    middle = float(np.mean([group[0], group[-1]]))
    for digits in range(1, 12):
        rounded = float(f"{middle:.{digits}g}")
        if group[0] - slack <= rounded <= group[-1] + slack:
            return rounded
    return middle


def _at_nominal(data: Measurements, name: str) -> Measurements:
    values = data.si(name)
    scale = 1.0 if name != "width" else float(np.abs(values).max())
    settings = scale * nominal(values / scale)
    if (settings == values).all():
        return data
    n = len(np.unique(settings))
    farthest = Quantity(np.abs(settings - values).max(), dim=_dim(data, name))
    clause = f"{data.headers[name]!r} read back within {farthest} of {counted(n, 'setting')}"
    return data.changed(clause, {name: Quantity(settings, dim=_dim(data, name))})


def _in_traces(data: Measurements, along: str) -> Measurements:
    """A number for every trace: one device, voltage, width, repeat and block of the file.

    Without a column of repeats one begins where the time, or the number of pulses, falls back, or
    where the same voltage comes again, if all of them are traces by their length.
    """
    keys = [
        name for name in ("device", "bias voltage", "voltage", "width", "repeat") if name in data
    ]
    columns = [*(data.si(name) for name in keys), data.blocks]
    _, trace = np.unique(np.stack(columns), axis=1, return_inverse=True)
    trace = trace.ravel()
    n = trace.max() + 1
    if "repeat" not in data:
        pieces = [p for k in range(n) for p in _pieces(np.flatnonzero(trace == k), data.si(along))]
        for k, rows in enumerate(pieces):
            trace[rows] = k
        if len(pieces) > n:
            data = data.saying(f"{len(pieces)} traces, as the {along} starts anew within a voltage")
    return data.changed("", {"trace": trace.astype(float)})


def _pieces(rows: NDArray[np.int_], time: Array) -> list[NDArray[np.int_]]:
    breaks = np.flatnonzero((np.diff(time[rows]) < 0) | (np.diff(rows) > 1)) + 1
    pieces = np.split(rows, breaks)
    return pieces if min(map(len, pieces)) >= _SHORTEST_TRACE else [rows]


def _from_the_pulse(data: Measurements) -> Measurements:
    """Traces without what was measured before their pulse, at times that start near 0."""
    time, trace = data.si("time").copy(), data.si("trace")
    before, moved = np.zeros(len(time), bool), 0
    for k in np.unique(trace):
        rows = np.flatnonzero(trace == k)
        early = rows[time[rows] < 0]
        if len(early) and _jumps_at_zero(time[rows], data.si("conductance")[rows]):
            before[early] = True
            rows = rows[time[rows] >= 0]
        if not 0 <= time[rows].min() <= np.ptp(time[rows]):
            time[rows] -= time[rows].min()
            moved += 1
    if moved:
        clause = f"the times of {counted(moved, 'trace')} counted from its first row"
        data = data.changed(clause, {"time": time * allunits.second})
    return data.without(before, "before the pulse at time 0")


def _jumps_at_zero(time: Array, conductance: Array) -> bool:
    """Whether the largest step of a trace is the one to times of 0 and more."""
    if (time < 0).all():
        return False
    at, inverse = np.unique(time, return_inverse=True)
    mean = np.bincount(inverse, conductance) / np.bincount(inverse)
    return bool(np.abs(np.diff(mean)).argmax() == np.count_nonzero(at < 0) - 1)


def _dim(data: Measurements, name: str) -> object:
    column = data.columns[name]
    return column.dim if isinstance(column, Quantity) else Quantity(1.0).dim
