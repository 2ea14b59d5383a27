"""Lines of a crossbar that have a resistance: what is left of voltages and currents at the ends.

Cell (i, j) lies between the node (i, j) of row i, a wire that is driven at the left, and the node
(i, j) of column j, a wire that ends below the last row, where its current is read at ground. One
segment of `resistance` lies between neighbours on a wire, before the first cell of a row and
behind the last cell of a column. Kirchhoff's current law at the 2 M N nodes is a sparse linear
system::

    sum over segments (U_neighbour - U) / resistance + G_ij (U_other - U) = 0

It is factorised once; every voltage pattern is then one solution, and so is every column of the
transfer conductances, by reciprocity: the current that a column at 1 V drives into a row that is
driven with 0 V is that which the row at 1 V would drive out of the column.
"""

from typing import Any

import numpy as np
from brian2.units import Quantity, ohm, siemens, volt
from brian2.units.fundamentalunits import fail_for_dimension_mismatch
from numpy.typing import NDArray
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import splu

__all__ = ["Wires"]

Array = NDArray[np.float64]


class Wires:
    """A crossbar of M rows and N columns with the conductances of its cells.

    Parameters
    ----------
    conductance : Quantity, siemens, (M, N)
    resistance : Quantity, ohm
        Of a wire from one cell to the next.

    Raises
    ------
    ValueError
        If a conductance is negative or not finite, or the resistance not positive and finite.
    DimensionMismatchError
        If one has the wrong unit.
    """

    def __init__(self, conductance: Quantity, resistance: Quantity) -> None:
        fail_for_dimension_mismatch(conductance, siemens, "conductance must be in siemens")
        fail_for_dimension_mismatch(resistance, ohm, "resistance must be in ohm")
        cells = np.asarray(conductance / siemens, dtype=float)
        if cells.ndim != 2 or not ((cells >= 0) & (cells < np.inf)).all():
            raise ValueError("conductance must be (M, N), at least 0 and finite")
        if not 0 < float(resistance) < np.inf:
            raise ValueError(f"resistance must be positive and finite, got {resistance}")
        self._cells, self._segment = cells, 1 / float(resistance / ohm)
        nodes = 2 * np.arange(cells.size).reshape(cells.shape)
        self._row, self._column = nodes, nodes + 1
        # symmetric and diagonally dominant: no pivoting is needed
        self._solve = splu(
            self._nodal_matrix(),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        ).solve

    def _nodal_matrix(self) -> csc_matrix:
        row, column, g = self._row, self._column, self._segment
        pairs: list[tuple[Any, Any, Any]] = [
            (row.ravel(), column.ravel(), self._cells.ravel()),
            (row[:, :-1].ravel(), row[:, 1:].ravel(), g),
            (column[:-1].ravel(), column[1:].ravel(), g),
        ]
        ends = np.concatenate([row[:, 0], column[-1]])
        entries = [(ends, ends, np.full(ends.shape, g))]
        for a, b, value in pairs:
            values = np.broadcast_to(value, a.shape)
            entries += [(a, a, values), (b, b, values), (a, b, -values), (b, a, -values)]
        at_row, at_column, values = (np.concatenate(part) for part in zip(*entries, strict=True))
        n = 2 * self._cells.size
        return csc_matrix((values, (at_row, at_column)), shape=(n, n))

    def _potentials(self, rows: Any, columns: Any) -> Array:
        """Of all nodes, for potentials of the rows' drivers and the columns' ends."""
        injected = np.zeros(2 * self._cells.size)
        injected[self._row[:, 0]] = rows
        injected[self._column[-1]] += columns
        potentials: Array = self._solve(self._segment * injected)
        return potentials

    def across(self, row_voltage: Quantity, column_voltage: Quantity = 0 * volt) -> Quantity:
        """Voltage across every cell, (M, N).

        Parameters
        ----------
        row_voltage : Quantity, volt
            Of the drivers, a scalar or (M,).
        column_voltage : Quantity, volt
            Of the columns' ends, a scalar or (N,).
        """
        u = self._potentials(row_voltage / volt, column_voltage / volt)
        return (u[self._row] - u[self._column]) * volt

    def currents(self, row_voltage: Quantity) -> Quantity:
        """Currents at the columns' ends, at ground, (N,).

        Parameters
        ----------
        row_voltage : Quantity, volt
            Of the drivers, a scalar or (M,).
        """
        u = self._potentials(row_voltage / volt, 0.0)
        return self._segment * u[self._column[-1]] * siemens * volt

    def read_gain(self) -> Array:
        """Current out of column j per volt at row i, over the conductance of cell (i, j), (M, N).

        Exact for whatever voltages the rows are driven with, currents through other cells
        included. A cell of no conductance has the share of the column's end that it would see.
        """
        gain = np.empty_like(self._cells)
        for j in range(gain.shape[1]):
            end = np.zeros(gain.shape[1])
            end[j] = 1
            u = self._potentials(0.0, end)
            gain[:, j] = u[self._column[:, j]] - u[self._row[:, j]]
            into_rows = self._segment * u[self._row[:, 0]]
            cells = self._cells[:, j]
            np.divide(into_rows, cells, out=gain[:, j], where=cells > 0)
        return gain
