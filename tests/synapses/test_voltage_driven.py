"""The device under a voltage: against SciPy, the pulse law, the SET law and Brian2's own RK4."""

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import oracles
import pytest
from brian2 import Clock, Network, NeuronGroup, TimedArray, ms
from brian2.units import DimensionMismatchError, Quantity, joule, second, usecond, volt
from numpy.typing import NDArray

from mstpn.synapses.bench.voltage_driven import VOLTAGE_DRIVEN, WINDOW, Trace, constants, simulate
from mstpn.synapses.bench.waveforms import Waveform, hold, in_turn, staircase
from mstpn.synapses.memristor import Memristor

Array = NDArray[np.float64]
DEVICE = Memristor.from_file()
ORACLE = oracles.DrivenDevice()


def levels(pairs: list[tuple[float, float]]) -> Waveform:
    """From volts and seconds."""
    return in_turn([hold(v * volt, s * second) for v, s in pairs])


def run(waveform: Waveform, weight: float | Array = 0.0) -> Trace:
    return simulate(waveform, DEVICE, weight=weight)


def states(trace: Trace) -> Array:
    """F, W and joules, (L, N, 3)."""
    return np.stack([trace.trace, trace.weight, np.asarray(trace.energy / joule)], axis=-1)


def state(trace: Trace) -> Array:
    """Those of the first device, (L, 3)."""
    return states(trace)[:, 0]


def approx(expected: Array, rel: float, absolute: tuple[float, float, float]) -> list[Any]:
    """F, W and joules, each with an absolute tolerance of its own."""
    return [pytest.approx(e, rel=rel, abs=a) for e, a in zip(expected, absolute, strict=True)]


@pytest.mark.parametrize("width_us", [1, 100, 500])
@pytest.mark.parametrize("amplitude", [-3.5, -2.0, -0.7, 0.7, 2.0, 3.5])
def test_a_pulse_is_the_pulse_law_to_the_order_of_its_decay(
    amplitude: float, width_us: float
) -> None:
    width = width_us * usecond
    got = run(hold(amplitude * volt, width)).trace[0, 0]
    share = got / float(DEVICE.pulse_delta(amplitude * volt, width))
    x = ORACLE.decay_rate(amplitude) * width_us * 1e-6  # w / tau
    assert share == pytest.approx(-math.expm1(-x) / x, rel=1e-9)
    assert abs(share - (1 - x / 2)) <= x**2 / 6 + 1e-12
    assert x < (1e-3 if amplitude > 0 else 0.25)


@pytest.fixture(scope="module")
def protocols() -> tuple[Waveform, Array]:
    """6 levels for each of 60 devices, and their W: pulses, bias, reads, waits.

    Some are long enough to reach either edge of the window.
    """
    rng = np.random.default_rng(0)
    shape = (6, 60)
    voltage = np.where(rng.random(shape) < 0.6, rng.uniform(-3.5, 3.5, shape), 0)
    voltage = np.where(rng.random(shape) < 0.2, rng.uniform(0, 0.6, shape), voltage)
    duration = 10 ** rng.uniform(-6, -0.5, shape)
    waveform = Waveform(duration * second, voltage * volt, np.ones(6, dtype=bool))
    return waveform, rng.uniform(-1.1, 4.7, 60)


def test_levels_against_scipy(protocols: tuple[Waveform, Array]) -> None:
    waveform, weight = protocols
    got = states(run(*protocols))
    edges = 0
    for n in range(waveform.n_devices):
        y = np.array([0.0, weight[n], 0.0])
        for k in range(len(waveform.is_read)):
            level = waveform.voltage[k, n] / volt, waveform.duration[k, n] / second
            y = ORACLE.hold(y, *(float(x) for x in level))
            # SciPy's rtol of 1e-12 a step, some hundred steps; F of 1e-9 is none beside 0.01
            assert got[k, n].tolist() == approx(y, 1e-8, (1e-9, 1e-12, 1e-20))
            edges += min(abs(y[0] + y[1] - edge) for edge in (ORACLE.low, ORACLE.high)) < 1e-9
    assert edges > 10


def test_any_split_of_time_gives_the_same(protocols: tuple[Waveform, Array]) -> None:
    waveform, weight = protocols
    finer = np.repeat(waveform.duration / second / 7, 7, axis=0) * second
    volts = np.repeat(waveform.voltage / volt, 7, axis=0) * volt
    split = Waveform(finer, volts, np.ones(len(volts), dtype=bool))
    # rounding of F (1e-16 of at most 5) times tau / duration < 1e6 in the integral of F
    got, whole = states(run(split, weight))[6::7], states(run(waveform, weight))
    for some, all_at_once in zip(got.reshape(-1, 3), whole.reshape(-1, 3), strict=True):
        assert some.tolist() == approx(all_at_once, 1e-9, (1e-13, 1e-13, 1e-20))


def test_set_levels_against_scipy() -> None:
    protocol = [(4.0, 500e-6), (0.0, 0.02), (4.0, 1e-3), (-1.0, 1e-3), (4.5, 2e-4)]
    y = np.zeros(3)
    for (volts, seconds), got in zip(protocol, state(run(levels(protocol))), strict=True):
        y = ORACLE.hold(y, volts, seconds)
        assert got.tolist() == approx(y, 1e-9, (1e-10, 1e-12, 1e-21))


def test_set_at_the_window_keeps_within_it_and_its_energy_converges() -> None:
    # 40 ms at 4 V: F reaches the window after 3 ms, then falls back as W takes its place
    errors = []
    y = ORACLE.hold(np.zeros(3), 4.0, 0.04)
    for n in (1, 2, 4, 8, 16):
        got = state(run(hold(4 * volt, 40 * ms / n) * n))
        assert (got[:, 0] + got[:, 1]).max() <= DEVICE.weight_max * (1 + 1e-15)
        np.testing.assert_allclose(got[-1, :2], y[:2], rtol=1e-9)
        errors.append(abs(got[-1, 2] / y[2] - 1))
    assert all(1.7 < a / b < 2.2 for a, b in pairwise(errors))  # of first order


def brian_rk4(dt: Quantity, voltages: Quantity) -> Array:
    """F, W, joules by Brian2 itself, in real time, under 0.1 s levels."""
    group = NeuronGroup(
        1,
        VOLTAGE_DRIVEN + "V = voltage(t) : volt (constant over dt)",
        method="rk4",
        clock=Clock(dt),
        namespace=constants(DEVICE) | {"voltage": TimedArray(voltages, dt=100 * ms)},
    )
    group.run_regularly(WINDOW, when="end", clock=group.clock)
    group.F, group.W = 0.5, 0.3
    Network(group).run(len(voltages) * 100 * ms, namespace={})
    return np.array([group.F[0], group.W[0], float(group.E[0] / joule)])


def test_brian_itself_converges_to_the_levels_at_its_order() -> None:
    voltages = np.array([0.3, 0.6, 0.25, 0.4]) * volt  # no growth: all that moves is smooth
    y = np.array([0.5, 0.3, 0.0])
    for v in np.asarray(voltages):
        y = ORACLE.hold(y, float(v), 0.1)
    errors = [np.abs(brian_rk4(100 * ms / n, voltages) / y - 1)[[0, 2]] for n in (4, 8, 16)]
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    np.testing.assert_allclose(orders, 4, atol=0.3)  # the next term is of order dt / tau < 0.3


def test_brian_itself_writes_the_same_pulses() -> None:
    voltages = np.array([0.0, 0.7, -0.8, 1.0, 0.6]) * volt
    group_levels = in_turn([hold(v, 100 * ms) for v in voltages])
    start = (hold(0 * volt, 0 * second) + group_levels,)
    exact = state(run(*start, weight=0.3))[-1]
    assert exact[0] != 0
    y = brian_rk4(0.1 * ms, voltages)
    # F = 0.5 at the start has decayed to 0.5 exp(-0.1 s / 26 ms) and on; W stays
    left = 0.5 * math.exp(-0.1 * sum(ORACLE.decay_rate(float(v)) for v in np.asarray(voltages)))
    assert y[0] == pytest.approx(exact[0] + left, rel=1e-6)
    assert y[1] == 0.3


@pytest.mark.parametrize("volts", [0.6, 0.3, 0.0, -0.2, -0.6])
def test_below_zero_the_decay_is_faster_still(volts: float) -> None:
    trace = run(levels([(3.5, 1e-4), (volts, 5e-3)])).trace[:, 0]
    expected = math.exp(-5e-3 * 15 * math.log1p(math.exp((0.3 - volts) / ORACLE.slope)))
    assert trace[1] / trace[0] == pytest.approx(expected, rel=1e-12)
    slower = 0.0 if volts > 0 else ORACLE.decay_rate(0.0)
    assert ORACLE.decay_rate(volts) >= slower


def test_bias_and_reads_write_nothing_and_short_pulses_leave_w() -> None:
    trace = run(levels([(0.6, 100.0), (-0.6, 100.0), (3.5, 1e-4), (3.99, 1e-4)]), 0.7)
    assert trace.trace[:2, 0].tolist() == [0, 0]
    assert (trace.weight == 0.7).all()


@pytest.mark.parametrize("n", [1, 10, 100])
def test_set_pulses_are_the_set_law(n: int) -> None:
    cycle = hold(4 * volt, 500 * usecond) + hold(0 * volt, 1 * second)
    top = (60 - 4.3 / 0.36) / 10
    got = run(cycle * n, 0.5).weight[-1, 0]
    assert got == pytest.approx(top - (top - 0.5) * 0.98**n, rel=1e-12)
    assert got == pytest.approx(float(DEVICE.set_weight(0.5, n)), rel=1e-12)


def test_spread_is_that_asked_for_and_of_the_seed() -> None:
    pulse = hold(np.full(20_000, 3.0) * volt, 100 * usecond)

    def shares(std: float, seed: int) -> Array:
        trace = simulate(pulse, DEVICE, delta_f_std=std, seed=seed).trace[0]
        return trace / run(hold(3 * volt, 100 * usecond)).trace[0, 0]

    noisy = shares(0.05, 3)
    # standard errors: 0.05 / sqrt(20,000) of the mean, 0.05 / sqrt(40,000) of the deviation
    assert noisy.mean() == pytest.approx(1, abs=4 * 0.05 / math.sqrt(20_000))
    assert noisy.std() == pytest.approx(0.05, abs=4 * 0.05 / math.sqrt(40_000))
    assert (noisy == shares(0.05, 3)).all()
    assert (noisy != shares(0.05, 4)).mean() > 0.9
    np.testing.assert_allclose(shares(0.0, 3), 1, rtol=1e-14)


def test_a_wait_of_minutes_is_one_level() -> None:
    trace = run(levels([(3.5, 1e-4), (0.0, 240.0), (3.5, 1e-4)])).trace[:, 0]
    assert trace[1] < 1e-300
    assert trace[2] == trace[0]


def test_staircase_goes_from_corner_to_corner_at_each_rate() -> None:
    rate = np.array([1.0, 10.0]) * volt / second
    waveform = staircase([0, 1, -0.5] * volt, 0.25 * volt, rate)
    expected = [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0, -0.25, -0.5]
    np.testing.assert_allclose(waveform.voltage / volt, np.repeat(expected, 2).reshape(-1, 2))
    np.testing.assert_allclose(waveform.duration / second, [[0.25, 0.025]] * 11)


def test_what_cannot_be_applied_is_refused() -> None:
    pulse = hold(1 * volt, 1 * second)
    with pytest.raises(DimensionMismatchError, match="voltage must be in V"):
        hold(1 * second, 1 * second)
    with pytest.raises(ValueError, match=r"duration must not be negative, got -1\. s"):
        hold(1 * volt, -1 * second)
    with pytest.raises(ValueError, match="voltage must be finite"):
        hold(math.nan * volt, 1 * second)
    with pytest.raises(ValueError, match=r"one number of devices, got \[2, 3\]"):
        hold([1, 2] * volt, 1 * second) + hold([1, 2, 3] * volt, 1 * second)
    with pytest.raises(ValueError, match="step and rate of a sweep must be positive"):
        staircase([0, 1] * volt, 0 * volt, 1 * volt / second)
    with pytest.raises(ValueError, match=r"weight must lie in \[.*\], got 9"):
        run(pulse, 9.0)
    with pytest.raises(ValueError, match="set_fraction must be below 1 to give a rate, got 1"):
        simulate(pulse, replace(DEVICE, set_fraction=1.0))
