"""Measurements of a device: the rows of one file, with what they were taken for."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from brian2.units import Quantity
from numpy.typing import NDArray

__all__ = ["Measurements", "counted", "line_numbers", "shown"]

_MOST_LINES = 8

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Measurements:
    """The rows of one file.

    Parameters
    ----------
    path : Path
    columns : mapping of str to Quantity, (n,)
        By the names in the `Table`; NaN where a row has no reading. Labels are numbered.
    headers : mapping of str to str
        What the file calls them.
    lines : array of int, (n,)
        Where the rows stand in the file.
    labels : mapping of str to tuple of str
        What the numbers of a column of labels stand for.
    blocks : array of int, (n,)
        How often the header had been repeated above a row.
    understood : tuple of str
        What the file was taken for, in clauses.
    preamble : tuple of str
        Lines above the header.
    cells : tuple of str
        The header, with the columns that are not used.
    """

    path: Path
    columns: Mapping[str, Quantity]
    headers: Mapping[str, str]
    lines: NDArray[np.int_]
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    blocks: NDArray[np.int_] = field(default_factory=lambda: np.zeros(0, int))
    understood: tuple[str, ...] = ()
    preamble: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def __len__(self) -> int:
        return len(self.lines)

    def si(self, name: str) -> Array:
        """A column as bare numbers in SI units, (n,)."""
        return np.asarray(self.columns[name], dtype=float)

    def where(self, rows: NDArray[Any]) -> "Measurements":
        """Some of the rows, by a mask or by their numbers."""
        columns = {name: values[rows] for name, values in self.columns.items()}
        return replace(self, columns=columns, lines=self.lines[rows], blocks=self.blocks[rows])

    def changed(self, said: str, columns: Mapping[str, Any]) -> "Measurements":
        """With other columns, and what is said of them."""
        headers = {name: self.headers.get(name, said) for name in columns}
        named = {**self.headers, **headers}
        return replace(self, columns={**self.columns, **columns}, headers=named).saying(said)

    def keeping(self, names: Collection[str]) -> "Measurements":
        """Without the other columns."""
        return replace(self, columns={n: v for n, v in self.columns.items() if n in names})

    def saying(self, clause: str) -> "Measurements":
        """With a clause more about what was understood."""
        return replace(self, understood=(*self.understood, *filter(None, [clause])))

    def without(self, rows: NDArray[np.bool_], why: str) -> "Measurements":
        """The rows that are not left out, and a clause about those that are."""
        if not rows.any():
            return self
        n = counted(int(rows.sum()), "row")
        return self.where(~rows).saying(f"{n} left out, {why} ({line_numbers(self.lines[rows])})")

    def at(self, name: str) -> str:
        """File and column, for messages."""
        return f"{self.path}, column {self.headers[name]!r}"


def counted(n: int, noun: str) -> str:
    """A number of things."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def line_numbers(numbers: NDArray[np.int_]) -> str:
    """Lines of a file, the first of them if there are many."""
    shown_ones = ", ".join(map(str, numbers[:_MOST_LINES]))
    more = f" and {len(numbers) - _MOST_LINES} more" if len(numbers) > _MOST_LINES else ""
    return f"line {shown_ones}" if len(numbers) == 1 else f"lines {shown_ones}{more}"


def shown(*values: Any) -> str:
    """Numbers in five digits, all in the best unit of the first."""
    unit = values[0].get_best_unit() if isinstance(values[0], Quantity) else None
    numbers = " to ".join(f"{float(v if unit is None else v / unit):.5g}" for v in values)
    return numbers if unit is None else f"{numbers} {unit}"
