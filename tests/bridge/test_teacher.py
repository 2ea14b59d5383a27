"""A teacher watches whole games, with a state of its own, that its pupil plays."""

from pathlib import Path

import numpy as np
import pytest
import scripts
import torch

from mstpn.bridge.checkpoints import DEFAULT_CHECKPOINT
from mstpn.bridge.training import train
from mstpn.bridge.training.collect import Collector
from mstpn.bridge.training.options import parse_options
from mstpn.commands import train as command
from mstpn.network.twin.agent import MSTPN
from mstpn.network.twin.checkpoint import load_checkpoint, save_checkpoint
from mstpn.network.twin.layer import TwinConfig

SMALL = [
    "--n-envs",
    "2",
    "--n-minibatches",
    "2",
    "--rollout-length",
    "20",
    "--n-hidden",
    "4",
    "--seed",
    "3",
    "--evaluation-steps",
    "0",
]


@pytest.mark.parametrize("flicker", ["0", "1"])
def test_a_teacher_is_shown_every_frame(
    flicker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[np.ndarray] = []
    see = Collector._see

    def see_and_keep(collector: Collector, observation: np.ndarray) -> None:
        shown.append(observation.copy())
        see(collector, observation)

    monkeypatch.setattr(Collector, "_see", see_and_keep)
    arguments = ["--out", str(tmp_path), *SMALL, "--flicker", flicker]
    arguments += ["--teacher", str(DEFAULT_CHECKPOINT), "--total-steps", "80"]
    trainer = train.Trainer(parse_options(arguments)[0])
    rollouts = [trainer._collect(), trainer._collect()]
    assert all(bool(r.frames.any()) == (flicker == "0") for r in rollouts)

    teacher = load_checkpoint(DEFAULT_CHECKPOINT).twin()
    frames = torch.from_numpy(np.stack(shown[:-1]))
    keep = torch.cat([r.keep for r in rollouts])
    with torch.no_grad():
        x = teacher.front_end(frames.flatten(0, 1)).unflatten(0, keep.shape)
        h, _ = teacher.layer(x, teacher.layer.initial_state(2), keep)
        wanted = teacher.action_head(h).softmax(2)
    got = torch.cat([r.taught for r in rollouts if r.taught is not None]).exp()
    # float32 sums of some 100 active features in another order, over 40 steps
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-4)
    assert wanted.std(0).max() > 0.1


def test_a_teacher_of_another_game_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.safetensors"
    save_checkpoint(MSTPN(TwinConfig(4, 3, "none", 0.08, 0.92)), path, {})
    arguments = ["--out", str(tmp_path / "run"), *SMALL, "--teacher", str(path)]
    line = scripts.refusal(command, arguments, capsys)
    assert line.strip().endswith("must have 6 actions, got 3")
