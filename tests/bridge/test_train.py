"""Short real trainings: same seed, stop and resume, limits, refusals."""

import copy
import json
import math
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scripts
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.nn import functional

from mstpn.bridge.checkpoints import DEFAULT_CHECKPOINT
from mstpn.bridge.training import train
from mstpn.bridge.training.evaluate import evaluate
from mstpn.bridge.training.options import parse_options
from mstpn.bridge.training.ppo import losses
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses.memristor import Memristor

TINY = (
    *("--n-envs", "2", "--n-minibatches", "2", "--rollout-length", "8", "--n-hidden", "4"),
    *("--seed", "3", "--sticky", "0", "--tracking-penalty", "0", "--position-coefficient", "0"),
)


def run(folder: Path, *arguments: str) -> None:
    if status := scripts.load("train").main(["--out", str(folder), *TINY, *arguments]):
        raise SystemExit(status)


def log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def curve(folder: Path) -> list[dict[str, float]]:
    records = log(folder)
    return [{k: v for k, v in r.items() if k not in ("seconds", "mean_return")} for r in records]


def test_training_is_deterministic_and_keeps_the_limits(tmp_path: Path) -> None:
    run(tmp_path / "a", "--total-steps", "64")
    run(tmp_path / "b", "--total-steps", "64")
    first, second = (load_file(tmp_path / f / "last.safetensors") for f in "ab")
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert value.tobytes() == second[name].tobytes(), name
    assert curve(tmp_path / "a") == curve(tmp_path / "b")
    assert [r["step"] for r in curve(tmp_path / "a")] == [16, 32, 48, 64]
    decay = first["layer.decay"]
    assert 0.08 <= decay.min() < decay.max() <= 0.92 + 1e-7
    assert abs(first["layer.weight"]).max() <= 1
    made = load_checkpoint(tmp_path / "a/last.safetensors").metadata["training"]
    assert made["steps"] == 64
    assert made["options"]["seed"] == 3


def test_resumed_training_goes_on_from_where_it_stopped(tmp_path: Path) -> None:
    run(tmp_path, "--total-steps", "32")
    before = load_file(tmp_path / "state.safetensors")
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 48, "lost": 1}\n')
    run(tmp_path, "--total-steps", "64", "--resume")
    after = load_file(tmp_path / "state.safetensors")
    assert [r["step"] for r in curve(tmp_path)] == [16, 32, 48, 64]
    assert "lost" not in (tmp_path / "log.jsonl").read_text()
    # Adam's step count: 3 epochs x 2 minibatches for each of 2, then 4 rollouts
    assert float(before["adam.0.step"]) == 12
    assert float(after["adam.0.step"]) == 24


def test_rollouts_played_beside_are_those_of_the_agent_before_the_update(tmp_path: Path) -> None:
    spread = ("--delta-f-std", "0.3", "--weight-dtod", "0.02", "--position-coefficient", "0.1")
    for folder in "ab":
        run(tmp_path / folder, "--total-steps", "64", "--collect-beside", *spread)
    first, second = (load_file(tmp_path / f / "last.safetensors") for f in "ab")
    for name, value in first.items():
        assert value.tobytes() == second[name].tobytes(), name
    assert curve(tmp_path / "a") == curve(tmp_path / "b")
    run(tmp_path / "a", "--total-steps", "96", "--resume", *spread)
    assert [r["step"] for r in curve(tmp_path / "a")] == [16, 32, 48, 64, 80, 96]

    arguments = ["--out", str(tmp_path / "c"), *TINY, "--collect-beside"]
    trainer = train.Trainer(parse_options(arguments)[0])
    with trainer._rollouts() as rollouts:
        for old in (False, True):
            before = copy.deepcopy(trainer.net)
            rollout = next(rollouts)
            if not old:
                trainer.log.close()
                with torch.no_grad():
                    trainer.net.action_head.bias[0] += 1
                played = before
        with torch.no_grad():
            features = played.front_end(rollout.frames)
            h, _ = played.layer(features, rollout.state, rollout.keep)
            log_probs = played.heads(h)[0].log_softmax(2)
    chosen = log_probs.gather(2, rollout.actions[..., None])[..., 0]
    # float32, of the net of before the change: that moves them by 0.1 and more
    torch.testing.assert_close(rollout.log_probs, chosen, rtol=0, atol=1e-5)


def test_grey_levels_and_the_position_head_stay_in_the_training(tmp_path: Path) -> None:
    aids = ("--position-coefficient", "0.5", "--pixel-zero", "87", "--pixel-unit", "64")
    run(tmp_path, "--total-steps", "32", *aids)
    run(tmp_path, "--total-steps", "64", "--resume", *aids)
    assert [r["step"] for r in curve(tmp_path)] == [16, 32, 48, 64]
    assert all(-1 < r["position"] < 1 for r in curve(tmp_path))  # errors of order 1
    state = load_file(tmp_path / "state.safetensors")
    assert float(state["adam.0.step"]) == 24
    made = load_checkpoint(tmp_path / "last.safetensors")
    frame = np.random.default_rng(0).integers(0, 256, (1, 84, 84), dtype=np.uint8)
    got = made.twin().front_end(torch.from_numpy(frame)).detach()

    def convolution(x: torch.Tensor, name: str, stride: int) -> torch.Tensor:
        weight, bias = (
            torch.from_numpy(state[f"net.front_end.{name}.{k}"]) for k in ("weight", "bias")
        )
        return functional.relu(functional.conv2d(x, weight, bias, stride=stride))

    x = (torch.from_numpy(frame).float() - 87)[:, None] / 64
    expected = convolution(convolution(x, "conv1", 4), "conv2", 2).flatten(1)
    # 64 and 256 products a feature, rounded in float32 to 6e-8 of numbers up to about 4
    torch.testing.assert_close(got, expected, rtol=0, atol=2e-5)
    # an --initial has the same features on whatever scale it goes on
    path = str(tmp_path / "last.safetensors")
    options, _ = parse_options(["--out", str(tmp_path / "b"), *TINY, *aids, "--initial", path])
    again = train.Trainer(options).net.front_end(torch.from_numpy(frame)).detach()
    torch.testing.assert_close(again, expected, rtol=0, atol=2e-5)


def test_training_goes_on_from_the_weights_of_another_range_of_decay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "a", "--total-steps", "32", "--decay-min", "0.05", "--decay-max", "0.5")
    path = tmp_path / "a/last.safetensors"
    start, same = load_file(path), ("--decay-min", "0.05", "--decay-max", "0.5")
    for arguments, low, high in ((same, 0.05, 0.5), ((), 0.08 + 0.0168, 0.92 - 0.0168)):
        options, _ = parse_options(["--out", str(tmp_path / "b"), *TINY, *arguments])
        net = train.Trainer(replace(options, initial=str(path))).net
        # logit and sigmoid in float32 move Lambda by some 1e-7 / 0.02
        expected = start["layer.decay"].clip(low, high)
        np.testing.assert_allclose(net.layer.decay.detach(), expected, atol=1e-6)
        np.testing.assert_array_equal(net.layer.weight.detach(), start["layer.weight"])
    run(tmp_path / "b", "--total-steps", "16", "--initial", str(path))
    run(tmp_path / "b", "--total-steps", "32", "--initial", str(path), "--resume")
    made = load_checkpoint(tmp_path / "b/last.safetensors").metadata["training"]
    assert made["initial"] == load_checkpoint(path).metadata["training"]
    with pytest.raises(SystemExit) as stop:
        run(tmp_path / "c", "--initial", str(path), "--n-hidden", "8")
    assert stop.value.code == 2
    assert "must be of the same network" in (said := capsys.readouterr().err)
    assert said.count("\n") == 1


def test_a_front_end_of_another_agent_can_be_held(tmp_path: Path) -> None:
    aids = ("--pixel-zero", "80", "--pixel-unit", "60", "--lit-channels", "2")
    run(tmp_path / "a", "--total-steps", "32")
    path = tmp_path / "a/last.safetensors"
    for folder, hold in (("b", ("--hold-front-end",)), ("c", ())):
        same = (*aids, "--initial-front-end", str(path), *hold)
        run(tmp_path / folder, "--total-steps", "16", *same)
        run(tmp_path / folder, "--total-steps", "32", *same, "--resume")
    seen, held, freed = (
        {k: v.astype(float) for k, v in load_file(tmp_path / f"{run}/last.safetensors").items()}
        for run in "abc"
    )
    for name in (name for name in seen if name.startswith("front_end.")):
        # moved to another scale and back in float32, weights of order 1
        np.testing.assert_allclose(held[name], seen[name], rtol=0, atol=2e-6, err_msg=name)
        assert np.abs(freed[name] - seen[name]).max() > 1e-4, name
    for name in ("layer.weight", "layer.gamma", "action_head.weight"):
        assert np.abs(held[name] - seen[name]).max() > 1e-4, name


def test_evaluations_are_logged_and_choose_the_best(tmp_path: Path) -> None:
    arguments = ("--total-steps", "64", "--evaluation-steps", "32", "--evaluation-games", "2")
    run(tmp_path, *arguments, "--json", str(tmp_path / "summary.json"))
    scores = {r["step"]: r["evaluation"] for r in log(tmp_path) if "evaluation" in r}
    assert scores.keys() == {32, 64}
    made = load_checkpoint(tmp_path / "best.safetensors").metadata["training"]
    assert scores[made["steps"]] == max(scores.values())
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["finished"]
    assert summary["steps"] == 64
    assert summary["best"] == max(scores.values())
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in board.Scalars("evaluation")] == list(scores.items())
    assert len(board.Scalars("entropy")) == 4


def test_a2c_and_the_devices_limits(tmp_path: Path) -> None:
    run(tmp_path, "--total-steps", "32", "--algorithm", "a2c")
    state = load_file(tmp_path / "state.safetensors")
    assert float(state["adam.0.step"]) == 2  # one update a rollout
    limits = load_checkpoint(tmp_path / "last.safetensors").config.limits
    assert limits == Memristor.from_file().write_limits()
    # Gamma starts below 0.001, |h z| below some 10: all updates are too small for a pulse of 2 V
    assert log(tmp_path)[0]["not_issued"] == 1
    assert log(tmp_path)[0]["rows"] == 0
    run(tmp_path / "ideal", "--total-steps", "16", "--ideal-updates")
    assert load_checkpoint(tmp_path / "ideal/last.safetensors").config.limits is None
    assert log(tmp_path / "ideal")[0]["rows"] > 0


def test_spread_devices_and_their_noise_are_those_of_the_rollout(tmp_path: Path) -> None:
    spread = ("--delta-f-std", "0.5", "--delta-f-dtod", "0.2", "--weight-dtod", "0.01")
    options, _ = parse_options(["--out", str(tmp_path), *TINY, *spread])
    trainer = train.Trainer(options)
    with torch.no_grad():
        trainer.net.layer.gamma.fill_(0.02)  # pulses are issued, h is far from saturation
        trainer.net.action_head.weight.mul_(50)
    first = trainer._collect()
    first_devices = trainer.net.layer.deviations
    trainer.step += 16
    rollout = trainer._collect()
    devices = trainer.net.layer.deviations
    assert first_devices is not None
    assert devices is not None
    assert not torch.equal(first_devices.update_gain, devices.update_gain)
    assert first.noise is not None
    assert rollout.noise is not None
    assert not torch.equal(first.noise.keys, rollout.noise.keys)
    trainer.log.close()
    which = torch.tensor([1, 0])
    advantage = torch.ones(8, 2)
    a2c = replace(options, algorithm="a2c")
    replayed = losses(trainer.net, rollout, advantage, which, a2c)["policy"].item()
    # float32: a mean of 16 numbers of some 10 roundings each
    assert replayed == pytest.approx(-rollout.log_probs.mean().item(), abs=1e-6)
    without = losses(trainer.net, replace(rollout, noise=None), advantage, which, a2c)
    assert abs(without["policy"].item() - replayed) > 1e-5


def test_training_with_spread_is_deterministic_and_evaluated_on_unlike_devices(
    tmp_path: Path,
) -> None:
    spread = ("--delta-f-std", "0.3", "--weight-dtod", "0.02", "--half-voltage-dtod", "0.02")
    arguments = ("--total-steps", "32")
    evaluated = ("--evaluation-steps", "32", "--evaluation-games", "1")
    for folder in "ab":
        run(tmp_path / folder, *arguments, *evaluated, *spread)
    first, second = (load_file(tmp_path / f / "last.safetensors") for f in "ab")
    for name, value in first.items():
        assert value.tobytes() == second[name].tobytes(), name
    assert curve(tmp_path / "a") == curve(tmp_path / "b")
    run(tmp_path / "c", *arguments)
    ideal = load_file(tmp_path / "c/last.safetensors")
    assert not np.array_equal(ideal["layer.weight"], first["layer.weight"])


def test_killed_training_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    arguments = [*TINY, "--out", str(tmp_path), "--save-minutes", "0.001"]
    endless = [*arguments, "--total-steps", "1000000000"]
    with subprocess.Popen([sys.executable, "-m", "mstpn", "train", *endless]) as process:
        while process.poll() is None and not (tmp_path / "state.safetensors").exists():
            time.sleep(0.05)
        time.sleep(0.3)
        process.kill()
    saved = load_checkpoint(tmp_path / "last.safetensors").metadata["training"]["steps"]
    run(tmp_path, "--save-minutes", "0.001", "--total-steps", str(saved + 32), "--resume")
    steps = [int(r["step"]) for r in curve(tmp_path)]
    assert steps == list(range(16, steps[-1] + 1, 16))


def test_full_disk_ends_with_one_line_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    run(tmp_path, "--total-steps", "16")
    before = (tmp_path / "state.safetensors").read_bytes()
    code = (
        "import resource\n"
        "import sys\n"
        "from mstpn.commands.train import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        f"sys.exit(main({['--out', str(tmp_path), *TINY, '--total-steps', '32', '--resume']!r}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "File too large" in done.stderr.splitlines()[-1]
    assert (tmp_path / "state.safetensors").read_bytes() == before
    assert not list(tmp_path.glob(".*"))
    load_checkpoint(tmp_path / "last.safetensors")


def test_a_training_that_diverges_ends_before_it_is_saved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, "--total-steps", "16")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        run(tmp_path, "--total-steps", "64", "--resume", "--learning-rate", "1e30")
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert said.startswith("mstpn train: training: ")
    assert " is not finite after " in said
    assert said.count("\n") == 1
    for name in ("state.safetensors", "last.safetensors", "last.json"):
        assert (tmp_path / name).read_bytes() == before[name]
    run(tmp_path, "--total-steps", "32", "--resume")


def test_the_state_before_the_last_is_kept(tmp_path: Path) -> None:
    run(tmp_path, "--total-steps", "16")
    first = (tmp_path / "state.safetensors").read_bytes()
    run(tmp_path, "--total-steps", "32", "--resume")
    assert (tmp_path / "state_before.safetensors").read_bytes() == first
    (tmp_path / "state.safetensors").write_bytes(first)
    run(tmp_path, "--total-steps", "32", "--resume")
    assert [r["step"] for r in curve(tmp_path)] == [16, 32]


@pytest.mark.parametrize(
    "torn", ['{"step": 16, "mean_re', "\n", "null\n", '{"step": "x"}\n', "[1]\n"]
)
def test_lines_of_a_log_that_are_torn_or_foreign_are_dropped(torn: str, tmp_path: Path) -> None:
    run(tmp_path, "--total-steps", "16")
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write(torn)
    run(tmp_path, "--total-steps", "32", "--resume")
    assert [r["step"] for r in curve(tmp_path)] == [16, 32]


def test_a_single_sample_and_no_game_over_are_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = ("--n-envs", "1", "--n-minibatches", "1", "--rollout-length", "1", "--total-steps", "2")
    run(tmp_path, *one)
    assert "no game has ended" in capsys.readouterr().out
    json.loads((tmp_path / "last.json").read_text(), parse_constant=lambda name: pytest.fail(name))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_with_everything_saved(number: signal.Signals, tmp_path: Path) -> None:
    arguments = [*TINY, "--out", str(tmp_path), "--total-steps", "1000000000"]
    written = tmp_path / "log.jsonl"
    with subprocess.Popen(
        [sys.executable, "-m", "mstpn", "train", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while process.poll() is None and not written.exists():
            time.sleep(0.05)
        process.send_signal(number)
        out, err = process.communicate()
    assert process.returncode == 0, err
    assert "stopped after" in out
    last_step = log(tmp_path)[-1]["step"]
    made = load_checkpoint(tmp_path / "last.safetensors").metadata["training"]
    assert made["steps"] == last_step


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--total-steps", "0"], "total-steps must be at least 1, got 0"),
        (["--rollout-length", "0"], "rollout-length must be at least 1, got 0"),
        (["--decay-min", "0.9", "--decay-max", "0.1"], "decay_min <= decay_max"),
        (["--decay-max", "1.0"], "decay_min <= decay_max < 1"),
        (["--n-minibatches", "3"], "n-minibatches must divide n-envs, got 3 and 2"),
        (["--normalisation", "l1"], "normalisation must be one of none, l2, stpn, got 'l1'"),
        (["--algorithm", "dqn"], "algorithm must be ppo or a2c, got dqn"),
        (["--clip", "1.5"], "clip must be in [0, 1], got 1.5"),
        (["--learning-rate", "0"], "learning-rate must be positive, got 0.0"),
        (["--weight-min", "1"], "weight-min must be below weight-max, got 1.0"),
        (["--device", "none.toml"], "none.toml"),
        (["--energy-price", "-1"], "energy-price must be at least 0 and finite, got -1.0"),
        (
            ["--energy-price", "1", "--normalisation", "stpn"],
            "energy-price must be 0 on cuda",
        ),
        (["--bias-lines", "row"], "bias_lines must be one of synapse, neuron, input, block, array"),
        (["--flicker", "2"], "flicker must be in [0, 1], got 2.0"),
        (
            ["--initial", "a", "--initial-front-end", "b"],
            "initial-front-end must be absent where initial is given, got b",
        ),
        (["--initial-decay", "0.95"], "initial-decay must be 0 or in (0.08, 0.92), got 0.95"),
        (["--pixel-unit", "0"], "pixel-unit must be positive, got 0.0"),
        (["--tracking-penalty", "-1"], "tracking-penalty must be at least 0 and finite, got -1.0"),
        (["--delta-f-std", "-1"], "delta-f-std must be at least 0 and finite, got -1.0"),
        (["--weight-dtod", "nan"], "argument --weight-dtod: must be a number, got 'nan'"),
        (
            ["--collect-beside", "--torch-device", "cuda"],
            "collect-beside needs torch-device cpu, got cuda",
        ),
        (["--torch-device", "tpu"], "torch-device must be cpu or cuda, got tpu"),
        (["--resume"], "state.safetensors"),
        (["--total-steps", "many"], "--total-steps"),
    ],
)
def test_bad_options_end_with_one_line_and_status_2(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        run(tmp_path, *arguments)
    printed = capsys.readouterr().err
    assert stop.value.code == 2
    assert message in printed
    assert printed.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_of_another_configuration_is_not_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, "--total-steps", "16")
    before = (tmp_path / "state.safetensors").read_bytes()
    with pytest.raises(SystemExit):
        run(tmp_path, "--total-steps", "32", "--resume", "--decay-max", "0.5")
    assert "decay_max is 0.5, but" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(tmp_path, "--total-steps", "32")
    assert "say --resume" in capsys.readouterr().err
    assert (tmp_path / "state.safetensors").read_bytes() == before


def test_a_folder_of_another_version_is_not_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, "--total-steps", "16")
    path = tmp_path / "state.safetensors"
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
    tensors = {k: v for k, v in load_file(path).items() if not k.startswith("position_head.")}
    save_file(tensors, path, metadata)
    before = path.read_bytes()
    with pytest.raises(SystemExit):
        run(tmp_path, "--total-steps", "32", "--resume")
    printed = capsys.readouterr().err
    assert "Unexpected key(s) in state_dict" in printed or "Missing key(s)" in printed
    assert "position_head" in printed
    assert printed.count("\n") == 1
    assert path.read_bytes() == before


def resaved(path: Path, change: Callable[[dict[str, Any]], Any], **metadata: str) -> None:
    tensors, metadata = load_file(path), metadata or {"trainer": json.dumps(scalars(path))}
    change(tensors)
    save_file(tensors, path, metadata)


def scalars(path: Path) -> Any:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["trainer"])


WEIGHT = "net.layer.weight"


OTHERS: list[tuple[Callable[[dict[str, Any]], Any], dict[str, str], str]] = [
    (lambda t: None, {"saved_by": "another tool"}, "another tool saved it without metadata"),
    (lambda t: t.update({WEIGHT: t[WEIGHT].astype(np.float16)}), {}, "must be torch.float32"),
    (lambda t: t[WEIGHT].fill(math.nan), {}, f"{WEIGHT} must be finite"),
    (lambda t: t.pop("adam.0.exp_avg"), {}, "adam.0 must have step, exp_avg, exp_avg_sq"),
    (lambda t: t.update({"adam.0.exp_avg": np.zeros(3)}), {}, "adam.0.exp_avg must be ("),
    (lambda t: t.update({"adam.x": np.zeros(3)}), {}, "not enough values"),
    (lambda t: t.pop("start.decay"), {}, "start.decay"),
    (lambda t: None, {"trainer": "[]"}, "list indices"),
]


def test_a_state_that_others_saved_is_taken_or_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, "--total-steps", "32")
    path = tmp_path / "state.safetensors"
    resaved(path, lambda tensors: None)  # in another order, as libraries do
    run(tmp_path, "--total-steps", "48", "--resume")
    assert log(tmp_path)[-1]["step"] == 48
    whole = path.read_bytes()
    for change, metadata, message in OTHERS:
        path.write_bytes(whole)
        resaved(path, change, **metadata)
        with pytest.raises(SystemExit) as stop:
            run(tmp_path, "--total-steps", "64", "--resume")
        printed = capsys.readouterr().err
        assert (stop.value.code, printed.count("\n")) == (2, 1)
        assert message in printed
        assert printed.endswith("the state before it is state_before.safetensors\n")


def test_one_thread_asked_for_is_one_thread_used(tmp_path: Path) -> None:
    """The first launch of a Numba kernel sets the thread count of torch's OpenMP runtime too."""
    program = (
        "import numba, torch\n"
        "from mstpn.commands.train import main\n"
        f"main({['--out', str(tmp_path), *TINY, '--total-steps', '16']!r})\n"
        "print(torch.get_num_threads(), numba.get_num_threads())"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "1 1"


def test_contrast_alone_is_seen_and_some_channels_are_lit(tmp_path: Path) -> None:
    run(tmp_path, "--total-steps", "32", "--contrast-only", "--lit-channels", "2")
    saved = load_file(tmp_path / "last.safetensors")
    kernels = saved["front_end.conv1.weight"]
    # sums of 64 float32 of about 0.1
    np.testing.assert_allclose(kernels.sum((1, 2, 3)), 0, rtol=0, atol=2e-6)
    assert abs(kernels).max() > 0.01
    bias = saved["front_end.conv2.bias"]
    # a few updates of 4e-4 away from their start
    np.testing.assert_allclose(bias[:2], 0.1, atol=0.02)
    assert bias[2:].max() <= 0
    assert saved["front_end.conv1.bias"].max() <= 0


def test_the_command_of_options_gives_them_again() -> None:
    arguments = ["--no-points-apart", "--no-memory", "--learning-rate", "2e-4", "--device", "a b"]
    options, _ = parse_options(arguments)
    assert (options.points_apart, options.no_memory) == (False, True)
    assert parse_options(shlex.split(options.command)[2:])[0] == options
    assert parse_options([])[0].command == "mstpn train"


def test_tracking_penalty_ends_with_the_training(tmp_path: Path) -> None:
    arguments = ["--out", str(tmp_path), *TINY, "--total-steps", "64"]
    options, _ = parse_options([*arguments, "--tracking-penalty", "0.5"])
    trainer = train.Trainer(options)
    frame = np.full((2, 84, 84), 87, np.uint8)
    frame[:, 60:66, 74] = 147
    frame[1, 20:22, 60] = 236
    reward = np.array([1.0, -1.0])
    # Centres of rows 60 to 65 and 20 to 21, in a field of 63 rows
    lost = np.array([0, (62.5 - 20.5) / 63])
    np.testing.assert_allclose(trainer.collector.shaped(reward, frame, 0), reward - 0.5 * lost)
    np.testing.assert_allclose(trainer.collector.shaped(reward, frame, 48), reward - 0.125 * lost)
    np.testing.assert_array_equal(trainer.collector.shaped(reward, frame, 64), reward)


def test_returns_end_at_each_point_if_wanted(tmp_path: Path) -> None:
    for wanted, ends in (([], True), (["--no-points-apart"], False)):
        arguments = ["--out", str(tmp_path), *TINY, "--rollout-length", "200", *wanted]
        rollout = train.Trainer(parse_options(arguments)[0])._collect()
        points = rollout.rewards != 0
        assert points.any(0).all()  # no game of Pong is over after 200 decisions
        assert torch.equal(rollout.final, (points & ends).float())


def test_greedy_evaluation_plays_whole_games_alike_from_its_seed() -> None:
    net = load_checkpoint(DEFAULT_CHECKPOINT).twin()
    first = evaluate(net, 2, seed=4, max_decisions=400)
    assert first.tolist() == evaluate(net, 2, seed=4, max_decisions=400).tolist()
    assert (np.abs(first) <= 21).all()
    assert first.any()  # 400 decisions hold several points
