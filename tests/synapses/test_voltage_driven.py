"""The device under a voltage: against SciPy, the pulse law, the SET law and Brian2's own RK4."""

import math
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
from mstpn.synapses.nonidealities import Nonidealities

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
    return np.stack([trace.short_term, trace.weight, np.asarray(trace.energy / joule)], axis=-1)


def state(trace: Trace) -> Array:
    """Those of the first device, (L, 3)."""
    return states(trace)[:, 0]


def approx(expected: Array, rel: float, absolute: tuple[float, float, float]) -> list[Any]:
    """F, W and joules, each with an absolute tolerance of its own."""
    return [pytest.approx(e, rel=rel, abs=a) for e, a in zip(expected, absolute, strict=True)]


@pytest.mark.parametrize("width_us", [1, 100, 500])
@pytest.mark.parametrize("amplitude", [-3.5, -2.0, 2.0, 2.5, 3.0, 3.5])
def test_a_pulse_is_the_pulse_law_to_the_order_of_its_decay(
    amplitude: float, width_us: float
) -> None:
    width = width_us * usecond
    got = run(hold(amplitude * volt, width)).short_term[0, 0]
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
    near = np.where(rng.random(60) < 0.5, rng.uniform(4.4, 4.8, 60), rng.uniform(-1.18, -0.9, 60))
    return waveform, np.where(rng.random(60) < 0.3, rng.uniform(-1.1, 4.7, 60), near)


def unsure(trace: Trace, waveform: Waveform, weight: Array) -> Array:
    """Joules that the window at a level's end may put its energy off, since the start."""
    total = trace.short_term + trace.weight
    at_edge = np.minimum(abs(total - ORACLE.low), abs(total - ORACLE.high)) < 1e-9
    moved = abs(np.diff(trace.weight, axis=0, prepend=weight[None]))
    seconds, volts = np.asarray(waveform.duration), np.asarray(waveform.voltage)
    return np.asarray(np.cumsum(at_edge * volts**2 * ORACLE.kappa * moved * seconds, axis=0))


def test_levels_against_scipy(protocols: tuple[Waveform, Array]) -> None:
    waveform, weight = protocols
    trace = run(*protocols)
    got, off = states(trace), unsure(trace, *protocols)
    edges = pieces = 0
    for n in range(waveform.n_devices):
        y = np.array([0.0, weight[n], 0.0])
        for k in range(len(waveform.is_read)):
            volts, seconds = waveform.voltage[k, n] / volt, waveform.duration[k, n] / second
            before, y = y, ORACLE.hold(y, float(volts), float(seconds))
            # SciPy's rtol of 1e-12 a step, some hundred steps; F of 1e-9 is none beside 0.01
            assert got[k, n].tolist() == approx(y, 1e-8, (1e-9, 1e-11, 1e-20 + off[k, n]))
            edges += min(abs(y[0] + y[1] - edge) for edge in (ORACLE.low, ORACLE.high)) < 1e-9
            pieces += min(ORACLE.room(f, float(volts)) for f in (before[0], y[0])) < 1
    assert edges > 5
    assert pieces > 10


def test_any_split_of_time_gives_the_same(protocols: tuple[Waveform, Array]) -> None:
    waveform, weight = protocols
    finer = np.repeat(waveform.duration / second / 7, 7, axis=0) * second
    volts = np.repeat(waveform.voltage / volt, 7, axis=0) * volt
    split = Waveform(finer, volts, np.ones(len(volts), dtype=bool))
    whole = run(waveform, weight)
    # rounding of F (1e-16 of at most 5) times tau / duration < 1e6 in the integral of F
    got, expected = states(run(split, weight))[6::7].reshape(-1, 3), states(whole).reshape(-1, 3)
    off = unsure(whole, *protocols).ravel()
    for some, all_at_once, joules in zip(got, expected, off, strict=True):
        assert some.tolist() == approx(all_at_once, 1e-9, (1e-12, 1e-13, 1e-20 + joules))


def test_set_levels_against_scipy() -> None:
    protocol = [(4.0, 500e-6), (0.0, 0.02), (3.7, 1e-3), (-1.0, 1e-3), (4.5, 2e-4)]
    protocol += [(0.3, 1.0), (-4.0, 5e-4), (0.0, 0.1), (-4.3, 2e-4), (-0.6, 1.0), (5.0, 1e-5)]
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


def brian_rk4(dt: Quantity, voltages: Quantity, level: Quantity = 100 * ms) -> Array:
    """F, W, joules by Brian2 itself, in real time."""
    group = NeuronGroup(
        1,
        VOLTAGE_DRIVEN + "V = voltage(t) : volt (constant over dt)",
        method="rk4",
        clock=Clock(dt),
        namespace=constants(DEVICE) | {"voltage": TimedArray(voltages, dt=level)},
    )
    group.run_regularly(WINDOW, when="end", clock=group.clock)
    group.F, group.W = 0.5, 0.3
    Network(group).run(len(voltages) * level, namespace={})
    return np.array([group.F[0], group.W[0], float(group.E[0] / joule)])


def scipy_levels(voltages: Quantity, level: Quantity) -> Array:
    y = np.array([0.5, 0.3, 0.0])
    for v in np.asarray(voltages):
        y = ORACLE.hold(y, float(v), float(level / second))
    return y


def test_brian_itself_converges_to_the_levels_at_its_order() -> None:
    voltages = np.array([0.3, 0.6, 0.25, 0.4]) * volt  # F below half of what they hold
    y = scipy_levels(voltages, 100 * ms)
    errors = [np.abs(brian_rk4(100 * ms / n, voltages) / y - 1)[[0, 2]] for n in (4, 8, 16)]
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    np.testing.assert_allclose(orders, 4, atol=0.3)  # the next term is of order dt / tau < 0.3


def test_brian_itself_writes_the_same() -> None:
    # pulses of either polarity, SET and RESET, and a voltage that is held: steps of tau / 10^4
    voltages = np.array([0.0, 1.0, -1.2, 3.5, -3.8, 4.0, 0.6]) * volt
    expected = scipy_levels(voltages, 0.5 * ms)
    assert expected[1] != pytest.approx(0.3, abs=0.03)
    # a step that passes from one piece of the law to the next is of second order: (1e-3)^2
    np.testing.assert_allclose(brian_rk4(0.5 * usecond, voltages, 0.5 * ms), expected, rtol=1e-6)


@pytest.mark.parametrize("volts", [0.3, 0.0, -0.2, -0.5])
def test_below_zero_the_decay_is_faster_still(volts: float) -> None:
    trace = run(levels([(3.5, 1e-4), (volts, 5e-3)])).short_term[:, 0]
    expected = math.exp(-5e-3 * 15 * math.log1p(math.exp((0.3 - volts) / ORACLE.slope)))
    # what the voltage itself writes meanwhile, beside 0.1
    own = abs(ORACLE.growth_rate(volts)) * 5e-3 / 0.1
    assert trace[1] / trace[0] == pytest.approx(expected, rel=1e-12, abs=1.01 * own)
    assert own < 2e-6
    slower = 0.0 if volts > 0 else ORACLE.decay_rate(0.0)
    assert ORACLE.decay_rate(volts) >= slower


def test_bias_and_reads_write_next_to_nothing() -> None:
    trace = run(levels([(0.6, 240.0), (-0.6, 240.0)]), 0.7)
    nano = np.asarray(trace.conductance) * 1e9 - (4.3 / 0.36 + 7)
    assert 0 < nano[0, 0] < 0.0016  # of 11.9 nS, whose last digit is 0.1
    assert abs(nano[1, 0]) < 0.0001  # faster decay, so less
    assert trace.short_term[1, 0] < 0


def test_no_voltage_is_a_cliff() -> None:
    # conductance after 5 s, on the whole range and closely at 0, 0.6, 2, 3.5 and 4 V
    closely = [np.nextafter(v, s * 9) for v in (0, 0.6, 2, 3.5, 4) for s in (-1, 1)]
    volts = np.unique(np.concatenate([np.linspace(-6, 6, 12_001), closely]))
    for seconds in (1e-4, 5.0):
        trace = run(hold(volts * volt, seconds * second))
        nano = np.asarray(trace.conductance[0]) * 1e9
        assert (np.diff(nano) > -1e-12 * 60).all()  # rounding of at most 60 nS
        # steepest: SET, e in 0.15 V, and onset, V^13 at 1.4 V: 60 nS x 10/V, in steps of 1 mV
        assert np.diff(nano).max() < 0.6


@pytest.mark.parametrize("n", [1, 10, 100])
def test_set_and_reset_pulses_are_the_long_term_law(n: int) -> None:
    for volts, end in ((4.0, ORACLE.high), (-4.0, ORACLE.low)):
        cycle = hold(volts * volt, 500 * usecond) + hold(0 * volt, 1 * second)
        got = run(cycle * n, 0.5).weight[-1, 0]
        assert got == pytest.approx(end - (end - 0.5) * 0.98**n, rel=1e-12)
        law = DEVICE.weight_after(0.5, volts * volt, 500 * usecond, n)
        assert got == pytest.approx(float(law), rel=1e-12)
    assert float(DEVICE.weight_after(0.5, 4 * volt, 500 * usecond, n)) == pytest.approx(
        float(DEVICE.set_weight(0.5, n)), rel=1e-12
    )


def test_a_stuck_device_does_not_move_and_another_deviates() -> None:
    kinds = Nonidealities(corrupt_devices_prob=0.5, delta_f_dtod=0.2, half_voltage_dtod=0.02 * volt)
    deviations = kinds.draw((40,), DEVICE)
    gain, shift = np.asarray(deviations.update_gain), np.asarray(deviations.half_voltage_shift)
    train = levels([(3.5, 1e-4), (0.3, 0.05), (4.0, 5e-4)])
    duration, voltage = (
        np.repeat(np.asarray(x), 40, axis=1) for x in (train.duration, train.voltage)
    )
    forty = Waveform(duration * second, voltage * volt, train.is_read)
    got = simulate(forty, DEVICE, deviations=deviations)
    moves = gain > 0
    assert 5 < moves.sum() < 35
    assert (np.ptp(got.weight, axis=0) == 0).tolist() == (~moves).tolist()
    assert (got.short_term[:, ~moves] == 0).all()
    alike = got.short_term[0, moves] / gain[moves]
    np.testing.assert_allclose(alike, alike[0], rtol=1e-4)  # w/(2 tau) of each
    left = np.exp(-0.05 * 15 * np.log1p(np.exp(shift / ORACLE.slope)))
    # beside 0.05, what 0.3 V writes
    np.testing.assert_allclose(
        got.short_term[1, moves] / got.short_term[0, moves], left[moves], rtol=1e-6
    )


def test_two_exponentials_part_the_pulse() -> None:
    deviations = Nonidealities(slow_fraction=0.3, slow_tau_ratio=10.0).draw((1,), DEVICE)
    waveform = levels([(3.5, 1e-4), (0.3, 0.05), (0.3, 0.5)])
    got = simulate(waveform, DEVICE, deviations=deviations)
    rate = ORACLE.decay_rate(0.3)
    for k, seconds in ((1, 0.05), (2, 0.55)):
        left = 0.7 * math.exp(-rate * seconds) + 0.3 * math.exp(-rate / 10 * seconds)
        # w/(2 tau) of the pulse, and what 0.3 V writes
        assert got.short_term[k, 0] == pytest.approx(0.1 * left, rel=2e-4)
    total = ORACLE.g_offset + ORACLE.kappa * (got.short_term + got.weight)
    np.testing.assert_allclose(np.asarray(got.conductance), total, rtol=1e-12)


def test_spread_is_that_asked_for_and_of_the_seed() -> None:
    pulse = hold(np.full(20_000, 3.0) * volt, 100 * usecond)

    def shares(std: float, seed: int) -> Array:
        trace = simulate(pulse, DEVICE, delta_f_std=std, seed=seed).short_term[0]
        return trace / run(hold(3 * volt, 100 * usecond)).short_term[0, 0]

    noisy = shares(0.05, 3)
    # standard errors: 0.05 / sqrt(20,000) of the mean, 0.05 / sqrt(40,000) of the deviation
    assert noisy.mean() == pytest.approx(1, abs=4 * 0.05 / math.sqrt(20_000))
    assert noisy.std() == pytest.approx(0.05, abs=4 * 0.05 / math.sqrt(40_000))
    assert (noisy == shares(0.05, 3)).all()
    assert (noisy != shares(0.05, 4)).mean() > 0.9
    np.testing.assert_allclose(shares(0.0, 3), 1, rtol=1e-14)


def test_a_wait_of_minutes_is_one_level() -> None:
    trace = run(levels([(3.5, 1e-4), (0.0, 240.0), (3.5, 1e-4)])).short_term[:, 0]
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
