"""The table and figure of games on devices that are not ideal, and the program that plays them."""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import scripts
import torch
from brian2.units import joule

from mstpn.analysis.pictures.robustness import (
    IDEAL,
    RobustnessGame,
    by_level,
    draw_left_out,
    draw_robustness,
)
from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.play import play_game
from mstpn.bridge.pong import Pong
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.agent import MSTPN
from mstpn.network.twin.checkpoint import load_checkpoint, save_checkpoint
from mstpn.network.twin.layer import TwinConfig
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Nonidealities
from mstpn.synapses.support.tidy import csv_text, read_rows

EXAMPLE = scripts.FOLDER / "robustness.py"
SHIPPED = Path(__file__).parents[2] / "bridge/checkpoints/pong_robustness.csv"


@pytest.fixture
def example() -> ModuleType:
    return scripts.load("robustness")


def pretended(cell: Any, _options: Any = None) -> RobustnessGame:
    name, level, seed = cell
    score = float(int(1000 * level + seed) % 43 - 21)
    return RobustnessGame(name, level, seed, score, 800 + seed, 1e-4, 0.01 + level, 1e-8, "0" * 12)


def test_games_of_a_tiny_agent_in_two_processes(tmp_path: Path, device: Memristor) -> None:
    torch.manual_seed(0)
    checkpoint = tmp_path / "tiny.safetensors"
    save_checkpoint(MSTPN(TwinConfig(2, 6, "none", 0.08, 0.92)), checkpoint, {})
    out = tmp_path / "new/games.csv"
    command = [
        *(sys.executable, str(EXAMPLE), "--checkpoint", str(checkpoint), "--target", "numpy"),
        *("--games", "1", "--seed", "3", "--levels", "weight_dtod=0.1", "--processes", "2"),
        *("--out", str(out), "--json", str(tmp_path / "r.json")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    games = read_rows(out, RobustnessGame)
    assert [(g.nonideality, g.level, g.seed) for g in games] == [
        (IDEAL, 0.0, 3),
        ("weight_dtod", 0.1, 3),
    ]
    spread = Nonidealities(weight_dtod=0.1, seed=3)
    agent = BrianAgent(load_checkpoint(checkpoint), device, STEP_DURATION, spread)
    record = play_game(Pong(), agent, 3)
    assert (games[1].score, games[1].decisions) == (record.score, record.decisions)
    found = (games[1].pulse_j, games[1].bias_j, games[1].read_j)
    assert found == tuple(float(record.energy[t] / joule) for t in ("pulse", "bias", "read"))
    summary = json.loads((tmp_path / "r.json").read_text())
    assert summary["games"] == [asdict(g) for g in games]
    assert "weight_dtod" in done.stdout
    assert plt.imread(out.with_suffix(".png")).ndim == 3


def test_a_stopped_run_keeps_its_games_and_is_made_up_for(
    example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []

    def play(cell: Any, options: Any) -> RobustnessGame:
        calls.append(cell)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return pretended(cell)

    work = scripts.load("work.robustness")
    monkeypatch.setattr(work, "play", play)
    monkeypatch.setattr(work, "digest", lambda _: "0" * 12)
    out = tmp_path / "games.csv"
    levels = ["--levels", "weight_dtod=0.1,0.2", "--levels", "half_voltage_dtod=0.05"]
    arguments = ["--target", "numpy", "--games", "2", *levels, "--out", str(out)]
    assert example.main(arguments) == 130
    # one game of each level first
    first = [c.nonideality for c in calls[:3]]
    assert first == [IDEAL, "weight_dtod", "weight_dtod"]
    assert [g.nonideality for g in read_rows(out, RobustnessGame)] == first
    assert example.main(arguments) == 0
    assert len(calls) == 4 + 5
    assert {p.name for p in tmp_path.iterdir()} == {"games.csv", "games.png"}

    whole = tmp_path / "whole.csv"
    assert example.main([*arguments[:-1], str(whole)]) == 0
    assert whole.read_bytes() == out.read_bytes()
    assert len(calls) == 9 + 8
    assert example.main(arguments) == 0
    assert len(calls) == 17
    monkeypatch.setattr(work, "digest", lambda _: "1" * 12)
    before = out.read_bytes()
    assert example.main(arguments) == 2
    assert out.read_bytes() == before


def test_each_of_several_deviations_is_left_out_in_turn(
    example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: Memristor
) -> None:
    work = scripts.load("work.robustness")
    at_once = ["w_noise=0.01", "out_res=254", "out_bound=6", "t_inference=86400", "drift_nu=0.01"]
    arguments = [word for text in at_once for word in ("--nonideal", text)]
    options = example.parse_arguments([*arguments, "--games", "2"])
    cells = work.grid(options)
    assert [c[:2] for c in cells[:5]] == [
        (IDEAL, 0.0),
        ("all", 0.0),
        ("all but drift_nu", 0.01),
        ("all but w_noise", 0.01),
        ("all but out_res", 254.0),
    ]
    assert [c.seed for c in cells] == [1000] * 5 + [1001] * 5
    every = Nonidealities.parse(at_once)
    assert cells[0].spread(at_once) == Nonidealities(seed=1000)
    assert cells[1].spread(at_once) == replace(every, seed=1000)
    assert cells[8].spread(at_once) == replace(every, w_noise=0.0, seed=1001)
    assert work.digest(options) != work.digest(example.parse_arguments([]))
    monkeypatch.setattr(work, "play", lambda cell, options: pretended(cell))
    monkeypatch.setattr(work, "digest", lambda _: "0" * 12)
    out = tmp_path / "games.csv"
    whole = [*arguments, "--games", "2", "--target", "numpy", "--out", str(out)]
    assert example.main(whole) == 0
    assert plt.imread(out.with_suffix(".png")).ndim == 3
    score, energy = draw_left_out(read_rows(out, RobustnessGame), device, "title").axes
    assert [t.get_text() for t in score.get_yticklabels()] == [c.nonideality for c in cells[:5]]
    means = [np.asarray(line.get_xdata())[0] for line in energy.lines[1::2]]
    levels = [c.level for c in cells[:5]]
    np.testing.assert_allclose(means, [1e3 * (0.01010001 + v) for v in levels], rtol=1e-12)


def test_energy_of_a_row_is_that_of_all_terms(tmp_path: Path) -> None:
    row = replace(pretended(("w_noise", 0.1, 3)), periphery_j=0.5)
    assert float(row.energy / joule) == pytest.approx(0.61010001, rel=1e-12)
    earlier = {name: v for name, v in asdict(row).items() if name != "periphery_j"}
    path = tmp_path / "earlier.csv"
    path.write_text(csv_text([earlier]))
    assert read_rows(path, RobustnessGame) == [replace(row, periphery_j=0.0)]


def test_lines_are_the_means_and_bands_the_range(device: Memristor) -> None:
    cells = [(IDEAL, 0.0), ("weight_dtod", 0.1), ("weight_dtod", 0.3), ("drift_nu", 0.2)]
    games = [pretended((*cell, seed)) for seed in (5, 9) for cell in cells]
    assert [len(v) for v in by_level(games, "weight_dtod").values()] == [2, 2, 2]
    labels = {"drift_nu": "drift", "weight_dtod": "spread", "delta_f_std": "not played"}
    figure = draw_robustness(games, labels, device, "title")
    score, _, energy, spread = figure.axes
    assert spread.get_xlabel() == "spread\n(assumed)"
    assert "assumed" in figure.get_suptitle()
    for axes, value in (
        (score, [int(1000 * level + seed) % 43 - 21 for level in (0, 0.2) for seed in (5, 9)]),
        (energy, [1e3 * (0.01010001 + v) for v in (0, 0.2) for _ in (5, 9)]),
    ):
        expected = np.reshape(value, (2, 2))
        np.testing.assert_allclose(
            np.asarray(axes.lines[0].get_ydata()), expected.mean(1), rtol=1e-12
        )
        band = np.asarray(axes.collections[0].get_paths()[0].vertices)[:, 1]
        assert (band.min(), band.max()) == pytest.approx((expected.min(), expected.max()))
    assert [t.get_text() for t in spread.get_xticklabels()] == ["0", "0.1", "0.3"]
    with pytest.raises(ValueError, match="no game on devices that deviate to draw"):
        draw_robustness(games[:1], labels, device, "title")


def test_the_shipped_table_has_every_level_of_the_default_grid(example: ModuleType) -> None:
    games = read_rows(SHIPPED, RobustnessGame)
    work = scripts.load("work.robustness")
    options = example.parse_arguments(["--games", "3", "--sticky", "0.25"])
    assert {(g.nonideality, g.level, g.seed) for g in games} >= set(work.grid(options))
    assert {g.inputs for g in games} == {work.digest(options)}
    assert all(-21 <= g.score <= 21 and g.score.is_integer() for g in games)


BAD_INPUT = {
    "games": (["--games", "0"], "must be an integer >= 1, got '0'"),
    "name": (["--levels", "noise=1"], "must name one of delta_f_std, "),
    "no level": (["--levels", "drift_nu"], "must be a number, got ''"),
    "share": (["--levels", "slow_fraction=0.1,2"], "slow_fraction must lie in [0, 1], got 2.0"),
    "zero": (["--levels", "drift_nu=0"], "level 0 is always played"),
    "both": (
        ["--levels", "drift_nu=1", "--nonideal", "w_noise=1"],
        "--levels is for one deviation",
    ),
    "nonideal": (["--nonideal", "noise=1"], "nonideal must be name=value"),
    "checkpoint": (["--checkpoint", "none.safetensors"], "none.safetensors: no such file"),
    "device": (["--device", "none.toml"], "device file none.toml"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_ends_with_one_line_and_status_2(
    case: str, example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, message = BAD_INPUT[case]
    out = tmp_path / "games.csv"
    said = scripts.refusal(example, ["--target", "numpy", "--out", str(out), *arguments], capsys)
    assert message in said
    assert not list(tmp_path.iterdir())


def test_a_damaged_table_is_named_and_kept(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "games.csv"
    text = csv_text([asdict(pretended((IDEAL, 0.0, 1)))]).replace(",801,", ",many,")
    out.write_text(text)
    assert example.main(["--target", "numpy", "--out", str(out)]) == 2
    assert "games.csv, line 2: invalid literal for int()" in capsys.readouterr().err
    assert out.read_text() == text
