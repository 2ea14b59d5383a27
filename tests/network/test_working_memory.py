"""A spiking working memory: F and joules spike by spike, theory, controls and program."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import oracles
import pytest
import scripts
from brian2.units import joule, second, volt

from mstpn.network.working_memory import measure, theory
from mstpn.network.working_memory.columns import COLUMNS, Columns
from mstpn.network.working_memory.model import BETWEEN_ITEMS, WorkingMemory
from mstpn.synapses.memristor import Memristor

SMALL = Columns(hypercolumns=4, minicolumns=3, cells=6, connection=0.6)
APART = np.array([[0, 1, 2, 0], [1, 2, 0, 1]])
"""Two items that share no minicolumn."""


@pytest.mark.parametrize("voltage", [0.2, 0.6])
def test_short_term_weights_and_joules_spike_by_spike(
    voltage: float, device: Memristor, numbers: oracles.Device
) -> None:
    memory = WorkingMemory(device, SMALL, random_seed=3)
    spikes = memory.watch()
    memory.begin(voltage * volt)
    memory.encode(APART)
    memory.wait(0.3 * second)
    times = np.full((2, SMALL.pyramidal), np.nan)
    for cell, t in zip(spikes.i[:], np.asarray(spikes.t / second), strict=True):
        times[int(t > 0.05), cell] = t
    assert (~np.isnan(times)).sum() == 2 * 4 * 6  # each item's cells, once, and nobody else
    tau = float(device.time_constant(voltage * volt) / second)
    i, j = np.asarray(memory.synapses.i[:]), np.asarray(memory.synapses.j[:])
    f, wrote, held, read = (np.zeros(len(i)) for _ in range(4))
    for at in times:
        before, after = at[i], at[j]
        both = ~np.isnan(before + after)
        dF = np.where(both, 0.1 * np.exp(-np.abs(before - after) / 0.02), 0)
        since = np.where(both, 0.3 - np.fmax(before, after), 0)
        f += dF * np.exp(-since / tau)
        wrote += numbers.e_pulse * (dF / numbers.df_max) ** numbers.energy_exponent
        held += numbers.kappa * dF * tau * (1 - np.exp(-since / tau))
        seen = np.where(before >= after, dF, 0)  # of two in one step the postsynaptic comes after
        seen = np.where(before == after, 0, seen)
        conductance = numbers.g_offset + numbers.kappa * seen
        read += np.where(np.isnan(before), 0, numbers.v_read**2 * conductance * numbers.t_read)
    np.testing.assert_allclose(memory.synapses.F_now[:], f, rtol=1e-10, atol=1e-15)
    standing = numbers.g_offset * 0.3 * len(i)
    for term, wanted in (
        ("pulse", wrote.sum()),
        ("read", read.sum()),
        ("bias", voltage**2 * (standing + held.sum())),
    ):
        got = float(memory.synapses.energy()[term] / joule)
        assert got == pytest.approx(wanted, rel=1e-10), term


def test_a_question_is_answered_and_unasked(device: Memristor) -> None:
    memory = WorkingMemory(device, SMALL, random_seed=1)
    memory.begin(0.6 * volt)
    memory.encode(APART)
    before = memory.synapses.F_now[:].copy(), memory.synapses.energy(), float(memory.net.t)
    for item in APART:
        spikes = memory.probe(item, [0, 1, 2])
        assert spikes[[0, 1, 2], item[:3]].tolist() == [6, 6, 6]
        assert memory.answers(spikes).tolist() == item.tolist()
    assert np.array_equal(memory.synapses.F_now[:], before[0])
    assert memory.synapses.energy() == before[1]
    assert float(memory.net.t) == before[2]
    memory.ask(APART[0], [0, 1, 2])
    assert memory.synapses.F_now[:].sum() > before[0].sum()  # a question that is asked writes


def test_without_a_part_of_it_the_memory_guesses(device: Memristor) -> None:
    columns = Columns(hypercolumns=5, minicolumns=5, cells=12, connection=0.5)
    network = measure.Rehearsal(device, 0, n_cued=3, columns=columns)
    found = network.ablate(0.6 * volt, 2, 0.3 * second, 30)
    assert found["whole"].mean() > 0.9
    for name in measure.ABLATIONS[1:]:
        # sixty answers of chance 1/5, two a question that may go together: five standard errors
        assert found[name].mean() == pytest.approx(0.2, abs=5 * (0.2 * 0.8 / 30) ** 0.5), name
        assert found[name].mean() < found["whole"].mean() - 0.3


def test_what_one_encoding_writes() -> None:
    n, k = 20, np.arange(1, 20)
    wanted = 0.1 * (1 / n + 2 / n**2 * np.sum((n - k) * np.exp(-k * 0.1 / 20)))
    assert theory.written(0.1) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("f", [0.0, 0.004, 0.008, 0.016])
def test_theory_is_a_race_of_membranes(f: float, device: Memristor) -> None:
    rng, n_races = np.random.default_rng(2), 4000
    still = 0.5 * rng.standard_normal((n_races, 10, 20))  # mV
    lift = np.zeros_like(still)
    lift[:, 0] = 6 * f * rng.binomial(60, 0.25, (n_races, 20))  # 6 fC per unit on 1 pF
    left = np.full(n_races, -1)
    for t in np.arange(0, 6, 0.05):  # ms; the mean spike of the cue is 1 ms before the drive
        over = (still + lift * np.exp(-(t + 1) / 10) + t > 5).any(2)
        fresh = (left < 0) & over.any(1)
        left[fresh] = np.array([rng.choice(np.flatnonzero(row)) for row in over[fresh]])
    share = (left == 0).mean()
    expected = theory.recall_of_one([f], 3, COLUMNS, device)[0]
    # five standard errors, and the theory's one time of decision for all races
    assert expected == pytest.approx(share, abs=5 * (0.25 / n_races) ** 0.5 + 0.01)


def test_theory_at_its_ends(device: Memristor) -> None:
    nothing, much = theory.recall_of_one([0.0, 0.1], 3, COLUMNS, device)
    # by a trapezoidal rule of a smooth function that ends at 0
    assert nothing == pytest.approx(0.1, rel=1e-6)
    assert much == pytest.approx(1, abs=1e-6)
    twins = np.zeros((2, 7), int)
    twins[1, 3:] = 1  # the cue is in both, and either may answer
    equal = theory.chance_of_recall(twins, [0.05, 0.05], 0, np.arange(3), COLUMNS, device)
    assert equal == pytest.approx(0.5, abs=1e-6)


def test_a_lifetime_is_where_recall_is_halfway_to_chance() -> None:
    delay = np.array([1.0, 2.0, 3.0]) * second
    assert float(theory.lifetime(delay, [1.0, 0.8, 0.3], 0.1) / second) == pytest.approx(2.5)
    assert np.isnan(float(theory.lifetime(delay, [1.0, 0.9, 0.8], 0.1)))
    assert np.isnan(float(theory.lifetime(delay, [0.4, 0.2, 0.1], 0.1)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"hypercolumns": 1}, "hypercolumns must be at least 2, got 1"),
        ({"cells": 0}, "cells must be at least 1, got 0"),
        ({"connection": 0.0}, r"connection must lie in \(0, 1\], got 0.0"),
    ],
)
def test_sizes_that_are_none(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Columns(**changed)


def test_the_program_writes_what_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = scripts.load("working_memory")
    for module in (program, scripts.load("work.working_memory")):
        monkeypatch.setattr(module, "COLUMNS", Columns(4, 10, 6, 0.6))
    words = ["--networks", "1", "--questions", "2", "--voltages", "0", "0.2", "--items", "1", "4"]
    words += ["--target", "numpy", "--out", str(tmp_path), "--json", str(tmp_path / "a.json")]
    assert program.main(words) == 0
    assert "cue of another item" in capsys.readouterr().out
    numbers = json.loads((tmp_path / "a.json").read_text())
    assert [len(numbers[name]) for name in ("delays", "items", "lifetimes")] == [16, 2, 2]
    assert numbers["delays"][0]["delay_s"] == pytest.approx(float(BETWEEN_ITEMS / second))
    assert numbers["lifetimes"][0]["bias_w"] == 0  # nothing is held at 0 V
    assert numbers["neurons"] == 4 * 10 * 6 + 40
    assert (tmp_path / "working_memory.png").stat().st_size > 10_000
    assert (tmp_path / "items.csv").read_text().startswith("volt,items,recalled,")
    for wrong, said in ((["--voltages", "0.9"], "bias_voltage must lie in"), (["--cued", "4"], "")):
        assert said in scripts.refusal(program, [*wrong, "--out", str(tmp_path)], capsys)
