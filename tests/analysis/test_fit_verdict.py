"""When a fit should not be trusted: each fault in the data by itself, against SciPy and NumPy."""

import itertools
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scripts
from measured_device import STEP, fitted, grid
from numpy.typing import NDArray
from scipy.optimize import curve_fit
from scipy.stats import binom, f, norm, t

from mstpn.analysis.device.fit_report import device_toml, summary, verdict
from mstpn.analysis.device.forms import Forms
from mstpn.analysis.device.least_squares import Fit
from mstpn.analysis.device.verdict import lack_of_fit, nested, rounds, runs
from mstpn.synapses.memristor import DeviceError, Memristor

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import device_fit as benchmark

Array = NDArray[np.float64]
Columns = dict[str, Array]

N_CLEAN = 30
N_COVERED = 40

V, W, _ = grid([2.2, 2.8, 3.4, 4.0], [50, 100, 200], range(2))
SIGNED, SIGNED_W, _ = grid([-4, -3.4, -2.8, -2.2, 2.2, 2.8, 3.4, 4], [50, 100], range(2))
SIX_V, SIX_W, SIX = grid([2.2, 2.8, 3.4, 4.0], [50, 100], range(6))
B, S, _ = grid([0.1, 0.2, 0.3, 0.4, 0.5], np.geomspace(0.01, 2, 15), range(2))
STEPS_TO_E = np.log(1 + np.exp(-(B - 0.27) / 0.1))  # ln(1/Lambda) of the device file's comments


def noise(like: Array, deviation: float, seed: int = 7) -> Array:
    return np.random.default_rng(seed).normal(0, deviation, like.shape)


def pulses(v: Array, w: Array, change: Array, **more: Array) -> dict[str, Columns]:
    return {"pulses": {"voltage (V)": v, "width (us)": w, "dG (nS)": change, **more}}


def decay(left: Array, b: Array = B, s: Array = S) -> dict[str, Columns]:
    conductance = 15 + 4 * b + 2.5 * left + noise(b, 0.05)
    return {"decay": {"bias voltage (V)": b, "time (s)": s, "conductance (nS)": conductance}}


POWER_LAW = 1.4 * (V / 4) ** 3.3
PULSES_WITH_OUTLIER = POWER_LAW * W / 100 + noise(V, 0.05)
PULSES_WITH_OUTLIER[5] *= 10
DECAY_WITH_OUTLIER = np.exp(-S / STEP * STEPS_TO_E)
DECAY_WITH_OUTLIER[40] += 0.6
TWO_SPEEDS = 0.7 * np.exp(-S / STEP * STEPS_TO_E) + 0.3 * np.exp(-S / STEP * STEPS_TO_E / 10)
POLARITIES = np.where(
    SIGNED > 0, 1.4 * np.abs(SIGNED / 4) ** 3.3, -0.9 * np.abs(SIGNED / 4) ** 2.5
) * (SIGNED_W / 100)
OF_SIX = np.array([0.7, 0.85, 0.95, 1.1, 1.2, 1.45])[SIX.astype(int)]
SIX_SIZES = 1.4 * (SIX_V / 4) ** 3.3 * SIX_W / 100 * OF_SIX + noise(SIX, 0.02)
BY_DEVICE = np.argsort(SIX, kind="stable")
FEW = SIGNED > 3
NOISE_OF_8 = noise(np.zeros(8), 0.01)

DOUBTS: dict[str, tuple[Callable[[], dict[str, Columns]], str, str]] = {
    "two exponentials": (
        lambda: decay(TWO_SPEEDS),
        "the decay is no exponential: ",
        "--two-exponentials fits that",
    ),
    "sub-linear in width": (
        lambda: pulses(V, W, POWER_LAW * (W / 100) ** 0.6 + noise(V, 0.05)),
        "'dG (nS)' goes with the width to the power 0.6",
        "--width-exponent fits that",
    ),
    "polarities": (
        lambda: pulses(SIGNED, SIGNED_W, POLARITIES + noise(SIGNED, 0.05)),
        "positive and negative pulses differ, with sizes 1.4",
        "--per-polarity fits that",
    ),
    "outlying pulse": (
        lambda: pulses(V, W, PULSES_WITH_OUTLIER),
        "line 7 stands out of the others",
        "--robust leaves such rows out",
    ),
    "outlying reading": (
        lambda: decay(DECAY_WITH_OUTLIER),
        "line 42 stands out of the others",
        "--robust leaves such rows out",
    ),
    "another sigmoid": (
        lambda: decay(np.exp(-S / STEP * STEPS_TO_E * (1 + 2 * (B == 0.3)))),
        "Lambda of the traces by themselves leaves the sigmoid",
        "",
    ),
    "devices one after another": (
        lambda: pulses(SIX_V[BY_DEVICE], SIX_W[BY_DEVICE], SIX_SIZES[BY_DEVICE]),
        "residuals keep their sign from row to row",
        "several devices without a column 'device'",
    ),
    "devices in turn": (
        lambda: pulses(SIX_V, SIX_W, SIX_SIZES),
        "repeats of the same rank deviate together",
        "several devices without a column 'device'",
    ),
    "clipped": (
        lambda: pulses(V, W, np.minimum(POWER_LAW * W / 100 + noise(V, 0.02), 1.0)),
        "rows share the largest value",
        "the limit of a range or a compliance",
    ),
    "as many settings as constants": (
        lambda: pulses(
            SIGNED[FEW], np.full(FEW.sum(), 100.0), (POLARITIES * 100 / SIGNED_W)[FEW] + NOISE_OF_8
        ),
        "as many settings as constants were measured",
        "",
    ),
    "two bias voltages": (
        lambda: decay(np.exp(-S / STEP * STEPS_TO_E)[B < 0.25], B[B < 0.25], S[B < 0.25]),
        "two bias voltages determine the two constants of the sigmoid and do not test it",
        "",
    ),
}
TRUE_DECAY_MIN, SIZE = 1 / (1 + math.exp(1.7)), 1.4e-9
MENDED: dict[str, tuple[Forms, str, float]] = {
    "two exponentials": (Forms(two_exponentials=True), "decay_min", TRUE_DECAY_MIN),
    "sub-linear in width": (Forms(width_exponent=True), "pulse_conductance", SIZE),
    "polarities": (Forms(per_polarity=True), "pulse_conductance", SIZE),
    "outlying pulse": (Forms(robust=True), "pulse_conductance", SIZE),
    "outlying reading": (Forms(robust=True), "decay_min", TRUE_DECAY_MIN),
}


@pytest.mark.parametrize("case", DOUBTS)
def test_a_fault_in_the_data_is_named(case: str, tmp_path: Path) -> None:
    made, said, advice = DOUBTS[case]
    fit = fitted(tmp_path, made())
    assert said in verdict(fit)
    assert advice in verdict(fit)
    assert verdict(fit).startswith("DO NOT TRUST IT, because ")
    text = device_toml(fit, "mine")
    assert text.count("# DO NOT TRUST IT: ") == len(fit.doubts)
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    doubtful = [c for c in Memristor.from_file(path).constants.values() if "doubtful" in c.source]
    assert len(doubtful) == sum(found.interval is not None for found in fit.found.values())


@pytest.mark.parametrize("case", MENDED)
def test_the_option_that_is_named_mends_it(case: str, tmp_path: Path) -> None:
    forms, name, true = MENDED[case]
    wrong, right = (fitted(tmp_path, DOUBTS[case][0](), forms=x) for x in (Forms(), forms))
    assert not right.doubts
    (_, low, high), (_, wrong_low, wrong_high) = (
        (x.found[name].value, *map(float, x.found[name].interval or ())) for x in (right, wrong)
    )
    assert low - (high - low) < true < high + (high - low)  # three half-widths
    # without the option the interval misses, or is twice as wide
    assert not wrong_low < true < wrong_high or wrong_high - wrong_low > 2 * (high - low)
    assert any(v.notes for v in right.verdicts)


def test_fits_that_are_right_are_trusted(tmp_path: Path) -> None:
    wrong = sum(
        bool(fitted(tmp_path, benchmark.additive(np.random.default_rng(k))).doubts)
        for k in range(N_CLEAN)
    )
    # four fits, at most six tests each, at 1 in 1,000; more than this once in 10,000
    assert wrong <= binom.ppf(1 - 1e-4, N_CLEAN, 4 * 6 * 1e-3)


def linear_fit(folder: Path, misfit: float = 0.0) -> tuple[Fit, Array, Array]:
    """A fit of the power with its design matrix, and what was measured in nW."""
    v, s, _ = grid([0.2, 0.4, 0.6], [-0.5, 0.0, 1.0, 2.0], range(2))
    power = v**2 * (12 + 9 * s + misfit * s**2) + noise(v, 0.05)
    error = np.full(len(v), 0.05)  # stated, so that every row weighs the same
    columns = {"bias voltage (V)": v, "weight S": s, "power (nW)": power, "power error (nW)": error}
    return fitted(folder, {"power": columns}).fits[0], np.stack([v**2, v**2 * s], axis=1), power


@pytest.mark.parametrize("misfit", [0.0, 0.3])
def test_lack_of_fit_is_that_of_the_textbook(misfit: float, tmp_path: Path) -> None:
    fit, x, power = linear_fit(tmp_path, misfit)
    best, left, *_ = np.linalg.lstsq(x, power)
    pairs = power.reshape(-1, 2)
    pure = float(np.sum((pairs - pairs.mean(axis=1, keepdims=True)) ** 2))
    expected = f.sf((left[0] - pure) / 10 / (pure / 12), 10, 12)
    # 1e-5: the solver's numerical derivative
    assert lack_of_fit(fit) == pytest.approx(expected, rel=1e-5)
    rank = np.tile([0, 1], 12)
    residuals = power - x @ best
    means = np.array([residuals[rank == k].mean() for k in (0, 1)])
    apart = 12 * float(np.sum(means**2))
    assert rounds(fit) == pytest.approx(f.sf(apart / ((left[0] - apart) / 21), 1, 21), rel=1e-4)


def test_runs_have_the_moments_of_all_arrangements(tmp_path: Path) -> None:
    fit, x, power = linear_fit(tmp_path)
    above = power - x @ np.linalg.lstsq(x, power)[0] > 0
    # each of three voltages is a curve along S, of eight rows
    found, mean, variance = 0, 0.0, 0.0
    for curve in above.reshape(3, 8):
        found += 1 + int(np.count_nonzero(np.diff(curve)))
        arrangements = []
        for places in itertools.combinations(range(8), int(curve.sum())):
            signs = np.isin(np.arange(8), places)
            arrangements.append(1 + np.count_nonzero(np.diff(signs)))
        mean += float(np.mean(arrangements))
        variance += float(np.var(arrangements))
    assert runs(fit) == pytest.approx(norm.cdf((found - mean + 0.5) / np.sqrt(variance)), rel=1e-12)


def test_nested_laws_are_compared_as_scipy_fits_them(tmp_path: Path) -> None:
    change = POWER_LAW * (W / 100) ** 0.9 + noise(V, 0.05)
    fit = fitted(tmp_path, pulses(V, W, change)).fits[0]

    def wide(x: Array, size: float, m: float, q: float) -> Array:
        return np.asarray(size * (x[0] / 4) ** m * (x[1] / 100) ** q)

    x = np.stack([V, W])
    three, _ = curve_fit(wide, x, change, [1, 3, 1])
    two, _ = curve_fit(lambda x, size, m: wide(x, size, m, 1.0), x, change, [1, 3])
    squares = [float(np.sum((change - wide(x, *p)) ** 2)) for p in ((*two, 1.0), three)]
    expected = f.sf((squares[0] - squares[1]) / (squares[1] / 21), 1, 21)
    found = nested(fit, fit.wider["--width-exponent"].fits(fit))
    assert found == pytest.approx(expected, rel=1e-4)  # SciPy's own tolerance, 1e-8 of the squares


def test_several_devices_have_the_interval_of_their_mean(tmp_path: Path) -> None:
    sizes = np.array([0.7, 1.0, 1.5])
    v, s, k = grid([0.3, 0.6], [-0.5, 0.5, 1.5], range(3))
    power = v**2 * sizes[k.astype(int)] * (15 + 8 * s)
    columns = {"bias voltage (V)": v, "weight S": s, "power (nW)": power, "device": k}
    fit = fitted(tmp_path, {"power": columns})
    value, interval, constant = fit.found["weight_conductance"]
    logs = np.log(8e-9 * sizes)
    half = t.ppf(0.975, 2) * logs.std(ddof=1) / np.sqrt(3)
    # 1e-6: derivatives by differences
    assert float(value) == pytest.approx(np.exp(logs.mean()), rel=1e-6)
    assert interval is not None
    assert [float(end) for end in interval] == pytest.approx(
        np.exp(logs.mean() + half * np.array([-1, 1])), rel=1e-5
    )
    assert "18 rows of 3 devices" in constant.source
    assert "note: constants and intervals of the mean of 3 devices" in summary(fit)


def test_an_outlier_of_one_device_leaves_the_mean(tmp_path: Path) -> None:
    change = SIX_SIZES.copy()
    change[9] *= 8
    tables = pulses(SIX_V, SIX_W, change, device=SIX)
    fit = fitted(tmp_path, tables)
    assert "line 11 stands out of the others" in verdict(fit)
    robust = fitted(tmp_path, tables, forms=Forms(robust=True))
    kept = np.arange(len(SIX)) != 9
    without = fitted(tmp_path, pulses(SIX_V[kept], SIX_W[kept], change[kept], device=SIX[kept]))
    for name in ("pulse_conductance", "pulse_conductance_exponent"):
        ends = [[float(e) for e in x.found[name].interval or ()] for x in (robust, without)]
        assert ends[0] == pytest.approx(ends[1], rel=0.05)  # the weights are those found with it
    assert "left out as outliers: line 11" in summary(robust)


@pytest.mark.parametrize("case", ["relative", "six devices"])
def test_intervals_cover_where_the_scatter_is_not_alike(case: str, tmp_path: Path) -> None:
    hits: dict[str, int] = {}
    for k in range(N_COVERED):
        tables = benchmark.CASES[case](np.random.default_rng([1, k]))
        del tables["decay"]
        for name, hit in benchmark.covered(tmp_path, tables).items():
            hits[name] = hits.get(name, 0) + hit
    del hits["bias_power"]  # without a decay it is stated at the base's largest bias voltage
    assert len(hits) == 5
    # of 90 %: five counts leave this bound by chance once in 1,000 tests
    assert min(hits.values()) >= binom.ppf(1e-3 / 5, N_COVERED, 0.9), hits


def test_a_device_of_another_scale_is_refused_or_rescales_the_base(
    tmp_path: Path, device: Memristor
) -> None:
    tables = pulses(V, W, 1e3 * (POWER_LAW * W / 100 + noise(V, 0.05)))
    with pytest.raises(
        DeviceError, match=r"pulses.csv: the largest pulse would change F by 1\d\d, "
    ):
        fitted(tmp_path, tables)
    fit = fitted(tmp_path, tables, rescale=True)
    assert not fit.doubts
    for name in ("weight_min", "weight_max"):
        assert getattr(fit.device, name) == pytest.approx(getattr(device, name), rel=1e-9)
    assert "rescaled, times 8" in fit.device.constants["conductance_max"].source
    assert fit.device.constants["conductance_max"].provenance == "assumed"
    small = fitted(tmp_path, pulses(V, W, 1e-4 * POWER_LAW * W / 100))
    assert "of the largest pulses cross the window of the device file" in verdict(small)
    micro = decay(np.exp(-S / STEP * STEPS_TO_E))
    micro["decay"]["conductance (uS)"] = micro["decay"].pop("conductance (nS)")
    assert "lie outside the window of the device file, 0.1 to 60 nS" in verdict(
        fitted(tmp_path, micro)
    )


@pytest.mark.parametrize("shift", [2.0, -5.0, 1e5])
def test_times_may_start_anywhere(shift: float, tmp_path: Path) -> None:
    left = np.exp(-S / STEP * STEPS_TO_E)
    here, there = (fitted(tmp_path, decay(left, s=s)) for s in (S, S + shift))
    # 1e5 s leave 1e-11 s of a time
    for name in ("decay_min", "decay_max"):
        ends = [x.found[name].interval or () for x in (here, there)]
        assert ends[0] == pytest.approx(ends[1], rel=1e-5)


def test_calculated_rows_and_few_rows_are_noted(tmp_path: Path) -> None:
    exact = fitted(tmp_path, pulses(V, W, POWER_LAW * W / 100))
    assert "the rows agree with the law to rounding" in summary(exact)
    few = slice(None, None, 4)
    scarce = fitted(tmp_path, pulses(V[few], W[few], (POWER_LAW * W / 100 + noise(V, 0.02))[few]))
    assert "too few rows to tell whether the scatter grows" in summary(scarce)


def test_what_two_settings_give_is_not_called_measured(tmp_path: Path) -> None:
    fit = fitted(tmp_path, DOUBTS["two bias voltages"][0]())
    marks = {name: fit.found[name].constant.provenance for name in fit.found}
    assert marks["decay_half_voltage"] == marks["decay_slope_voltage"] == "derived"
    assert marks["decay_min"] == "measured"


def test_the_command_is_loud_about_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fitted(tmp_path, DOUBTS["sub-linear in width"][0]())
    out, numbers, picture = (tmp_path / name for name in ("mine.toml", "mine.json", "mine.png"))
    arguments = [f"--pulses={tmp_path / 'pulses.csv'}", f"--out={out}", f"--json={numbers}"]
    program = scripts.load("fit_device")
    assert program.main([*arguments, f"--figure={picture}"]) == 0
    printed = capsys.readouterr()
    assert "DO NOT TRUST IT, because pulses.csv" in printed.out
    assert printed.err.startswith(f"mstpn fit-device: {out}: DO NOT TRUST IT, because")
    assert printed.err.count("\n") == 1
    said = json.loads(numbers.read_text())
    assert said["trusted"] is said["fits"][0]["trusted"] is False
    assert said["doubts"]
    assert said["understood"][str(tmp_path / "pulses.csv")]
    assert program.main([*arguments, "--width-exponent"]) == 0
    printed = capsys.readouterr()
    assert "trust it: no test of the fits objects" in printed.out
    assert not printed.err
    assert json.loads(numbers.read_text())["trusted"] is True


def test_the_command_loads_neither_torch_nor_the_emulator() -> None:
    code = (
        "import sys, mstpn.commands.work.fit_device\n"
        "assert not {'torch', 'ale_py', 'gymnasium', 'numba'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
