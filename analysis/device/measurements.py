"""Measurements of a device from CSV files, every value checked.

The first line names the columns, each with its unit: `voltage (V)`, `width (us)`, `ΔG (nS)`
(or `dG (nS)`), `weight S`. Any prefix from f to k will do. Lines that are blank or begin with
`#` are skipped. A measured column may have its standard error beside it, `ΔG error (nS)`.
"""

import csv
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from brian2.units import Quantity, allunits
from numpy.typing import NDArray

from mstpn.synapses.support.sourced import DataError

__all__ = [
    "BIAS_POWER",
    "DECAY",
    "PULSES",
    "Column",
    "Measurements",
    "Table",
    "read_measurements",
    "shown",
    "units",
]

_PREFIXES = ("f", "p", "n", "u", "m", "", "k")
_ASCII = str.maketrans(
    {
        "\N{MICRO SIGN}": "u",
        "\N{GREEK SMALL LETTER MU}": "u",
        "\N{GREEK CAPITAL LETTER DELTA}": "d",
        "\N{INCREMENT}": "d",
    }
)
_HEADER = re.compile(r"(?P<name>.*?)\s*(?:\((?P<unit>[^()]*)\))?")

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Column:
    """A column that a table may have.

    Parameters
    ----------
    name : str
        In the header, before the unit.
    unit : str
        Brian2's name of its unit, or "1".
    measured : bool
        Whether its standard error may stand beside it.
    allowed : str
        What a value must be besides finite: a key of `_CHECKS`.
    """

    name: str
    unit: str
    measured: bool = False
    allowed: str = "a finite number"


@dataclass(frozen=True)
class Table:
    """The columns of one kind of CSV file.

    Parameters
    ----------
    columns : tuple of Column
    needed : tuple of tuple of str
        Of each group at least one column.
    either : tuple of str
        Columns that say the same, so at most one of them.
    """

    columns: tuple[Column, ...]
    needed: tuple[tuple[str, ...], ...]
    either: tuple[str, ...] = ()

    @property
    def known(self) -> dict[str, Column]:
        """All columns by name, standard errors among them."""
        errors = [
            Column(f"{c.name} error", c.unit, allowed="positive")
            for c in self.columns
            if c.measured
        ]
        return {column.name: column for column in (*self.columns, *errors)}


_CHECKS: dict[str, Callable[[float], bool]] = {
    "a finite number": lambda _value: True,
    "positive": lambda value: value > 0,
    "0 or more": lambda value: value >= 0,
    "other than 0": lambda value: value != 0,
}

PULSES = Table(
    (
        Column("voltage", "volt", allowed="other than 0"),
        Column("width", "second", allowed="positive"),
        Column("dG", "siemens", measured=True),
        Column("dF", "1", measured=True),
        Column("energy", "joule", measured=True),
    ),
    needed=(("voltage",), ("width",), ("dG", "dF", "energy")),
    either=("dG", "dF"),
)
"""Short-term pulses, one a row (Fig. 3a-3c)."""

DECAY = Table(
    (
        Column("bias voltage", "volt"),
        Column("time", "second", allowed="0 or more"),
        Column("conductance", "siemens", measured=True),
        Column("repeat", "1"),
    ),
    needed=(("bias voltage",), ("time",), ("conductance",)),
)
"""Conductance at times after a pulse under a constant bias (Fig. 3d)."""

BIAS_POWER = Table(
    (
        Column("bias voltage", "volt"),
        Column("weight S", "1"),
        Column("conductance", "siemens"),
        Column("power", "watt", measured=True),
    ),
    needed=(("bias voltage",), ("weight S", "conductance"), ("power",)),
    either=("weight S", "conductance"),
)
"""Power under a bias at total weights S = W + F, or at conductances (Fig. 4f)."""


@dataclass(frozen=True)
class Measurements:
    """The rows of one CSV file.

    Parameters
    ----------
    path : Path
    columns : mapping of str to Quantity, (n,)
        By the names in the `Table`.
    headers : mapping of str to str
        What the file calls them.
    """

    path: Path
    columns: Mapping[str, Quantity]
    headers: Mapping[str, str]

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def si(self, name: str) -> Array:
        """A column as bare numbers in SI units, (n,)."""
        return np.asarray(self.columns[name], dtype=float)

    def where(self, rows: NDArray[np.bool_]) -> "Measurements":
        """Some of the rows."""
        columns = {name: values[rows] for name, values in self.columns.items()}
        return Measurements(self.path, columns, self.headers)

    def at(self, name: str) -> str:
        """File and column, for messages."""
        return f"{self.path}, column {self.headers[name]!r}"


def read_measurements(path: Path, table: Table) -> Measurements:
    """Read a CSV file.

    Parameters
    ----------
    path : Path
    table : Table
        `PULSES`, `DECAY` or `BIAS_POWER`.

    Raises
    ------
    DataError
        If the file cannot be read, a column is missing, unknown, twice there or of a wrong
        unit, or a value is not allowed; the message names file, line and column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(_lines(file, path))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: {error}") from error
    if not lines:
        raise DataError(f"{path}: empty, the first line must name the columns")
    (first, header), *rows = lines
    columns = _columns([cell.strip() for cell in header], table, f"{path}, line {first}")
    values = [
        [
            _number(cell.strip(), column, f"{path}, line {line}, column {text!r}")
            for cell, (column, _, text) in zip(cells, columns, strict=True)
        ]
        for line, cells in rows
    ]
    if not values:
        raise DataError(f"{path}: no rows below the header")
    by_column = np.array(values).T
    return Measurements(
        path,
        {c.name: v * unit for v, (c, unit, _) in zip(by_column, columns, strict=True)},
        {c.name: text for c, _, text in columns},
    )


def _lines(file: Iterable[str], path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells of what is neither blank nor a comment."""
    width = None
    for cells in (reader := csv.reader(file, skipinitialspace=True)):
        if not any(cell.strip() for cell in cells) or cells[0].startswith("#"):
            continue
        width = width or len(cells)
        if len(cells) != width:
            raise DataError(
                f"{path}, line {reader.line_num}: {len(cells)} values for {width} columns"
            )
        yield reader.line_num, cells


def _columns(header: Sequence[str], table: Table, at: str) -> list[tuple[Column, Any, str]]:
    """Column, unit and the file's own text of every cell of the header."""
    known = {name.casefold(): column for name, column in table.known.items()}
    found: dict[str, tuple[Column, Any, str]] = {}
    for text in header:
        match = _HEADER.fullmatch(text)
        column = known.get(match["name"].translate(_ASCII).casefold()) if match else None
        if match is None or column is None:
            raise DataError(f"{at}: unknown column {text!r}, known are {', '.join(table.known)}")
        if column.name in found:
            raise DataError(f"{at}, column {text!r}: there is {found[column.name][2]!r} already")
        unit = _unit(match["unit"] or "", column, f"{at}, column {text!r}")
        found[column.name] = column, unit, text
    for group in table.needed:
        if not found.keys() & set(group):
            examples = " or ".join(_example(table.known[name]) for name in group)
            raise DataError(f"{at}: no column {examples}")
    for name in found:
        if name.removesuffix(" error") not in found:
            raise DataError(f"{at}: {found[name][2]!r} is the error of no column")
    if len(both := [found[name][2] for name in table.either if name in found]) > 1:
        raise DataError(f"{at}: either {both[0]!r} or {both[1]!r}, not both")
    return list(found.values())


def units(name: str) -> dict[str, Any]:
    """A unit of Brian2's name with its prefixes, by symbol; without a unit only "1".

    Parameters
    ----------
    name : str
        Such as "volt", or "1".
    """
    if name == "1":
        return {"1": 1.0}
    prefixed = [getattr(allunits, prefix + name) for prefix in _PREFIXES]
    return {unit.dispname: unit for unit in prefixed}


def _unit(symbol: str, column: Column, at: str) -> Any:
    allowed = units(column.unit)
    symbol = symbol.strip().translate(_ASCII) or ("1" if column.unit == "1" else "none")
    if symbol not in allowed:
        raise DataError(f"{at}: unit must be one of {', '.join(allowed)}, got {symbol}")
    return allowed[symbol]


def _example(column: Column) -> str:
    if column.unit == "1":
        return repr(column.name)
    return repr(f"{column.name} ({getattr(allunits, column.unit).dispname})")


def _number(text: str, column: Column, at: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{at}: must be a finite number, got {text!r}")
    if not _CHECKS[column.allowed](value):
        raise DataError(f"{at}: must be {column.allowed}, got {text}")
    return value


def shown(*values: Any) -> str:
    """Numbers in five digits, all in the best unit of the first."""
    unit = values[0].get_best_unit() if isinstance(values[0], Quantity) else None
    numbers = " to ".join(f"{float(v if unit is None else v / unit):.5g}" for v in values)
    return numbers if unit is None else f"{numbers} {unit}"
