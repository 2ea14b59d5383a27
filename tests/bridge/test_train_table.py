"""Agents trained alike but for some options: the program and its figure."""

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scripts
from brian2.units import joule
from matplotlib.collections import LineCollection

from mstpn.analysis.pictures.trained import TrainedAgent, draw_trained
from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.play import play_game
from mstpn.bridge.pong import Pong
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses.memristor import Memristor

TRAINING = (
    *("--", "--n-hidden", "2", "--n-envs", "2", "--n-minibatches", "2"),
    *("--rollout-length", "8", "--total-steps", "32"),
)


@pytest.fixture
def example() -> ModuleType:
    return scripts.load("train_table")


def test_agents_are_trained_and_played_once(
    example: ModuleType,
    tmp_path: Path,
    device: Memristor,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(scripts.load("work.train_table"), "N_SAMPLES", 20)
    arguments = [
        *("--vary", "energy-price=0,50", "--chain", "--games", "1", "--seed", "3"),
        *("--target", "numpy", "--out", str(tmp_path), "--json", str(tmp_path / "a.json")),
        *TRAINING,
    ]
    assert example.main(arguments) == 0
    first, second = json.loads((tmp_path / "a.json").read_text())["agents"]
    assert (first["value"], second["value"]) == ("0", "50")
    path = tmp_path / "energy-price_50/last.safetensors"
    made = load_checkpoint(path).metadata["training"]
    assert made["options"]["initial"] == str(tmp_path / "energy-price_0/last.safetensors")
    assert made["options"]["energy_price"] == 50
    record = play_game(Pong(), BrianAgent(load_checkpoint(path), device, STEP_DURATION), 3)
    assert second["score"] == second["score_without"] == record.score
    spent = sum(float(e / joule) for e in record.energy.values())
    assert second["energy_mj"] == pytest.approx(1e3 * spent)
    assert second["energy_low_mj"] <= second["energy_mj"] < second["energy_high_mj"]
    said = capsys.readouterr().out
    assert "energy-price" in said
    files = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.safetensors")}
    games = (tmp_path / "games.csv").read_bytes()
    assert example.main(arguments) == 0
    assert {p: p.stat().st_mtime_ns for p in files} == files
    assert (tmp_path / "games.csv").read_bytes() == games


def test_agents_may_differ_in_several_options(
    example: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(scripts.load("work.train_table"), "N_SAMPLES", 20)
    arguments = [
        *("--agent", "F=--no-feedback", "--agent", "neither = --no-feedback --no-memory"),
        *("--games", "1", "--seed", "3", "--target", "numpy", "--out", str(tmp_path)),
        *TRAINING,
    ]
    assert example.main(arguments) == 0
    for name, has_memory in (("F", True), ("neither", False)):
        checkpoint = load_checkpoint(tmp_path / name / "last.safetensors")
        assert not checkpoint.config.feedback
        assert bool(checkpoint.tensors["layer.gamma"].any()) == has_memory
    played = (tmp_path / "games.csv").read_text().splitlines()
    assert example.main(["--agent", "all", *arguments]) == 0  # one more plays beside them
    assert set(played) < set((tmp_path / "games.csv").read_text().splitlines())
    (tmp_path / "F/last.safetensors").write_bytes((tmp_path / "all/last.safetensors").read_bytes())
    capsys.readouterr()
    assert example.main(arguments) == 2
    assert "games.csv is of another checkpoint or device" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("differ", "said"),
    [
        (("--agent", "a/b=--no-memory"), "must have a name without"),
        (("--agent", "=--no-memory"), "must have a name without"),
        (("--agent", "..=--no-memory"), "must have a name without"),
        (("--agent", "a", "--agent", "a=--no-memory"), "'a' names more than one agent"),
        (("--agent", "a=--no-such"), "--no-such"),
        ((), "--vary --agent"),
    ],
)
def test_what_names_no_agent_is_one_line(
    example: ModuleType,
    differ: tuple[str, ...],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert said in scripts.refusal(example, [*differ, "--out", str(tmp_path), *TRAINING], capsys)


def agent(value: str, score: float, energy: float) -> TrainedAgent:
    return TrainedAgent(
        value, 100, 0.25, score, score - 2, score + 1, score, 10, energy, energy / 2, 3 * energy,
        2, 0.0, 0.3, 0.4,
    )  # fmt: skip


def test_the_figure_has_each_agent_twice_with_its_interval(device: Memristor) -> None:
    agents = [agent("0", 18.0, 20.0), agent("4", 17.5, 0.5), agent("64", -3.0, 0.1)]
    # an interval over ranges that end at the device's own value need not hold it
    agents[1] = replace(agents[1], energy_low_mj=0.6)
    (axes,) = draw_trained(agents, "energy-price", device).axes
    drawn: Any = zip(axes.lines[:2], axes.collections, (0, 1), strict=True)
    for line, bars, shift in drawn:
        np.testing.assert_allclose(line.get_xdata(), [20, 0.5, 0.1])
        np.testing.assert_allclose(line.get_ydata(), [18 + shift, 17.5 + shift, -3 + shift])
        assert isinstance(bars, LineCollection)
        ends = np.array(bars.get_segments())[:, :, 0]
        np.testing.assert_allclose(ends, [[10.0, 60.0], [0.6, 1.5], [0.05, 0.3]])
    assert axes.get_xscale() == "log"
    assert [t.get_text() for t in axes.texts] == ["0", "4", "64"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--vary", "colour=1"], "must be an option of the training and its values"),
        (["--vary", "energy-price"], "must be an option of the training and its values"),
        (["--vary", "energy-price=-1"], "energy-price must be at least 0 and finite, got -1.0"),
        (["--vary", "bias-lines=row"], "bias_lines must be one of synapse, neuron, input, block"),
        (["--vary", "energy-price=0", "--games", "0"], "must be an integer >= 1, got '0'"),
    ],
)
def test_bad_input_ends_with_one_line_and_status_2(
    arguments: list[str],
    message: str,
    example: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [*arguments, "--out", str(tmp_path / "runs"), *TRAINING]
    assert message in scripts.refusal(example, words, capsys)
    assert not list(tmp_path.iterdir())


def test_a_missing_extra_is_named(
    example: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scripts.uninstall("numba", monkeypatch)
    words = ["--vary", "energy-price=0", "--out", str(tmp_path / "runs"), *TRAINING]
    said = scripts.refusal(example, words, capsys)
    assert "needs pip install 'mstpn[train,analysis]': no module named 'numba'" in said
    assert not list(tmp_path.iterdir())
