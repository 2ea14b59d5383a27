"""Programmed arrays as files, agents on them, and the program that makes both."""

import json
import random
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import fuzz
import matplotlib.pyplot as plt
import numpy as np
import pytest
import scripts
import torch

from mstpn.analysis.pictures.programming import (
    DECREED,
    ProgrammedGame,
    by_arm,
    draw_programming,
)
from mstpn.bridge.programming import ArrayError, load_array, save_array
from mstpn.commands.work import program as work
from mstpn.network.twin.agent import MSTPN
from mstpn.network.twin.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mstpn.network.twin.layer import TwinConfig
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Nonidealities
from mstpn.synapses.support.tidy import csv_text, read_rows

NONIDEAL = ["--nonideal", "corrupt_devices_prob=0.01", "--nonideal", "seed=5"]
SHIPPED = Path(__file__).parents[2] / "bridge/checkpoints/pong_programming.csv"


@pytest.fixture(scope="module")
def command() -> ModuleType:
    return scripts.load("program")


@pytest.fixture(scope="module")
def agent_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("agent") / "agent.safetensors"
    save_checkpoint(MSTPN(TwinConfig(2, 6, "none", 0.08, 0.92)), path, {})
    return path


@pytest.fixture(scope="module")
def checkpoint(agent_file: Path) -> Checkpoint:
    return load_checkpoint(agent_file)


@pytest.fixture(scope="module")
def array_file(command: ModuleType, agent_file: Path) -> Path:
    out = agent_file.with_name("array.safetensors")
    asked = ["--checkpoint", str(agent_file), "--tolerance", "0.05", "--out", str(out), *NONIDEAL]
    assert command.main([*asked, "--json", str(out.with_suffix(".json"))]) == 0
    return out


def test_a_file_holds_what_was_reached_and_says_how(
    array_file: Path, checkpoint: Checkpoint, device: Memristor
) -> None:
    array = load_array(array_file, checkpoint, device)
    target = checkpoint.tensors["layer.weight"]
    off = np.abs(array.weight - target) > 0.05
    unlike = Nonidealities(corrupt_devices_prob=0.01, seed=5).draw(target.T.shape, device)
    stuck = unlike.weight_scale.T == 0
    assert stuck.sum() > 10
    # reads are noisy by 0.002, so that what lies at the edge is told either way; a tenth of the
    # tolerance is F that is not waited for
    noise = 5 * 0.002
    size = np.abs(array.weight - target)
    assert size[array.given_up].min() > 0.9 * 0.05 - noise
    assert size[~array.given_up].max() < 1.1 * 0.05 + noise
    assert size[~stuck].max() < 1.1 * 0.05 + noise
    np.testing.assert_array_equal(array.weight[stuck], np.float32(unlike.weight_shift.T[stuck]))
    said = json.loads(array_file.with_suffix(".json").read_text())
    facts = said["facts"]
    assert facts == array.about["facts"]
    assert facts["pulses"] == array.pulses.sum()
    assert facts["off_target"] == off.sum()
    rms = float(np.sqrt(np.mean((array.weight.astype(float) - target) ** 2)))
    assert facts["error_rms"] == pytest.approx(rms, rel=1e-5)
    assert said["programming"]["method"] == {"name": "verify", "tolerance": 0.05, "patience": 60}
    assert said["programming"]["seed"] == 1000
    assert array.put_on(checkpoint).tensors["layer.weight"] is array.weight


def test_devices_of_an_array_are_those_it_was_programmed_with(
    array_file: Path, checkpoint: Checkpoint, device: Memristor
) -> None:
    array = load_array(array_file, checkpoint, device)
    since = ["drift_nu=0.03", "t_inference=86400"]
    assert array.nonidealities(since) == Nonidealities.parse(
        ["corrupt_devices_prob=0.01", "seed=5", *since]
    )
    for name in ("corrupt_devices_prob=0.5", "seed=4", "corrupt_devices_range=2"):
        with pytest.raises(ValueError, match="is what the array was programmed with"):
            array.nonidealities([name])


def test_a_file_of_another_agent_or_device_is_refused(
    array_file: Path, checkpoint: Checkpoint, device: Memristor
) -> None:
    tensors = {k: v.copy() for k, v in checkpoint.tensors.items()}
    tensors["layer.gamma"][0, 0] += 1
    with pytest.raises(ArrayError, match=r"array\.safetensors: it was programmed for another ch"):
        load_array(array_file, replace(checkpoint, tensors=tensors), device)
    other = replace(device, set_fraction=0.03)
    with pytest.raises(ArrayError, match=r"array\.safetensors: it was programmed for another dev"):
        load_array(array_file, checkpoint, other)
    with pytest.raises(ArrayError, match="none: no such file"):
        load_array(Path("none"), checkpoint, device)


def test_every_damage_to_a_file_is_one_line(
    array_file: Path, checkpoint: Checkpoint, device: Memristor, tmp_path: Path
) -> None:
    content, path = array_file.read_bytes(), tmp_path / "a.safetensors"
    whole = load_array(array_file, checkpoint, device)
    said = []
    for seed in range(150):
        rng = random.Random(seed)
        damage = fuzz.hostile_safetensors if seed % 2 else fuzz.damaged_bytes
        path.write_bytes(damage(content, rng))
        try:
            found = load_array(path, checkpoint, device)
        except ArrayError as error:
            said.append(str(error))
            continue
        np.testing.assert_array_equal(found.weight, whole.weight)
        np.testing.assert_array_equal(found.given_up, whole.given_up)
    assert len(said) > 100
    assert max(len(text.splitlines()) for text in said) == 1
    assert max(map(len, said)) < 600


def test_saved_arrays_come_back(
    array_file: Path, checkpoint: Checkpoint, device: Memristor, tmp_path: Path
) -> None:
    array = load_array(array_file, checkpoint, device)
    save_array(tmp_path / "b.safetensors", array)
    assert (tmp_path / "b.safetensors").read_bytes() == array_file.read_bytes()


def test_a_game_on_an_array_is_its_twins(
    array_file: Path, agent_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "g.json"
    asked = ["--checkpoint", str(agent_file), "--target", "numpy", "--check-twin"]
    pong = scripts.load("pong")
    assert pong.main([*asked, "--array", str(array_file), "--json", str(out)]) == 0
    said = json.loads(out.read_text())
    assert said["array"] == "array.safetensors"
    assert said["nonidealities"] == {"corrupt_devices_prob": 0.01, "seed": 5}
    (game,) = said["games"]
    assert game["twin_action_agreement"] == 1
    assert game["twin_max_abs_difference"] < 1e-9
    capsys.readouterr()
    said = scripts.refusal(pong, ["--target", "numpy", "--array", str(array_file)], capsys)
    assert "array.safetensors: it was programmed for another checkpoint" in said


def pretended(cell: Any, _options: Any = None) -> ProgrammedGame:
    method, tolerance, seed = cell
    pulsed = method != DECREED
    return ProgrammedGame(
        *(method, tolerance, seed, float(seed % 21), tolerance / 2),
        given_up=2 * pulsed,
        pulses=900 * pulsed,
        pulse_j=1e-4 * pulsed,
        half_selected_j=(0.1 + tolerance) * pulsed,
        time_s=60.0 * pulsed,
        game_j=4e-4,
        inputs="0" * 12,
    )


def test_the_study_keeps_what_it_has_and_plays_what_is_missing(
    command: ModuleType, agent_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []

    def play(cell: Any, options: Any) -> ProgrammedGame:
        calls.append(cell)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return pretended(cell)

    monkeypatch.setattr(work, "play", play)
    monkeypatch.setattr(work, "digest", lambda _: "0" * 12)
    out = tmp_path / "p.csv"
    asked = ["--checkpoint", str(agent_file), "--target", "numpy", "--tolerances", "0.1,0.02"]
    asked += ["--games", "2", "--methods", "verify,open-loop", "--out", str(out)]
    assert command.main(asked) == 130
    assert len(read_rows(out, ProgrammedGame)) == 2
    assert command.main(asked) == 0
    games = read_rows(out, ProgrammedGame)
    assert [(g.method, g.tolerance, g.seed) for g in games[:4]] == [
        (DECREED, 0.0, 1000),
        ("verify", 0.1, 1000),
        ("verify", 0.02, 1000),
        ("open-loop", 0.0, 1000),
    ]
    assert len(games) == len(calls) - 1 == 8
    assert plt.imread(out.with_suffix(".png")).ndim == 3


def test_a_game_of_the_study_is_that_of_its_array(
    command: ModuleType, agent_file: Path, device: Memristor
) -> None:
    options = command.parse_arguments(
        ["--checkpoint", str(agent_file), "--target", "numpy", "--tolerances", "0.3", *NONIDEAL]
    )
    game = work.play(work.Cell("open-loop", 0.0, 3), options)
    assert (game.given_up, game.method, game.seed) == (0, "open-loop", 3)
    assert game.error_rms > 0.1
    decreed = work.play(work.Cell(DECREED, 0.0, 3), options)
    assert (decreed.error_rms, decreed.time_s, decreed.inputs) == (0, 0, game.inputs)


def test_lines_are_the_means() -> None:
    cells = [(DECREED, 0.0), ("verify", 0.1), ("verify", 0.02), ("open-loop", 0.0)]
    games = [pretended((*cell, seed)) for seed in (5, 9) for cell in cells]
    assert list(by_arm(games)) == [cells[2], cells[1], cells[3], cells[0]]
    figure = draw_programming(games, "title")
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    verified = lines["write and verify, F waited for"]
    assert np.asarray(verified.get_xdata()).tolist() == [0, 1]
    assert np.asarray(verified.get_ydata()).tolist() == [7, 7]
    assert np.asarray(lines["W set by decree"].get_ydata()).tolist() == [7, 7]
    energy = figure.axes[2].lines[0].get_ydata()
    np.testing.assert_allclose(np.asarray(energy), [120, 200])
    with pytest.raises(ValueError, match="no game on an array with a tolerance"):
        draw_programming([g for g in games if not g.tolerance], "title")


def test_the_shipped_table_is_of_the_shipped_agent_and_device(command: ModuleType) -> None:
    games = read_rows(SHIPPED, ProgrammedGame)
    options = command.parse_arguments(["--tolerances", "0.01", "--sticky", "0.25"])
    assert {g.inputs for g in games} == {work.digest(options)}
    assert {(g.method, g.tolerance) for g in games} >= {
        *(("verify", t) for t in (0.01, 0.02, 0.05, 0.1, 0.2)),
        *((name, 0.02) for name in ("at-once", "subtract")),
        *((name, 0.0) for name in ("open-loop", DECREED)),
    }


BAD_INPUT = {
    "tolerance": (["--tolerance", "0"], "must be a positive number, got '0'"),
    "tolerances": (["--tolerances", "0.1,x"], "must be a number, got 'x'"),
    "method": (["--tolerances", "0.1", "--methods", "verify,x"], "must be of verify, subtract"),
    "start": (["--start", "9"], "weight must lie in [-1.184, 4.806], got 9 to 9"),
    "spread": (["--rate-std", "-1"], "rate_std must lie in [0, 10], got -1.0"),
    "study": (["--games", "4"], "--games needs --tolerances"),
    "W": (["--nonideal", "weight_dtod=0.1"], "nonideal weight_dtod is what programming leaves"),
    "slow": (["--nonideal", "slow_fraction=0.1"], "nonideal slow_fraction is not known of F"),
    "device": (["--device", "none.toml"], "device file none.toml"),
    "checkpoint": (["--checkpoint", "none.safetensors"], "none.safetensors: no such file"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_ends_with_one_line_and_status_2(
    case: str, command: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, message = BAD_INPUT[case]
    out = tmp_path / "out.safetensors"
    assert message in scripts.refusal(command, ["--out", str(out), *arguments], capsys)
    assert not list(tmp_path.iterdir())


def test_a_table_of_other_inputs_is_kept(
    command: ModuleType, agent_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "p.csv"
    text = csv_text([asdict(pretended(("verify", 0.1, 1)))])
    out.write_text(text)
    asked = ["--checkpoint", str(agent_file), "--target", "numpy", "--tolerances", "0.1"]
    said = scripts.refusal(command, [*asked, "--out", str(out)], capsys)
    assert "is of another checkpoint or device, give another --out" in said
    assert out.read_text() == text
