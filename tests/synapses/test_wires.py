"""Crossbars whose lines have a resistance, against dense solutions and closed forms."""

import numpy as np
import oracles
import pytest
from brian2.units import DimensionMismatchError, amp, mS, ohm, siemens, volt
from numpy.typing import NDArray

from mstpn.synapses.wires import Wires

Array = NDArray[np.float64]
R = 40.0


def dense(cells: Array, rows: Array, columns: Array) -> tuple[Array, Array]:
    return oracles.dense_crossbar(cells, rows, columns, R)


@pytest.fixture
def cells() -> Array:
    found = np.random.default_rng(0).uniform(0.1, 3, (6, 4)) * 1e-3
    found[2, 1] = 0
    return found


def test_voltages_and_currents_equal_a_dense_solution(cells: Array) -> None:
    rng = np.random.default_rng(1)
    rows, columns = rng.normal(size=6), rng.normal(size=4)
    wires = Wires(cells * siemens, R * ohm)
    u, v = dense(cells, rows, columns)
    found = wires.across(rows * volt, columns * volt) / volt
    # some ten thousand sums of numbers of order 1, with a condition number of some hundreds
    np.testing.assert_allclose(found, u - v, rtol=0, atol=1e-13)
    _, v = dense(cells, rows, np.zeros(4))
    np.testing.assert_allclose(wires.currents(rows * volt) / amp, v[-1] / R, rtol=1e-12)


def test_gains_are_those_of_any_inputs(cells: Array) -> None:
    gain = Wires(cells * siemens, R * ohm).read_gain()
    full = cells > 0
    for i in range(6):
        one = np.eye(6)[i]
        _, v = dense(cells, one, np.zeros(4))
        transfer = v[-1] / R
        np.testing.assert_allclose((gain * cells)[i][full[i]], transfer[full[i]], rtol=1e-11)
    u, v = dense(cells, np.zeros(6), np.eye(4)[1])
    assert gain[2, 1] == pytest.approx((v - u)[2, 1], rel=1e-12)


def test_one_row_is_a_ladder_in_closed_form() -> None:
    n, g = 9, 2e-3
    # sections of R in series and of a cell and its column's end, R, across
    shunt = 1 / (1 / g + R)
    theta = np.arccosh(1 + R * shunt / 2)
    k = np.arange(1, n + 1)
    potential = np.cosh((n + 0.5 - k) * theta) / np.cosh((n + 0.5) * theta)
    wires = Wires(np.full((1, n), g) * siemens, R * ohm)
    found = wires.currents(0.6 * volt) / amp
    np.testing.assert_allclose(found, 0.6 * shunt * potential, rtol=1e-13)
    gain = wires.read_gain()
    np.testing.assert_allclose(gain[0] * g, shunt * potential, rtol=1e-12)


def test_one_cell_is_three_resistors() -> None:
    wires = Wires(np.array([[1.0]]) * mS, R * ohm)
    assert float(wires.currents(1 * volt) / amp) == pytest.approx(1 / (1000 + 2 * R), rel=1e-13)
    assert float(wires.read_gain()) == pytest.approx(1000 / (1000 + 2 * R), rel=1e-13)


def test_what_the_drivers_deliver_is_what_is_dissipated(cells: Array) -> None:
    rows = np.random.default_rng(2).normal(size=6)
    across = np.asarray(Wires(cells * siemens, R * ohm).across(rows * volt) / volt)
    u, v = dense(cells, rows, np.zeros(4))
    along = (np.diff(np.column_stack([rows, u]), axis=1) ** 2).sum()
    along += (np.diff(np.vstack([v, np.zeros(4)]), axis=0) ** 2).sum()
    delivered = (rows[:, None] * across * cells).sum()
    assert delivered == pytest.approx((across**2 * cells).sum() + along / R, rel=1e-12)


def test_what_is_no_crossbar_is_refused(cells: Array) -> None:
    with pytest.raises(ValueError, match=r"resistance must be positive and finite, got 0\. ohm"):
        Wires(cells * siemens, 0 * ohm)
    for bad in (-cells, cells[0], cells * np.nan):
        with pytest.raises(ValueError, match=r"conductance must be \(M, N\), at least 0 and"):
            Wires(bad * siemens, R * ohm)
    with pytest.raises(DimensionMismatchError, match="resistance must be in ohm"):
        Wires(cells * siemens, 1 * volt)
