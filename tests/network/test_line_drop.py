"""What lines with a resistance take from an array, against a dense solution."""

from dataclasses import replace

import numpy as np
import oracles
import pytest
from brian2.units import nvolt, ohm, second, siemens, volt

from mstpn.network.brian import LayerParameters
from mstpn.network.line_drop import LineDrop, line_drop, resistance_at
from mstpn.synapses.memristor import Memristor

M, N, R = 7, 3, 2e5
STEP = 1 / 15 * second


@pytest.fixture
def parameters() -> LayerParameters:
    rng = np.random.default_rng(0)
    decay = np.full((N, M), 0.2)
    decay[:, 4:] = 0.6
    return LayerParameters(
        weight=rng.uniform(-0.5, 0.5, (N, M)),
        decay=decay,
        gamma=np.zeros((N, M)),
        bias=np.zeros(N),
        normalisation="none",
        bias_lines="block",
    )


def test_sags_equal_a_dense_solution(parameters: LayerParameters, device: Memristor) -> None:
    p = parameters
    cells = np.asarray(device.conductance(p.weight.T) / siemens)
    offset = np.full((M, 1), float(device.offset_conductance / siemens))
    with_reference = np.hstack([cells, offset])
    lost = np.empty((M, N))
    for i in range(M):
        _, v = oracles.dense_crossbar(with_reference, np.eye(M)[i], np.zeros(N + 1), R)
        lost[i] = 1 - (v[-1] / R / with_reference[i])[:N]
    line = np.asarray(device.bias_voltage(p.decay.T) / volt)
    u, v = oracles.dense_crossbar(cells, line[:, 0], np.zeros(N), R)
    found = line_drop(p, device, STEP, R * ohm)
    # relative rounding of potentials near 1 whose differences are some per cent
    assert found.read == pytest.approx(lost.max(), rel=1e-9)
    assert found.read_mean == pytest.approx(lost.mean(), rel=1e-9)
    assert found.bias == pytest.approx((1 - (u - v) / line).max(), rel=1e-9)
    assert 0.005 < found.read < 0.5


def test_voltages_that_no_line_holds_have_no_sag(
    parameters: LayerParameters, device: Memristor
) -> None:
    decay = np.random.default_rng(1).uniform(0.1, 0.9, (N, M))
    own = replace(parameters, decay=decay, bias_lines="synapse")
    found = line_drop(own, device, STEP, R * ohm)
    assert found == line_drop(parameters, device, STEP, R * ohm)._replace(bias=None)
    off = replace(parameters, decay=np.full((N, M), 0.08))
    assert line_drop(off, device, STEP, R * ohm).bias == 0


def test_a_line_almost_at_ground_does_not_sag_by_its_own_measure(
    parameters: LayerParameters, device: Memristor
) -> None:
    decay = parameters.decay.copy()
    decay[:, :4] = device.decay(1 * nvolt, STEP)
    p = replace(parameters, decay=decay)
    cells = np.asarray(device.conductance(p.weight.T) / siemens)
    line = np.asarray(device.bias_voltage(p.decay.T) / volt)
    u, v = oracles.dense_crossbar(cells, line[:, 0], np.zeros(N), R)
    fallen = line - np.maximum(u - v, 0)  # no device is held below its smallest bias
    found = line_drop(p, device, STEP, R * ohm).bias
    assert found == pytest.approx((fallen[4:] / line[4:]).max(), rel=1e-9)
    assert (fallen[:4] / line[:4]).max() == 1


def test_the_resistance_of_a_bound_is_where_the_sag_is_that(
    parameters: LayerParameters, device: Memristor
) -> None:
    def solved(r: float) -> LineDrop:
        return line_drop(parameters, device, STEP, r * ohm)

    for bound in (0.01, 0.3):
        found = resistance_at(bound, lambda r: solved(r).read, {R: solved(R).read})
        assert found is not None
        assert solved(float(found / ohm)).read == pytest.approx(bound, rel=1e-3)
    closed = resistance_at(0.05, lambda r: r / (1e6 + r), {1.0: 1 / (1e6 + 1)})
    assert closed is not None
    assert float(closed / ohm) == pytest.approx(0.05 / 0.95 * 1e6, rel=1e-3)
    assert resistance_at(0.9, lambda r: 0.5 * r / (1 + r), {1.0: 0.25}) is None
