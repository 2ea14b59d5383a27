"""SET and RESET trains of a device that is known, by a NumPy recursion, and what they give back."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scripts
from numpy.typing import NDArray

from mstpn.analysis.device.fit import DeviceFit, fit_device
from mstpn.analysis.device.fit_report import device_toml
from mstpn.analysis.device.reading import read_measurements
from mstpn.analysis.device.tables import LONG_TERM
from mstpn.synapses.memristor import DEFAULT_DEVICE, Memristor
from mstpn.synapses.support.sourced import DataError

Array = NDArray[np.float64]
TRUE = {  # SI units
    "conductance_min": 2e-9,
    "conductance_max": 47e-9,
    "set_fraction": 0.03,
    "set_slope_voltage": 0.21,
    "reset_fraction": 0.05,
    "reset_slope_voltage": 0.34,
}


def train(volts: float, micro: float, start: float, n: int) -> Array:
    """Siemens after 0 to n pulses; shares of the way at 4 V, 500 us."""
    kind = "set" if volts > 0 else "reset"
    end = TRUE["conductance_max" if volts > 0 else "conductance_min"]
    slope = TRUE[f"{kind}_slope_voltage"]
    steeper = np.sinh(abs(volts) / slope) / np.sinh(4 / slope) * micro / 500
    share = 1 - (1 - TRUE[f"{kind}_fraction"]) ** steeper
    found = [start]
    for _ in range(n):
        found.append(found[-1] + share * (end - found[-1]))
    return np.array(found)


def fitted(
    folder: Path,
    pulses: Sequence[tuple[float, float]],
    noise: float = 0.0,
    base: Path = DEFAULT_DEVICE,
) -> DeviceFit:
    """The fit of trains of volts and microseconds, written and read back."""
    rng = np.random.default_rng(7)
    lines = ["V (V),width (us),n,G (nS)"]
    for volts, micro in pulses:
        conductance = train(volts, micro, 12e-9 if volts > 0 else 40e-9, 40)
        conductance += noise * rng.standard_normal(len(conductance))
        lines += [f"{volts},{micro},{n},{g * 1e9!r}" for n, g in enumerate(conductance.tolist())]
    file = folder / "trains.csv"
    file.write_text("\n".join(lines) + "\n")
    return fit_device(base, long_term=read_measurements(file, LONG_TERM))


BOTH = [(3.7, 500), (4.0, 500), (4.0, 250), (-3.6, 500), (-4.0, 200), (-4.0, 500)]


def test_trains_give_set_and_reset_back(tmp_path: Path) -> None:
    fit = fitted(tmp_path, BOTH)
    for name, value in TRUE.items():
        assert float(getattr(fit.device, name)) == pytest.approx(value, rel=1e-7), name
    assert fit.device.provenance("reset_fraction") == "measured"
    assert "set_voltage" in fit.kept  # measured, so the rate refers to it
    assert not fit.doubts


def test_intervals_hold_the_truth(tmp_path: Path) -> None:
    fit = fitted(tmp_path, BOTH, noise=0.05e-9)
    for name, value in TRUE.items():
        low, high = (float(end) for end in fit.found[name].interval or (0, 0))
        # twice 1.98 standard errors: 8e-5 of right fits are farther
        assert abs(float(fit.found[name].value) - value) <= high - low, name
        assert high - low < 0.1 * value, name
    assert not fit.doubts


def test_one_amplitude_keeps_the_bases_slope_and_polarity_its_own(tmp_path: Path) -> None:
    base = scripts.device_file(tmp_path, set_slope_voltage=TRUE["set_slope_voltage"])
    fit = fitted(tmp_path, [(3.7, 250), (3.7, 500)], base=base)
    device = fit.device
    assert fit.found.keys() == {"set_voltage", "set_fraction", "conductance_max"}
    assert float(device.set_voltage) == 3.7
    # the law's own share at the new reference
    steeper = np.sinh(3.7 / 0.21) / np.sinh(4 / 0.21)
    assert float(device.set_fraction) == pytest.approx(1 - 0.97**steeper, rel=1e-7)
    assert float(device.conductance_max) == pytest.approx(47e-9, rel=1e-7)
    assert "reset_fraction" in fit.kept


def test_a_base_may_be_based_on_another(tmp_path: Path) -> None:
    base = tmp_path / "based.toml"
    base.write_text('based_on = "srtio3.toml"\nname = "mine"\n')
    fit = fitted(tmp_path, BOTH, base=base)
    whole = tmp_path / "whole.toml"
    whole.write_text(device_toml(fit, "mine"))
    assert Memristor.from_file(whole) == replace(fit.device, name="mine")


def test_a_law_that_is_another_is_doubted(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    n = np.arange(41)
    lines = ["V (V),width (us),n,G (nS)"]
    for volts, size in ((3.8, 8.0), (4.0, 20.0)):
        nano = 12 + size * np.log1p(0.2 * n) + 0.02 * rng.standard_normal(41)
        lines += [f"{volts},500,{k},{g!r}" for k, g in zip(n.tolist(), nano.tolist(), strict=True)]
    file = tmp_path / "other.csv"
    file.write_text("\n".join(lines) + "\n")
    fit = fit_device(DEFAULT_DEVICE, long_term=read_measurements(file, LONG_TERM))
    assert any("residuals keep their sign along a curve" in doubt for doubt in fit.doubts)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("4,500,3,12\n4,500,3,13\n4,500,3,14\n4,500,3,14", "numbers of pulses must differ"),
        ("4,500,-1,12", "column 'n': must be 0 or more, got -1"),
        ("4,500,0,12\n4,500,1,13", "4 rows are needed to fit 'G (nS)', got 2"),
        ("0,500,0,12", "must be other than 0"),
    ],
)
def test_what_determines_nothing_is_refused(tmp_path: Path, rows: str, message: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(f"V (V),width (us),n,G (nS)\n{rows}\n")
    with pytest.raises(DataError, match=message.replace("(", r"\(").replace(")", r"\)")):
        fit_device(DEFAULT_DEVICE, long_term=read_measurements(file, LONG_TERM))


def test_the_command_takes_trains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fitted(tmp_path, BOTH, noise=0.05e-9)
    out: Any = tmp_path / "mine.toml"
    options = [f"--long-term={tmp_path / 'trains.csv'}", f"--out={out}"]
    figure = tmp_path / "mine.png"
    assert scripts.load("fit_device").main([*options, f"--figure={figure}"]) == 0
    assert "share of the way by a pulse of minus 4 V, 0.5 ms" in out.read_text()
    assert figure.stat().st_size > 10_000
    assert "trust it" in capsys.readouterr().out
