"""What games say that a score needs: against players whose needs are known."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mstpn.analysis.pictures.requirements import (
    AS_IT_IS,
    WITHOUT,
    Level,
    RequireGame,
    endurance,
    need,
)
from mstpn.bridge.play import Game
from mstpn.commands.main import main
from mstpn.commands.require import VARIED
from mstpn.commands.work import require
from mstpn.network.brian import LayerParameters, MSTPNNetwork
from mstpn.network.endurance import PulseCount
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.agent import MSTPN
from mstpn.network.twin.checkpoint import save_checkpoint
from mstpn.network.twin.layer import TwinConfig
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.brian_target import use_target
from mstpn.synapses.support.tidy import read_rows

LOW, HIGH, SPREAD = 0.02, 0.5, 2.0
"""What the pretended player needs: tau between the first two, and less spread than the last."""


def pretended(cell: Any, options: Any = None) -> RequireGame:
    """It wins by 19 to 21 where its needs are met, and loses by as much elsewhere."""
    assert options is None or options.games
    met = cell.constant != WITHOUT
    if cell.constant == "tau":
        met = LOW < cell.value < HIGH
    elif cell.constant == "delta_f_std":
        met = cell.value < SPREAD
    score = float((20 if met else -20) + cell.seed % 3 - 1)
    constant, value, seed = cell
    return RequireGame(constant, value, seed, score, 900, 700 + seed % 10, "0" * 12)


@pytest.fixture
def player(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(require, "play", pretended)
    monkeypatch.setattr(require, "digest", lambda _options: "0" * 12)


@pytest.mark.usefixtures("player")
def test_the_brackets_hold_what_the_player_needs(tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    assert main(["require", "--out", str(tmp_path), "--json", str(found)]) == 0
    content = json.loads(found.read_text())
    needs = {each["constant"]: each for each in content["needs"]}
    assert list(needs) == list(VARIED)
    (a, b), (c, d) = needs["tau"]["lower"], needs["tau"]["upper"]
    assert a < LOW < b <= c < HIGH < d
    assert {(a, b), (c, d)} <= set(pairwise(VARIED["tau"].values))  # neighbours
    assert needs["delta_f_std"]["lower"] is None
    assert needs["delta_f_std"]["upper"][0] < SPREAD < needs["delta_f_std"]["upper"][1]
    assert needs["delta_f_dtod"]["upper"] is None
    assert all(each["sure"] and not each["void"] for each in needs.values())
    assert content["as_it_is"] == {
        "value": 0.0,
        "mean": 20.0,
        "error": pytest.approx(3**-0.5, rel=1e-12),  # of 19, 20, 21
        "games": 3,
    }
    won = [g for g in content["games"] if g["score"] > 0]
    assert content["endurance"] == {"games": len(won), "mean": 701.0, "most": 702}


@pytest.mark.usefixtures("player")
def test_stopped_and_resumed_is_as_undisturbed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    assert main(["require", "--out", str(whole)]) == 0
    played = []

    def breaking(cell: Any, options: Any) -> RequireGame:
        played.append(cell)
        if len(played) == 7:
            raise KeyboardInterrupt
        if cell.constant == "resolution" and len(played) < 20:
            raise ValueError("a game that fails")
        return pretended(cell, options)

    monkeypatch.setattr(require, "play", breaking)
    assert main(["require", "--out", str(torn)]) != 0
    assert "finished games are in" in capsys.readouterr().err
    assert len(read_rows(torn / "games.csv", RequireGame)) == 6
    monkeypatch.setattr(require, "play", pretended)
    assert main(["require", "--out", str(torn)]) == 0
    for name in ("games.csv", "needs.csv", "require.png"):
        assert (torn / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_range_is_about_the_device_or_the_best_value() -> None:
    def tried(*means: float) -> list[Level]:
        return [Level(float(k), mean, 1.0, 3) for k, mean in enumerate(means)]

    two_runs = need("tau", tried(16, 10, 17, 18, 3), 15)
    assert (two_runs.lower, two_runs.upper, two_runs.gaps) == ((1.0, 2.0), (3.0, 4.0), (0.0,))
    assert two_runs.sure
    assert not need("tau", tried(10, 15.5, 3), 15).sure  # 15.5 ± 1 may be below 15
    assert need("x", tried(16, 10, 17), 15, start=0.0).upper == (0.0, 1.0)
    failing = need("x", tried(10, 17), 15, start=0.0)
    assert (failing.least, failing.gaps) == (None, (1.0,))
    assert need("x", tried(16, 10), 15, without=Level(0.0, 15.0, 1.0, 3)).void
    assert not need("x", tried(16, 10), 15, without=Level(0.0, 14.9, 1.0, 3)).void


def test_endurance_counts_games_with_memory_that_reach_the_score() -> None:
    games = [
        RequireGame(name, 0.0, 1, score, 9, pulses, "")
        for name, score, pulses in (
            (AS_IT_IS, 15.0, 10),
            ("tau", 16.0, 31),
            ("tau", 14.0, 99),
            (WITHOUT, 20.0, 0),
        )
    ]
    assert endurance(games, 15) == {"games": 2, "mean": 20.5, "most": 31}
    assert endurance(games, 17) is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--values", "colour=1"], "must name one of tau,"),
        (["--values", "tau=0"], "tau must lie in (0, inf), got '0'"),
        (["--values", "resolution=1"], "resolution must lie in (0, 1), got '1'"),
        (["--values", "tau=short"], "short"),
        (["--score", "much"], "much"),
        (["--games", "1"], "1"),
    ],
)
def test_bad_options_are_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["require", *words])
    error = capsys.readouterr().err
    assert (stop.value.code, error.count("\n")) == (2, 1)
    assert said in error


def test_the_design_varies_one_constant_at_a_time(device: Memristor) -> None:
    for tau in VARIED["tau"].values:
        other = require.Cell("tau", tau, 0).device(device)
        ends = [
            float(other.time_constant(v))
            for v in (device.bias_voltage_min, device.bias_voltage_max)
        ]
        np.testing.assert_allclose(ends, [0.99 * tau, 1.01 * tau], rtol=1e-9)
        assert other.write_limits() == device.write_limits()
    for share in VARIED["resolution"].values:
        limits = require.Cell("resolution", share, 0).device(device).write_limits()
        assert limits.delta_f_min / limits.delta_f_max == pytest.approx(share, rel=1e-12)
    spread = require.Cell("delta_f_std", 0.3, 5).spread()
    assert (spread.to_json(), spread.seed) == ({"delta_f_std": 0.3, "seed": 5}, 5)


def test_pulses_are_counted_device_by_device(device: Memristor) -> None:
    use_target("numpy")
    rng = np.random.default_rng(0)
    n, m = 3, 5
    shape = (n, m + n)
    limits = device.write_limits()
    weight, gamma = rng.uniform(-0.9, 0.9, shape), rng.uniform(-0.1, 0.1, shape)
    network = MSTPNNetwork(
        LayerParameters(weight, np.full(shape, 0.5), gamma, np.zeros(n), "none", limits),
        device,
        STEP_DURATION,
    )
    network.reset(0)
    count, expected = PulseCount(network), np.zeros((m + n, n), int)
    for _ in range(30):
        h = network.step(rng.uniform(0, 1, m) * (rng.random(m) < 0.5))
        count.observe(network.z, h)
        for i in range(m + n):
            for j in range(n):
                wanted = abs(gamma[j, i] * h[j] * network.z[i])
                expected[i, j] += 0 < limits.delta_f_min <= wanted
    np.testing.assert_array_equal(count.pulses, expected)
    assert 0 < expected.sum() < 30 * expected.size


def test_a_real_game_of_a_tiny_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    agent = tmp_path / "tiny.safetensors"
    save_checkpoint(MSTPN(TwinConfig(2, 6, "none", 0.08, 0.92)), agent, {})
    words = ["--checkpoint", str(agent), "--target", "numpy", "--out", str(tmp_path)]
    options = require_options(words)
    frames: list[int] = []
    every = Game.frames

    def short(game: Game) -> Any:
        for frame in every(game):
            frames.append(frame.decisions)
            yield frame
            if frame.decisions == 40:
                return

    monkeypatch.setattr(Game, "frames", short)
    with_f, without = (
        require.play(require.Cell(name, 0.0, 3), options) for name in (AS_IT_IS, WITHOUT)
    )
    assert len(frames) == 80
    assert with_f.decisions == 40
    assert 0 < with_f.pulses_max <= 40  # one a step at most
    assert without.pulses_max == 0


def require_options(words: list[str]) -> Any:
    from mstpn.commands.require import parse_arguments

    return parse_arguments(words)
