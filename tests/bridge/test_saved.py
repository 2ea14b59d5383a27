"""Stopped play goes on as if it had never stopped, bit for bit, in another process too."""

import contextlib
import itertools
import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import fuzz
import numpy as np
import pytest
import torch
import xarray as xr
from numpy.typing import NDArray

from mstpn.analysis.energy.ledger import recorded
from mstpn.analysis.energy.recording import Recorder, RecordingError, parts_folder
from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.conversion import held_parameters
from mstpn.bridge.play import Game, GameRecord
from mstpn.bridge.pong import Pong
from mstpn.bridge.saved import Saved, fingerprints, load_play, save_play
from mstpn.bridge.twin_agent import TwinAgent
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.agent import MSTPN
from mstpn.network.twin.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mstpn.network.twin.layer import TwinConfig
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Nonidealities
from mstpn.synapses.support.state import StateError

SETTINGS = {"seed": 3, "sticky": 0.25, "checkpoint": "a", "device": "b"}
BEFORE, AFTER = 37, 41
State = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def agent_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four units whose updates are large enough to be felt."""
    torch.manual_seed(0)
    net = MSTPN(TwinConfig(4, 6, "none", 0.08, 0.92))
    net.layer.gamma.data *= 100
    path = tmp_path_factory.mktemp("agent") / "agent.safetensors"
    save_checkpoint(net, path, {})
    return path


@pytest.fixture(scope="module")
def checkpoint(agent_file: Path) -> Checkpoint:
    return load_checkpoint(agent_file)


def spread() -> Nonidealities:
    return Nonidealities.parse(["delta_f_std=0.3", "weight_dtod=0.05"])


def new_game(checkpoint: Checkpoint, device: Memristor, **options: Any) -> Game:
    unlike = options.pop("unlike", None)
    return Game(
        Pong(sticky=0.25),
        BrianAgent(checkpoint, device, STEP_DURATION, unlike),
        3,
        twin=TwinAgent(checkpoint, device, unlike),
        **options,
    )


def played(game: Game, n: int, recorder: Recorder | None = None) -> list[bytes]:
    """h and twin's h of n decisions, to the last bit."""
    found = []
    for frame in itertools.islice(game.frames(), n):
        if recorder is not None:
            recorder.record(frame.z, frame.h)
        assert game.twin is not None
        found.append(frame.h.tobytes() + game.twin.h.tobytes())
    return found


def essence(record: GameRecord) -> dict[str, Any]:
    """All but how long it took."""
    content = record.to_json()
    del content["wall_time_s"], content["step_ms_median"]
    return content


@pytest.mark.parametrize("unlike", [None, spread()], ids=["ideal", "unlike"])
def test_a_game_goes_on_bit_for_bit(
    unlike: Nonidealities | None, checkpoint: Checkpoint, device: Memristor, tmp_path: Path
) -> None:
    whole = new_game(checkpoint, device, unlike=unlike)
    played(whole, BEFORE)
    save_play(tmp_path / "s.npz", Saved((), whole.state()), SETTINGS)
    expected = played(whole, AFTER)
    game = new_game(checkpoint, device, unlike=unlike)
    played(game, 5)  # whatever was before is gone
    game.restore(load_play(tmp_path / "s.npz", SETTINGS).state)
    assert played(game, AFTER) == expected
    assert game.pong.actions == whole.pong.actions
    assert essence(game.record()) == essence(whole.record())
    assert len(game.agent.step_seconds) == BEFORE + AFTER
    for name, value in whole.agent.network.state().items():
        assert game.agent.network.state()[name].tobytes() == value.tobytes(), name


CONTINUE = """
import json, sys
from pathlib import Path
from mstpn.synapses.support.brian_target import use_target
use_target("numpy")
import test_saved as t
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses.memristor import Memristor
game = t.new_game(load_checkpoint(sys.argv[1]), Memristor.from_file())
game.restore(t.load_play(Path(sys.argv[2]), t.SETTINGS).state)
hs = [h.hex() for h in t.played(game, t.AFTER)]
print(json.dumps([hs, t.essence(game.record())]))
"""


def test_a_game_goes_on_in_another_process(
    agent_file: Path, checkpoint: Checkpoint, device: Memristor, tmp_path: Path
) -> None:
    game = new_game(checkpoint, device)
    played(game, BEFORE)
    save_play(tmp_path / "s.npz", Saved((), game.state()), SETTINGS)
    expected = [h.hex() for h in played(game, AFTER)]
    done = subprocess.run(
        [sys.executable, "-c", CONTINUE, agent_file, tmp_path / "s.npz"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, Path(__file__).parents[:2]))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [expected, essence(game.record())]


def test_the_ledger_of_a_stopped_game_is_that_of_the_whole_one(
    checkpoint: Checkpoint, device: Memristor, tmp_path: Path
) -> None:
    def record(game: Game, path: Path, n: int, state: State | None = None) -> None:
        with recorded(
            path,
            device,
            parameters=held_parameters(game.agent.network),
            step_duration=STEP_DURATION,
            attributes={},
            resume_at=len(state["actions"]) if state else None,
        ) as recorder:
            if state:
                game.restore(state)
            played(game, n, recorder)
            recorder.flush()
            saved.update(game.state())
            if path.name == "stopped.nc" and not state:
                played(game, 70, recorder)  # a part that no state knows of
                raise KeyboardInterrupt

    saved: State = {}
    record(new_game(checkpoint, device), tmp_path / "whole.nc", BEFORE + AFTER)
    with pytest.raises(KeyboardInterrupt):
        record(new_game(checkpoint, device), tmp_path / "stopped.nc", BEFORE)
    state = dict(saved)
    record(new_game(checkpoint, device), tmp_path / "stopped.nc", AFTER, state)
    with (
        xr.open_dataset(tmp_path / "whole.nc") as whole,
        xr.open_dataset(tmp_path / "stopped.nc") as stopped,
    ):
        assert stopped.identical(whole)
        assert stopped.sizes["frame"] == BEFORE + AFTER
    assert not parts_folder(tmp_path / "stopped.nc").exists()


def test_a_recorder_goes_on_with_its_own_game_alone(
    checkpoint: Checkpoint, device: Memristor, tmp_path: Path
) -> None:
    game = new_game(checkpoint, device)

    def recorder(resume_at: int | None, **changes: Any) -> Any:
        parameters = held_parameters(game.agent.network) | changes
        return recorded(
            tmp_path / "g.nc",
            device,
            parameters=parameters,
            step_duration=STEP_DURATION,
            attributes={},
            resume_at=resume_at,
        )

    with contextlib.suppress(KeyboardInterrupt), recorder(None) as keeper:
        played(game, 130, keeper)
        raise KeyboardInterrupt
    folder = parts_folder(tmp_path / "g.nc")
    other = np.zeros_like(held_parameters(game.agent.network)["gamma"])
    with pytest.raises(RecordingError, match="another gamma"), recorder(130, gamma=other):
        pass
    (folder / "00000128.npz").unlink()
    with pytest.raises(RecordingError, match="frames missing before 00000130"), recorder(130):
        pass
    with pytest.raises(RecordingError, match="holds 64 frames, the game to go on with 100"):
        recorder(100).__enter__()


@pytest.fixture(scope="module")
def saved_file(
    checkpoint: Checkpoint, device: Memristor, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    game = new_game(checkpoint, device)
    played(game, BEFORE)
    path = tmp_path_factory.mktemp("saved") / "s.npz"
    save_play(path, Saved((game.record(),), game.state()), SETTINGS)
    return path


def test_records_of_games_that_are_over_come_back(saved_file: Path) -> None:
    (record,) = load_play(saved_file, SETTINGS).records
    assert GameRecord.from_json(record.to_json()) == record
    assert record.decisions == BEFORE


@pytest.mark.parametrize("name", SETTINGS)
def test_a_state_of_other_settings_is_refused_by_name(name: str, saved_file: Path) -> None:
    expected = rf"s\.npz: saved with {name} {SETTINGS[name]!r}, not 'other'$"
    with pytest.raises(StateError, match=expected):
        load_play(saved_file, SETTINGS | {name: "other"})


def test_fingerprints_tell_numbers_apart_and_not_files(
    checkpoint: Checkpoint, device: Memristor
) -> None:
    same = fingerprints(checkpoint, replace(device, name="another name"))
    assert same == fingerprints(checkpoint, device)
    tensors = {k: v.copy() for k, v in checkpoint.tensors.items()}
    tensors["layer.weight"][0, 0] = np.nextafter(tensors["layer.weight"][0, 0], np.float32(2))
    other = fingerprints(replace(checkpoint, tensors=tensors), device)
    assert (other["checkpoint"] != same["checkpoint"], other["device"]) == (True, same["device"])
    other = fingerprints(checkpoint, replace(device, pulse_energy=2 * device.pulse_energy))
    assert (other["device"] != same["device"], other["checkpoint"]) == (True, same["checkpoint"])


def test_every_damage_is_noticed_and_said_in_one_line(saved_file: Path, tmp_path: Path) -> None:
    content, path = saved_file.read_bytes(), tmp_path / "s.npz"
    whole = load_play(saved_file, SETTINGS)
    said = []
    for seed in range(600):
        path.write_bytes(fuzz.damaged_bytes(content, random.Random(seed)))
        try:
            found = load_play(path, SETTINGS)
        except StateError as error:
            said.append(str(error))
            continue
        # damage to what says nothing, such as the date of a member
        assert found.records == whole.records
        for name, value in whole.state.items():
            np.testing.assert_array_equal(found.state[name], value)
    assert len(said) > 500
    assert max(len(text.splitlines()) for text in said) == 1
    assert max(map(len, said)) < 600


def test_a_state_that_does_not_fit_is_refused_by_name(
    saved_file: Path, checkpoint: Checkpoint, device: Memristor
) -> None:
    state = load_play(saved_file, SETTINGS).state
    game = new_game(checkpoint, device)

    def refused(change: State, message: str, without: str | None = None) -> None:
        wrong = {k: v for k, v in state.items() if k != without} | change
        with pytest.raises(StateError, match=message):
            game.restore(wrong)

    trace = state["agent.network.synapses.F"]
    name = "agent.network.synapses.F"
    refused({}, r"synapses\.F is missing", without=name)
    refused({"more": trace}, "more is unknown")
    refused({"agent.more": trace}, "more is unknown")
    refused({name: trace[1:]}, r"synapses\.F must be float64 of shape \(10384,\), got")
    refused({name: trace.astype(np.float32)}, r"synapses\.F must be float64")
    refused({name: np.full_like(trace, np.nan)}, r"synapses\.F must be finite")
    refused({"actions": np.array([9], dtype=np.int8)}, r"actions must lie in \[0, 6\), got 9")
    refused({"actions": np.zeros(5000, dtype=np.int8)}, "actions go on after the game's end")
    refused({"actions": state["actions"][:-1]}, "observation differs")
    refused({"actions": state["actions"].astype(float)}, "actions must be")
    refused({"twin.h": np.zeros((1, 3))}, r"h must be float64 of shape \(1, 4\)")
    game.restore(state)
