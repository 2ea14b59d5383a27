"""The registry of GPU baselines against the paper's constants, and the script that measures one."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scripts
import torch
from brian2.units import mjoule, pjoule, second

from mstpn.analysis.gpu import MEASURED
from mstpn.analysis.gpu.baselines import baselines, main_ratio, paper_game, reading
from mstpn.synapses.support.sourced import DataError, sourced

PER_UPDATE_PJ = {
    # 3.9 or 6.0 pJ per bit; W, Lambda, Gamma, F in and F out
    "stream_hbm2_fp16": 312,
    "stream_hbm2_fp32": 624,
    "stream_hbm2e_fp16": 480,
    "stream_hbm2e_fp32": 960,
    # 100 pJ per 64 bits
    "resident_l2_fp16": 125,
    "resident_l2_fp32": 250,
    # 0.3 nJ for (W + F) z, Lambda F, Gamma (h z)
    "keras_spiking": 900,
}
PER_GAME_MJ = {
    "a100_fp16_best_size": 3463.9,
    "a100_fp16_own_size": 34_780.5,
    "a100_fp32_best_size": 6292.0,
    "a100_fp32_own_size": 34_932.3,
}


def test_every_baseline_is_known_here() -> None:
    assert baselines().keys() == PER_UPDATE_PJ.keys() | PER_GAME_MJ.keys()


@pytest.mark.parametrize("name", PER_UPDATE_PJ)
def test_energy_per_update_does_not_depend_on_the_step(name: str) -> None:
    for step in (1 / 60, 1 / 30, 1 / 15):
        found = float(baselines()[name].energy(7, step * second) / pjoule)
        assert found == pytest.approx(7 * PER_UPDATE_PJ[name], rel=1e-12)


@pytest.mark.parametrize("name", PER_GAME_MJ)
@pytest.mark.parametrize("rate", [60, 30, 15])
def test_energy_of_the_papers_game_is_shared_by_its_steps(name: str, rate: int) -> None:
    updates = 169_984 * 48.7 * rate
    found = float(baselines()[name].energy(updates, 1 / rate * second) / mjoule)
    assert found == pytest.approx(PER_GAME_MJ[name], rel=1e-12)
    # twice the updates, twice the energy; a step four times as long, four times per update
    twice = float(baselines()[name].energy(2 * updates, 4 / rate * second) / mjoule)
    assert twice == pytest.approx(8 * PER_GAME_MJ[name], rel=1e-12)


def test_papers_game() -> None:
    game = paper_game()
    assert game.synapses.value == 64 * (2592 + 64)
    # 35.6 mJ / (169,984 x 4.3 nW), to the three digits that are given
    assert float(game.duration.value / second) == pytest.approx(
        35.6e-3 / (169_984 * 4.3e-9), rel=2e-3
    )
    assert [round(float(game.n_steps(s.value))) for s in game.steps] == [2922, 1461, 730]
    assert [reading(s.value) for s in game.steps] == ["1/60 s", "1/30 s", "1/15 s"]
    assert all("for it: " in s.source and "against it: " in s.source for s in game.steps)
    assert {s.provenance for s in game.steps} == {"assumed"}
    # 36.0 mJ has three digits: 3463.9 / 36.0 = 96.2, good to 0.15 %
    best = baselines()["a100_fp16_best_size"].game_energy
    assert float(best / (36.0 * mjoule)) == pytest.approx(96, abs=0.5)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(1 / 60, "1/60 s"), (0.5, "1/2 s"), (0.07, "0.07 s"), (1, "1 s"), (2.5, "2.5 s")],
)
def test_a_step_is_said_as_it_is(seconds: float, said: str) -> None:
    assert reading(seconds * second) == said


def test_the_main_ratio_hardly_depends_on_the_step() -> None:
    """Bias and the paper's game both last as long as the steps do: only the pulses do not."""
    found = []
    for step in paper_game().steps:
        seconds = 1000 * float(step.value / second)
        spent = (0.1 + 1e3 * 169_984 * 4.3e-9 * seconds) * mjoule
        expected = 3463.9 * seconds / 48.7 / float(spent / mjoule)
        found.append(main_ratio(1000 * 169_984, spent, step.value))
        assert found[-1] == pytest.approx(expected, rel=1e-12)
    assert max(found) / min(found) - 1 < 0.1 / (1e6 * 169_984 * 4.3e-9 / 60)


def test_every_baseline_says_where_it_is_from() -> None:
    for name, baseline in baselines().items():
        assert baseline.provenance == ("digest" if name in PER_GAME_MJ else "cited")
        assert len(baseline.source) > 10


GOOD: dict[str, Any] = {"value": 1.5, "unit": "pJ", "provenance": "cited", "source": "somewhere"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": "1"}, "x: value must be a number, got '1'"),
        ({"unit": "eV"}, "x: unit must be one of 1, V, .* mJ, got 'eV'"),
        ({"provenance": "rumour"}, "x: provenance must be one of .* cited, got 'rumour'"),
    ],
)
def test_bad_constants_are_refused_by_name(change: dict[str, Any], message: str) -> None:
    assert float(sourced("x", GOOD).value / pjoule) == pytest.approx(1.5)
    with pytest.raises(DataError, match=message):
        sourced("x", GOOD | change)
    with pytest.raises(DataError, match="x has no 'source'"):
        sourced("x", {k: v for k, v in GOOD.items() if k != "source"})


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return scripts.load("gpu_energy")


@pytest.fixture(scope="module")
def work() -> ModuleType:
    return scripts.load("work.gpu_energy")


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a CUDA GPU")
def test_without_a_gpu_the_script_ends_with_one_line(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main(["--out", str(tmp_path / "gpu.json")]) == 2
    printed = capsys.readouterr()
    assert printed.err == (
        "mstpn gpu-energy: needs a CUDA GPU and a torch build with CUDA, found none\n"
    )
    assert not printed.out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["unfused", "fused"])
def test_operations_make_up_one_step_of_the_recursion(work: ModuleType, form: str) -> None:
    state = work.state(64 * 50, torch.float64, "cpu")
    w, decay, gamma, f, z, b = (
        state[name].numpy().copy() for name in ("W", "Lambda", "Gamma", "F", "z", "b")
    )
    operations = work.UNFUSED if form == "unfused" else work.fused(work.step)
    for operation in operations.values():
        operation(state)
    h = np.tanh((w + f) @ z + b)
    # sums of 50 numbers of order 1 in another order
    np.testing.assert_allclose(state["h"], h, rtol=0, atol=1e-14)
    np.testing.assert_allclose(state["F"], decay * f + gamma * np.outer(h, z), rtol=0, atol=1e-14)


class CountingMeter:
    """Runs what is to be measured once; says n seconds and 2 n joules at the n-th call."""

    def __init__(self) -> None:
        self.calls = 0

    def seconds(self, run: Callable[[], None]) -> float:
        run()
        self.calls += 1
        return float(self.calls)

    def joules(self, run: Callable[[], None]) -> float:
        run()
        return 2.0 * self.calls


def test_what_the_script_writes_becomes_baselines(
    work: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHDYNAMO_DISABLE", "1")  # the meter counts, it need not compile
    content = work.measure_all(CountingMeter(), "GPU of the test", "cpu", [64, 169_984, 2**19])
    path = tmp_path / "gpu.json"
    path.write_text(json.dumps(content))
    found = baselines(path)
    measured = [name for name in found if name.startswith("measured")]
    assert len(measured) == len(content["runs"]) * 2 == 8
    # unfused fp16 comes first: at the second size, seven operations of 2 x 8 to 2 x 14 J
    own = found["measured_fp16_unfused_own_size"]
    assert own.label == "GPU of the test fp16, unfused, own size"
    assert own.provenance == "measured"
    assert "gpu.json" in own.source
    assert "169,984 synapses" in own.source
    joules = 2 * sum(range(8, 15))
    assert float(own.energy(169_984, 1 * second)) == pytest.approx(joules, rel=1e-12)
    best = found["measured_fp16_unfused_best_size"]
    assert float(best.energy(2**19, 1 * second)) == pytest.approx(2 * sum(range(15, 22)), rel=1e-12)
    assert "524,288 synapses" in best.source


def test_the_measured_h100_is_within_its_data_sheet() -> None:
    content = json.loads(MEASURED["h100"].read_bytes())
    assert "H100" in content["gpu"]
    largest = 2**24
    bytes_of = {"fp16": 2, "fp32": 4}
    moved = {"add": 3, "multiply": 1, "correlate": 1, "scale": 3, "decay": 2, "learn": 3, "step": 5}
    for run in content["runs"]:
        for size in run["sizes"]:
            for name, operation in size["operations"].items():
                # 700 W is its limit; host time between kernels is in the energy, not in the time
                assert operation["energy_j"] > 0
                if size["synapses"] == largest and name in moved:
                    traffic = moved[name] * bytes_of[run["precision"]] * largest
                    assert operation["time_s"] > traffic / 3.35e12  # of HBM3
                    assert operation["energy_j"] < 700 * 2 * operation["time_s"]
    assert len(baselines(MEASURED["h100"])) == len(baselines()) + 8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ("{", "no file of mstpn gpu-energy"),
        ("[]", "no file of mstpn gpu-energy"),
        ('{"gpu": "x", "runs": [{"form": "fused"}]}', "no file of mstpn gpu-energy: .*'precision'"),
    ],
)
def test_other_files_are_refused(content: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=message) as refused:
        baselines(path)
    assert str(path) in str(refused.value)
