"""Spiking neurons that tie letters to digits: theory, network and program."""

import json
from pathlib import Path

import numpy as np
import pytest
import scripts
from brian2.units import joule, mvolt, second, volt
from scipy.integrate import quad
from scipy.stats import norm

from mstpn.network import association
from mstpn.network.association import N_PAIRS, chance_of_recall, recall
from mstpn.synapses.memristor import Memristor


def test_chance_of_recall_is_that_of_ten_membranes(device: Memristor) -> None:
    lift = 0.6 * 10e-9 * 1e-6 / 1e-12 / 0.12e-3  # charge of F = 1 over capacity and noise
    for f in (0.0, 0.02, 0.05, 0.1):
        wanted, _ = quad(lambda u, d=f * lift: norm.pdf(u) * norm.cdf(u + d) ** 9, -9, 9)
        # the trapezoidal rule of a smooth function that ends at 0: exact to rounding
        assert chance_of_recall(f, device) == pytest.approx(wanted, rel=1e-9)
    rng = np.random.default_rng(0)
    membranes = rng.standard_normal((100_000, 10))
    membranes[:, 0] += 0.05 * lift
    share = (membranes.argmax(1) == 0).mean()
    assert chance_of_recall(0.05, device) == pytest.approx(share, abs=5 * 0.5 / 100_000**0.5)


def test_without_noise_all_is_recalled_and_every_joule_is_known(
    device: Memristor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(association, "NOISE", 1e-9 * mvolt)
    found = recall(device, [0.3, 0.6] * volt, [0.05, 0.3] * second, 2, random_seed=3)
    assert found.right.all()
    times, traces = found.trace
    written = 0.1 * np.exp(-0.1 / 20)  # the digit spikes one time step after its letter
    shown = 0.01 + 0.06 * np.arange(N_PAIRS) + 1e-4
    for v, voltage in enumerate((0.3, 0.6)):
        tau = float(device.time_constant(voltage * volt) / second)
        since = times[None] - shown[:, None]
        wanted = np.where(since >= -1e-9, written * np.exp(-since / tau), 0)
        away = np.abs(since) > 2e-4  # a look in the step of the spike sees it or not
        np.testing.assert_allclose(traces[v][away], wanted[away], rtol=1e-9, atol=1e-15)
    spent = N_PAIRS * 14.6e-12 * (written / 0.1) ** 0.5
    np.testing.assert_allclose(np.asarray(found.energy["pulse"] / joule), spent, rtol=1e-9)


def test_without_plasticity_nothing_is_recalled(device: Memristor) -> None:
    found = recall(device, [0.6] * volt, [0.05, 0.1] * second, 60, gamma=0.0)
    assert not found.trace[1].any()
    assert not np.any(found.energy["pulse"] / joule)
    # 120 answers of chance 0.1: five standard errors
    assert found.right.mean() == pytest.approx(0.1, abs=5 * (0.1 * 0.9 / 120) ** 0.5)


def test_the_program_writes_what_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = scripts.load("spiking_association")
    words = ["--sequences", "2", "--voltages", "0.6", "--target", "numpy"]
    words += ["--out", str(tmp_path), "--json", str(tmp_path / "a.json")]
    assert program.main(words) == 0
    assert "0.60 V" in capsys.readouterr().out
    rows = json.loads((tmp_path / "a.json").read_text())["rows"]
    assert len(rows) == 9
    assert rows[0]["expected"] > 0.9 > 0.2 > rows[-1]["expected"]
    assert (tmp_path / "association.png").stat().st_size > 10_000
    line = scripts.refusal(program, ["--voltages", "0.9", "--out", str(tmp_path)], capsys)
    assert "bias_voltage must lie in" in line
