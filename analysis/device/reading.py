"""Measurements of a device from text files as laboratories have them, every value checked.

A line names the columns, each with its unit: `voltage (V)`, `width [us]`, `ΔG / nS`, or the units
stand in a row of their own below. Any prefix from f to k will do. What stands above that line,
blank lines and lines that begin with `#` are skipped. A measured column may have its standard
error beside it, `ΔG error (nS)`. What was understood is in `Measurements.understood`; what cannot
be known is refused.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from brian2.units import allunits
from numpy.typing import NDArray

from mstpn.analysis.device.cleaning import cleaned
from mstpn.analysis.device.headings import Heading, heading, unit_named, units
from mstpn.analysis.device.measurements import Measurements
from mstpn.analysis.device.tables import CHECKS, Column, Table
from mstpn.analysis.device.text_table import TextTable, read_text_table
from mstpn.synapses.support.numerals import decimal_mark, number
from mstpn.synapses.support.sourced import DataError

__all__ = ["read_measurements"]

_OVERFLOW = 9.8e37
"""Instruments write 9.9E37 for a reading that overflowed and 9.91E37 for none."""
_NO_READING = {
    *("nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity", "na", "n/a", "null"),
    *("overflow", "overflw", "ovfl", "ovld", "ol", "o.l", "0.l", "none", "--", "---", "----"),
    *("1.#inf", "-1.#inf", "1.#qnan", "-1.#ind", "#n/a", "#num!", "#div/0!", "#value!"),
}

Array = NDArray[np.float64]


@dataclass(frozen=True)
class _FileColumn:
    """A column of the file: what it holds, how its unit is written, its place."""

    column: Column
    symbol: str
    place: int

    @property
    def unit(self) -> Any:
        """Its unit, or None if there is no such unit."""
        return 1.0 if self.column.unit == "label" else unit_named(self.symbol, self.column.unit)


def read_measurements(
    path: Path,
    table: Table,
    *,
    renamed: Mapping[str, str] | None = None,
    decimal: str | None = None,
) -> Measurements:
    """Read a file as it was written.

    Parameters
    ----------
    path : Path
    table : Table
        `PULSES`, `DECAY` or `BIAS_POWER`.
    renamed : mapping of str to str, optional
        What a cell of the header shall be read as.
    decimal : str, optional
        "." or ","; found from the cells otherwise.

    Raises
    ------
    DataError
        If the file cannot be read, a column is missing, there twice or of an unknown unit, or a
        value is not allowed or cannot be known; the message names file, line and column.
    """
    names, renamed = table.names, renamed or {}
    unit_of = {c.name: "1" if c.unit == "label" else c.unit for c in table.known.values()}

    def read(cell: str) -> Heading:
        return heading(renamed.get(cell, cell), names, unit_of)

    text = read_text_table(path, lambda cell: read(cell).column or None)
    at = f"{path}, line {text.header_line}"
    used = _used(_columns(text, table, read, at), text, table, at)
    if not text.rows:
        raise DataError(f"{path}: no rows below the header")
    text, used = _with_units_row(text, used)
    for one in used.values():
        if one.unit is None:
            raise DataError(f"{at}, {_unit_wanted(one, text.header[one.place])}")
    return cleaned(_measured(path, text, list(used.values()), decimal), table)


def _unit_wanted(one: _FileColumn, cell: str) -> str:
    allowed = units(one.column.unit)
    refusal = f"column {cell!r}: unit must be one of {', '.join(allowed)}, got "
    if one.symbol:
        return refusal + one.symbol
    symbol = getattr(allunits, one.column.unit).dispname
    return f"{refusal}none (--column '{cell}={one.column.name} ({symbol})' says it)"


def _columns(
    text: TextTable, table: Table, read: Callable[[str], Heading], at: str
) -> dict[str, _FileColumn]:
    """Columns by name; one that is called by its own name goes before an alias."""
    columns: dict[str, _FileColumn] = {}
    own: set[str] = set()
    for k, cell in enumerate(text.header):
        name, symbol, is_own = read(cell)
        if not name:
            continue
        if name in columns and is_own == (name in own):
            other = text.header[columns[name].place]
            raise DataError(f"{at}, column {cell!r}: there is {other!r} already")
        if name not in columns or is_own:
            columns[name] = _FileColumn(table.known[name], symbol, k)
        own |= {name} if is_own else set()
    return columns


def _used(
    columns: Mapping[str, _FileColumn], text: TextTable, table: Table, at: str
) -> dict[str, _FileColumn]:
    """The columns that something is made of."""
    both = [text.header[columns[name].place] for name in table.either if name in columns]
    if len(both) > 1:
        raise DataError(f"{at}: either {both[0]!r} or {both[1]!r}, not both")
    rules = table.applied(columns.keys())
    there = columns.keys() | {rule.name for rule in rules}
    for group in table.needed:
        if not there & set(group):
            raise DataError(f"{at}: no column {_examples(group, table)}{_unknown(text, columns)}")
    for name in columns:
        if name.removesuffix(" error") not in there:
            raise DataError(f"{at}: {text.header[columns[name].place]!r} is the error of no column")
    wanted = {name for group in table.needed for name in group}
    wanted |= {name for rule in rules for name in rule.of}
    wanted |= {c.name for c in table.columns if c.unit == "label"}
    return {n: one for n, one in columns.items() if n.removesuffix(" error") in wanted}


def _examples(group: tuple[str, ...], table: Table) -> str:
    shown = []
    for name in group:
        unit = table.known[name].unit
        symbol = "" if unit == "1" else f" ({getattr(allunits, unit).dispname})"
        shown.append(repr(f"{name}{symbol}"))
    return " or ".join(shown)


def _unknown(text: TextTable, columns: Mapping[str, _FileColumn]) -> str:
    places = {one.place for one in columns.values()}
    unknown = [repr(c) for k, c in enumerate(text.header) if c and k not in places]
    if not unknown:
        return ""
    if not columns and not any(re.search("[a-z]{2}", cell, re.IGNORECASE) for cell in text.header):
        return "; a line above the numbers must name the columns"
    return f"; unknown: {', '.join(unknown[:8])} (--column 'ITS NAME=name (unit)' says what one is)"


def _with_units_row(
    text: TextTable, used: dict[str, _FileColumn]
) -> tuple[TextTable, dict[str, _FileColumn]]:
    """Units from the row below the header, if that is what it holds."""
    _, _, cells = text.rows[0]
    bare = [cell.strip(" ()[]{}") for cell in cells]
    numeric = [one for one in used.values() if one.column.unit != "label"]
    if not all(unit_named(bare[one.place], one.column.unit) is not None for one in numeric):
        return text, used
    if not any(bare[one.place] and one.column.unit != "1" for one in numeric):
        return text, used
    placed = {n: replace(one, symbol=one.symbol or bare[one.place]) for n, one in used.items()}
    return replace(text, rows=text.rows[1:]), placed


def _measured(
    path: Path, text: TextTable, used: list[_FileColumn], decimal: str | None
) -> Measurements:
    """The rows in SI units, NaN where there is no reading, and what the file was taken for."""
    numeric = [one for one in used if one.column.unit != "label"]
    mark = decimal or decimal_mark(cells[one.place] for _, _, cells in text.rows for one in numeric)
    if mark is None:
        raise DataError(
            f"{path}: commas and points in its numbers can be decimal marks or part thousands; "
            "--decimal point or --decimal comma says which"
        )
    columns: dict[str, Any] = {}
    labels: dict[str, tuple[str, ...]] = {}
    lines = np.array([line for line, _, _ in text.rows], dtype=int)
    for one in used:
        cells = [cells[one.place] for _, _, cells in text.rows]
        if one.column.unit == "label":
            labels[one.column.name], numbers = _numbered(cells)
            columns[one.column.name] = numbers
            continue
        at = [f"{path}, line {k}, column {text.header[one.place]!r}" for k in lines]
        values = np.array([_value(c, one.column, mark, a) for c, a in zip(cells, at, strict=True)])
        columns[one.column.name] = values * one.unit
    return Measurements(
        path,
        columns,
        {one.column.name: text.header[one.place] for one in used},
        lines,
        labels,
        np.array([block for _, block, _ in text.rows], dtype=int),
        tuple(_clauses(text, used, mark)),
        text.preamble,
        text.header,
    )


def _value(text: str, column: Column, mark: str, at: str) -> float:
    if not text or text.casefold() in _NO_READING:
        return math.nan
    try:
        value = number(text, mark, grouped=True)
    except ValueError:
        raise DataError(f"{at}: must be a finite number, got {text!r}") from None
    if abs(value) >= _OVERFLOW:
        return math.nan
    if not CHECKS[column.allowed](value):
        raise DataError(f"{at}: must be {column.allowed}, got {text}")
    return value


def _numbered(cells: list[str]) -> tuple[tuple[str, ...], Array]:
    """Different texts in the order they appear in, and which of them each cell is."""
    different = {cell: k for k, cell in enumerate(dict.fromkeys(cells))}
    return tuple(different), np.array([different[cell] for cell in cells], dtype=float)


def _cited(cell: str, one: _FileColumn) -> str:
    return repr(cell) if one.symbol in cell else f"{cell!r} in {one.symbol}"


def _clauses(text: TextTable, used: list[_FileColumn], mark: str) -> list[str]:
    clauses = [
        f"header in line {text.header_line}, cells apart by {text.separator}"
        + (", decimal commas" if mark == "," else "")
    ]
    clauses.append(
        "; ".join(
            f"{one.column.name} from {text.header[one.place]!r}"
            + (
                f" in {one.symbol}"
                if one.symbol and one.symbol not in text.header[one.place]
                else ""
            )
            for one in used
        )
    )
    places = {one.place for one in used}
    unused = [repr(cell) for k, cell in enumerate(text.header) if cell and k not in places]
    if text.torn is not None:
        clauses.append(f"1 row left out, torn at the end of the file (line {text.torn})")
    if unused:
        clauses.append(f"not used: {', '.join(unused)}")
    return clauses
