"""Games in spikes against the bins of a frame: the program that plays and draws them."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scripts
import torch

from mstpn.analysis.pictures.spike_times import SpikeTimesGame, draw_spike_times
from mstpn.network.twin.agent import MSTPN
from mstpn.network.twin.checkpoint import save_checkpoint
from mstpn.network.twin.layer import TwinConfig
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.tidy import read_rows


@pytest.fixture
def example() -> ModuleType:
    return scripts.load("spike_times")


def test_the_program_plays_draws_and_goes_on(
    tmp_path: Path, device: Memristor, example: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    net = MSTPN(TwinConfig(3, 6, "none", 0.08, 0.92, device.write_limits(), "block"))
    save_checkpoint(net, tmp_path / "agent.safetensors", {"options": {"seed": 0}})
    out = tmp_path / "games.csv"
    words = [
        *("--checkpoint", str(tmp_path / "agent.safetensors"), "--target", "numpy"),
        *("--games", "1", "--seed", "3", "--bins", "4", "--out", str(out)),
        *("--json", str(tmp_path / "a.json")),
    ]
    assert example.main([*words, "--only", "graded"]) == 0
    (graded,) = read_rows(out, SpikeTimesGame)
    assert example.main([*words, "--only", "spike times", "--only", "graded"]) == 0
    games = read_rows(out, SpikeTimesGame)
    assert games[0] == graded
    assert [(g.coding, g.bins, g.seed) for g in games] == [("graded", 0, 3), ("spike times", 4, 3)]
    # inputs below half a bin do not spike
    assert 0 < games[1].events / games[1].decisions < graded.events / graded.decisions
    said = capsys.readouterr().out
    assert "spike times        4" in said
    kinds = json.loads((tmp_path / "a.json").read_text())["kinds"]
    assert [k["games"] for k in kinds] == [1, 1]
    spent = 1e6 * games[1].bias_j / games[1].decisions
    assert kinds[1]["bias_per_step_uj"] == pytest.approx(spent, rel=1e-12)
    assert out.with_suffix(".png").stat().st_size > 5000
    assert example.main([*words, "--full-scale", "2"]) == 2
    assert "of another checkpoint or device, give another --out" in capsys.readouterr().err
    assert read_rows(out, SpikeTimesGame) == games


def test_the_figure_has_means_and_graded_lines() -> None:
    games = [
        SpikeTimesGame(coding, bins, seed, score, 1000, 9000, 5e-5, 2e-4, 3e-8, "0")
        for coding, bins, scores in (
            ("graded", 0, (20, 16)),
            ("spike times", 4, (-3, 5)),
            ("spike times", 16, (15, 18)),
            ("shuffled times", 16, (-9, -11)),
        )
        for seed, score in enumerate(scores)
    ]
    scores, energies = draw_spike_times(games, "title").axes

    def heights(axes: Any) -> set[tuple[float, ...]]:
        return {tuple(np.round(line.get_ydata(), 9)) for line in axes.lines}

    assert {(1.0, 16.5), (-10.0,), (18, 18)} <= heights(scores)
    assert [t.get_text() for t in scores.get_xticklabels()] == ["4", "16"]
    assert {(50.0, 50.0), (200.0, 200.0), (0.03, 0.03)} <= heights(energies)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bins", "4,x"], "--bins: must be an integer >= 2, got 'x'"),
        (["--bins", "4,512"], "bins must be an integer in [2, 256], got 512"),
        (["--only", "rates"], "invalid choice: 'rates'"),
        (["--checkpoint", "none.safetensors"], "none.safetensors: no such file"),
    ],
)
def test_bad_input_ends_with_one_line_and_status_2(
    arguments: list[str],
    message: str,
    example: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = ["--target", "numpy", "--out", str(tmp_path / "games.csv")]
    assert message in scripts.refusal(example, [*out, *arguments], capsys)
    assert not list(tmp_path.iterdir())
