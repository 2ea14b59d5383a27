"""What is counted in compiled code against its form in NumPy."""

import numpy as np
import pytest

from mstpn.network import saturation, step_time
from mstpn.synapses.support.brian_target import compiles

M, N = 40, 7


@pytest.mark.skipif(not compiles(), reason="Brian2 finds no compiler")
def test_compiled_counts_are_those_of_numpy() -> None:
    rng = np.random.default_rng(2)
    kernel, plain = step_time.counting(), saturation._Uncompiled
    gamma, weight, short_term = rng.normal(size=(3, M, N))
    short_term[3, 2], short_term[4] = 1.5 - weight[3, 2], -1.5 - weight[4]
    totals, counts = np.zeros((2, 5)), np.zeros((2, 3, 2), np.int64)
    visited, outside = np.zeros((2, M), np.uint8), np.zeros((2, M), np.int64)
    for _ in range(20):
        z = rng.normal(size=M) * (rng.random(M) < 0.2)
        h = np.tanh(2 * rng.normal(size=N))
        step_time._count(z, h, gamma, 0.8, 1e-4, 1e-6, totals[0])
        kernel.step_time(z, h, gamma, 0.8, 1e-4, 1e-6, totals[1])
        for k, one in enumerate((plain, kernel)):
            one.look(z, h, visited[k], 0.9, counts[k])
            counts[k, 1] += one.above(z, h, gamma, 0.8)
        assert np.array_equal(*visited)
        for ends in (False, True):
            for k, one in enumerate((plain, kernel)):
                one.outside(weight, short_term, visited[k], outside[k], -1.5, 1.5, ends)
            assert np.array_equal(*outside)
    assert np.array_equal(*counts)
    assert counts[0, 0, 0] > 0
    assert visited.any()
    close = 20 * float(np.finfo(float).eps)  # a sum of 20 times
    np.testing.assert_allclose(totals[0], totals[1], rtol=close)
    assert totals[0, 2] > 0
