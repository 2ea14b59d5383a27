"""Agents with a part less, and the program that plays them."""

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import scripts
import torch
from brian2.units import volt

from mstpn.analysis.pictures.ablation import AblationGame, by_ablation, draw_ablation
from mstpn.bridge.ablation import ABLATIONS, ablated, held_at
from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.checkpoints import MEMORY_CHECKPOINT
from mstpn.bridge.conversion import layer_parameters, line_voltages
from mstpn.bridge.play import play_game
from mstpn.bridge.pong import Pong
from mstpn.bridge.twin_agent import TwinAgent
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.agent import MSTPN, FrontEnd
from mstpn.network.twin.checkpoint import (
    Checkpoint,
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
)
from mstpn.network.twin.layer import TwinConfig
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.tidy import read_rows

N_IN, N = FrontEnd.n_features, 3


def agent(folder: Path, bias_lines: str, device: Memristor) -> Checkpoint:
    """Untrained, with a short-term memory that is felt; its training began at other Lambda."""
    torch.manual_seed(0)
    config = TwinConfig(N, 6, "none", 0.08, 0.92, device.write_limits(), bias_lines)
    net = MSTPN(config)
    start = net.layer.decay_lines.detach().numpy()
    with torch.no_grad():
        net.layer.gamma.uniform_(-0.05, 0.05)
        net.layer.decay_logit.add_(1)
    training = {"options": {"seed": 0}}
    if bias_lines != "synapse":
        training["initial_lines"] = start.tolist()
    path = folder / f"{bias_lines}.safetensors"
    save_checkpoint(net, path, training)
    return load_checkpoint(path)


@pytest.mark.parametrize("bias_lines", ["synapse", "neuron", "input", "block", "array"])
def test_each_ablation_takes_away_its_part_alone(
    bias_lines: str, tmp_path: Path, device: Memristor
) -> None:
    whole = agent(tmp_path, bias_lines, device)
    decay = whole.tensors["layer.decay"]

    def of(name: str) -> dict[str, np.ndarray]:
        other = ablated(name, whole, device, 7)
        layer_parameters(other, device)  # it can be put on the device
        kept = {k for k, v in whole.tensors.items() if np.array_equal(v, other.tensors[k])}
        changed = {"gamma"} if name == "Gamma = 0" else {"decay"}
        assert kept == whole.tensors.keys() - {f"layer.{k}" for k in changed}
        return other.tensors

    assert not of("Gamma = 0")["layer.gamma"].any()
    np.testing.assert_allclose(of("smallest Lambda")["layer.decay"], 0.08, rtol=1e-6)
    np.testing.assert_allclose(of("largest Lambda")["layer.decay"], 0.92, rtol=1e-6)
    initial = of("initial Lambda")["layer.decay"]
    torch.manual_seed(0)
    expected = MSTPN(whole.config).layer.decay.detach()
    np.testing.assert_allclose(initial, expected, rtol=0, atol=1e-7)
    if bias_lines == "array":
        with pytest.raises(ValueError, match="shuffled: one bias line has no other"):
            ablated("shuffled Lambda", whole, device, 7)
    else:
        shuffled = of("shuffled Lambda")["layer.decay"]
        if bias_lines == "block":
            exchanged = [decay[0, -1], decay[0, 0]]
            np.testing.assert_array_equal([shuffled[0, 0], shuffled[0, -1]], exchanged)
        else:
            np.testing.assert_array_equal(np.sort(shuffled, None), np.sort(decay, None))
    assert ablated("ideal updates", whole, device, 7).config.limits is None
    ideal = replace(whole, config=replace(whole.config, limits=None))
    assert ablated("device limits", ideal, device, 7).config == whole.config
    with pytest.raises(ValueError, match="ablation must be one of as it is, Gamma = 0"):
        ablated("no brain", whole, device, 7)


def test_without_feedback_the_recurrent_synapses_do_nothing(
    tmp_path: Path, device: Memristor
) -> None:
    """As the same agent whose recurrent W and Gamma are 0."""
    whole = agent(tmp_path, "block", device)
    tensors = dict(whole.tensors)
    for name in ("layer.weight", "layer.gamma"):
        tensors[name] = tensors[name].copy()
        tensors[name][:, N_IN:] = 0
    pong = Pong()
    observation = pong.reset(3)
    cut = TwinAgent(ablated("no feedback of h", whole, device, 0))
    silent = TwinAgent(replace(whole, tensors=tensors))
    for _ in range(20):
        action = cut.step(observation)
        silent.step(observation)
        np.testing.assert_allclose(cut.h, silent.h, rtol=0, atol=1e-12)
        observation, _, _ = pong.step(action)
    with pytest.raises(ValueError, match="no feedback: h is not fed back as it is"):
        ablated("no feedback of h", ablated("no feedback of h", whole, device, 0), device, 0)


def test_held_voltage_sets_the_decay_of_all(tmp_path: Path, device: Memristor) -> None:
    whole = agent(tmp_path, "synapse", device)
    held = held_at(whole, device, 0.6 * volt)
    assert line_voltages(held, device) == pytest.approx(0.6, abs=1e-7)
    network = BrianAgent(held, device, STEP_DURATION).network
    np.testing.assert_allclose(network.synapses.V_bias[:] / volt, 0.6, rtol=1e-6)
    with pytest.raises(ValueError, match=r"bias_voltage must lie in \[0\. V, 0\.6 V\], got 0\.7 V"):
        held_at(whole, device, 0.7 * volt)


def test_synapses_of_one_line_must_need_one_voltage(tmp_path: Path, device: Memristor) -> None:
    whole = agent(tmp_path, "block", device)
    decay = whole.tensors["layer.decay"].copy()
    decay[1, 5] += 0.01
    broken = replace(whole, tensors=whole.tensors | {"layer.decay": decay})
    with pytest.raises(CheckpointError, match=r"layer: decay\[1, 5\] = .* bias lines 'block'"):
        layer_parameters(broken, device)


@pytest.fixture
def example() -> ModuleType:
    return scripts.load("ablation")


def test_the_program_plays_draws_and_goes_on(
    tmp_path: Path, device: Memristor, example: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    agent(tmp_path, "block", device)
    out = tmp_path / "games.csv"
    arguments = [
        *("--checkpoint", str(tmp_path / "block.safetensors"), "--target", "numpy"),
        *("--games", "1", "--seed", "3", "--only", "as it is", "--out", str(out)),
        *("--json", str(tmp_path / "a.json")),
    ]
    assert example.main(arguments) == 0
    first = read_rows(out, AblationGame)
    assert [(g.ablation, g.seed) for g in first] == [("as it is", 3)]
    assert example.main([*arguments, "--only", "Gamma = 0"]) == 0
    games = read_rows(out, AblationGame)
    assert games[0] == first[0]
    assert [g.ablation for g in games] == ["as it is", "Gamma = 0"]
    # without pulses there is nothing to write; a read takes 1 us for |z| = 1
    assert games[1].rows_max == 0
    assert games[1].pulse_j == 0
    assert games[0].pulse_j > 0
    said = capsys.readouterr().out
    assert "Gamma = 0" in said
    summary = json.loads((tmp_path / "a.json").read_text())
    assert [r["games"] for r in summary["ablations"]] == [1, 1]
    assert out.with_suffix(".png").stat().st_size > 5000
    assert example.main([*arguments, "--sticky", "0"]) == 2
    assert "of another checkpoint or device, give another --out" in capsys.readouterr().err
    assert read_rows(out, AblationGame) == games


def test_the_figure_has_every_game_and_the_means() -> None:
    games = [
        AblationGame(name, seed, score, 900, 1e-4, 1e-3, 1e-8, 100, 0.2, "0")
        for name, scores in (("as it is", (20, 18)), ("Gamma = 0", (-3, 5, 4)))
        for seed, score in enumerate(scores)
    ]
    (axes,) = draw_ablation(games, "title").axes
    assert [t.get_text() for t in axes.get_yticklabels()] == list(by_ablation(games))
    drawn = sorted(float(x) for line in axes.lines[:4] for x in np.atleast_1d(line.get_xdata()))
    assert drawn == sorted([20, 18, 19, -3, 5, 4, 2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--games", "0"], "must be an integer >= 1, got '0'"),
        (["--only", "legs"], "invalid choice: 'legs'"),
        (["--flicker", "2"], "must be a number in [0, 1], got '2'"),
        (["--checkpoint", "none.safetensors"], "none.safetensors: no such file"),
        (["--nonideal", "noise=1"], "nonideal must be name=value"),
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


def test_an_agent_with_nothing_to_take_away_is_refused_in_two_lines(
    tmp_path: Path, device: Memristor, example: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    agent(tmp_path, "array", device)
    words = ["--checkpoint", str(tmp_path / "array.safetensors"), "--only", "shuffled Lambda"]
    assert example.main([*words, "--out", str(tmp_path / "games.csv"), "--target", "numpy"]) == 2
    why, refusal = capsys.readouterr().err.splitlines()
    assert why == "left out: shuffled: one bias line has no other to exchange its Lambda with"
    assert refusal == "mstpn ablation: this agent has nothing of what was to be taken away"


def test_all_ablations_have_a_name_a_person_reads() -> None:
    assert next(iter(ABLATIONS)) == "as it is"
    assert all(len(name) <= 18 for name in ABLATIONS)


def test_flickering_pong_is_won_by_short_term_memory_alone(device: Memristor) -> None:
    checkpoint = load_checkpoint(MEMORY_CHECKPOINT)
    assert not checkpoint.config.feedback
    scores = {}
    for name in ("as it is", "Gamma = 0"):
        agent = BrianAgent(ablated(name, checkpoint, device, 0), device, STEP_DURATION)
        pong = Pong(flicker=0.5)
        scores[name] = play_game(pong, agent, 1002).score
        pong.close()
    assert scores["as it is"] > 0 > scores["Gamma = 0"]
