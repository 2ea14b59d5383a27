"""Measurements on simulated devices: what they find is what the devices were given."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

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
    psiemens,
    second,
    siemens,
    usecond,
    volt,
    watt,
)
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mstpn.analysis.device.bench_extraction import Sigmoid, decay_over, fit_sigmoid, loop_area
from mstpn.analysis.device.bench_overlay import read_measured
from mstpn.analysis.device.bench_report import BenchReport, measure
from mstpn.analysis.device.fit import fit_device
from mstpn.analysis.device.reading import read_measurements
from mstpn.analysis.device.tables import BIAS_POWER, DECAY, LONG_TERM, PULSES
from mstpn.commands.work import bench as work
from mstpn.synapses.bench import protocols as bench
from mstpn.synapses.bench.characterisation import long_term_pulses, power_under_bias
from mstpn.synapses.bench.protocols import Decay
from mstpn.synapses.bench.specimen import Specimen
from mstpn.synapses.memristor import DEFAULT_DEVICE, Memristor
from mstpn.synapses.nonidealities import Nonidealities

Array = NDArray[np.float64]
FIGURES = {
    *("2a_sweep", "2c_set", "2d_pulses", "2e_zoom", "2f_rounds"),
    *("3a_repeats", "3b_update", "3c_energy", "3d_decay", "3e_sigmoid"),
}
ORACLE = oracles.DrivenDevice()
STEP = second / 15


@pytest.fixture(scope="module")
def report(device: Memristor) -> BenchReport:
    return measure(device, specimen=Specimen(None, 0.05, 10 * psiemens, 2))


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
    measured = bench.decay_under_bias(device, specimen=Specimen(delta_f_std=0.05, seed=5))
    decay = decay_over(measured, step)
    fitted = fit_sigmoid(measured.bias_voltage, decay)
    assert fitted is not None
    # F hardly decays in a read; before the first, at 1 ms, that is this share of the time, and
    # less later. A share of the rate moves ln(Lambda), and V by slope ln(Lambda)/(1 - Lambda).
    # What the bias writes, F of 1.5e-4 at most beside 0.5, it writes only once F is below what it
    # can hold: a tenth of that share is no part of one exponential and its end.
    share = float(duration / second) / 1e-3 + 3e-5
    tolerance = share * slope * 2.8
    assert float(fitted.half / volt) == pytest.approx(half, abs=tolerance)
    assert float(fitted.slope / volt) == pytest.approx(slope, abs=tolerance)
    expected = 1 / (1 + np.exp(-(np.asarray(measured.bias_voltage / volt) - half) / slope))
    np.testing.assert_allclose(decay, np.repeat(expected[:, None], 5, axis=1), atol=share)
    np.testing.assert_allclose(fitted(measured.bias_voltage), expected, atol=share)


def test_exponentials_give_their_lambda_back() -> None:
    rates, sizes = np.array([0.5, 3.0, 40.0]), np.array([2.0, -0.3])
    time = np.geomspace(1e-3, 10, 40)
    curves = 12 + 0.1 * sizes + np.exp(-time[:, None, None] * rates[:, None]) * sizes
    before = np.full((3, 2), 12.0) * nsiemens
    measured = Decay([0, 0.1, 0.2] * volt, time * second, curves * nsiemens, before)
    found = decay_over(measured, 0.1 * second)
    np.testing.assert_allclose(found, np.exp(-0.1 * rates)[:, None].repeat(2, axis=1), rtol=1e-6)


def test_points_of_a_sigmoid_give_it_back() -> None:
    points = Sigmoid(0.21 * volt, 0.05 * volt)(np.linspace(0, 0.4, 6) * volt)
    found = fit_sigmoid(np.linspace(0, 0.4, 6) * volt, np.repeat(points[:, None], 3, axis=1))
    assert found is not None
    assert float(found.half / volt) == pytest.approx(0.21, rel=1e-9)
    assert float(found.slope / volt) == pytest.approx(0.05, rel=1e-9)
    with pytest.raises(ValueError, match="a sigmoid needs three voltages or more, got 2"):
        fit_sigmoid([0, 1] * volt, np.zeros((2, 1)))


def test_no_change_is_no_decay() -> None:
    flat = np.ones((4, 1, 1)) * siemens
    still = Decay([0.0] * volt, [1.0, 2.0, 3.0, 4.0] * second, flat, flat[0])
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
    found = measure(mine, specimen=Specimen(delta_f_std=0.05)).numbers()
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


def test_hysteresis_switches_and_stays(device: Memristor) -> None:
    swept = bench.dc_sweep(device)
    voltage, nano = np.asarray(swept.voltage / volt), np.asarray(swept.conductance / nsiemens)
    middle = len(voltage) // 2
    for side in (slice(None), slice(middle + 1), slice(middle, None)):
        assert (loop_area(voltage[side], nano[side]) > 0).all()
    # at 1.2 V the way back conducts more than the way up, at each rate
    up = int(np.argmin(abs(voltage[: middle // 2, 0] - 1.2)))
    back = middle - up
    assert voltage[up, 0] == pytest.approx(voltage[back, 0])
    assert (nano[back] > nano[up]).all()
    # back at 0 V in the slowest sweep, W has been SET, and a part is RESET then
    weight = swept.weight[:, 0]
    assert weight[middle] > 1.5
    assert 0.5 < weight[-1] < weight[middle] - 0.5
    # no clamp: where a voltage writes, no three steps in a row leave the conductance
    writes = abs(voltage[:, 0]) > 1.5
    for k in range(3):
        still = abs(np.diff(nano[:, k])) < 1e-9
        assert not (still[:-2] & still[1:-1] & still[2:] & writes[3:]).any()
        assert 0.1 < nano[:, k].min() < nano[:, k].max() < 60
    small = bench.dc_sweep(device, peak=0.6 * volt)
    assert np.ptp(np.asarray(small.conductance / nsiemens)) < 0.0016


def test_set_pulses_follow_the_closed_form(device: Memristor) -> None:
    reads = bench.set_pulses(device, n_pulses=30, weight=0.2).read
    n = np.arange(31)
    weight = ORACLE.high - (ORACLE.high - 0.2) * 0.98**n
    # reads of 1 us at 0.6 V move W by 1e-15
    np.testing.assert_allclose(reads.weight[:, 0], weight, rtol=1e-11)
    # F after a second at 0 V is below exp(-37) of at most 1
    expected = ORACLE.g_offset + ORACLE.kappa * weight
    # the read itself adds 2e-10 to F
    np.testing.assert_allclose(reads.conductance[:, 0] / siemens, expected, rtol=1e-9)


def test_short_term_pulses_decay_and_hardly_move_w(device: Memristor) -> None:
    trace = bench.short_term_pulses(device, spacing=2 * second, weight=0.4)
    reads = trace.read
    # 3 V, 100 us move it by 2.5e-5
    np.testing.assert_allclose(trace.weight, 0.4, atol=6e-5)
    time, rate = reads.time[:, 0] / second, ORACLE.decay_rate(0.6)
    expected = np.zeros(len(time))
    for k, volts in enumerate((2.0, 2.5, 3.0, 2.0, 2.5, 3.0)):
        end = 1 + 2 * k + 1e-4 * (k + 1)
        after = np.maximum(time - end, 0)
        expected += 0.1 * (volts / 3.5) ** 4 * np.exp(-rate * after) * (time > end - 1e-6)
    # the pulse law is short of w/(2 tau) = 6e-5; 0.6 V itself writes 0.00015
    np.testing.assert_allclose(reads.short_term[:, 0], expected, rtol=1e-4, atol=1.5e-4)


def test_short_term_pulses_do_the_same_at_the_smallest_w_and_after_set(device: Memristor) -> None:
    rounds = bench.short_term_at_weights(device)
    weights = [float(r.weight[0, 0]) for r in rounds]
    expected = [ORACLE.high - (ORACLE.high - ORACLE.low) * 0.98**n for n in (0, 100)]
    # the pulses of the first round, 240 s of nothing: 4e-5 of the way
    assert weights == pytest.approx(expected, abs=3e-4)
    first = rounds[0].short_term
    for trace, weight in zip(rounds, weights, strict=True):
        assert trace.short_term.max() > 0.05
        np.testing.assert_allclose(trace.weight, weight, atol=5e-4)
        np.testing.assert_allclose(trace.short_term, first, rtol=0, atol=1e-12)


def test_repeated_pulses_scatter_about_the_law(device: Memristor) -> None:
    exact = bench.repeated_pulses(device)
    law = (np.array([2, 2.5, 3, 3.5]) / 3.5) ** 4  # nS
    np.testing.assert_allclose(exact.voltage / volt, [2, 2.5, 3, 3.5])
    first = np.asarray(exact.first / nsiemens)
    # w/(2 tau), the disturb of W by 0.7 %, and what 0.6 V writes in half a second
    np.testing.assert_allclose(first, np.repeat(law[:, None], 5, axis=1), rtol=8e-3, atol=1e-4)
    change, time = np.asarray(exact.change / nsiemens), np.asarray(exact.time / second)
    assert (abs(change[time <= 0]) < 1.5e-3).all()
    after = time > 0
    left = np.exp(-ORACLE.decay_rate(0.6) * (time[after] - time[after][0]))
    np.testing.assert_allclose(change[after][:, 3, 0], left, atol=0.01)
    noisy = bench.repeated_pulses(
        device, n_repeats=2000, n_after=1, specimen=Specimen(delta_f_std=0.1, seed=1)
    )
    updates = np.asarray(noisy.first / nsiemens)
    np.testing.assert_allclose(updates.mean(axis=1), law, rtol=8e-3 + 4 * 0.1 / math.sqrt(2000))
    deviation = updates.std(axis=1) / updates.mean(axis=1)
    np.testing.assert_allclose(deviation, 0.1, rtol=8e-3 + 4 / math.sqrt(4000))


def test_heat_maps(device: Memristor) -> None:
    width = np.array([20.0, 100.0, 400.0])
    found = bench.pulse_map(device, width=width * usecond, n_repeats=2)
    volts = np.array([2, 2.5, 3, 3.5])[:, None]
    delta_f = 0.1 * (volts / 3.5) ** 4 * width / 100
    # w/(2 tau); the disturb of W stays, and is no part of what decays
    change = np.asarray(found.change / nsiemens)
    np.testing.assert_allclose(change, 10 * delta_f[..., None].repeat(2, axis=2), rtol=4e-4)
    energy = 14.6e-12 * (volts / 3.5) ** 2 * width / 100
    np.testing.assert_allclose(found.energy / joule, energy, rtol=1e-12)
    mean = ORACLE.g_offset + ORACLE.kappa * delta_f / 2
    dissipated = volts**2 * mean * width * 1e-6
    np.testing.assert_allclose(found.dissipated / joule, dissipated, rtol=2e-3)  # W moves too


def test_trains_and_power_are_the_laws(device: Memristor) -> None:
    found = long_term_pulses(device, n_pulses=10)
    assert found.n_pulses.tolist() == [0, 5, 10]
    nano = np.asarray(found.conductance / nsiemens)
    for k, (v, w) in enumerate(zip(found.voltage / volt, found.width / second, strict=True)):
        rate, end = ORACLE.long_term(float(v))
        end = 1e9 * (ORACLE.g_offset + ORACLE.kappa * end)
        left = np.exp(-rate * w * found.n_pulses)
        np.testing.assert_allclose(nano[:, k], end - (end - nano[0, k]) * left, rtol=1e-9)
    power = power_under_bias(device)
    conductance = ORACLE.g_offset + ORACLE.kappa * power.weight
    expected = np.asarray(power.bias_voltage / volt) ** 2 * conductance
    np.testing.assert_allclose(power.power / watt, expected, rtol=1e-9)


def test_reads_scatter_and_devices_deviate(device: Memristor) -> None:
    noisy = Specimen(read_noise=20 * psiemens, seed=3)
    reads = bench.short_term_pulses(device, specimen=noisy).read
    exact = bench.short_term_pulses(device).read
    pico = np.asarray((reads.conductance - exact.conductance) / psiemens)
    assert pico.std() == pytest.approx(20, rel=4 / math.sqrt(2 * pico.size))
    kinds = Nonidealities(half_voltage_dtod=0.03 * volt, delta_f_dtod=0.3, seed=4)
    one = Specimen.of(kinds, device, read_noise=0 * siemens)
    deviations = kinds.draw((1,), device)
    decays = bench.decay_under_bias(device, n_repeats=2, specimen=one)
    sigmoid = fit_sigmoid(decays.bias_voltage, decay_over(decays, STEP))
    assert sigmoid is not None
    shift = float(deviations.half_voltage_shift[0])
    assert abs(shift) > 1e-3
    assert float(sigmoid.half / volt) == pytest.approx(0.3 + shift, abs=4e-4)  # reads decay
    change = np.asarray(bench.pulse_map(device, specimen=one).change / nsiemens)[3, 1]
    np.testing.assert_allclose(change, float(deviations.update_gain[0]), rtol=1e-3)


def test_every_figure_draws_into_given_axes(report: BenchReport) -> None:
    figures = report.figures()
    assert figures.keys() == FIGURES
    for figure in figures.values():
        for labels in ("get_xlabel", "get_ylabel"):
            assert any(getattr(axes, labels)() for axes in figure.axes)
        titles = [one.get_title(loc="left") for one in figure.axes]
        said = next(title for title in titles if title)
        assert said.startswith("shape assumed: ")
        assert "numbers assumed: " in said


def test_a_draw_returns_what_it_drew(report: BenchReport, device: Memristor) -> None:
    from mstpn.analysis.device import bench_figures as draw

    axes = Figure().subplots()
    drawn = draw.draw_decay(axes, report.decays, device)
    assert all(isinstance(artist, Artist) for artist in drawn)
    assert {*axes.lines, *axes.collections} <= set(drawn)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    time = np.asarray(report.decays.time / second)
    for line in axes.lines[:-1]:  # without that of the conductance before
        np.testing.assert_allclose(np.asarray(line.get_xdata()), time)
    # the first line is that of the largest bias: the slowest decay
    last = np.asarray(report.decays.conductance / siemens)[:, -1] * 1e9
    np.testing.assert_allclose(np.asarray(axes.lines[0].get_ydata()), last.mean(axis=1), rtol=1e-12)
    band = np.asarray(axes.collections[0].get_paths()[0].vertices)
    mean, spread = last.mean(axis=1), last.std(axis=1, ddof=1)
    np.testing.assert_allclose(band[:, 1].max(), (mean + spread).max(), rtol=1e-12)


def test_panels_show_what_their_captions_say(report: BenchReport) -> None:
    figures = report.figures()
    arrows = [t for t in figures["2a_sweep"].axes[0].texts if getattr(t, "arrow_patch", None)]
    assert len(arrows) == 4 * 3
    area: Any = figures["2d_pulses"].axes[0].collections[0]
    red, green, blue, _ = area.get_facecolor()[0]
    assert red > 2 * max(green, blue)
    for name, n in (("2d_pulses", 6), ("2e_zoom", 3)):
        assert [t.get_text()[-1] for t in figures[name].axes[0].texts] == ["V"] * n
    upper, lower = figures["2f_rounds"].axes
    assert "0.1 nS: the smallest" in lower.texts[-1].get_text()
    assert "after 100 SET pulses and 240 s" in upper.texts[-1].get_text()
    assert len(figures["3a_repeats"].axes[0].lines) == 4
    mesh: Any = figures["3b_update"].axes[0].collections[0]
    rows = np.asarray(mesh.norm(mesh.get_array())).reshape(4, 10).mean(axis=1)
    assert (np.diff(rows) > 0.1).all()  # every voltage is a colour of its own
    protocol, decay = figures["3d_decay"].axes
    assert (protocol.get_xscale(), decay.get_xscale()) == ("linear", "log")


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
    written = {f"{name}.png" for name in FIGURES} | {"bench.md", "traces"}
    assert {p.name for p in out.iterdir()} == written
    for name, text in report.traces().items():
        assert (out / "traces" / f"{name}.csv").read_text() == text
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


def test_traces_give_the_device_back(
    report: BenchReport, device: Memristor, tmp_path: Path
) -> None:
    files = {
        "pulses": ("pulses", PULSES),
        "decay": ("3d_decay", DECAY),
        "power": ("power", BIAS_POWER),
        "long_term": ("long_term", LONG_TERM),
    }
    read: dict[str, Any] = {}
    for name, (file, table) in files.items():
        (tmp_path / f"{file}.csv").write_text(report.traces()[file])
        read[name] = read_measurements(tmp_path / f"{file}.csv", table)
    # from a base that has other numbers for all of them
    base = scripts.device_file(
        tmp_path,
        **{"set_fraction": 0.1, "set_slope_voltage": 0.3, "conductance_max": 90},
        **{"reset_fraction": 0.004, "reset_slope_voltage": 0.08, "conductance_min": 1},
        **{"pulse_conductance": 2, "pulse_conductance_exponent": 3, "pulse_energy": 9},
        **{"weight_conductance": 14},
    )
    fit = fit_device(base, **read)
    assert not fit.doubts
    intervals = {name: found.interval for name, found in fit.found.items() if found.interval}
    assert intervals.keys() == {
        *("bias_power", "weight_conductance", "conductance_min", "conductance_max"),
        *("decay_min", "decay_max", "decay_half_voltage", "decay_slope_voltage"),
        *("pulse_conductance", "pulse_conductance_exponent"),
        *("pulse_energy", "pulse_energy_exponent"),
        *("set_fraction", "set_slope_voltage", "reset_fraction", "reset_slope_voltage"),
    }
    for name, (low, high) in intervals.items():
        true, value = float(getattr(device, name)), float(getattr(fit.device, name))
        # twice 1.97 standard errors: 8e-5 of right fits are farther; energies have rounding only
        assert abs(value - true) <= float(high - low) + 1e-9 * true, name


def test_measured_traces_lie_over_their_panels(report: BenchReport, tmp_path: Path) -> None:
    for name, text in report.traces().items():
        (tmp_path / f"{name.partition('_')[0]}_mine.csv").write_text(text)
    (tmp_path / "2e_mine.csv").write_text("t (ms);I (nA);Vread (V)\n9000;7,2;0,6\n9500;7,5;0,6\n")
    measured = read_measured([tmp_path])
    assert measured.keys() == FIGURES
    plain, laid = report.figures(), report.figures(measured)
    for name in FIGURES:
        count = [
            sum(len(a.lines) + len(a.collections) for a in figures[name].axes)
            for figures in (plain, laid)
        ]
        assert count[1] > count[0], name
    line: Any = laid["2e_zoom"].axes[0].lines[-1]
    np.testing.assert_allclose(line.get_xdata(), [9, 9.5])
    np.testing.assert_allclose(line.get_ydata(), [12, 12.5])
    low, high = laid["2e_zoom"].axes[0].get_ylim()
    assert low <= 12 < 12.5 <= high
    sweep: Any = laid["2a_sweep"].axes[0].lines[-1]
    np.testing.assert_allclose(sweep.get_ydata(), report.swept.conductance[:, 2] / nsiemens)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("9z.csv", "a,b\n1,2\n", "its name must begin with a panel's, one of 2a, 2c"),
        ("2a.csv", "a,b\n1,2\n", "no column 'voltage (V)'"),
        ("2c.csv", "pulses,conductance (nS)\n1,x\n", "must be a finite number, got 'x'"),
        ("3e.csv", "bias voltage (A),decay\n1,0.5\n", "unit must be one of"),
        ("2f.csv", "round,t (s),G (nS)\n1,0,1\n2,0,1\n3,0,1\n", "has 2 rounds, got 3"),
        ("none.csv", None, "its name must begin with a panel's"),
        ("2a_none.csv", None, "No such file or directory"),
    ],
)
def test_bad_measured_files_are_one_line(
    example: ModuleType,
    report: BenchReport,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    text: str | None,
    message: str,
) -> None:
    monkeypatch.setattr(work, "measure", lambda *_args, **_options: report)
    if text is not None:
        (tmp_path / name).write_text(text)
    out = tmp_path / "out"
    said = scripts.refusal(example, ["--out", str(out), "--measured", str(tmp_path / name)], capsys)
    assert name in said
    assert message in said
    assert not out.exists()


def test_an_empty_folder_of_traces_is_refused(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = scripts.refusal(
        example, ["--out", str(tmp_path / "out"), "--measured", str(tmp_path)], capsys
    )
    assert "the name of no file *.csv in it begins with a panel's" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--nonideal", "colour=3"], "nonideal must be name=value"),
        (["--nonideal", "delta_f_std=-1"], "delta_f_std must be at least 0"),
        (["--read-noise", "-1"], "argument --read-noise: must be at least 0, got -1"),
        (["--nonideal", "corrupt_devices_prob=1", "--read-noise", "0"], "did not change"),
    ],
)
def test_bad_conditions_are_one_line(
    example: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    assert message in scripts.refusal(example, ["--out", str(tmp_path / "o"), *options], capsys)


def test_another_seed_other_pulses(report: BenchReport, device: Memristor) -> None:
    other = bench.repeated_pulses(device, specimen=Specimen(delta_f_std=0.05, seed=1))
    assert (np.asarray(other.first) != np.asarray(report.repeats.first)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[set_fraction]\nvalue = 0.02", "[set_fraction]\nvalue = 1.0"), "set_fraction must lie"),
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
