"""Constants from measurements: against the numbers the data were made with, and closed forms.

The data are made here from the laws as they are written in the device file's comments, with
nothing of the package.
"""

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
import numpy as np
import pytest
import scripts
from brian2.units import DimensionMismatchError, nsiemens, second, volt
from measured_device import STEP, TABLES, TRUE, Columns, fitted, grid, written
from numpy.typing import NDArray
from scipy.stats import binom, t

from mstpn.analysis.device.fit import fit_device
from mstpn.analysis.device.fit_report import device_toml, summary
from mstpn.analysis.device.reading import read_measurements
from mstpn.analysis.device.tables import BIAS_POWER, DECAY, PULSES, Table
from mstpn.synapses.memristor import DEFAULT_DEVICE, DeviceError, Memristor
from mstpn.synapses.support.sourced import DataError

N_REPEATS = 200

Array = NDArray[np.float64]


def made(rng: np.random.Generator | None = None) -> dict[str, dict[str, Array]]:
    """Tables of a device with the constants `TRUE`, with noise if there is a generator."""

    def noisy(values: Array, deviation: float) -> Array:
        return values if rng is None else values + rng.normal(0, deviation, values.shape)

    v, w, _ = grid([2.2, 2.8, 3.4, 4.0], [50, 100, 200], range(2))
    b, s, _ = grid([0.1, 0.2, 0.3, 0.4, 0.5], np.geomspace(0.01, 2, 15), range(2))
    left = (1 + np.exp(-(b - 0.27) / 0.1)) ** (-s / STEP)
    u, S = grid([0.3, 0.4, 0.5], np.linspace(-0.5, 1.5, 7))
    return {
        "pulses": {
            "voltage (V)": v,
            "width (us)": w,
            "\N{GREEK CAPITAL LETTER DELTA}G (nS)": noisy(1.4 * (v / 4) ** 3.3 * w / 100, 0.05),
            "energy (pJ)": noisy(25 * (v / 4) ** 2.2 * w / 100, 0.5),
        },
        "decay": {
            "bias voltage (V)": b,
            "time (s)": s,
            "conductance (nS)": noisy(15 + 4 * b + (3 - b) * left, 0.05),
        },
        "power": {
            "bias voltage (mV)": 1e3 * u,
            "weight S": S,
            "power (nW)": noisy(u**2 * (15 + 8 * S), 0.05),
        },
    }


def test_noiseless_data_give_the_constants_back(tmp_path: Path) -> None:
    fit = fitted(tmp_path, made())
    assert fit.found.keys() >= TRUE.keys()
    for name, true in TRUE.items():
        # the solver stops at 1e-12 of the sum of squares, which goes as the error squared
        assert float(getattr(fit.device, name)) == pytest.approx(true, rel=1e-6, abs=0), name
    assert [f.r_squared for f in fit.fits] == pytest.approx([1.0] * 4, abs=1e-9)
    set_by_hand = {"pulse_voltage_min": 2.2, "pulse_voltage": 4.0, "bias_voltage_min": 0.1}
    set_by_hand["decay_duration"] = STEP
    for name, true in (set_by_hand | {"bias_voltage_max": 0.5}).items():
        assert float(getattr(fit.device, name)) == true
        assert fit.found[name].interval is None
    assert fit.found.keys() == TRUE.keys() | set_by_hand.keys() | {"bias_voltage_max"}


def test_intervals_cover_the_truth_as_often_as_they_say(tmp_path: Path) -> None:
    hits = dict.fromkeys(TRUE, 0)
    for seed in range(N_REPEATS):
        found = fitted(tmp_path, made(np.random.default_rng(seed))).found
        for name, true in TRUE.items():
            interval = found[name].interval
            assert interval is not None
            hits[name] += float(interval[0]) <= true <= float(interval[1])
    # each count is binomial; 10 of them leave these bounds by chance once in 1,000 tests
    low, high = binom.ppf([5e-5, 1 - 5e-5], N_REPEATS, 0.95)
    assert all(low <= n <= high for n in hits.values()), hits


def test_intervals_of_a_linear_law_are_the_closed_form(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    v, s = grid([0.2, 0.4, 0.6], [-0.5, 0.0, 1.0, 2.0])
    error = 0.02 + 0.1 * v
    power = v**2 * (12 + 9 * s) + rng.normal(0, 1.7 * error)
    columns = {"bias voltage (V)": v, "weight S": s, "power (nW)": power}
    for weights in (None, error):
        extra = {} if weights is None else {"power error (nW)": weights}
        fit = fitted(tmp_path, {"power": columns | extra})
        w = np.ones_like(v) if weights is None else 1 / weights
        x = np.stack([v**2, v**2 * s], axis=1) * w[:, None]
        best, chi_squared, *_ = np.linalg.lstsq(x, power * w)
        variance = np.linalg.inv(x.T @ x) * chi_squared / 10
        half = t.ppf(0.975, 10) * np.sqrt(np.diag(variance))
        # bias_power is the offset times (0.6 V)^2; 1e-5: the solver's numerical derivative
        for name, k, factor in (("bias_power", 0, 0.36), ("weight_conductance", 1, 1.0)):
            value, interval, _ = fit.found[name]
            assert 1e9 * float(value) == pytest.approx(factor * best[k], rel=1e-7)
            ends = factor * (best[k] + half[k] * np.array([-1, 1]))
            assert interval is not None
            assert [1e9 * float(end) for end in interval] == pytest.approx(ends, rel=1e-5)
        chi = fit.fits[0].reduced_chi_squared
        assert chi == (None if weights is None else pytest.approx(chi_squared[0] / 10, rel=1e-7))
        scatter = np.sum((w * (power - np.average(power, weights=w**2))) ** 2)
        assert fit.fits[0].r_squared == pytest.approx(1 - chi_squared[0] / scatter, rel=1e-9)


def test_repeats_may_differ_in_size_if_they_are_told_apart(tmp_path: Path) -> None:
    table = made()["decay"]
    repeat = np.tile([1.0, 2.0], len(table["time (s)"]) // 2)
    stretched = 15 + (table["conductance (nS)"] - 15) * (1 + 0.3 * repeat)
    told = fitted(tmp_path, {"decay": table | {"conductance (nS)": stretched, "repeat": repeat}})
    assert float(told.device.decay_half_voltage) == pytest.approx(0.27, rel=1e-6)
    assert len(told.decays) == 10
    for voltage, decay in told.decays:
        assert decay.value == pytest.approx(1 / (1 + np.exp(-(voltage - 0.27) / 0.1)), rel=1e-6)
    untold = fitted(tmp_path, {"decay": table | {"conductance (nS)": stretched}})
    assert untold.fits[0].r_squared < 0.99


def test_pulses_of_both_polarities_and_delta_f(tmp_path: Path) -> None:
    v, w = grid([-4.0, -3.0, 3.0, 4.0], [300.0, 500.0])
    columns = {
        "Voltage (mV)": 1e3 * v,
        "WIDTH (\N{MICRO SIGN}s)": w,
        "\N{INCREMENT}F": 0.2 * np.sign(v) * np.abs(v / 4) ** 3.3 * w / 300,
        "energy (fJ)": 1e3 * np.abs(v / 4) ** 2.2 * w / 300,
    }
    both = fitted(tmp_path, {"pulses": columns, "power": made()["power"]})
    alone = fitted(tmp_path, {"pulses": columns})
    # kappa is 8 nS as measured, and 10 nS in the base; 100 us were not measured, 300 us are next
    for fit, kappa, mark in ((both, 8e-9, "measured"), (alone, 10e-9, "derived")):
        assert float(fit.device.pulse_width) == 300e-6
        assert float(fit.device.pulse_conductance) == pytest.approx(0.2 * kappa, rel=1e-6)
        assert fit.device.delta_f_max == pytest.approx(0.2, rel=1e-6)
        assert float(fit.device.pulse_energy) == pytest.approx(1e-12, rel=1e-6)
        assert fit.found["pulse_conductance"].constant.provenance == mark
    assert fit.device.constants["pulse_conductance"].source.endswith("kappa (the base's, assumed)")


def test_the_interval_of_a_product_covers_too(tmp_path: Path) -> None:
    v, w, _ = grid([2.0, 3.0, 4.0], [100.0, 200.0], range(3))
    u, s = grid([0.3, 0.6], [-0.5, 0.5, 1.5])
    hits = 0
    for seed in range(N_REPEATS):
        rng = np.random.default_rng(seed)
        delta = 0.2 * (v / 4) ** 3 * w / 100 + rng.normal(0, 0.02, v.shape)
        power = u**2 * (15 + 8 * s) + rng.normal(0, 0.1, u.shape)
        tables = {
            "pulses": {"voltage (V)": v, "width (us)": w, "dF": delta},
            "power": {"bias voltage (V)": u, "weight S": s, "power (nW)": power},
        }
        interval = fitted(tmp_path, tables).found["pulse_conductance"].interval
        assert interval is not None
        hits += float(interval[0]) <= 0.2 * 8e-9 <= float(interval[1])
    low, high = binom.ppf([5e-4, 1 - 5e-4], N_REPEATS, 0.95)
    assert low <= hits <= high


def test_conductance_for_weight_determines_the_power_at_the_bases_offset(tmp_path: Path) -> None:
    v, g = grid([0.2, 0.4, 0.6], [5.0, 20.0, 40.0])
    columns = {"bias voltage (V)": v, "conductance (nS)": g, "power (nW)": 1.1 * v**2 * g}
    fit = fitted(tmp_path, {"power": columns})
    assert fit.found.keys() == {"bias_power"}
    # the base has 4.3 nW at 0.6 V; these devices draw 1.1 times V^2 G
    assert float(fit.device.bias_power) == pytest.approx(1.1 * 4.3e-9, rel=1e-6)
    assert fit.device.constants["bias_power"].provenance == "derived"
    assert "11.944 nS, the base's at S = 0 (digest)" in fit.device.constants["bias_power"].source


def test_what_is_kept_keeps_its_law(tmp_path: Path, device: Memristor) -> None:
    tables = made()
    fit = fitted(tmp_path, {"decay": tables["decay"]})
    assert fit.device.offset_conductance / nsiemens == pytest.approx(4.3 / 0.36, rel=1e-12)
    assert fit.device.constants["bias_power"].provenance == "digest"
    assert fit.device.constants["bias_power"].source.endswith(
        "restated, times 0.694444, at the new bias_voltage_max"
    )
    del tables["pulses"]["\N{GREEK CAPITAL LETTER DELTA}G (nS)"]
    fit = fitted(tmp_path, {"pulses": tables["pulses"]})
    pulse = 3 * volt, 80e-6 * second
    assert float(fit.device.pulse_delta(*pulse)) == pytest.approx(
        float(device.pulse_delta(*pulse)), rel=1e-12
    )
    assert fit.device.constants["pulse_conductance"].provenance == "assumed"
    assert fit.found["pulse_conductance"].interval is None
    assert "pulse_conductance_exponent" in fit.kept
    assert "decay_max (paper)" in summary(fit).splitlines()[-1]


def test_the_file_is_the_device_that_was_fitted(tmp_path: Path, device: Memristor) -> None:
    fit = fitted(tmp_path, made(np.random.default_rng(1)))
    path = tmp_path / "mine.toml"
    path.write_text(device_toml(fit, 'a "new" \x7f device'), encoding="utf-8")
    loaded = Memristor.from_file(path)
    assert loaded.name == 'a "new" \x7f device'
    assert loaded.constants == fit.device.constants
    for name in device.constants:
        # value / unit is rounded once, value * unit again
        expected = float(getattr(fit.device, name))
        assert float(getattr(loaded, name)) == pytest.approx(expected, rel=2.0**-52, abs=0)
    content, base = (tomllib.loads(p.read_text(encoding="utf-8")) for p in (path, DEFAULT_DEVICE))
    assert fit.kept
    assert {name: content[name] for name in fit.kept} == {name: base[name] for name in fit.kept}
    low, high = (1e9 * float(end) for end in fit.found["pulse_conductance"].interval or ())
    assert content["pulse_conductance"]["source"] == (
        f"95 % confidence interval {low:.5g} to {high:.5g} nS; pulses.csv, 24 rows: reference pulse"
    )
    assert content["pulse_conductance"]["provenance"] == "measured"


PULSE_ROWS = "voltage (V),width (us),dG (nS)\n2,100,0.1\n3,100,0.5\n3.5,100,1.0\n"
BAD_FILES: dict[str, tuple[Table, str | bytes | None, str]] = {
    "no file": (PULSES, None, ": No such file or directory"),
    "not text": (
        PULSES,
        b"\xff\xfe\x00",
        ": 'utf-16-le' codec can't decode byte 0x00 in position 2",
    ),
    "empty": (PULSES, "\n# nothing\n", ": empty, the first line must name the columns"),
    "header only": (PULSES, "voltage (V),width (us),dG (nS)\n", ": no rows below the header"),
    "missing": (
        PULSES,
        PULSE_ROWS.replace("width", "#w"),
        ", line 1: no column 'width (s)'; unknown: '#w (us)' (--column",
    ),
    "absent": (DECAY, "time (s),conductance (nS)\n", ", line 1: no column 'bias voltage (V)'"),
    "none of": (
        PULSES,
        "voltage (V),width (us)\n",
        ", line 1: no column 'dG (S)' or 'dF' or 'energy (J)'",
    ),
    "unknown": (
        BIAS_POWER,
        "bias voltage (V),weight S,colour\n",
        ", line 1: no column 'power (W)'; unknown: 'colour' "
        "(--column 'ITS NAME=name (unit)' says what one is)",
    ),
    "twice": (
        PULSES,
        "voltage (V),width (us),dG (nS),Width (ms)\n",
        ", line 1, column 'Width (ms)': there is 'width (us)' already",
    ),
    "either": (
        PULSES,
        "voltage (V),width (us),dG (nS),dF\n",
        ", line 1: either 'dG (nS)' or 'dF', not both",
    ),
    "stray error": (
        PULSES,
        "voltage (V),width (us),dG (nS),energy error (pJ)\n",
        ", line 1: 'energy error (pJ)' is the error of no column",
    ),
    "unit": (
        PULSES,
        PULSE_ROWS.replace("(us)", "(uV)"),
        ", line 1, column 'width (uV)': unit must be one of fs, ps, ns, us, ms, s, ks, got uV",
    ),
    "no unit": (
        PULSES,
        PULSE_ROWS.replace(" (V)", ""),
        ", line 1, column 'voltage': unit must be one of fV, pV, nV, uV, mV, V, kV, got none "
        "(--column 'voltage=voltage (V)' says it)",
    ),
    "text": (
        PULSES,
        "# a comment\n\n" + PULSE_ROWS.replace("0.5", "half"),
        ", line 5, column 'dG (nS)': must be a finite number, got 'half'",
    ),
    "width": (
        PULSES,
        PULSE_ROWS.replace("3,100", "3,-100"),
        ", line 3, column 'width (us)': must be positive, got -100",
    ),
    "voltage": (
        PULSES,
        PULSE_ROWS.replace("3,100", "0,100"),
        ", line 3, column 'voltage (V)': must be other than 0, got 0",
    ),
    "error": (
        DECAY,
        "bias voltage (V),time (s),conductance (nS),conductance error (nS)\n0.1,1,3,0\n",
        ", line 2, column 'conductance error (nS)': must be positive, got 0",
    ),
    "cells": (PULSES, PULSE_ROWS.replace(",0.5", ""), ", line 3: 2 values for 3 columns"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_rows_are_named(case: str, tmp_path: Path) -> None:
    table, content, message = BAD_FILES[case]
    path = tmp_path / "rows.csv"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as error:
        read_measurements(path, table)
    said = str(error.value)
    assert said == f"{path}{message}" or (
        case in ("not text", "missing") and said.startswith(f"{path}{message}")
    )
    assert "\n" not in said


def only(table: str, keep: Callable[[Columns], NDArray[np.bool_]]) -> dict[str, Columns]:
    columns = made()[table]
    return {table: {name: values[keep(columns)] for name, values in columns.items()}}


def changed(table: str, column: str, change: Callable[[Array], Array]) -> dict[str, Columns]:
    columns = made()[table]
    return {table: columns | {column: change(columns[column])}}


def scattered(values: Array) -> Array:
    return np.random.default_rng(0).normal(0, 1, values.shape)


UNDETERMINED: dict[str, tuple[dict[str, Columns], str]] = {
    "one amplitude": (
        only("pulses", lambda c: c["voltage (V)"] == 4),
        "pulses.csv, column 'voltage (V)': amplitudes must differ to determine the exponents, "
        "got 4. V only",
    ),
    "two pulses": (
        only("pulses", lambda c: np.arange(len(c["width (us)"])) % 15 == 0),
        "pulses.csv: 3 rows are needed to fit '\N{GREEK CAPITAL LETTER DELTA}G (nS)', got 2",
    ),
    "no change": (
        changed("pulses", "energy (pJ)", np.zeros_like),
        "pulses.csv, column 'energy (pJ)': all values are 0",
    ),
    "nothing but noise": (
        changed("pulses", "energy (pJ)", scattered),
        r"pulses.csv: pulse_energy must be above 0, "
        r"got a 95 % confidence interval -\S+ to \S+ [pf]J",
    ),
    "one bias": (
        only("decay", lambda c: c["bias voltage (V)"] == 0.3),
        "decay.csv, column 'bias voltage (V)': voltages must differ to determine the decay law, "
        "got 300 mV only",
    ),
    "few times": (
        only("decay", lambda c: (c["bias voltage (V)"] != 0.3) | (c["time (s)"] < 0.02)),
        "decay.csv, trace at 300 mV: 3 different times are needed at least",
    ),
    "flat": (
        changed("decay", "conductance (nS)", np.ones_like),
        "decay.csv, trace at 100 mV: "
        "'conductance (nS)' does not determine the constants of its fit",
    ),
    "one weight": (
        only("power", lambda c: c["weight S"] == 1.5),
        "power.csv, column 'weight S': weights must differ to determine weight_conductance",
    ),
    "no bias": (
        changed("power", "bias voltage (mV)", np.zeros_like),
        "power.csv, column 'weight S': weights must differ to determine weight_conductance",
    ),
    "falling power": (
        changed("power", "power (nW)", np.negative),
        # offset and kappa as they were, negative, at the base's 0.6 V
        "power.csv: bias_power must be above 0, got a 95 % confidence interval -5.4 to -5.4 nW",
    ),
}


@pytest.mark.parametrize("case", UNDETERMINED)
def test_data_that_determine_no_constant_are_refused(case: str, tmp_path: Path) -> None:
    tables, message = UNDETERMINED[case]
    with pytest.raises(DataError) as error:
        fitted(tmp_path, tables)
    pattern = message if r"\S" in message else re.escape(message)
    assert re.fullmatch(pattern, str(error.value).removeprefix(f"{tmp_path}/"))


def test_decay_that_slows_as_the_bias_falls_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"decay_slope_voltage must be above 0, got a .* -100 to"):
        fitted(tmp_path, changed("decay", "bias voltage (V)", lambda v: 0.6 - v))


TOGETHER = "no device can have the constants together: "


def test_constants_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    base = scripts.device_file(tmp_path, conductance_min=20.0)
    with pytest.raises(DeviceError) as error:
        fitted(tmp_path, {"power": made()["power"]}, base)
    assert str(error.value) == (
        f"{TOGETHER}bias_power / bias_voltage_max^2 = 15 nS, the conductance at W = 0, "
        "lies outside [conductance_min, conductance_max], 20 to 60 nS"
    )


def test_half_of_the_decay_may_lie_below_zero_volt(tmp_path: Path) -> None:
    fit = fitted(
        tmp_path, {"decay": changed("decay", "bias voltage (V)", lambda v: v - 0.4)["decay"]}
    )
    assert float(fit.device.decay_half_voltage) == pytest.approx(0.27 - 0.4, rel=1e-6)


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="pulses, decay, power or long-term pulses are needed"):
        fit_device(DEFAULT_DEVICE)
    paths = written(tmp_path, made())
    decay, power = (read_measurements(paths[n], TABLES[n]) for n in ("decay", "power"))
    with pytest.raises(DataError, match=r"decay_duration must be positive, got 0\. s"):
        fit_device(DEFAULT_DEVICE, decay=decay, decay_duration=0 * second)
    with pytest.raises(DimensionMismatchError, match="decay_duration must be in second"):
        fit_device(DEFAULT_DEVICE, decay=decay, decay_duration=1 * volt)
    with pytest.raises(DataError, match="decay_duration is chosen with measurements of the decay"):
        fit_device(DEFAULT_DEVICE, power=power, decay_duration=1 * second)


@pytest.fixture(scope="module")
def example() -> ModuleType:
    return scripts.load("fit_device")


def test_command(example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = written(tmp_path, made(np.random.default_rng(2)))
    arguments = [f"--{name}={path}" for name, path in paths.items()]
    out, picture, numbers = (tmp_path / "out" / n for n in ("mine.toml", "fit.png", "fit.json"))
    options = [
        f"--out={out}",
        f"--figure={picture}",
        f"--json={numbers}",
        f"--decay-duration={STEP}",
    ]
    assert example.main([*arguments, *options]) == 0
    device = Memristor.from_file(out)
    said = json.loads(numbers.read_text())
    for name, true in TRUE.items():
        entry = said["constants"][name]
        assert entry["value"] == pytest.approx(float(getattr(device, name)), rel=1e-15, abs=0)
        low, high = entry["interval"]
        assert low - (high - low) < true < high + (high - low)  # three half-widths
        assert not entry["kept"]
    assert said["constants"]["set_width"]["interval"] is None
    assert said["constants"]["set_width"]["kept"]
    assert [f["rows"] for f in said["fits"]] == [24, 24, 150, 21]
    assert all(f["r_squared"] > 0.98 for f in said["fits"])
    assert plt.imread(picture).shape[:2] == (1260, 1755)
    printed = capsys.readouterr().out
    assert "kept from" in printed
    assert "set_width (paper)" in printed
    assert {p.name for p in out.parent.iterdir()} == {"mine.toml", "fit.png", "fit.json"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "at least one of --pulses, --decay, --power and --long-term is needed"),
        (["--pulses", "no.csv"], "no.csv: No such file or directory"),
        (["--power", "{power}", "--base", "no.toml"], "device file no.toml: No such file"),
        (["--power", "{power}", "--base", "{out}"], "--out must not be the base device's file"),
        (["--decay", "{power}"], "line 1: no column 'time (s)'; unknown: 'weight S', 'power (nW)'"),
        (
            ["--power", "{power}", "--decay-duration", "0"],
            "--decay-duration: must be a positive number, got '0'",
        ),
        (["--power", "{power}", "--decay-duration", "x"], "must be a number, got 'x'"),
    ],
)
def test_bad_input_ends_with_one_line_and_status_2(
    example: ModuleType,
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    power, out = written(tmp_path, {"power": made()["power"]})["power"], tmp_path / "mine.toml"
    filled = [a.format(power=power, out=out) for a in arguments]
    assert message in scripts.refusal(example, [*filled, f"--out={out}"], capsys)
    assert not out.exists()
