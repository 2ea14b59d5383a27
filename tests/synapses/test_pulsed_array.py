"""Arrays under pulses against closed forms, SciPy and a loop over every pulse and device."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import oracles
import pytest
from brian2.units import ms, nS, second, volt
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Nonidealities
from mstpn.synapses.programming.array import PulsedArray, PulseSpread, short_term_after
from mstpn.synapses.programming.write import Method, write

DEVICE = Memristor.from_file()
ALIKE = PulseSpread(0, 0, 0)
DRIVEN = oracles.DrivenDevice()
Array = NDArray[np.float64]


def exponent(size: float) -> float:
    """ln of what is left of the way after 500 us at a voltage: 0.98 at 4 V, e in 0.15 V."""
    return math.log(0.98) * math.sinh(abs(size) / 0.15) / math.sinh(4 / 0.15)


def after(weight: Any, v: Any) -> Any:
    end = DRIVEN.high if v > 0 else DRIVEN.low
    return end - (end - weight) * math.exp(exponent(v))


@pytest.mark.parametrize("v", [4.0, 3.0, 2.0, -2.0, -4.0, 0.0])
@pytest.mark.parametrize("start", [0.0, 0.9, 1.4, -0.6, 2.5])
def test_short_term_part_of_a_long_pulse_is_scipys(v: float, start: float) -> None:
    def derivative(_t: float, y: Array) -> list[float]:
        return [1.3 * DRIVEN.growth_rate(v) * DRIVEN.room(y[0], v)]

    wanted = solve_ivp(derivative, (0, 5e-4), [start], rtol=1e-11, atol=1e-12, max_step=1e-5)
    found = short_term_after(DEVICE, start, v, 5e-4, 1.3)
    assert float(found) == pytest.approx(wanted.y[0, -1], abs=1e-7)  # steps across the kinks


def test_a_train_of_pulses_is_the_closed_form() -> None:
    array = PulsedArray(DEVICE, np.full((1, 1), -1.0), ALIKE, 0)
    for _ in range(7):
        array.pulse(np.full((1, 1), 4.0) * volt)
    for _ in range(3):
        array.pulse(np.full((1, 1), -3.9) * volt)
    up = DRIVEN.high - (DRIVEN.high + 1) * 0.98**7
    down = DRIVEN.low - (DRIVEN.low - up) * math.exp(3 * exponent(3.9))
    assert array.weight[0, 0] == pytest.approx(down, rel=1e-12)
    assert (array.pulses[0, 0], array.half_selected, array.half_energy) == (10, 0, 0)


@pytest.mark.parametrize("access", ["rows", "serial"])
def test_an_array_is_the_loop_over_its_pulses(access: str) -> None:
    rng = np.random.default_rng(3)
    shape = (6, 5)
    weight = rng.uniform(-1, 2, shape)
    v = rng.uniform(3.2, 4.0, shape) * rng.choice([-1, 0, 1], shape)
    array = PulsedArray(DEVICE, weight, ALIKE, 0, access=access)
    array.pulse(v * volt)
    half, lines = 0, weight.copy()
    for r, c in np.ndindex(*shape):
        for sign in (1, -1):
            if sign * v[r, c] <= 0:
                continue
            line = float(np.max(sign * v[r])) / 2 if access == "rows" else abs(v[r, c]) / 2
            for other in set(range(6)) - {r}:
                lines[other, c] = after(lines[other, c], v[r, c] - sign * line)
                half += 1
            if access == "serial":
                for other in set(range(5)) - {c}:
                    lines[r, other] = after(lines[r, other], sign * line)
                    half += 1
            lines[r, c] = after(float(lines[r, c]), float(v[r, c]))
        if access == "rows" and c == 4:
            for sign in (1, -1):
                line = float(np.max(sign * v[r])) / 2
                for other in range(5):
                    if line > 0 and sign * v[r, other] <= 0:
                        lines[r, other] = after(lines[r, other], sign * line)
                        half += 1
    # a half pulse moves W by 1e-7 of its way; in which order is a product of two such shares
    np.testing.assert_allclose(array.weight, lines, rtol=0, atol=1e-8)
    assert array.half_selected == half
    moved = array.weight - np.vectorize(lambda w, x: after(float(w), float(x)) if x else w)(
        weight, v
    )
    np.testing.assert_allclose(array.disturbed, moved, rtol=0, atol=1e-8)
    assert np.abs(array.disturbed).max() > 1e-8
    rows = sum((s * v > 0).any(1).sum() for s in (1, -1))
    assert array.pulse_times["rows"] == pytest.approx(rows * 5e-4)
    assert array.pulse_times["serial"] == pytest.approx(np.count_nonzero(v) * 5e-4)


@pytest.mark.parametrize("access", ["rows", "serial"])
def test_joules_of_one_pulse_and_of_a_read_by_hand(access: str) -> None:
    still = DEVICE.varied(pulse_conductance=1e-9 * nS)  # no F to speak of
    weight = np.array([[0.0, 1.0, 2.0], [0.5, -1.0, 3.0]])
    array = PulsedArray(still, weight, ALIKE, 0, access=access)
    v = np.zeros((2, 3))
    v[0, 0] = 4.0
    array.pulse(v * volt)
    g = DRIVEN.g_offset + DRIVEN.kappa * weight
    own = 16 * 5e-4 * (g[0, 0] + DRIVEN.kappa * after(0.0, 4.0) / 2)  # its W in the mean
    assert array.pulse_energy == pytest.approx(own, rel=1e-7)
    others = g[0, 1] + g[0, 2] + g[1, 0]
    assert array.half_energy == pytest.approx(4 * 5e-4 * others, rel=1e-6)  # W moves by 1e-7
    array.read()
    g[0, 0] += DRIVEN.kappa * after(0.0, 4.0)
    assert array.read_energy == pytest.approx(0.36 * 1e-6 * g.sum(), rel=1e-6)
    assert array.time == pytest.approx(5e-4 + 1e-6 * (2 if access == "rows" else 6))


def test_f_of_a_device_beside_others_is_that_of_the_voltage_held() -> None:
    v = np.full((601, 1), 4.0)
    v[-1] = 0
    array = PulsedArray(DEVICE, np.zeros((601, 1)), ALIKE, 0)
    array.pulse(v * volt)
    held = DRIVEN.hold(np.zeros(3), 2.0, 0.3)[0]
    assert array.short_term[-1, 0] == pytest.approx(held, rel=1e-3)
    assert held > 1  # ten times a short-term pulse: what a verifying read has to wait for


def test_f_of_a_device_that_is_half_selected_half_of_the_time() -> None:
    v = np.full((400, 2), 4.0)
    v[-1] = 0
    array = PulsedArray(DEVICE, np.zeros((400, 2)), ALIKE, 0, access="serial")
    array.pulse(v * volt)
    y = np.zeros(3)
    for _ in range(100):
        y = DRIVEN.hold(DRIVEN.hold(y, 2.0, 5e-4), 0.0, 5e-4)
    # a mean over the two voltages instead of one after the other
    assert array.short_term[-1, 0] == pytest.approx(y[0], rel=0.05)


def test_f_fades_as_under_the_smallest_bias_of_every_device() -> None:
    unlike = Nonidealities(half_voltage_dtod=0.03 * volt, seed=4).draw((5, 4), DEVICE)
    array = PulsedArray(DEVICE, np.zeros((5, 4)), ALIKE, 0, deviations=unlike)
    array.short_term[:] = 0.5
    array.wait(80 * ms)
    rate = np.log1p(np.exp((0.3 + unlike.half_voltage_shift) / 0.12283266696153589)) * 15
    np.testing.assert_allclose(array.short_term, 0.5 * np.exp(-0.08 * rate), rtol=1e-12)
    assert array.wait_time == 0.08


def programmed(
    method: Method, spread: PulseSpread = ALIKE, start: float | None = None, **options: Any
) -> tuple[PulsedArray, Any, Array]:
    target = np.random.default_rng(1).normal(0, 0.15, (60, 16))
    weight = np.full(target.shape, DEVICE.weight_min if start is None else start)
    array = PulsedArray(DEVICE, weight, spread, 7, **options)
    return array, write(array, target, method), target


@pytest.mark.parametrize("name", ["verify", "subtract"])
@pytest.mark.parametrize("start", [None, 0.2])
@pytest.mark.parametrize("access", ["rows", "serial"])
def test_what_is_verified_is_within_the_tolerance(
    name: str, start: float | None, access: str
) -> None:
    method = Method(name, 0.01, 60)
    array, written, target = programmed(method, PulseSpread(0.3, 0.1, 0), start, access=access)
    assert not written.given_up.any()
    # waiting leaves a tenth of the tolerance of F at most, two reads of one exponential nothing
    slack = 1.1 if name == "verify" else 1 + 1e-9
    assert np.abs(array.weight - target).max() <= slack * 0.01
    assert array.wait_time == pytest.approx(written.rounds * float(method.wait(DEVICE) / second))
    assert written.device_rounds == array.pulses.sum()


def test_stuck_devices_are_given_up_and_no_others() -> None:
    unlike = Nonidealities(corrupt_devices_prob=0.1, seed=2).draw((60, 16), DEVICE)
    stuck = unlike.weight_scale == 0
    array, written, target = programmed(Method("verify", 0.01, 60), deviations=unlike)
    off = stuck & (np.abs(unlike.weight_shift - target) > 0.0101)
    assert stuck.sum() > 50
    np.testing.assert_array_equal(written.given_up, off)
    np.testing.assert_array_equal(array.weight[stuck], unlike.weight_shift[stuck])


def test_without_waiting_for_f_w_misses_by_far() -> None:
    array, _, target = programmed(Method("at-once", 0.01, 60))
    assert np.sqrt(np.mean((array.weight - target) ** 2)) > 10 * 0.01
    assert array.wait_time == 0


def test_the_open_loop_is_right_of_devices_that_are_the_laws_and_wrong_of_others() -> None:
    array, written, target = programmed(Method("open-loop"))
    # it knows nothing of half-selected devices' changes, later SETs shrink them
    assert np.abs(array.weight - target).max() <= 1.1 * np.abs(array.disturbed).max()
    assert (array.read_energy, written.given_up.any()) == (0, False)
    needed = np.log((DRIVEN.high - DRIVEN.low) / (DRIVEN.high - target)) / -math.log(0.98)
    np.testing.assert_array_equal(array.pulses, np.ceil(needed))
    other, _, _ = programmed(Method("open-loop"), PulseSpread(0.3, 0, 0))
    way = target - DRIVEN.low
    error = np.std((other.weight - target) / way)
    assert 0.2 < error < 0.4  # a rate's 30 % is nearly that of a short way


def test_the_same_seed_gives_the_same_array() -> None:
    found = [programmed(Method("verify", 0.05), PulseSpread(0.3, 0.1, 0.01))[0] for _ in range(2)]
    np.testing.assert_array_equal(found[0].weight, found[1].weight)
    assert found[0].half_energy == found[1].half_energy


def test_what_is_no_array_or_method_is_refused() -> None:
    with pytest.raises(ValueError, match="access must be one of rows, serial, got 'all'"):
        PulsedArray(DEVICE, np.zeros((1, 1)), ALIKE, 0, access="all")
    with pytest.raises(ValueError, match=r"weight must lie in \[-1.184, 4.806\], got 0 to 5"):
        PulsedArray(DEVICE, np.array([[0.0, 5.0]]), ALIKE, 0)
    with pytest.raises(ValueError, match=r"rate_std must lie in \[0, 10\], got -1"):
        replace(ALIKE, rate_std=-1)
    with pytest.raises(ValueError, match="method must be one of verify, "):
        Method("other")
    with pytest.raises(ValueError, match="tolerance must be positive and finite, got 0"):
        Method(tolerance=0)
    with pytest.raises(ValueError, match="patience must be at least 1, got 0"):
        Method(patience=0)
    array = PulsedArray(DEVICE, np.zeros((2, 2)), ALIKE, 0)
    with pytest.raises(ValueError, match=r"target must have shape \(2, 2\), got \(1, 2\)"):
        write(array, np.zeros((1, 2)), Method())
    with pytest.raises(ValueError, match=r"target must lie in .*, got 0 to 9"):
        write(array, np.array([[0, 0], [0, 9.0]]), Method())
