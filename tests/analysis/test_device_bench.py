"""Measurements on simulated devices: what they find is what the devices were given."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
import numpy as np
import oracles
import pytest
import scripts
from brian2.units import (
    Quantity,
    joule,
    mvolt,
    nsecond,
    nsiemens,
    second,
    siemens,
    usecond,
    volt,
)
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mstpn.analysis.device.bench_extraction import Sigmoid, decay_over, fit_sigmoid, loop_area
from mstpn.analysis.device.bench_report import BenchReport, measure
from mstpn.synapses.bench import protocols as bench
from mstpn.synapses.bench.protocols import Decay
from mstpn.synapses.memristor import DEFAULT_DEVICE, Memristor

Array = NDArray[np.float64]
FIGURES = {
    *("2a_sweep", "2c_set", "2d_pulses", "2e_weights", "2f_rounds"),
    *("3a_repeats", "3b_update", "3c_energy", "3d_decay", "3e_sigmoid"),
}
ORACLE = oracles.DrivenDevice()
STEP = second / 15


@pytest.fixture(scope="module")
def report(device: Memristor) -> BenchReport:
    return measure(device, seed=2)


def other(device: Memristor) -> Memristor:
    """A device with another sigmoid: Lambda from 0.2 at 0.1 V to 0.8 at 0.5 V."""
    return replace(
        device,
        bias_voltage_min=0.1 * volt,
        bias_voltage_max=0.5 * volt,
        decay_min=0.2,
        decay_max=0.8,
        decay_half_voltage=0.3 * volt,
        decay_slope_voltage=0.2 / math.log(4) * volt,
    )


@pytest.mark.parametrize("duration", [1000 * nsecond, 1 * nsecond])
@pytest.mark.parametrize("another", [False, True])
@pytest.mark.parametrize("step", [second / 15, second / 60])
def test_decays_give_the_sigmoid_back(
    device: Memristor, duration: Quantity, another: bool, step: Quantity
) -> None:
    device = other(device) if another else device
    device = replace(device, read_duration=duration, decay_duration=step)
    half, slope = 0.3, (0.2 / math.log(4) if another else 0.12283266696153589)
    measured = bench.decay_under_bias(device, seed=5)
    decay = decay_over(measured, step)
    fitted = fit_sigmoid(measured.bias_voltage, decay)
    # F hardly decays in a read; before the first, at 1 ms, that is this share of the time, and
    # less later. A share of the rate moves ln(Lambda), and V by slope ln(Lambda)/(1 - Lambda).
    share = float(duration / second) / 1e-3
    tolerance = share * slope * 2.8 + 1e-8
    assert float(fitted.half / volt) == pytest.approx(half, abs=tolerance)
    assert float(fitted.slope / volt) == pytest.approx(slope, abs=tolerance)
    expected = 1 / (1 + np.exp(-(np.asarray(measured.bias_voltage / volt) - half) / slope))
    np.testing.assert_allclose(decay, np.repeat(expected[:, None], 5, axis=1), atol=share + 1e-8)
    np.testing.assert_allclose(fitted(measured.bias_voltage), expected, atol=share + 1e-8)


def test_exponentials_give_their_lambda_back() -> None:
    rates, sizes = np.array([0.5, 3.0, 40.0]), np.array([2.0, -0.3])
    time = np.geomspace(1e-3, 10, 40)
    curves = np.exp(-time[:, None, None] * rates[:, None]) * sizes
    measured = Decay([0, 0.1, 0.2] * volt, time * second, curves * nsiemens)
    found = decay_over(measured, 0.1 * second)
    np.testing.assert_allclose(found, np.exp(-0.1 * rates)[:, None].repeat(2, axis=1), rtol=1e-7)


def test_points_of_a_sigmoid_give_it_back() -> None:
    points = Sigmoid(0.21 * volt, 0.05 * volt)(np.linspace(0, 0.4, 6) * volt)
    found = fit_sigmoid(np.linspace(0, 0.4, 6) * volt, np.repeat(points[:, None], 3, axis=1))
    assert float(found.half / volt) == pytest.approx(0.21, rel=1e-9)
    assert float(found.slope / volt) == pytest.approx(0.05, rel=1e-9)
    with pytest.raises(ValueError, match="a sigmoid needs three voltages or more, got 2"):
        fit_sigmoid([0, 1] * volt, np.zeros((2, 1)))


def test_no_change_is_no_decay() -> None:
    still = Decay([0.0] * volt, [1.0, 2.0] * second, np.zeros((2, 1, 1)) * siemens)
    with pytest.raises(ValueError, match="a conductance did not change"):
        decay_over(still, STEP)


def test_a_device_of_ones_own_is_measured(device: Memristor) -> None:
    # W = 0 lies below its window, its pulses end at 3 V, it is read at 0.2 V and set at 3.2 V
    mine = replace(
        other(device),
        conductance_min=20 * nsiemens,
        pulse_voltage=3 * volt,
        read_voltage=0.2 * volt,
        set_voltage=3.2 * volt,
    )
    found = measure(mine).numbers()
    assert found["weight_before_and_after_set"][0] == pytest.approx(mine.weight_min)
    assert found["pulse_voltage_v"] == pytest.approx([2, 7 / 3, 8 / 3, 3])
    assert found["delta_f_mean"][-1] == pytest.approx(0.1, rel=4 * 0.05 / math.sqrt(5))
    assert found["decay_slope_voltage_v"] == pytest.approx(0.2 / math.log(4), rel=3e-3)
    assert all(area > 0 for area in found["loop_area_volt_siemens"])


def test_area_of_known_polygons() -> None:
    square = np.array([[0, 0], [2, 0], [2, 3], [0, 3]], dtype=float)
    x = np.stack([square[:, 0], square[::-1, 0]], axis=1)
    y = np.stack([square[:, 1], square[::-1, 1]], axis=1)
    assert loop_area(x, y).tolist() == [6, -6]


def test_hysteresis_is_counter_clockwise_on_either_side(device: Memristor) -> None:
    swept = bench.dc_sweep(device)
    voltage, conductance = np.asarray(swept.voltage / volt), np.asarray(swept.conductance)
    middle = len(voltage) // 2
    for side in (slice(None), slice(middle + 1), slice(middle, None)):
        assert (loop_area(voltage[side], conductance[side]) > 0).all()
    # at 1.2 V the way back conducts more than the way up, at each rate
    up = int(np.argmin(abs(voltage[: middle // 2, 0] - 1.2)))
    back = middle - up
    assert voltage[up, 0] == pytest.approx(voltage[back, 0])
    assert (conductance[back] > conductance[up]).all()
    still = bench.dc_sweep(device, peak=0.6 * volt)
    assert np.ptp(np.asarray(still.conductance)) == 0


def test_set_pulses_follow_the_closed_form(device: Memristor) -> None:
    reads = bench.set_pulses(device, n_pulses=30, weight=0.2).read
    n = np.arange(31)
    weight = ORACLE.high - (ORACLE.high - 0.2) * 0.98**n
    np.testing.assert_allclose(reads.weight[:, 0], weight, rtol=1e-12)
    # F after a second at 0 V is below exp(-37) of at most 1
    expected = ORACLE.g_offset + ORACLE.kappa * weight
    np.testing.assert_allclose(reads.conductance[:, 0] / siemens, expected, rtol=1e-12)


def test_short_term_pulses_leave_w_and_decay(device: Memristor) -> None:
    trace = bench.short_term_pulses(device, spacing=2 * second, weight=0.4)
    reads = trace.read
    assert (trace.weight == 0.4).all()
    time, rate = reads.time[:, 0] / second, ORACLE.decay_rate(0.6)
    expected = np.zeros(len(time))
    for k, volts in enumerate((2.0, 2.5, 3.0)):
        end = 1 + 2 * k + 1e-4 * (k + 1)
        after = np.maximum(time - end, 0)
        expected += 0.1 * (volts / 3.5) ** 4 * np.exp(-rate * after) * (time > end - 1e-6)
    # the pulse law is short of w/(2 tau) = 6e-5
    np.testing.assert_allclose(reads.trace[:, 0], expected, rtol=1e-4, atol=1e-15)


def test_short_term_pulses_do_the_same_at_every_w(device: Memristor) -> None:
    rounds = bench.short_term_at_weights(device, n_set=(0, 5, 20), weight=-0.5)
    weights = [float(r.weight[0, 0]) for r in rounds]
    expected = [ORACLE.high - (ORACLE.high + 0.5) * 0.98**n for n in (0, 5, 25)]
    assert weights == pytest.approx(expected, rel=1e-12)
    first = rounds[0].conductance - device.conductance(weights[0])
    for reads, weight in zip(rounds, weights, strict=True):
        assert (reads.weight == weight).all()
        change = np.asarray((reads.conductance - device.conductance(weight)) / nsiemens)
        assert change.max() > 0.5
        # differences of conductances of up to 60 nS
        np.testing.assert_allclose(change, first / nsiemens, rtol=0, atol=60 * 1e-15)


def test_repeated_pulses_scatter_about_the_law(device: Memristor) -> None:
    amplitude, exact = bench.repeated_pulses(device, delta_f_std=0)
    law = 0.1 * (np.array([2, 2.5, 3, 3.5]) / 3.5) ** 4
    np.testing.assert_allclose(amplitude / volt, [2, 2.5, 3, 3.5])
    np.testing.assert_allclose(exact, np.repeat(law[:, None], 5, axis=1), rtol=1e-4)  # w/(2 tau)
    _, noisy = bench.repeated_pulses(device, n_repeats=2000, delta_f_std=0.1, seed=1)
    np.testing.assert_allclose(noisy.mean(axis=1), law, rtol=4 * 0.1 / math.sqrt(2000))
    deviation = noisy.std(axis=1) / noisy.mean(axis=1)
    np.testing.assert_allclose(deviation, 0.1, rtol=4 / math.sqrt(4000))


def test_heat_maps(device: Memristor) -> None:
    width = np.array([20.0, 100.0, 400.0])
    found = bench.pulse_map(device, n_voltages=4, width=width * usecond)
    volts = np.array([2, 2.5, 3, 3.5])[:, None]
    delta_f = 0.1 * (volts / 3.5) ** 4 * width / 100
    np.testing.assert_allclose(found.delta_f, delta_f, rtol=4e-4)  # w/(2 tau)
    energy = 14.6e-12 * (volts / 3.5) ** 2 * width / 100
    np.testing.assert_allclose(found.energy / joule, energy, rtol=1e-12)
    mean = ORACLE.g_offset + ORACLE.kappa * delta_f / 2
    dissipated = volts**2 * mean * width * 1e-6
    np.testing.assert_allclose(found.dissipated / joule, dissipated, rtol=4e-4)


def test_every_figure_draws_into_given_axes(report: BenchReport) -> None:
    figures = report.figures()
    assert figures.keys() == FIGURES
    for figure in figures.values():
        axes = figure.axes[0]
        assert axes.get_xlabel()
        assert axes.get_ylabel()
        assert axes.get_title(loc="left").startswith("assumed: ")


def test_a_draw_returns_what_it_drew(report: BenchReport, device: Memristor) -> None:
    from mstpn.analysis.device import bench_figures as draw

    axes = Figure().subplots()
    drawn = draw.draw_decay(axes, report.decays, device)
    assert all(isinstance(artist, Artist) for artist in drawn)
    assert {*axes.lines, *axes.collections} <= set(drawn)
    time = np.asarray(report.decays.time / second)
    for line in axes.lines:
        np.testing.assert_allclose(np.asarray(line.get_xdata()), time)
    # the first line is that of the largest bias: the slowest decay
    last = np.asarray(report.decays.change / siemens)[:, -1].mean(axis=1) * 1e9
    np.testing.assert_allclose(np.asarray(axes.lines[0].get_ydata()), last, rtol=1e-12)


@pytest.fixture(scope="module")
def example() -> ModuleType:
    return scripts.load("bench")


def test_the_command_writes_all_figures_and_the_page(
    example: ModuleType,
    report: BenchReport,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, numbers = tmp_path / "bench", tmp_path / "numbers.json"
    assert example.main(["--out", str(out), "--seed", "2", "--json", str(numbers)]) == 0
    assert {p.name for p in out.iterdir()} == {f"{name}.png" for name in FIGURES} | {"bench.md"}
    page = (out / "bench.md").read_text()
    for name in FIGURES:
        assert f"]({name}.png)" in page
        picture = plt.imread(out / f"{name}.png")
        assert min(picture.shape[:2]) > 400
        assert np.ptp(picture) > 0.5
    for name in ("delta_f_std", "pulse_conductance", "decay_half_voltage"):
        assert f"- `{name}` = " in page
    found = json.loads(numbers.read_text())
    assert found == report.numbers()  # of the same seed, to the last bit
    assert found["decay_half_voltage_v"] == pytest.approx(0.3, abs=float(0.5 * mvolt / volt))
    assert all(area > 0 for area in found["loop_area_volt_siemens"])
    assert "SET pulses: W from 0.000 to 4.168" in capsys.readouterr().out


def test_another_seed_other_pulses(report: BenchReport, device: Memristor) -> None:
    assert (bench.repeated_pulses(device, seed=1)[1] != report.repeats).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[set_fraction]\nvalue = 0.02", "[set_fraction]\nvalue = 1.0"), "set_fraction must be"),
        (("value = 4.3", "value = -4.3"), "bias_power must be positive"),
    ],
)
def test_bad_devices_end_with_one_line_and_nothing_written(
    example: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: tuple[str, str],
    message: str,
) -> None:
    text = DEFAULT_DEVICE.read_text()
    assert change[0] in text
    file = tmp_path / "device.toml"
    file.write_text(text.replace(*change, 1))
    assert example.main(["--out", str(tmp_path / "out"), "--device", str(file)]) == 2
    said = capsys.readouterr().err
    assert re.search(rf"^mstpn bench: .*{message}.*\n\Z", said, re.MULTILINE)
    assert not (tmp_path / "out").exists()


def test_bad_seed_is_refused(example: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        example.main(["--out", "x", "--seed", "-1"])
    assert stop.value.code == 2
    assert "argument --seed: must be an integer >= 0, got '-1'" in capsys.readouterr().err
